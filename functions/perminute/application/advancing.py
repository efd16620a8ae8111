"""Brings an account up to an instant before anything is booked at it.

What time alone brings (lots expire, warnings fall due, a recharge becomes possible) is booked by
whoever comes first, a charge, a billing event or the daily run. The account's version makes it
happen once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.application.correlation import causes
from perminute.application.further_lots import further_lots
from perminute.domain.credit.booking import advance

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.ports import CreditStore


def brought_up_to(
    credit: CreditStore, account: Account, at: datetime, heard_at: datetime | None = None
) -> Account:
    """Apply what is due by `at`, and return the account after it. Raises `Contended`."""
    while account.is_due(at, heard_at):
        further = further_lots(credit, account) if account.further_due_by(at) else None
        booking = advance(account, at, heard_at=heard_at, further=further)
        if booking.after is account:
            msg = f"the account of {account.organization_id} is due, but nothing falls due by {at}"
            raise RuntimeError(msg)
        credit.commit(replace(booking, causes=causes()))
        account = booking.after
    return account
