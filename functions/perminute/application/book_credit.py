"""Book what happens to the prepaid credit itself: purchases, adjustments, settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from perminute.application.patience import NEVER, Deadline
from perminute.application.recording import against_receipt, contended
from perminute.application.verdicts import Accepted, Verdict
from perminute.domain.accounts import CreditSettings
from perminute.domain.errors import Refused, Unavailable
from perminute.ports import AlreadyKnown, Committed, Moved, Posting, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute.application.patience import Patience
    from perminute.domain.accounts import Account, LedgerEntry
    from perminute.ports import CreditStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """Credit was bought; micro-units of `currency`."""

    amount_micros: int
    currency: str
    purchased_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """The balance is to be corrected, up or down; micro-units of the account's currency."""

    amount_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditEvent:
    """One event about an organization's credit, its receipt, and when it was issued."""

    organization_id: str
    change: Purchase | Adjustment | CreditSettings
    receipt: Receipt
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class BookCredit:
    """The use case with what it needs from outside."""

    credit: CreditStore
    patience: Patience

    def __call__(
        self, events: Sequence[CreditEvent], deadline: Deadline = NEVER
    ) -> list[Verdict[Account]]:
        """Book each event in its own transaction, in order; they are rare beside calls."""
        return [self._book(event, deadline) for event in events]

    def _book(self, event: CreditEvent, deadline: Deadline) -> Verdict[Account]:
        tries = self.patience.tries()
        try:
            next(tries)
            while True:
                deadline.check()
                posting = _decide(self.credit.account(event.organization_id), event)
                match self.credit.commit(posting):
                    case Committed():
                        return Accepted(posting.after)
                    case AlreadyKnown(receipts=known):
                        return against_receipt(event.receipt, known[event.receipt.key])
                    case Moved(why):
                        if next(tries, None) is None:
                            return contended(event.organization_id, why)
                    case never:
                        assert_never(never)
        except (Refused, Unavailable) as error:
            return error


def _decide(account: Account, event: CreditEvent) -> Posting:
    after, entry = _change(account, event)
    receipt = replace(event.receipt, entry_id=entry.entry_id if entry else None)
    return Posting(before=account, after=after, entry=entry, receipts=(receipt,))


def _change(account: Account, event: CreditEvent) -> tuple[Account, LedgerEntry | None]:
    match event.change:
        case Purchase(amount_micros=amount, currency=currency, purchased_at=purchased_at):
            return account.purchased(
                amount, currency, purchased_at=purchased_at, at=event.issued_at
            )
        case Adjustment(amount_micros=amount):
            return account.adjusted(amount, at=event.issued_at)
        case CreditSettings() as settings:
            return account.configured(settings), None
        case never:
            assert_never(never)
