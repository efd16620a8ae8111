"""Authorize calls before money is spent: one read and one conditional write on the usual path.

Account and call are read in one request, and both are conditions of the write. A call that reserves
nothing and has nothing reserved is written without the account. Only a call that draws on a minute
pool, or to which a limit of a user or prefix applies, needs another read. If the account or the
call has changed meanwhile, both are read and decided on again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.correlation import causes
from perminute.application.further_lots import further_lots
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.application.spend_counters import full_spend_counters, spend_counters_so_far
from perminute.domain.authorization.authorization import (
    LONGEST_RESERVATION,
    Authorization,
    authorize,
)
from perminute.domain.authorization.pricing import AuthorizationContext, price_call
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Decision,
    Denied,
    Operation,
    Reservation,
)
from perminute.domain.credit.transaction import AccountChanged, Authorized
from perminute.domain.errors import Conflict
from perminute.domain.limits.spending import SpendKind
from perminute.domain.pools.pools import month_of
from perminute.domain.rating.rating import RatingContext
from perminute.domain.rating.usage_record import Usage

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.licensing_cache import LicensingCache
    from perminute.domain.credit.accounts import Account
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rate_card import RateCard
    from perminute.ports.messaging import RateCards
    from perminute.ports.stores import Calls, CallsUnderWay, CreditStore


class ReceivedRequest(NamedTuple):
    """A charging request as it was received: for which call, and when."""

    organization_id: str
    call_id: str
    request: ChargingRequest
    at: datetime
    call: Call | None = None  # only of an authorization; answered at `at` at the earliest


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeCall:
    """The use case with its ports."""

    under_way: CallsUnderWay
    credit: CreditStore
    calls: Calls
    licensing: LicensingCache
    rate_cards: RateCards
    retry: RetryPolicy

    def __call__(self, received: ReceivedRequest, deadline: Deadline = NEVER) -> Answer:
        """Answer a request; raises `Conflict` if it is out of turn, `Refused`, `Unavailable`."""
        attempt = partial(self._attempt, received, deadline)
        return self.retry.call(attempt, received.organization_id, deadline)

    def _attempt(self, received: ReceivedRequest, deadline: Deadline) -> Answer:
        account, stored = self.under_way.read(received.organization_id, received.call_id)
        if isinstance(stored, Usage):
            return _answer_of_ended(received.request, stored, account)
        if stored is None:
            received.request.check_is_first()
        elif answer := stored.repeated_answer(received.request, received.at, received.call):
            return answer
        authorization = self._authorize(account, stored, received, deadline)
        self._commit(account, stored, authorization, received.at)
        return authorization.answer

    def _authorize(
        self,
        account: Account,
        stored: Reservation | None,
        received: ReceivedRequest,
        deadline: Deadline,
    ) -> Authorization:
        request, at, call = received.request, received.at, received.call
        before = None if request.operation is Operation.AUTHORIZE else stored
        if before is not None:
            request, call = before.next_request(request, at), before.call
        if call is None:
            msg = f"nothing is stored of call {received.call_id} to {request.operation}"
            raise AssertionError(msg)
        context = self._read_context(account, call, before, received, deadline)
        return authorize(context, call, request, at, before)

    def _read_context(
        self,
        account: Account,
        call: Call,
        before: Reservation | None,
        received: ReceivedRequest,
        deadline: Deadline,
    ) -> AuthorizationContext:
        # After the account was read: mostly nothing.
        licensing = self.licensing.for_account(account, {call.organizer_id})
        rating_context = RatingContext.of(account, licensing, self._rate_card(before))
        price = price_call(call, rating_context)
        pool = None
        if price.rating.draws_on_pool or (before and before.reserves_minutes):
            month = month_of(call)
            pool = self.credit.pools(account.organization_id, [month])[month]
        keys = price.limit_keys(licensing, account.settings)
        if before is not None:
            keys = keys.union(before.limit_keys)
        records = {key for key in keys if key.kind is not SpendKind.DAY}
        # A release decides nothing by limits, so it need not wait until calls are counted for them.
        if received.request.operation is Operation.RELEASE:
            spend_counters = spend_counters_so_far(self.credit, self.calls, account, records)
        else:
            spend_counters = full_spend_counters(
                self.credit, self.calls, account, records, deadline
            )
        may_expire = account.further_expire_by(received.at + LONGEST_RESERVATION)
        further = further_lots(self.credit, account) if may_expire else ()
        return AuthorizationContext(account, rating_context, price, pool, spend_counters, further)

    def _rate_card(self, before: Reservation | None) -> RateCard:
        # The card of its authorization prices a call as long as it lasts.
        current = self.rate_cards.current()
        if before is None or before.rate_card_version == current.version:
            return current
        return self.rate_cards.version(before.rate_card_version)

    def _commit(
        self,
        account: Account,
        before: Reservation | None,
        authorization: Authorization,
        at: datetime,
    ) -> None:
        authorized = Authorized(authorization.reservation, before)
        if authorization.transaction.after is account and not (before and before.held):
            if not self.under_way.store(authorized):
                raise AccountChanged
            return
        transaction = authorization.transaction._replace(
            notifications=_notifications(authorization, account, at),
            authorized=authorized,
            causes=causes(),
        )
        self.credit.commit(transaction)


def _notifications(
    authorization: Authorization, account: Account, at: datetime
) -> tuple[Notification, ...]:
    # A limit may be reached again later: the account's version distinguishes the notifications.
    if not authorization.reached_limits and authorization.concurrent_calls is None:
        return ()
    # Imported where it is needed: hardly any call reaches a limit, and each start would pay.
    from perminute.domain.limits.limit_reached import concurrent_calls_reached, limit_reached  # noqa: PLC0415
    from perminute.domain.notifications.notifications import notification  # noqa: PLC0415

    bodies = [limit_reached(limit, account.currency) for limit in authorization.reached_limits]
    if authorization.concurrent_calls is not None:
        bodies.append(concurrent_calls_reached(authorization.concurrent_calls))
    organization_id, version = account.organization_id, account.version
    return tuple(
        notification(body, organization_id=organization_id, at=at, cause=f"{cause}/{version}")
        for body, cause in bodies
    )


def _answer_of_ended(request: ChargingRequest, usage: Usage, account: Account) -> Answer:
    # The `Call Ended` may arrive before the bridge's last requests. By then the call's reservation
    # is released, and its sequence is not stored any more.
    if request.operation is Operation.AUTHORIZE:
        raise Conflict("callId", "has ended already; a new call needs an id of its own")
    is_release, price = request.operation is Operation.RELEASE, usage.stated_price
    return Answer(
        sequence=request.sequence,
        decision=Decision.ALLOW if is_release else Decision.DENY,
        reason=None if is_release else Denied.CALL_ENDED,
        final_unit=not is_release,
        rate_micros_per_minute=price.rate_micros_per_minute,
        connection_fee_micros=price.connection_fee_micros,
        currency=price.currency,
        failure_handling=account.failure_handling,
    )
