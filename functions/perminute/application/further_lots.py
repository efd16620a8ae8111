"""Read the lots that are not in the account item, when a decision needs them.

The account item contains the first lots only. A charge that needs more moves further ones up, see
`transact`; what falls due, is given back or charged back needs them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.credit.lots import FurtherLots, Lots
from perminute.domain.errors import Contended

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.rerating.corrections import ReratedCall
    from perminute.ports.stores import CreditStore


def further_lots(credit: CreditStore, account: Account) -> Lots:
    """Read the further lots of an account; raises `Contended` if they were changed since."""
    if account.further is None:
        return ()
    lots = credit.further_lots(account.organization_id)
    if account.further != FurtherLots.of(lots):
        msg = f"the lots of {account.organization_id} were changed meanwhile"
        raise Contended(msg)
    return lots


def expired_lots(
    credit: CreditStore,
    account: Account,
    now: datetime,
    *,
    ended: Iterable[tuple[datetime, datetime]] = (),
    corrected: Sequence[ReratedCall] = (),
) -> Lots:
    """Read expired lots that may pay calls, or had paid calls that are corrected."""
    # `ended` says when calls ended and were reported. Hardly ever anything is read: a call must
    # have ended before a lot expired, and be reported after that.
    forfeited_at = account.forfeited_at
    if forfeited_at is None:
        return ()
    until = forfeited_at + account.late_usage
    # What is corrected is as good as reported now.
    dearer = ((call.after.call.ended_at, now) for call in corrected if call.change_micros > 0)
    late = (*ended, *dearer)
    since = [at for at, reported_at in late if at < forfeited_at and reported_at <= until]
    cheaper = (call.before for call in corrected if call.change_micros < 0)
    since += (usage.call.ended_at for usage in cheaper if any(share.late for share in usage.lots))
    return credit.expired_lots(account.organization_id, since=min(since)) if since else ()
