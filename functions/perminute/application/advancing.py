"""Brings an account up to an instant before anything is booked at it.

What time alone brings (lots expire, warnings fall due, a recharge becomes possible) is booked by
whoever comes first, a charge, a billing event or the daily run. The account's version makes it
happen once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.application.further_lots import further_lots
from perminute.application.transactions import account_after
from perminute.domain.credit.booking import advance
from perminute.domain.errors import Contended
from perminute.ports import AccountChanged

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.ports import CreditStore


def brought_up_to(
    credit: CreditStore, account: Account, at: datetime, heard_at: datetime | None = None
) -> Account | AccountChanged:
    """Book what is due by `at`; gives the account after it, or says that it moved meanwhile."""
    while account.is_due(at, heard_at):
        try:
            further = further_lots(credit, account) if account.further_due_by(at) else None
        except Contended as error:
            return AccountChanged(str(error))
        booking = advance(account, at, heard_at=heard_at, further=further)
        if booking.account is account:
            msg = f"the account of {account.organization_id} is due, but nothing falls due by {at}"
            raise RuntimeError(msg)
        after = account_after(credit, account, booking)
        if isinstance(after, AccountChanged):
            return after
        account = after
    return account
