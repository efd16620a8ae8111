"""What was spent within a period, and the limits that admins have set.

Three limits are amounts: of an organization a day, of a user a month, and of calls out to one
prefix an hour, which stops toll fraud. A call counts with what it costs, or with what it has
reserved while it is under way; for the UTC period in which it was authorized, or else answered
(our decision). No authorized call exceeds a limit: a grant ends where the first limit does.

The account contains the last few days of an organization. The others are counters of their own,
stored only for those who have such a limit. A transaction that corrects calls writes by how much
each of these counters changes (`SpendChange`), and the counter takes that in when it is read
next: so a correction never has calls counted again.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.holds import NOTHING_HELD, Hold, Holds
from perminute.domain.licensing.attributes import MONTHLY_SPEND_LIMIT
from perminute.domain.pools.pools import Month
from perminute.domain.rating.calls import Call, LegType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.rating.usage_record import Usage

_DAY = timedelta(days=1)


class LimitName(StrEnum):
    """The name of a limit; if several limits deny a call, the first of these is named."""

    CONCURRENT_CALLS = "maxConcurrentCalls"
    DAILY_SPEND = "dailySpendLimit"
    MONTHLY_SPEND = "monthlySpendLimit"
    PREFIX_HOURLY_SPEND = "prefixHourlySpendLimit"


class SpendKind(StrEnum):
    """Whose spending a counter counts."""

    DAY = "day"
    USER = "user"
    PREFIX = "prefix"


class SpendKey(NamedTuple):
    """Whose spending since when: an organization's of a day, a user's of a month, a prefix's."""

    kind: SpendKind
    subject: str
    since: datetime

    def counts(self, call: Call, prefix: str | None, at: datetime) -> bool:
        """Whether the counter counts a call that began at an instant, rated by this prefix."""
        return self in (_of_user(call, at), _of_prefix(call, prefix, at))


class PartOfDay(NamedTuple):
    """How far the day is counted at which a count has stopped."""

    after: str  # the key of the last list of calls that is counted
    # Calls are counted by what they cost by so many entries of the account. What later entries
    # charge or correct is added when that is booked, in whatever list the call is.
    entries: int
    micros: int  # what the day adds to what was spent


class SpendCounter(NamedTuple):
    """What calls of a period cost, and what those under way have reserved."""

    key: SpendKey
    # The counter contains the account's corrections up to this number; a day's always does.
    corrections: int = 0
    spent_micros: int = 0
    held: Holds = NOTHING_HELD
    # The limit that was last notified as reached: another one is notified again.
    notified_micros: int | None = None
    # Only calls that ended before this day are counted yet; None, all are.
    counted_before: date | None = None
    part: PartOfDay | None = None  # what is counted of that day, if it is begun

    def contains(self, ended_on: date) -> bool:
        """Whether what calls that ended on a day cost from now on is to be added."""
        is_counted = self.counted_before is None or ended_on < self.counted_before
        return is_counted or self._is_part(ended_on)

    def plus(self, micros: int, ended_on: date) -> SpendCounter:
        """Add what a call costs, unless it will be counted with the others of its day."""
        part = self.part
        if not self.contains(ended_on):
            return self
        if part is not None and self._is_part(ended_on):
            part = part._replace(micros=part.micros + micros)
        return self._replace(spent_micros=self.spent_micros + micros, part=part)

    def with_changes(self, changes: Iterable[SpendChange], corrections: int) -> SpendCounter:
        """Take in what has changed until a number of corrections."""
        counter = self
        for change in (change for change in changes if change.key == self.key):
            if change.moved and self._is_part(change.ended_on):
                # Nobody knows whether the lists that were read contain it: the day starts over.
                counter = counter.without_part()
            counter = counter.plus(change.micros, change.ended_on)
        return counter._replace(corrections=corrections)

    def without_part(self) -> SpendCounter:
        """Return the counter as it was before the day was begun that is counted in part."""
        micros = 0 if self.part is None else self.part.micros
        return self._replace(spent_micros=self.spent_micros - micros, part=None)

    def _is_part(self, ended_on: date) -> bool:
        return self.part is not None and ended_on == self.counted_before


class SpendChange(NamedTuple):
    """By how much calls that ended on a day cost more than a counter had counted; or less."""

    key: SpendKey
    ended_on: date
    micros: int
    moved: bool = False  # whether one of them is now counted, or listed, elsewhere than before


