"""What was spent within a period, and what admins allow to be.

Three limits are amounts: of an organization a day, of a user a month, and of calls out to one
prefix an hour, which stops toll fraud. A call counts for the period in which it was answered, with
what it costs, or with what it has reserved while it is under way. So none of them can be passed by
calls that are authorized: a grant ends where the first of them does. All periods are UTC (ours).

The day of an organization is kept with its account. The others are records of their own, kept
only of those who have such a limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.holds import NOTHING_HELD, Hold, Holds
from perminute.domain.legs import LegType
from perminute.domain.licensing import MONTHLY_SPEND_LIMIT
from perminute.domain.pools import Month

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute.domain.accounts import CreditSettings
    from perminute.domain.legs import Leg
    from perminute.domain.licensing import Licensing


class LimitName(StrEnum):
    """A limit, as whoever sets it names it."""

    DAILY_SPEND = "dailySpendLimit"
    MONTHLY_SPEND = "monthlySpendLimit"
    PREFIX_HOURLY_SPEND = "prefixHourlySpendLimit"
    CONCURRENT_CALLS = "maxConcurrentCalls"


class SpendingKind(StrEnum):
    """Whose spending a record counts."""

    USER = "user"
    PREFIX = "prefix"


class SpendingKey(NamedTuple):
    """Whose spending in which period: a user in a month, or a prefix in an hour."""

    kind: SpendingKind
    subject: str
    since: datetime

    def counts(self, leg: Leg, prefix: str | None) -> bool:
        """Whether a leg, rated by this prefix, is part of it."""
        return self in keys_of(leg, prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What calls cost that were answered in a period, and what those under way have reserved.

    `told_micros` is the limit that was last told as reached: it is told again if it is another.
    It was counted when the account had made so many `corrections`, and holds only as long.
    """

    key: SpendingKey
    corrections: int
    spent_micros: int = 0
    held: Holds = NOTHING_HELD
    told_micros: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """What calls cost that were answered on the latest day on which any were; see `Spending`.

    `calls_told` says that admins know of as many calls at once as they allow.
    """

    day: date
    spent_micros: int = 0
    told_micros: int | None = None
    calls_told: bool = False

    def on(self, day: date) -> Today:
        """Begin another day, if it is a later one."""
        return Today(day=day, calls_told=self.calls_told) if day > self.day else self

    def with_spent(self, day: date, micros: int) -> Today:
        """Count what a call of a day costs; what comes late of a day before counts no more."""
        today = self.on(day)
        if day < today.day:
            return today
        return replace(today, spent_micros=today.spent_micros + micros)


NO_DAY = Today(day=date.min)


class Limit(NamedTuple):
    """An amount that must not be passed, and the record that counts for it; None, the account."""

    name: LimitName
    micros: int
    key: SpendingKey | None = None


def limits_on(
    leg: Leg, prefix: str | None, licensing: Licensing, settings: CreditSettings | None
) -> tuple[Limit, ...]:
    """Name the limits that hold for a leg that is rated by this prefix."""
    limits: list[Limit] = []
    if settings is not None and settings.daily_spend_limit_micros is not None:
        limits.append(Limit(LimitName.DAILY_SPEND, settings.daily_spend_limit_micros))
    user_micros = licensing.user_value(leg.organizer_id, MONTHLY_SPEND_LIMIT, answered(leg))
    if isinstance(user_micros, int):
        limits.append(Limit(LimitName.MONTHLY_SPEND, user_micros, _of_user(leg)))
    key = _of_prefix(leg, prefix)
    if key and settings is not None and settings.prefix_hourly_spend_limit_micros is not None:
        hourly_micros = settings.prefix_hourly_spend_limit_micros
        limits.append(Limit(LimitName.PREFIX_HOURLY_SPEND, hourly_micros, key))
    return tuple(limits)


class Reached(NamedTuple):
    """A limit that is reached, and how much was spent of it; or how many calls are under way."""

    limit: Limit
    spent_micros: int = 0
    calls: int | None = None


class Spendings:
    """What was spent of the limits of an organization, while one booking is made."""

    def __init__(self, today: Today, records: Mapping[SpendingKey, Spending]) -> None:
        """Open them as they were read, and the day as the account has it."""
        self.today = today
        self._records = dict(records)
        self._touched: set[SpendingKey] = set()

    def spend(self, day: date, micros: int, key: SpendingKey | None = None) -> None:
        """Count what a call costs, for the day or in a record, if that is known."""
        if key is None:
            self.today = self.today.with_spent(day, micros)
        elif key in self._records:
            record = self._records[key]
            self._put(replace(record, spent_micros=record.spent_micros + micros))

    def hold(self, key: SpendingKey, hold: Hold, at: datetime) -> None:
        """Count what a call under way has reserved; what has lapsed by then is forgotten."""
        record = self._records[key]
        self._put(replace(record, held=record.held.lapsed(at).with_added(hold)))

    def release(self, key: SpendingKey, hold: Hold) -> None:
        """Give back what a call has reserved, if it is still held."""
        record = self._records.get(key)
        if record is not None and record.held.keeps(hold):
            self._put(replace(record, held=record.held.without(hold)))

    def spent_micros(self, limit: Limit, day: date) -> int:
        """Tell what was spent of a limit that counts calls of this day."""
        if limit.key is None:
            return self.today.on(day).spent_micros if day >= self.today.day else 0
        return self._records[limit.key].spent_micros

    def held_micros(self, key: SpendingKey, at: datetime) -> int:
        """Tell what calls under way have reserved in a record."""
        return self._records[key].held.amount_at(at)

    def tell_once(self, limit: Limit, day: date) -> bool:
        """Say that a limit is reached; gives False if that was said already."""
        if limit.key is None:
            if day < self.today.day or self.today.on(day).told_micros == limit.micros:
                return False
            self.today = replace(self.today.on(day), told_micros=limit.micros)
            return True
        record = self._records[limit.key]
        if record.told_micros == limit.micros:
            return False
        self._put(replace(record, told_micros=limit.micros))
        return True

    @property
    def touched(self) -> tuple[Spending, ...]:
        """What is to be written."""
        return tuple(self._records[key] for key in sorted(self._touched))

    def _put(self, record: Spending) -> None:
        self._records[record.key] = record
        self._touched.add(record.key)


def answered(leg: Leg) -> datetime:
    """Tell the instant by which a leg belongs to a period."""
    return leg.answered_at or leg.ended_at


def keys_of(leg: Leg, prefix: str | None) -> tuple[SpendingKey, ...]:
    """Name the records that may count a leg, if they are kept."""
    keys = (_of_user(leg), _of_prefix(leg, prefix))
    return tuple(key for key in keys if key is not None)


def _of_user(leg: Leg) -> SpendingKey:
    at = answered(leg)
    return SpendingKey(SpendingKind.USER, leg.organizer_id, Month.of(at).start)


def _of_prefix(leg: Leg, prefix: str | None) -> SpendingKey | None:
    """Only calls out: their numbers are for callers to choose, the service numbers are not."""
    if leg.leg_type is not LegType.DIAL_OUT or prefix is None:
        return None
    at = answered(leg)
    hour = datetime(at.year, at.month, at.day, at.hour, tzinfo=UTC)
    return SpendingKey(SpendingKind.PREFIX, prefix, hour)
