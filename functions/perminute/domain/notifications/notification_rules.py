"""When admins are notified of a falling balance and of calls.

Both are decided where the account changes, and are written in the same transaction. So each
crossing is notified of once, and again only after the balance was back on the other side; nothing
has to remember what was notified before.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.notifications.notifications import BalanceExhausted, LowBalance, notification
from perminute.domain.rating.usage_record import Flag, NotifiedAgain, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, datetime

    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.transaction_builder import TransactionBuilder
    from perminute.domain.notifications.notifications import CallNotification, Notification


class BalanceNow(NamedTuple):
    """A balance of an organization at an instant, in micro-units, and the entry that made it so."""

    organization_id: str
    micros: int
    at: datetime
    entry_id: str


def crossings(
    entries: Sequence[LedgerEntry],
    before_micros: int,
    thresholds_micros: Sequence[int],
    currency: str | None,
    balance_now: BalanceNow | None = None,
) -> Iterator[Notification]:
    """Yield a notification of each threshold that the entries of one booking together pass.

    The highest comes first. A threshold that one entry passes and another one of the same booking
    takes back was never passed. Each notification states the instant and the balance of the last
    entry that passed its threshold, so what happened long ago keeps its time. Where bookings have
    waited to be decided together, the balance that they leave is stated instead: `balance_now`.
    """
    after = balance_now or (_after(entries[-1]) if entries else None)
    if after is None:
        return
    notify = partial(notification, organization_id=after.organization_id)
    for threshold_micros in sorted(set(thresholds_micros), reverse=True):
        if after.micros < threshold_micros <= before_micros:
            passed = balance_now or _last_below(entries, threshold_micros)
            low = LowBalance(threshold_micros, passed.micros, currency)
            yield notify(low, at=passed.at, cause=f"{passed.entry_id}/{threshold_micros}")
    if after.micros <= 0 < before_micros:
        # Micro-units are whole: no longer above zero is below one of them.
        passed = balance_now or _last_below(entries, 1)
        yield notify(BalanceExhausted(passed.micros, currency), at=passed.at, cause=passed.entry_id)


def _last_below(entries: Sequence[LedgerEntry], threshold_micros: int) -> BalanceNow:
    """Return the balance after the last entry that took it below a threshold."""
    passing = (
        entry
        for entry in reversed(entries)
        if entry.balance_after_micros
        < threshold_micros
        <= entry.balance_after_micros - entry.amount_micros
    )
    return _after(next(passing, entries[-1]))


def _after(entry: LedgerEntry) -> BalanceNow:
    return BalanceNow(entry.organization_id, entry.balance_after_micros, entry.at, entry.entry_id)


def cause_of(body: CallNotification, usage: Usage) -> str:
    """Return the cause of the latest notification of a call for this reason."""
    call_id = usage.call.call_id
    versions = [again.version for again in usage.notified_again if again.reason == body.reason]
    if versions:
        return f"{call_id}/{versions[-1]}"
    # A call may be flagged for its policy, and for who reported it: two notifications of a type.
    is_of_bridge = body.reason is Flag.REPORTED_BY_BRIDGE
    return f"{call_id}/{body.reason}" if is_of_bridge else call_id


def notify_of_call(
    builder: TransactionBuilder, usage: Usage, bodies: Iterable[CallNotification], day: date
) -> None:
    """Notify of a call that is charged, on the day on which it was reported."""
    for body in bodies:
        builder.notify(body, cause=cause_of(body, usage), at=usage.call.ended_at, day=day)


def notify_again(
    builder: TransactionBuilder, usage: Usage, bodies: Iterable[CallNotification]
) -> Usage:
    """Notify of a recorded call, on the day of this decision; return its record after that."""
    version = builder.account.version
    again = {notified.reason: notified for notified in usage.notified_again}
    for body in bodies:
        again[body.reason.value] = NotifiedAgain(body.reason.value, version)
        cause = f"{usage.call.call_id}/{version}"
        builder.notify(body, cause=cause, day=builder.at.date())
    return replace(usage, notified_again=tuple(again.values()))
