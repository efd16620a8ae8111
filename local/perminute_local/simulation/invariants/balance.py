"""What a balance brings, by what was written: thresholds that are passed, and recharges."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.credit.ledger import EntryType
from perminute.domain.pools.pools import DrawPosition, month_of
from perminute.domain.values.money import format_micros, parse_micros
from perminute.domain.values.times import parse_instant
from perminute_local.simulation.invariants.invariant import invariant, promise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.pools.pools import MinutePool, Month
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.write_recorder import CreditWrite

_OF_THE_BALANCE = {"LowBalance", "BalanceExhausted", "RechargeRequested"}
_OF_THE_OUTCOME = {"CallNotEntitled", "CallNotRated"}
_LONGEST_WAIT = timedelta(minutes=15)
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class _Waiting(NamedTuple):
    since: datetime
    """When the first pool became unsettled."""
    from_micros: int | None
    """The balance from which a fall counts once pools are settled: the one at that time, or a
    higher one after money came in. None once it has counted."""


@dataclass
class Thresholds:
    """The thresholds that each organization passed, by what was written."""

    crossings: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """By organization, type of notification, and threshold in micro-units."""
    _unsettled: dict[tuple[str, Month], MinutePool] = field(default_factory=dict)
    _waiting: dict[str, _Waiting] = field(default_factory=dict)

    def record(self, before: Account, after: Account, write: CreditWrite) -> Iterator[Broken]:
        """Count what a transaction passes, whatever its entries pass in between."""
        self._count(before, after, write)
        if self._waits(after):
            yield from _nothing_may_change(self, write)

    def _count(self, before: Account, after: Account, write: CreditWrite) -> None:
        who = before.organization_id
        from_micros = before.balance_micros
        to_micros = from_micros + sum(entry.amount_micros for entry in write.entries)
        is_unsettled = self._settle(write)
        if is_unsettled and who not in self._waiting:
            self._waiting[who] = _Waiting(after.as_of or _LONG_AGO, from_micros)
        if self._waits(after):
            if to_micros > from_micros and _is_paid_in(write.entries):
                self._wait_from(who, to_micros)
            return
        waiting = self._waiting.get(who)
        if waiting is not None and waiting.from_micros is not None:
            from_micros = waiting.from_micros
            self._waiting[who] = waiting._replace(from_micros=None)
        if not is_unsettled:
            self._waiting.pop(who, None)
        thresholds_micros = before.settings.low_balance_thresholds_micros if before.settings else ()
        for threshold_micros in set(thresholds_micros):
            if from_micros >= threshold_micros > to_micros:
                self.crossings[who, "LowBalance", threshold_micros] += 1
        if from_micros > 0 >= to_micros:
            self.crossings[who, "BalanceExhausted", 0] += 1

    def _wait_from(self, who: str, micros: int) -> None:
        waiting = self._waiting[who]
        if waiting.from_micros is not None and waiting.from_micros < micros:
            self._waiting[who] = waiting._replace(from_micros=micros)

    def _settle(self, write: CreditWrite) -> bool:
        """Store pools as they were written; return whether one of the organization is unsettled."""
        who = write.organization_id
        for pool in write.pools:
            if pool.unsettled is None:
                self._unsettled.pop((who, pool.month), None)
            else:
                self._unsettled[who, pool.month] = pool
        return self._is_unsettled(who)

    def _is_unsettled(self, who: str) -> bool:
        return any(name == who for name, _ in self._unsettled)

    def _waits(self, account: Account) -> bool:
        """Whether nobody may be notified of the balance yet, and nothing bought."""
        waiting = self._waiting.get(account.organization_id)
        return (
            waiting is not None
            and waiting.from_micros is not None
            and account.as_of is not None
            and self._is_unsettled(account.organization_id)
            and account.as_of < waiting.since + _LONGEST_WAIT
        )

    def may_change(self, usage: Usage) -> bool:
        """Whether settling may still give a call minutes of a pool, or take some from it."""
        call = usage.call
        pool = self._unsettled.get((call.organization_id, month_of(call)))
        return (
            usage.draws_on_pool
            and pool is not None
            and pool.unsettled is not None
            and pool.unsettled.position < DrawPosition.of(call)
        )


@invariant
def _nothing_may_change(thresholds: Thresholds, write: CreditWrite) -> Iterator[str]:
    """Nobody is notified of a balance that may change."""
    who = write.organization_id
    usages = {usage.call.call_id: usage for usage in write.usages}
    for document in write.decided:
        kind = document["type"]
        if kind in _OF_THE_BALANCE:
            yield f"{who} was notified of {kind} while a pool was unsettled"
        usage = usages.get(str(document.get("callId")))
        if kind in _OF_THE_OUTCOME and usage is not None and thresholds.may_change(usage):
            yield f"{who} was notified of {kind} of {usage.call.call_id}, which may change"


def _is_paid_in(entries: Sequence[LedgerEntry]) -> bool:
    """Whether money came from outside: an admin or billing gave it, and no call got it back."""
    return any(
        entry.amount_micros > 0
        and entry.type in {EntryType.PURCHASE, EntryType.ADJUSTMENT}
        and str(entry.cause).startswith(("purchase#", "adjustment#"))
        for entry in entries
    )


_MOST_A_DAY = 10
_DAY = timedelta(days=1)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

_true = promise("notifications of recharges are true")


class _Attempt(NamedTuple):
    recharge_id: str
    number: int
    amount_micros: int
    at: datetime
    month: str
    cause: str | None
    """The event that was processed when it was decided."""


@dataclass
class Recharges:
    """The recharges of all organizations."""

    open: dict[str, _Attempt] = field(default_factory=dict)
    requested: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    of_month: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Micro-units that were requested or bought, by organization and month."""
    of_day: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Requests, by organization and day."""

    def configure(self, before: Account, after: Account) -> None:
        """Count a day's requests anew under settings that differ."""
        if _without_source(before.settings) != _without_source(after.settings):
            for who, day in list(self.of_day):
                if who == after.organization_id:
                    del self.of_day[who, day]

    def notify(
        self, before: Account, after: Account, document: Mapping[str, Any]
    ) -> Iterator[Broken]:
        """Check a notification that was decided with a transaction, and store it."""
        who = before.organization_id
        match document["type"]:
            case "RechargeRequested":
                yield from self._request(after, document)
            case "RechargeSucceeded":
                recharge_id = document["rechargeId"]
                has_failed = recharge_id in self.failed
                if has_failed != bool(document.get("afterFailure")):
                    yield from _true(f"{who} was notified of {document}")
                if has_failed and after.as_of is not None:
                    self.of_month[who, f"{after.as_of:%Y-%m}"] += parse_micros(document["amount"])
                yield from _not_by_its_outcome(who, self._close(who, recharge_id), document)
            case "RechargeFailed":
                recharge_id = document["rechargeId"]
                if (recharge_id in self.requested) == bool(document.get("neverRequested")):
                    yield from _true(f"{who} was notified of {document}")
                self.failed.add(recharge_id)
                attempt = self._close(who, recharge_id)
                yield from _not_by_its_outcome(who, attempt, document)
                if attempt is not None:
                    self.of_month[who, attempt.month] -= attempt.amount_micros
            case _:
                pass

    def _request(self, account: Account, document: Mapping[str, Any]) -> Iterator[Broken]:
        who, at = account.organization_id, parse_instant(document["at"])
        amount_micros, month = parse_micros(document["amount"]), f"{at:%Y-%m}"
        attempt = _Attempt(
            document["rechargeId"],
            document["attempt"],
            amount_micros,
            at,
            month,
            document.get("correlationId"),
        )
        last = self.open.get(who)
        if last is not None and last.recharge_id == attempt.recharge_id:
            attempt = attempt._replace(month=last.month)
        yield from _one_id(self, who, attempt, last)
        if last is None or last.recharge_id != attempt.recharge_id:
            self.requested.add(attempt.recharge_id)
            self.of_month[who, month] += amount_micros
            yield from _within_month(account, month, self.of_month[who, month])
        self.open[who] = attempt
        day = document["at"][:10]
        self.of_day[who, day] += 1
        yield from _within_day(who, day, self.of_day[who, day])

    def _close(self, who: str, recharge_id: str) -> _Attempt | None:
        attempt = self.open.get(who)
        is_open = attempt is not None and attempt.recharge_id == recharge_id
        return self.open.pop(who) if is_open else None


