"""What was spent within a period, and what admins allow to be.

Three limits are amounts: of an organization a day, of a user a month, and of calls out to one
prefix an hour, which stops toll fraud. A call counts with what it costs, or with what it has
reserved while it is under way; for the period in which it was authorized, or else answered. So
none of them can be passed by calls that are authorized: a grant ends where the first of them does.
All periods are UTC (ours).

The days of an organization are kept with its account, the last few of them. The others are records
of their own, kept only of those who have such a limit. A booking that corrects calls writes down by
how much each of these records changes (`SpendingChange`), and the record is brought up to date when
it is read next: so a correction never has calls counted anew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.holds import NOTHING_HELD, Hold, Holds
from perminute.domain.licensing.attributes import MONTHLY_SPEND_LIMIT
from perminute.domain.pools.pools import Month
from perminute.domain.rating.calls import LegType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage

_DAY = timedelta(days=1)


class LimitName(StrEnum):
    """The name of a limit; of several in the way of a call the first of these is named."""

    CONCURRENT_CALLS = "maxConcurrentCalls"
    DAILY_SPEND = "dailySpendLimit"
    MONTHLY_SPEND = "monthlySpendLimit"
    PREFIX_HOURLY_SPEND = "prefixHourlySpendLimit"


class SpendingKind(StrEnum):
    """Whose spending a record counts."""

    DAY = "day"
    USER = "user"
    PREFIX = "prefix"


class SpendingKey(NamedTuple):
    """Whose spending since when: an organization's of a day, a user's of a month, a prefix's."""

    kind: SpendingKind
    subject: str
    since: datetime

    def counts(self, call: Call, prefix: str | None, at: datetime) -> bool:
        """Whether a call that began at an instant, rated by this prefix, is part of it."""
        return self in (_of_user(call, at), _of_prefix(call, prefix, at))