def spend_changes(
    corrected: Iterable[tuple[Usage, Usage]], licensing: Licensing, settings: CreditSettings | None
) -> tuple[SpendChange, ...]:
    """Sum, in micro-units, what corrected calls change in each counter, also those of days."""
    # Each call comes before and after. The licensing must contain the organizers of both.
    micros: Counter[tuple[SpendKey, date]] = Counter()
    moved: set[tuple[SpendKey, date]] = set()
    for before, after in corrected:
        places: list[set[tuple[SpendKey, date]]] = []
        for usage, sign in ((before, -1), (after, 1)):
            call, at = usage.call, usage.began_at
            ended_on, charge_micros = call.ended_at.date(), sign * usage.charge_micros
            keys = spend_keys_of(call, usage.price.prefix, at, licensing, settings)
            places.append({(key, ended_on) for key in keys})
            micros[day_of(at), ended_on] += charge_micros
            micros.update(dict.fromkeys(places[-1], charge_micros))
        former, latter = places
        is_listed_alike = before.call.listing == after.call.listing
        if before.charge_micros or after.movements:
            moved |= former ^ latter if is_listed_alike else former | latter
    return tuple(
        SpendChange(*where, micros[where], where in moved)
        for where in sorted(micros)
        if micros[where] or where in moved
    )


class Limit(NamedTuple):
    """An amount that must not be exceeded, and the counter that it applies to."""

    name: LimitName
    micros: int
    key: SpendKey


class ReachedLimit(NamedTuple):
    """A limit that is reached, by what was spent and what calls under way have reserved."""

    limit: Limit
    spent_micros: int
    reserved_micros: int

    @property
    def left_micros(self) -> int:
        """What may still be spent; negative if it is exceeded."""
        return self.limit.micros - self.spent_micros - self.reserved_micros


def limits_on(
    call: Call,
    prefix: str | None,
    at: datetime,
    licensing: Licensing,
    settings: CreditSettings | None,
) -> tuple[Limit, ...]:
    """Return the limits on a call that began at an instant, rated by this prefix."""
    limits: list[Limit] = []
    if settings is not None and settings.daily_spend_limit_micros is not None:
        daily_micros = settings.daily_spend_limit_micros
        limits.append(Limit(LimitName.DAILY_SPEND, daily_micros, day_of(at)))
    user_micros = licensing.user_value(call.organizer_id, MONTHLY_SPEND_LIMIT, at)
    if isinstance(user_micros, int):
        limits.append(Limit(LimitName.MONTHLY_SPEND, user_micros, _of_user(call, at)))
    return (*limits, *_prefix_limits(call, prefix, at, settings))


def spend_keys_of(
    call: Call,
    prefix: str | None,
    at: datetime,
    licensing: Licensing,
    settings: CreditSettings | None,
) -> tuple[SpendKey, ...]:
    """Return the counters, except that of the day, of a call that began at an instant."""
    # A user's counter counts every call as soon as any limit is known, whenever it is in force:
    # else it would depend on which event came first.
    user = licensing.says_of_user(call.organizer_id, MONTHLY_SPEND_LIMIT)
    user_keys = (_of_user(call, at),) if user else ()
    return (*user_keys, *(limit.key for limit in _prefix_limits(call, prefix, at, settings)))


def _prefix_limits(
    call: Call, prefix: str | None, at: datetime, settings: CreditSettings | None
) -> tuple[Limit, ...]:
    hourly_micros = None if settings is None else settings.prefix_hourly_spend_limit_micros
    if hourly_micros is None:
        return ()
    key = _of_prefix(call, prefix, at)
    return (Limit(LimitName.PREFIX_HOURLY_SPEND, hourly_micros, key),) if key else ()


