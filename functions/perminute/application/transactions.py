"""From what was decided of an account to what is written of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.application.correlation import causes
from perminute.ports import AccountChanged, AlreadyExists, Committed, Transaction

if TYPE_CHECKING:
    from perminute.domain.credit.accounts import Account, Booking
    from perminute.domain.rerating.rerating import Rerating
    from perminute.ports import Authorized, CreditStore, ProcessedEvent


def transaction_of(
    before: Account,
    booking: Booking,
    *processed_events: ProcessedEvent,
    reratings: tuple[Rerating, ...] = (),
    authorized: Authorized | None = None,
) -> Transaction:
    """Write down all of a booking against the account that it was decided on."""
    return Transaction(
        before=before,
        after=booking.account,
        entries=booking.entries,
        notifications=booking.notifications,
        usages=booking.usages,
        rerated=booking.rerated,
        relisted=booking.relisted,
        pools=booking.pools,
        steps=booking.steps,
        spendings=booking.spendings,
        corrected=booking.corrected,
        settled=booking.settled,
        authorized=authorized,
        processed_events=processed_events,
        lots=booking.lots,
        chargeback=booking.chargeback,
        reratings=reratings,
        causes=causes(),
    )


def account_after(
    credit: CreditStore, before: Account, booking: Booking
) -> Account | AccountChanged:
    """Commits a booking in which nothing has an identity of its own; returns the account then."""
    match credit.commit(transaction_of(before, booking)):
        case Committed():
            return booking.account
        case AccountChanged() as moved:
            return moved
        case AlreadyExists():
            return AccountChanged()
        case never:
            assert_never(never)