class PartOfDay(NamedTuple):
    """How far the day is counted at which a count has stopped.

    Of the calls in the lists up to the key `after`, it contains what they cost by the first so many
    `entries` of the account. What later entries charge or correct is added when that is booked,
    wherever the call is listed. `micros` is what the day adds to what was spent.
    """

    after: str
    entries: int
    micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What calls of a period cost, and what those under way have reserved.

    `notified_micros` is the limit that was last told as reached: it is told again if it is another.
    A record of its own contains the account's corrections up to the number `corrections`. Until its
    calls are counted in full, it contains those that ended before the day `counted_before`, and of
    that day the `part` that is counted, if that is begun.
    """

    key: SpendingKey
    corrections: int = 0
    spent_micros: int = 0
    held: Holds = NOTHING_HELD
    notified_micros: int | None = None
    counted_before: date | None = None
    part: PartOfDay | None = None

    def contains(self, ended_on: date) -> bool:
        """Whether what calls that ended on a day cost from now on is to be added to it."""
        if self.counted_before is None or ended_on < self.counted_before:
            return True
        return self._is_part(ended_on)

    def plus(self, micros: int, ended_on: date) -> Spending:
        """Add what a call costs, unless it will be counted with the others of its day."""
        if not self.contains(ended_on):
            return self
        part = self.part
        if part is not None and self._is_part(ended_on):
            part = part._replace(micros=part.micros + micros)
        return replace(self, spent_micros=self.spent_micros + micros, part=part)

    def with_changes(self, changes: Iterable[SpendingChange], corrections: int) -> Spending:
        """Return the record brought up to a number of corrections, by what has changed since.

        If a call has moved to, from or within the day that is counted in part, nobody knows whether
        the lists that were read hold it: then that day is to be counted from its beginning.
        """
        brought = self
        for change in changes:
            if change.key == self.key:
                if change.moved and brought._is_part(change.ended_on):
                    brought = brought.without_part()
                brought = brought.plus(change.micros, change.ended_on)
        return replace(brought, corrections=corrections)

    def without_part(self) -> Spending:
        """Return the record as it was before the day was begun that is counted in part."""
        micros = 0 if self.part is None else self.part.micros
        return replace(self, spent_micros=self.spent_micros - micros, part=None)

    def _is_part(self, ended_on: date) -> bool:
        return self.part is not None and ended_on == self.counted_before


class SpendingChange(NamedTuple):
    """By how much calls that ended on a day cost more than a record had counted; or less.

    `moved` says that one of them has come to count elsewhere than before, or to be listed there.
    """

    key: SpendingKey
    ended_on: date
    micros: int
    moved: bool = False


def spending_changes(
    corrected: Iterable[tuple[Usage, Usage]], licensing: Licensing, settings: CreditSettings | None
) -> tuple[SpendingChange, ...]:
    """Sum what corrected calls change in each record, the days among them.

    Each call comes as it was recorded and as it is by now: it may count elsewhere than before. The
    licensing must contain the organizers of both.
    """
    micros: Counter[tuple[SpendingKey, date]] = Counter()
    moved: set[tuple[SpendingKey, date]] = set()
    for before, after in corrected:
        places: list[set[tuple[SpendingKey, date]]] = []
        for usage, sign in ((before, -1), (after, 1)):
            call, at = usage.call, usage.began_at
            ended_on, charge_micros = call.ended_at.date(), sign * usage.charge_micros
            keys = records_of(call, usage.price.prefix, at, licensing, settings)
            places.append({(key, ended_on) for key in keys})
            micros[day_of(at), ended_on] += charge_micros
            micros.update(dict.fromkeys(places[-1], charge_micros))
        former, latter = places
        is_listed_alike = before.call.listing == after.call.listing
        if before.charge_micros or after.movements:
            moved |= former ^ latter if is_listed_alike else former | latter
    return tuple(
        SpendingChange(*where, micros[where], where in moved)
        for where in sorted(micros)
        if micros[where] or where in moved
    )


class Limit(NamedTuple):
    """An amount that must not be passed, and the record that counts for it."""

    name: LimitName
    micros: int
    key: SpendingKey


class ReachedLimit(NamedTuple):
    """A limit that is reached, what was spent of it, and what calls under way have reserved."""

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
    """Name the limits that hold for a call that began at an instant, rated by this prefix."""
    limits: list[Limit] = []
    if settings is not None and settings.daily_spend_limit_micros is not None:
        daily_micros = settings.daily_spend_limit_micros
        limits.append(Limit(LimitName.DAILY_SPEND, daily_micros, day_of(at)))
    user_micros = licensing.user_value(call.organizer_id, MONTHLY_SPEND_LIMIT, at)
    if isinstance(user_micros, int):
        limits.append(Limit(LimitName.MONTHLY_SPEND, user_micros, _of_user(call, at)))
    key = _of_prefix(call, prefix, at)
    if key and settings is not None and settings.prefix_hourly_spend_limit_micros is not None:
        hourly_micros = settings.prefix_hourly_spend_limit_micros
        limits.append(Limit(LimitName.PREFIX_HOURLY_SPEND, hourly_micros, key))
    return tuple(limits)


def records_of(
    call: Call,
    prefix: str | None,
    at: datetime,
    licensing: Licensing,
    settings: CreditSettings | None,
) -> tuple[SpendingKey, ...]:
    """Name the records that count a call that began at an instant, the day's aside.

    A user's count every call as soon as anything is said of a limit, whenever that holds: else
    they would depend on which was heard of first.
    """
    keys: list[SpendingKey] = []
    if licensing.says_of_user(call.organizer_id, MONTHLY_SPEND_LIMIT):
        keys.append(_of_user(call, at))
    key = _of_prefix(call, prefix, at)
    if key and settings is not None and settings.prefix_hourly_spend_limit_micros is not None:
        keys.append(key)
    return tuple(keys)


class Spendings:
    """What was spent of an organization's limits, while one booking is made."""

    def __init__(
        self,
        days: Iterable[Spending],
        records: Mapping[SpendingKey, Spending],
        counted: Collection[SpendingKey] = (),
        corrections: int = 0,
    ) -> None:
        """Open the days as the account has them, and records as they were read or just counted.

        `corrections` is how many the account has; a record may not contain the last of them yet.
        """
        self._records = {one.key: one for one in days} | dict(records)
        self._touched = set(counted)
        self._corrections = corrections

    def copy(self) -> Spendings:
        """Open them as they stand once more, for another decision."""
        return Spendings((), self._records, self._touched, self._corrections)

    def __getitem__(self, key: SpendingKey) -> Spending:
        """Give a record as it stands; a day that nobody has counted yet is empty."""
        if key.kind is SpendingKind.DAY and key not in self._records:
            return Spending(key=key)
        return self._records[key]

    def spend(self, key: SpendingKey, micros: int, ended_on: date) -> None:
        """Count what a call costs, unless it will be counted with the others of its day."""
        if self[key].contains(ended_on):
            self._put(self[key].plus(micros, ended_on))

    def correct(self, changes: Iterable[SpendingChange], corrections: int) -> None:
        """Count what a correction changes, whose number it is, in the days and the records read.

        A record that does not contain the correction before is left: it would skip some.
        """
        changes = tuple(changes)
        for key in dict.fromkeys(change.key for change in changes):
            if key.kind is SpendingKind.DAY:
                self._put(self[key].with_changes(changes, 0))
        if corrections == self._corrections:
            return
        for key, record in tuple(self._records.items()):
            if key.kind is not SpendingKind.DAY and record.corrections == self._corrections:
                self._put(record.with_changes(changes, corrections))
        self._corrections = corrections

    def is_counted(self, key: SpendingKey) -> bool:
        """Whether a record contains all calls and corrections; else its limit may be reached."""
        record = self[key]
        is_behind = key.kind is not SpendingKind.DAY and record.corrections < self._corrections
        return record.counted_before is None and not is_behind

    def hold(self, key: SpendingKey, hold: Hold, at: datetime) -> None:
        """Count what a call under way has reserved; what has lapsed by then is forgotten."""
        self._put(replace(self[key], held=self[key].held.lapsed(at).with_added(hold)))

    def release(self, key: SpendingKey, hold: Hold) -> None:
        """Give back what a call has reserved, if it is still held."""
        if key in self._records and self[key].held.keeps(hold):
            self._put(replace(self[key], held=self[key].held.without(hold)))

    def tell_once(self, limit: Limit, now: datetime) -> bool:
        """Say that a limit is reached; gives False if that was said already.

        Of a day that is kept no more nobody knows whether it was.
        """
        is_kept = limit.key.kind is not SpendingKind.DAY or _is_near(limit.key, now)
        if not is_kept or self[limit.key].notified_micros == limit.micros:
            return False
        self._put(replace(self[limit.key], notified_micros=limit.micros))
        return True

    def days(self, now: datetime) -> tuple[Spending, ...]:
        """Give the days around now, which are all that can still matter.

        A call lasts a day at most, and a clock may be ahead. What comes of other days, because it
        is late or somebody's clock is wrong, must not have these forgotten.
        """
        return tuple(
            one
            for key, one in sorted(self._records.items())
            if key.kind is SpendingKind.DAY and _is_near(key, now)
        )

    @property
    def touched(self) -> tuple[Spending, ...]:
        """What is to be written beside the account."""
        keys = sorted(key for key in self._touched if key.kind is not SpendingKind.DAY)
        return tuple(self._records[key] for key in keys)

    def _put(self, spending: Spending) -> None:
        self._records[spending.key] = spending
        self._touched.add(spending.key)


def _is_near(key: SpendingKey, now: datetime) -> bool:
    return abs(key.since - day_of(now).since) <= _DAY


def day_of(at: datetime) -> SpendingKey:
    """Name the record of a day, which the account holds."""
    return SpendingKey(SpendingKind.DAY, "", datetime(at.year, at.month, at.day, tzinfo=UTC))


def _of_user(call: Call, at: datetime) -> SpendingKey:
    return SpendingKey(SpendingKind.USER, call.organizer_id, Month.of(at).start)


def _of_prefix(call: Call, prefix: str | None, at: datetime) -> SpendingKey | None:
    """Only calls out: their numbers are for callers to choose, the service numbers are not."""
    if call.leg_type is not LegType.DIAL_OUT or prefix is None:
        return None
    hour = datetime(at.year, at.month, at.day, at.hour, tzinfo=UTC)
    return SpendingKey(SpendingKind.PREFIX, prefix, hour)