class SpendCounters:
    """What was spent of an organization's limits, while one transaction is decided."""

    def __init__(
        self,
        days: Iterable[SpendCounter],
        records: Mapping[SpendKey, SpendCounter],
        counted: Collection[SpendKey] = (),
        corrections: int = 0,
    ) -> None:
        """Begin with days and counters as they were read; those `counted` since are changed."""
        self._records = {day.key: day for day in days} | dict(records)
        self._touched = set(counted)
        self._corrections = corrections

    def copy(self) -> SpendCounters:
        """Return a copy for another decision."""
        return SpendCounters((), self._records, self._touched, self._corrections)

    def __getitem__(self, key: SpendKey) -> SpendCounter:
        """Return a counter as it is by now; that of a day without calls is empty."""
        if key.kind is SpendKind.DAY:
            return self._records.get(key) or SpendCounter(key=key)
        return self._records[key]

    def spend(self, key: SpendKey, micros: int, ended_on: date) -> None:
        """Count what a call costs, unless it will be counted with the others of its day."""
        if self[key].contains(ended_on):
            self._put(self[key].plus(micros, ended_on))

    def correct(self, changes: Iterable[SpendChange], corrections: int) -> None:
        """Take in the correction with this number, in the days and the counters that were read."""
        # A counter that lacks the correction before it is left as it is: it would skip some.
        changes = tuple(changes)
        for key in dict.fromkeys(change.key for change in changes):
            if key.kind is SpendKind.DAY:
                self._put(self[key].with_changes(changes, 0))
        if corrections == self._corrections:
            return
        for key, record in tuple(self._records.items()):
            if key.kind is not SpendKind.DAY and record.corrections == self._corrections:
                self._put(record.with_changes(changes, corrections))
        self._corrections = corrections

    def is_counted(self, key: SpendKey) -> bool:
        """Whether a counter contains all calls and corrections; else its limit may be reached."""
        record = self[key]
        is_behind = key.kind is not SpendKind.DAY and record.corrections < self._corrections
        return record.counted_before is None and not is_behind

    def hold(self, key: SpendKey, hold: Hold, at: datetime) -> None:
        """Count what a call under way has reserved; forget what has lapsed by then."""
        self._put(self[key]._replace(held=self[key].held.lapsed(at).with_added(hold)))

    def release(self, key: SpendKey, hold: Hold) -> None:
        """Release what a call has reserved, if it is still held."""
        if key in self._records and self[key].held.keeps(hold):
            self._put(self[key]._replace(held=self[key].held.without(hold)))

    def notify_once(self, limit: Limit, now: datetime) -> bool:
        """Note that a limit is notified as reached; return whether it was surely not before."""
        is_stored = limit.key.kind is not SpendKind.DAY or _is_day_near(
            limit.key, day_of(now).since
        )
        if not is_stored or self[limit.key].notified_micros == limit.micros:
            return False
        self._put(self[limit.key]._replace(notified_micros=limit.micros))
        return True

    def days(self, now: datetime) -> tuple[SpendCounter, ...]:
        """Return the days around now: a call lasts a day at most, and a clock may be ahead."""
        # A call of another day, which is late or has a wrong time, does not displace them.
        today = day_of(now).since
        days = [day for key, day in self._records.items() if _is_day_near(key, today)]
        return tuple(sorted(days, key=lambda day: day.key.since))

    @property
    def touched(self) -> tuple[SpendCounter, ...]:
        """The counters that are to be written beside the account."""
        keys = sorted(key for key in self._touched if key.kind is not SpendKind.DAY)
        return tuple(self._records[key] for key in keys)

    def _put(self, spending: SpendCounter) -> None:
        self._records[spending.key] = spending
        self._touched.add(spending.key)


def _is_day_near(key: SpendKey, today: datetime) -> bool:
    return key.kind is SpendKind.DAY and abs(key.since - today) <= _DAY


def day_of(at: datetime) -> SpendKey:
    """Return the key of a day, whose counter the account contains."""
    return _key_of_day(at.date())


@lru_cache(maxsize=32)  # nearly all calls are of a few days
def _key_of_day(day: date) -> SpendKey:
    return SpendKey(SpendKind.DAY, "", datetime.combine(day, time(), UTC))


def _of_user(call: Call, at: datetime) -> SpendKey:
    return SpendKey(SpendKind.USER, call.organizer_id, Month.of(at).start)


def _of_prefix(call: Call, prefix: str | None, at: datetime) -> SpendKey | None:
    # Only calls out: callers choose their numbers, and not the service numbers.
    if call.leg_type is not LegType.DIAL_OUT or prefix is None:
        return None
    hour = datetime(at.year, at.month, at.day, at.hour, tzinfo=UTC)
    return SpendKey(SpendKind.PREFIX, prefix, hour)
