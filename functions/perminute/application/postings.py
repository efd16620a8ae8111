"""From what was decided of an account to what is written of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.application.correlation import causes
from perminute.ports import AlreadyKnown, Committed, Moved, Posting

if TYPE_CHECKING:
    from perminute.domain.accounts import Account, Booking
    from perminute.domain.rerating import Rerating
    from perminute.ports import Authorized, CreditStore, Receipt


def posting_of(
    before: Account,
    booking: Booking,
    *receipts: Receipt,
    reratings: tuple[Rerating, ...] = (),
    authorized: Authorized | None = None,
) -> Posting:
    """Write down all of a booking against the account that it was decided on."""
    return Posting(
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
        receipts=receipts,
        lots=booking.lots,
        chargeback=booking.chargeback,
        reratings=reratings,
        causes=causes(),
    )


def account_after(credit: CreditStore, before: Account, booking: Booking) -> Account | Moved:
    """Commits a booking in which nothing has an identity of its own; returns the account then."""
    match credit.commit(posting_of(before, booking)):
        case Committed():
            return booking.account
        case Moved() as moved:
            return moved
        case AlreadyKnown():
            return Moved()
        case never:
            assert_never(never)
