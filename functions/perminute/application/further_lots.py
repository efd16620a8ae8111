"""Lots that are not in the account item: read when a decision needs them.

An account item contains the first lots only. A charge that they do not cover moves further ones up
before it is decided; what falls due, is given back or charged back needs them all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from perminute.application.correlation import causes
from perminute.domain.errors import Contended, FurtherLotsNeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lots
    from perminute.domain.rating.usage import Usage
    from perminute.ports import CreditStore

T = TypeVar("T")


def further_lots(credit: CreditStore, account: Account) -> Lots:
    """Reads the further lots of an account; raises `Contended` if they were changed since."""
    if account.further is None:
        return ()
    lots = credit.further_lots(account.organization_id)
    if not account.further.agrees_with(lots):
        msg = f"the lots of {account.organization_id} were changed meanwhile"
        raise Contended(msg)
    return lots


def expired_lots(
    credit: CreditStore,
    account: Account,
    ended: Iterable[tuple[datetime, datetime]],
    cheaper: Iterable[Usage] = (),
) -> Lots:
    """Reads expired lots that may pay calls, which ended and were reported at these instants.

    And those that had paid, after their expiry, calls that turn out to be `cheaper`. Hardly ever
    anything is read: a call must have ended before a lot expired, and be reported after that.
    """
    forfeited_at = account.forfeited_at
    if forfeited_at is None:
        return ()
    until = forfeited_at + account.late_usage
    since = [at for at, reported_at in ended if at < forfeited_at and reported_at <= until]
    since += (usage.call.ended_at for usage in cheaper if any(share.late for share in usage.lots))
    return credit.expired_lots(account.organization_id, since=min(since)) if since else ()


def decide_with_enough_lots(
    credit: CreditStore, account: Account, decide: Callable[[Account], T]
) -> T:
    """Decides; moves further lots into the account item as often as the decision needs more.

    Raises `Contended` if the account or its further lots were changed meanwhile.
    """
    while True:
        try:
            return decide(account)
        except FurtherLotsNeeded as needed:
            # Imported where it is needed: who authorizes calls reads further lots, but moves none.
            from perminute.domain.credit.booking import move_lots_up  # noqa: PLC0415

            booking = move_lots_up(account, further_lots(credit, account), needed.short_micros)
        credit.commit(replace(booking, causes=causes()))
        account = booking.after
