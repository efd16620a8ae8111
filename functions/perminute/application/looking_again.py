"""What re-rating calls and settling pools share: rate anew, and commit what differs.

Whatever is found is decided anew and committed against the account's version, as a charge is. So a
charge in flight either is found or was decided by what is known now; and a piece that is carried
out twice finds nothing more to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.application.further_lots import (
    expired_lots,
    further_lots,
)
from perminute.application.retry import gave_up
from perminute.application.transact import apply_due_changes, commit, decide_with_enough_lots
from perminute.domain.errors import Contended, Unavailable
from perminute.domain.pools.pools import Month
from perminute.domain.rating.rating import Rating, RatingContext, rate_call
from perminute.domain.rerating.rerating import Rerated, rerate
from perminute.ports import ListedCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from perminute.application.licensing_cache import LicensingCache
    from perminute.application.retry import Deadline, RetryPolicy
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lot, Lots
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.pools.pools import Pools
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports import Calls, CreditStore, RateCards

MAX_LOOKED_AT = 1_000
"""Calls of an organization that one invocation looks at: a few seconds' work."""

CALLS_PER_TRANSACTION = 40
"""With the pools of a year, and all that their lots may call for, they fit a transaction: see the
table in docs/architecture.md."""

MONTHS_PER_TRANSACTION = 12
"""Months in which these calls were answered, each of which may have a minute pool."""


def fit_one_transaction(calls: Sequence[ListedCall]) -> bool:
    """Whether calls can be corrected in one transaction."""
    months = {Month.of(call.answered_at) for call in calls}
    return len(calls) <= CALLS_PER_TRANSACTION and len(months) <= MONTHS_PER_TRANSACTION


@dataclass(slots=True)
class Progress:
    """How much was looked at, and what it made of calls."""

    looked_at: int = 0
    rerated: list[Usage] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    """The events whose re-ratings were worked on, by the ids that they are found by."""


@dataclass(frozen=True, slots=True)
class LookingAgain:
    """What both need from outside."""

    credit: CreditStore
    calls: Calls
    licensing: LicensingCache
    rate_cards: RateCards
    retry: RetryPolicy

    def commit(
        self,
        organization_id: str,
        not_before: datetime,
        deadline: Deadline,
        decide: Callable[[Account, datetime], Transaction | None],
        *,
        is_now: bool = True,
    ) -> Sequence[Usage]:
        """Decide from the account as it is now, and commit; again if it moved meanwhile.

        What is corrected happens now, as the account has it: not before what was booked last.
        Where `not_before` is not what time it is, such as the start of a month that a clock which
        is ahead has brought, it counts only if nothing was ever booked.
        """
        why = ""
        for _ in self.retry.tries():
            deadline.check()
            account = self.credit.account(organization_id)
            at = account.as_of or not_before
            if is_now:
                at = max(at, not_before)
            try:
                current = apply_due_changes(self.credit, account, at)
                booking = decide_with_enough_lots(
                    self.credit,
                    current,
                    lambda account: decide(account, at),  # noqa: B023 - called at once
                )
                if booking is None:
                    return ()
                commit(self.credit, booking)
            except Contended as error:
                why = str(error)
            else:
                return booking.rerated
        raise gave_up(organization_id, why)

    def end_waiting(self, organization_id: str, heard_at: datetime, deadline: Deadline) -> Account:
        """End what has waited long enough for unsettled pools; lots end by what is booked.

        Raises `Unavailable` if the account keeps changing.
        """
        why = ""
        for _ in self.retry.tries():
            deadline.check()
            account = self.credit.account(organization_id)
            if account.provisional is None:
                return account
            try:
                return apply_due_changes(self.credit, account, account.as_of or heard_at, heard_at)
            except Contended as error:
                why = str(error)
        raise gave_up(organization_id, why)

    def rated_anew(
        self, account: Account, listed: Sequence[ListedCall], version: str | None = None
    ) -> tuple[list[Usage], list[Rating], Licensing]:
        """Rate calls by what is known now, and by the row of the rate card that priced them.

        A licensing change does not change that row, so the card need not even be there any more.
        With a `version` all are rated by that version of the card instead.
        The usages come in the order of the list, without those that it lists out of date.
        """
        organization_id = account.organization_id
        call_ids = list(dict.fromkeys(call.call_id for call in listed))
        found = {u.call.call_id: u for u in self.calls.usages(organization_id, call_ids)}
        missing = [call_id for call_id in call_ids if call_id not in found]
        if missing:
            msg = f"call {missing[0]} of {organization_id} is listed, but has no usage record"
            raise Unavailable(msg)
        usages = [
            found[call.call_id]
            for call in listed
            if call == ListedCall.of(found[call.call_id].call)
        ]
        licensing = self.licensing.for_account(account, {u.call.organizer_id for u in usages})
        ratings = [
            rate_call(
                usage.call,
                RatingContext(
                    licensing=licensing,
                    rate_card=self.rate_cards.version(version)
                    if version
                    else usage.price.as_card(usage.call.leg_type),
                    currency=account.currency,
                    credits_set_up_at=account.credits_set_up_at,
                ),
            )
            for usage in usages
        ]
        return usages, ratings, licensing

    def booking(
        self,
        account: Account,
        rerated: Iterable[Rerated],
        pools: Pools,
        at: datetime,
        cause: str,
    ) -> Transaction | None:
        """Book what differs; None if nothing does."""
        differing = [one for one in rerated if one.differs]
        if not (differing or pools.touched):
            return None
        further, opened = self.lots_given_back(account, differing)
        more = [one.after.call.ended_at for one in differing if one.change_micros > 0]
        less = [one.before for one in differing if one.change_micros < 0]
        return rerate(
            account,
            differing,
            pools=pools,
            opened=opened,
            further=further,
            expired=expired_lots(self.credit, account, ((ended_at, at) for ended_at in more), less),
            at=at,
            cause=cause,
        )

    def lots_given_back(
        self, account: Account, differing: Sequence[Rerated]
    ) -> tuple[Lots | None, Mapping[str, Lot]]:
        """Read the further lots, and those used up as they were opened, if some may get back."""
        gives_back = any(one.change_micros < 0 for one in differing)
        further = further_lots(self.credit, account) if gives_back else None
        held = {lot.lot_id for lot in (*account.lots, *(further or ()))}
        used_up = {
            share.lot_id
            for one in differing
            if one.change_micros < 0
            for share in one.before.lots
            if share.lot_id not in held
        }
        return further, self.credit.opened_lots(account.organization_id, used_up)
