"""Authorize calls before money is spent: one read and one conditional write on the usual path.

The reading and the writing are two requests: an account and a call in one, and both conditional on
what was read in the other. What neither reserves anything nor has anything reserved is written
without the account. Only a call that draws on a minute pool, or has a limit of its own,
makes another reading necessary. Who loses a race reads again and decides anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.correlation import causes
from perminute.application.further_lots import further_lots
from perminute.application.retry import NEVER, Deadline, gave_up
from perminute.application.spend_counters import spendings_of, spendings_so_far
from perminute.domain.authorization.authorization import (
    LONGEST_RESERVATION,
    Authorization,
    Standing,
    authorize,
    release,
    update,
)
from perminute.domain.authorization.call_prices import ratings_of
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Decision,
    Denied,
    Operation,
    Reservation,
    check_first,
)
from perminute.domain.credit.transaction import AccountChanged, Authorized
from perminute.domain.errors import Conflict, Contended
from perminute.domain.limits.spending import SpendingKind, records_of
from perminute.domain.pools.pools import month_of
from perminute.domain.rating.rating import RatingContext
from perminute.domain.rating.usage_record import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from perminute.application.licensing_cache import LicensingCache
    from perminute.application.retry import RetryPolicy
    from perminute.domain.credit.accounts import Account
    from perminute.domain.limits.spending import SpendingKey, Spendings
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rate_card import RateCard
    from perminute.ports import Calls, CallsUnderWay, CreditStore, RateCards


class Request(NamedTuple):
    """What is asked of a call, and when; `call` is what an authorization says of it.

    The call is answered when it is asked for, at the earliest.
    """

    organization_id: str
    call_id: str
    asked: ChargingRequest
    at: datetime
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeCall:
    """The use case with what it needs from outside."""

    under_way: CallsUnderWay
    credit: CreditStore
    calls: Calls
    licensing: LicensingCache
    rate_cards: RateCards
    retry: RetryPolicy

    def __call__(self, request: Request, deadline: Deadline = NEVER) -> Answer:
        """Answer it; raises `Conflict` if it is out of turn, and `Unavailable`."""
        why = ""
        for _ in self.retry.tries():
            deadline.check()
            try:
                return self._attempt(request, deadline)
            except Contended as error:
                why = str(error)
        raise gave_up(request.organization_id, why)

    def _attempt(self, request: Request, deadline: Deadline) -> Answer:
        account, call = self.under_way.read(request.organization_id, request.call_id)
        if isinstance(call, Usage):
            return _of_ended(request, call, account)
        if call is None:
            check_first(request.asked)
        else:
            answer = call.answer_again(request.asked, request.at, request.call)
            if answer is not None:
                return answer
        decided = self._decide(account, call, request, deadline)
        authorized = Authorized(decided.reservation, call)
        holds = call is not None and bool(call.held)
        if decided.booking.after is account and not holds:
            if not self.under_way.keep(authorized):
                raise AccountChanged
            return decided.answer
        transaction = replace(
            decided.booking,
            notifications=_news_of(decided, account, request.at),
            authorized=authorized,
            causes=causes(),
        )
        self.credit.commit(transaction)
        return decided.answer

    def _decide(
        self, account: Account, known: Reservation | None, request: Request, deadline: Deadline
    ) -> Authorization:
        asked, at, call = request.asked, request.at, request.call
        before = None if asked.operation is Operation.AUTHORIZE else known
        if before is not None:
            asked, call = before.next_request(asked, at), before.call
        if call is None:
            msg = f"nothing is known of call {request.call_id} to {asked.operation}"
            raise AssertionError(msg)
        context = RatingContext(
            licensing=self.licensing.for_account(account, {call.organizer_id}),
            rate_card=self._rate_card(before),
            currency=account.currency,
            credits_set_up_at=account.credits_set_up_at,
        )
        is_over = asked.operation is Operation.RELEASE
        count = spendings_so_far if is_over else partial(spendings_of, deadline=deadline)
        standing = self._standing(account, before, call, context, count)
        if account.further_expire_by(at + LONGEST_RESERVATION):
            standing = standing._replace(further=further_lots(self.credit, account))
        if before is None:
            return authorize(standing, call, asked, at)
        if asked.operation is Operation.UPDATE:
            return update(standing, before, asked, at)
        return release(standing, before, asked, at)

    def _rate_card(self, before: Reservation | None) -> RateCard:
        """Return the card that prices a call: that of its authorization, as long as it lasts."""
        current = self.rate_cards.current()
        if before is None or before.rate_card_version == current.version:
            return current
        return self.rate_cards.version(before.rate_card_version)

    def _standing(
        self,
        account: Account,
        before: Reservation | None,
        call: Call,
        context: RatingContext,
        count: Callable[[CreditStore, Calls, Account, Collection[SpendingKey]], Spendings],
    ) -> Standing:
        """Read what else the decision rests on, after the account: mostly nothing.

        A release decides nothing by limits, so it need not wait until calls are counted for them.
        """
        ratings = ratings_of(call, context)
        at, licensing, settings = call.rated_at, context.licensing, account.settings
        keys = {
            key
            for prefix in ratings.prefixes
            for key in records_of(call, prefix, at, licensing, settings)
        }
        keys.update(before.keys if before else ())
        records = {key for key in keys if key.kind is not SpendingKind.DAY}
        pool = None
        if ratings.first.draws_on_pool or (before is not None and before.holds_minutes):
            month = month_of(call)
            pool = self.credit.pools(account.organization_id, [month])[month]
        spendings = count(self.credit, self.calls, account, records)
        return Standing(account, context, ratings, pool, spendings)


def _news_of(decided: Authorization, account: Account, at: datetime) -> tuple[Notification, ...]:
    """Tell of limits that are reached, each by what made it so: the account's version."""
    if not decided.reached and decided.full_house is None:
        return ()
    # Imported where it is needed: hardly any call reaches a limit, and each start would pay.
    from perminute.domain.limits.limit_reached import concurrent_calls_reached, limit_reached  # noqa: PLC0415
    from perminute.domain.notifications.notifications import notification  # noqa: PLC0415

    told = [limit_reached(one, account.currency) for one in decided.reached]
    if decided.full_house is not None:
        told.append(concurrent_calls_reached(decided.full_house))
    return tuple(
        notification(
            news,
            organization_id=account.organization_id,
            at=at,
            cause=f"{cause}/{account.version}",
        )
        for news, cause in told
    )


def _of_ended(request: Request, usage: Usage, account: Account) -> Answer:
    """Answer what is asked of a call that has ended: its `Call Ended` may be faster than a bridge.

    What it had reserved is given back already. The sequence is not known any more.
    """
    asked, price = request.asked, usage.stated_price
    if asked.operation is Operation.AUTHORIZE:
        raise Conflict("callId", "has ended already; a new call needs an id of its own")
    over = asked.operation is Operation.RELEASE
    return Answer(
        sequence=asked.sequence,
        decision=Decision.ALLOW if over else Decision.DENY,
        reason=None if over else Denied.CALL_ENDED,
        final_unit=not over,
        rate_micros_per_minute=price.rate_micros_per_minute,
        connection_fee_micros=price.connection_fee_micros,
        currency=price.currency,
        failure_handling=account.failure_handling,
    )
