"""What was requested of billing, and what it answered, by what was told and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.values.money import format_micros, parse_micros
from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.credit_settings import CreditSettings

ONE_ID = "one recharge id for one crossing"
DAY_LIMIT = "at most ten recharges are requested a day"
MONTH_LIMIT = "no month is asked for more than its limit"
TRUE = "what is told of a recharge is true"

_MOST_A_DAY = 10
_DAY = timedelta(days=1)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class _Asked(NamedTuple):
    """The last attempt of a recharge, and the month of the first."""

    name: str
    attempt: int
    amount_micros: int
    at: datetime
    month: str


@dataclass
class Recharges:
    """The recharges of all organizations; each kind of breach is given by its promise and why."""

    open: dict[str, _Asked] = field(default_factory=dict)
    requested: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    of_month: Counter[tuple[str, str]] = field(default_factory=Counter)
    of_day: Counter[tuple[str, str]] = field(default_factory=Counter)

    def breaches(
        self, before: Account, after: Account, told: Mapping[str, Any]
    ) -> Iterator[tuple[str, str]]:
        """Take note of something that was told with a transaction, and say what is wrong."""
        match told["type"]:
            case "RechargeRequested":
                yield from self._asked(after, told)
            case "RechargeSucceeded":
                yield from self._paid(after, told)
            case "RechargeFailed":
                yield from self._failed(before, told)
            case _:
                pass

    def configured(self, before: Account, after: Account) -> None:
        """Have a day's requests counted anew under settings that differ."""
        if _as_of_nobody(before.settings) != _as_of_nobody(after.settings):
            for who, day in list(self.of_day):
                if who == after.organization_id:
                    del self.of_day[who, day]

    def _asked(self, account: Account, told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        who, name, at = account.organization_id, told["rechargeId"], parse_instant(told["at"])
        asked = _Asked(name, told["attempt"], parse_micros(told["amount"]), at, f"{at:%Y-%m}")
        last = self.open.get(who)
        if last is not None and last.name == name:
            asked = asked._replace(month=last.month)
            if asked != last._replace(attempt=last.attempt + 1, at=at) or at - last.at < _DAY:
                yield ONE_ID, f"{who} was asked for {asked} after {last}"
        else:
            yield from self._asked_anew(account, asked, last)
        self.open[who] = asked
        self.of_day[who, told["at"][:10]] += 1
        if self.of_day[who, told["at"][:10]] > _MOST_A_DAY:
            yield DAY_LIMIT, f"{who} was asked for one more on {at:%Y-%m-%d}: {name}"

    def _asked_anew(
        self, account: Account, asked: _Asked, last: _Asked | None
    ) -> Iterator[tuple[str, str]]:
        who = account.organization_id
        if last is not None:
            yield ONE_ID, f"{who} was asked for {asked}, and {last} is open"
        if asked.name in self.requested or asked.attempt != 1:
            yield ONE_ID, f"{who} was asked for {asked}, which is not open"
        self.requested.add(asked.name)
        self.of_month[who, asked.month] += asked.amount_micros
        auto = account.settings and account.settings.auto_recharge
        limit_micros = auto.monthly_limit_micros if auto else None
        sum_micros = self.of_month[who, asked.month]
        if limit_micros is not None and sum_micros > limit_micros:
            why = f"{who} was asked for {format_micros(sum_micros)} in {asked.month}"
            yield MONTH_LIMIT, f"{why}, and allows {format_micros(limit_micros)}"

    def _paid(self, account: Account, told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        who, name = account.organization_id, told["rechargeId"]
        has_failed = name in self.failed
        if has_failed != bool(told.get("afterFailure")):
            yield TRUE, f"{who} was told of {told}, and it had {'' if has_failed else 'not '}failed"
        if name in self.failed and account.as_of is not None:
            self.of_month[who, f"{account.as_of:%Y-%m}"] += parse_micros(told["amount"])
        self._close(who, name)

    def _failed(self, account: Account, told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        who, name = account.organization_id, told["rechargeId"]
        if (name in self.requested) == bool(told.get("neverRequested")):
            yield TRUE, f"{who} was told of {told}"
        self.failed.add(name)
        asked = self._close(who, name)
        if asked is not None:
            self.of_month[who, asked.month] -= asked.amount_micros

    def _close(self, who: str, name: str) -> _Asked | None:
        asked = self.open.get(who)
        return self.open.pop(who) if asked is not None and asked.name == name else None


def _as_of_nobody(settings: CreditSettings | None) -> CreditSettings | None:
    """Settings without when they were configured and by which event."""
    return settings and replace(settings, configured_at=_NEVER, event_id="", has_change_id=False)