@invariant
def _one_id(
    recharges: Recharges, who: str, attempt: _Attempt, last: _Attempt | None
) -> Iterator[str]:
    """One recharge id for one crossing."""
    if last is not None and last.recharge_id == attempt.recharge_id:
        due = last._replace(number=last.number + 1, at=attempt.at, cause=attempt.cause)
        if attempt != due or attempt.at - last.at < _DAY:
            yield f"{who} was asked for {attempt} after {last}"
        return
    if last is not None:
        yield f"{who} was asked for {attempt}, and {last} is open"
    if attempt.recharge_id in recharges.requested or attempt.number != 1:
        yield f"{who} was asked for {attempt}, which is not open"


@invariant
def _not_by_its_outcome(
    who: str, attempt: _Attempt | None, outcome: Mapping[str, Any]
) -> Iterator[str]:
    """No recharge is sent again by its own outcome."""
    if attempt and attempt.number > 1 and attempt.cause == outcome.get("correlationId"):
        yield f"{who} was asked for {attempt} by {outcome}"


@invariant
def _within_day(who: str, day: str, requests: int) -> Iterator[str]:
    """At most ten recharges are requested a day."""
    if requests > _MOST_A_DAY:
        yield f"{who} was asked for {requests} on {day}"


@invariant
def _within_month(account: Account, month: str, sum_micros: int) -> Iterator[str]:
    """No month is asked for more than its limit."""
    auto = account.settings and account.settings.auto_recharge
    limit_micros = auto.monthly_limit_micros if auto else None
    if limit_micros is not None and sum_micros > limit_micros:
        what = f"{format_micros(sum_micros)} in {month}"
        allowed = format_micros(limit_micros)
        yield f"{account.organization_id} was asked for {what}, and allows {allowed}"


def _without_source(settings: CreditSettings | None) -> CreditSettings | None:
    return settings and settings._replace(configured_at=_NEVER, event_id="", has_change_id=False)
