"""When admins are notified of a falling balance and of calls.

A notification is written in the transaction that changes the balance, so each crossing is notified
of once, and again only after the balance has risen above the threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.notifications.notifications import BalanceExhausted, LowBalance, notification
from perminute.domain.rating.usage_record import Flag, NotifiedAgain, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.transaction_builder import TransactionBuilder
    from perminute.domain.notifications.notifications import CallNotification, Notification


class BalanceNow(NamedTuple):
    """The balance of an organization after an entry, in micro-units."""

    organization_id: str
    micros: int
    at: datetime
    entry_id: str


def crossings(  # noqa: PLR0913 - what its notifications state
    entries: Sequence[LedgerEntry],
    before_micros: int,
    thresholds_micros: Sequence[int],
    currency: str | None,
    balance_now: BalanceNow | None = None,
    *,
    recharge_id: str | None = None,
) -> Iterator[Notification]:
    """Yield a notification of each threshold that the entries of one transaction together pass.

    The highest comes first. Each states the instant and the balance of the last entry that passed
    its threshold, or `balance_now` if transactions have waited to be decided together; and the
    recharge that is requested and not answered.
    """
    if balance_now is None and not entries:
        return
    after_micros = balance_now.micros if balance_now else entries[-1].balance_after_micros
    for threshold_micros in sorted(set(thresholds_micros), reverse=True):
        if after_micros < threshold_micros <= before_micros:
            passed = balance_now or _last_below(entries, threshold_micros)
            low = LowBalance(threshold_micros, passed.micros, currency, recharge_id)
            yield _of_balance(low, passed, f"{passed.entry_id}/{threshold_micros}")
    if after_micros <= 0 < before_micros:
        # Micro-units are whole: a balance that is not above zero is below one of them.
        passed = balance_now or _last_below(entries, 1)
        exhausted = BalanceExhausted(passed.micros, currency, recharge_id)
        yield _of_balance(exhausted, passed, passed.entry_id)


def _of_balance(
    body: LowBalance | BalanceExhausted, passed: BalanceNow, cause: str
) -> Notification:
    return notification(body, organization_id=passed.organization_id, at=passed.at, cause=cause)


def _last_below(entries: Sequence[LedgerEntry], threshold_micros: int) -> BalanceNow:
    for entry in reversed(entries):
        after_micros = entry.balance_after_micros
        if after_micros < threshold_micros <= after_micros - entry.amount_micros:
            return _after(entry)
    return _after(entries[-1])


def _after(entry: LedgerEntry) -> BalanceNow:
    return BalanceNow(entry.organization_id, entry.balance_after_micros, entry.at, entry.entry_id)


def cause_of(body: CallNotification, usage: Usage) -> str:
    """Return the cause of the latest notification of a call for this reason."""
    call_id = usage.call.call_id
    versions = [again.version for again in usage.notified_again if again.reason == body.reason]
    if versions:
        return f"{call_id}/{versions[-1]}"
    # A call may be flagged for its policy and for its bridge: two notifications of one type.
    is_of_bridge = body.reason is Flag.REPORTED_BY_BRIDGE
    return f"{call_id}/{body.reason}" if is_of_bridge else call_id


def notify_again(
    builder: TransactionBuilder, usage: Usage, bodies: Iterable[CallNotification]
) -> Usage:
    """Notify of a recorded call, on the day of the decision; return the call's new record."""
    version = builder.account.version
    cause = f"{usage.call.call_id}/{version}"
    again = {notified.reason: notified for notified in usage.notified_again}
    for body in bodies:
        again[body.reason.value] = NotifiedAgain(body.reason.value, version)
        builder.notify(body, cause=cause, day=builder.at.date())
    return usage._replace(notified_again=tuple(again.values()))
