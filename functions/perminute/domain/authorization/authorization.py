"""Whether a call may begin or go on, for how long, and what it reserves.

A grant is whole billing blocks: as many as were requested, or as credit, pool and limits cover;
then it is the final one, and the bridge hangs up at its end. The write that grants it reserves what
the whole call costs if it ends with the grant, so no credit is granted twice.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.authorization.pricing import is_free, price_request
from perminute.domain.authorization.reservations import (
    CLOCK_SKEW,
    HANG_UP,
    Answer,
    Decision,
    Denied,
    Operation,
    PaidBy,
    Promise,
    Reservation,
    ReservedPart,
    parts_to_reserve,
)
from perminute.domain.credit.holds import charge_time
from perminute.domain.credit.transaction import Transaction
from perminute.domain.licensing.licensing import Cover, Entitlement, NotEntitled
from perminute.domain.limits.spending import (
    LimitName,
    ReachedLimit,
    day_of,
    limits_on,
)
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Unpriced
from perminute.domain.rating.usage_record import Free, policy_flag_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from perminute.domain.authorization.pricing import AuthorizationContext, PricedRequest
    from perminute.domain.authorization.reservations import ChargingRequest
    from perminute.domain.limits.spending import SpendKey
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rating import Rating

_HANG_UP_SECONDS = HANG_UP // timedelta(seconds=1)

LONGEST_RESERVATION = timedelta(days=3)
"""What a grant reserves lapses before: the longest is valid for a day and a minute, twice that is
reserved, and the grid of `holds` adds less than a sixteenth."""


class Grant(NamedTuple):
    """How long a call may last, or why it is denied. A release is granted nothing."""

    quota_seconds: int = 0  # counted from the answer of the call; whole blocks
    lapses_at: datetime | None = None
    remaining_seconds: int | None = None
    paid_by: PaidBy | None = None
    is_final: bool = False
    denied: str | None = None
    limit: LimitName | None = None
    exceeded: tuple[ReachedLimit, ...] = ()  # by the next block
    call_limit_notified: bool | None = None  # the account's new value; None if it stays as it is


class Authorization(NamedTuple):
    """The call with its answer, and the transaction that is committed with it."""

    reservation: Reservation
    transaction: Transaction  # `after` is `before` if nothing but the call changes
    reached_limits: tuple[ReachedLimit, ...] = ()  # limits of which admins are notified
    concurrent_calls: int | None = None  # set if admins are notified of their limit

    @property
    def answer(self) -> Answer:
        """The answer to the request."""
        return self.reservation.answer


def authorize(
    context: AuthorizationContext,
    call: Call,
    request: ChargingRequest,
    at: datetime,
    before: Reservation | None = None,
) -> Authorization:
    """Decide a request about a call; `before` is None for an authorization."""
    priced = price_request(context, call, request, at, before)
    grant = limit_grant(priced)
    reservation = reserve(priced, grant, answer_request(priced, grant))
    return book_reservation(context, priced, grant, reservation)


def limit_grant(priced: PricedRequest) -> Grant:
    """Grant what is wanted or covered; checks are in the order of docs/charging-api.md."""
    if priced.request.operation is Operation.RELEASE:
        return Grant()
    if (why := _refusal(priced)) is not None:
        return _denial(why)
    if priced.used_seconds >= MAX_CALL_SECONDS:
        return _denial(Denied.CALL_TOO_LONG)
    if priced.context.price.costs_nothing:
        return _grant_for_nothing(priced)
    settings = priced.context.account.settings
    most = None if settings is None else settings.max_concurrent_calls
    # If credit is short as well, that is the reason which is stated.
    if most is None or not priced.is_new or not _is_covered(priced, 1):
        return _grant_blocks(priced)
    is_full, notified = _concurrent_calls(priced, most)
    limit = LimitName.CONCURRENT_CALLS
    grant = _denial(Denied.SPEND_LIMIT, limit) if is_full else _grant_blocks(priced)
    return grant._replace(call_limit_notified=notified)


def _denial(
    why: str, limit: LimitName | None = None, exceeded: tuple[ReachedLimit, ...] = ()
) -> Grant:
    return Grant(denied=str(why), is_final=True, limit=limit, exceeded=exceeded)


def _refusal(priced: PricedRequest) -> str | None:
    # A masked number is refused for any rate that it may hide: that one may be blocked, or of a
    # country that the organizer may not call.
    refusals = (_refusal_of(rating, priced) for rating in priced.context.price.ratings_at_request)
    return next(filter(None, refusals), None)


def _refusal_of(rating: Rating, priced: PricedRequest) -> str | None:
    context = priced.context.rating_context
    if rating.cover is Free.AD_HOC_MEETING:
        # Nobody is charged for it, so only what is included anyway is allowed.
        entitlement = context.licensing.entitlement(priced.call, context.credits_set_up_at)
        return None if entitlement.beyond_pool is Cover.INCLUDED else rating.cover
    if isinstance(rating.cover, Free):
        return None
    rest, draws_on_pool = rating.cover
    if isinstance(rest, NotEntitled) and not (draws_on_pool and priced.context.price.pool_minutes):
        return rest
    if (flag := policy_flag_of(rating.flags)) is not None:
        return flag
    if rest is not Cover.INCLUDED and rating.rate is None:
        return rating.price.unpriced
    return None


def _grant_for_nothing(priced: PricedRequest) -> Grant:
    left, wanted = MAX_CALL_SECONDS - priced.used_seconds, priced.wanted_seconds
    granted = min(wanted, priced.context.account.max_grant_seconds, left)
    quota = priced.used_seconds + granted
    is_final = granted == left < wanted
    payer = _payer(priced, quota)
    return Grant(quota, priced.lapses_at(quota), MAX_CALL_SECONDS, payer, is_final)


def _concurrent_calls(priced: PricedRequest, most: int) -> tuple[bool, bool]:
    """Return whether the limit of concurrent calls is reached, and whether admins were notified."""
    account = priced.context.account
    was_notified, calls = account.call_limit_notified, account.reserved.calls_at(priced.at)
    # They are notified again only after no more than half as many were under way: else each call
    # that ends and makes room for another would notify them.
    return calls >= most, (calls > most // 2 if was_notified else calls >= most)


def _grant_blocks(priced: PricedRequest) -> Grant:
    used, price = priced.used_seconds, priced.context.price
    limits = _limits(priced)
    least_micros = min((limit.left_micros for limit in limits), default=None)
    furthest = _last_covered(
        used, MAX_CALL_SECONDS, lambda seconds: _is_covered(priced, seconds, least_micros)
    )
    target = min(used + priced.wanted_seconds, MAX_CALL_SECONDS)
    covered = min(target, furthest)
    quota = min(price.billed_seconds(covered), _end_of_longest_grant(priced))
    is_cut = quota < price.billed_seconds(covered)
    exceeded = _exceeded(priced, covered, limits) if covered < target and not is_cut else ()
    limit = exceeded[0].limit.name if exceeded else None
    if covered == used:
        return _denial(_why_no_more(priced, limit), limit, exceeded)
    return Grant(
        quota,
        priced.lapses_at(quota),
        remaining_seconds=min(price.billed_seconds(furthest), MAX_CALL_SECONDS),
        paid_by=_payer(priced, quota),
        is_final=covered < used + priced.wanted_seconds and not is_cut,
        limit=limit,
        exceeded=exceeded,
    )


def _limits(priced: PricedRequest) -> list[ReachedLimit]:
    context, at = priced.context, priced.call.rated_at
    licensing, settings = context.rating_context.licensing, context.account.settings
    limits = dict.fromkeys(
        limit
        for prefix in context.price.prefixes
        for limit in limits_on(priced.call, prefix, at, licensing, settings)
    )
    counted = ((limit, context.spend_counters[limit.key]) for limit in limits)
    return [
        ReachedLimit(limit, counter.spent_micros, counter.held.amount_at(priced.at))
        for limit, counter in counted
    ]


def _last_covered(start: int, end: int, is_covered: Callable[[int], bool]) -> int:
    """Find the last second that is covered, by bisection: all before it are covered as well."""
    if start < end and is_covered(end):
        return end
    while start < end:
        middle = (start + end + 1) // 2
        if is_covered(middle):
            start = middle
        else:
            end = middle - 1
    return start


def _is_covered(priced: PricedRequest, seconds: int, most_micros: int | None = None) -> bool:
    """Whether a call of so many seconds can be paid until it is charged, and costs no more."""
    account, price = priced.context.account, priced.context.price
    quota = price.billed_seconds(seconds)
    micros = price.micros(quota)
    if not micros:
        # What costs nothing exceeds no limit; None, nobody can pay it.
        return micros == 0
    if most_micros is not None and micros > most_micros:
        return False
    until, further = priced.lapses_at(quota), priced.context.further
    return micros <= account.available_micros(priced.at, lasting_until=until, further=further)


def _end_of_longest_grant(priced: PricedRequest) -> int:
    # At least the block after the one in use: a bridge asks before that ends.
    used, billed = priced.used_seconds, priced.context.price.billed_seconds
    end_of_next_block = billed(billed(used) + 1)
    most = max(used + priced.context.account.max_grant_seconds, end_of_next_block)
    return billed(_last_covered(used, most, lambda end: billed(end) <= most))


def _exceeded(
    priced: PricedRequest, covered: int, limits: list[ReachedLimit]
) -> tuple[ReachedLimit, ...]:
    """Return the limits that the next block would exceed; none if credit is short."""
    if not _is_covered(priced, covered + 1):
        return ()
    micros, _ = priced.context.price.cost(covered + 1)
    return tuple(limit for limit in limits if micros > limit.left_micros)


def _why_no_more(priced: PricedRequest, limit: LimitName | None) -> str:
    cover = priced.context.price.rating.cover
    if isinstance(cover, Entitlement) and isinstance(cover.beyond_pool, NotEntitled):
        return cover.beyond_pool
    if limit is None:
        return Denied.INSUFFICIENT_CREDIT
    is_fraud = limit is LimitName.PREFIX_HOURLY_SPEND
    return Denied.FRAUD_SUSPECTED if is_fraud else Denied.SPEND_LIMIT


def _payer(priced: PricedRequest, quota: int) -> PaidBy:
    price = priced.context.price
    if is_free(price.rating):
        is_app = price.rating.cover is Free.APP_JOIN
        return PaidBy.NOBODY if is_app else PaidBy.SUBSCRIPTION
    if not price.rating.draws_on_pool or not price.pool_minutes:
        return PaidBy.CREDITS
    if price.micros(quota) == 0:
        return PaidBy.POOL
    of_pool = price.pool_minutes * SECONDS_PER_MINUTE
    return PaidBy.POOL_AND_CREDITS if of_pool > priced.used_seconds else PaidBy.CREDITS


def answer_request(priced: PricedRequest, grant: Grant) -> Answer:
    """Return the answer that states a grant."""
    price, at = priced.context.price.rating.price, priced.at
    if grant.denied == Unpriced.CURRENCY_MISMATCH:
        # As in the record of such a call: credit cannot pay it, so no amount is stated.
        price = price.without_amounts()
    answer = Answer(
        sequence=priced.request.sequence,
        decision=Decision.ALLOW if grant.denied is None else Decision.DENY,
        reason=grant.denied,
        remaining_seconds=grant.remaining_seconds,
        final_unit=grant.is_final,
        paid_by=grant.paid_by,
        rate_micros_per_minute=price.rate_micros_per_minute,
        connection_fee_micros=price.connection_fee_micros,
        currency=price.currency,
        limit=grant.limit,
        failure_handling=priced.context.account.failure_handling,
    )
    if grant.lapses_at is None:
        return answer
    granted_seconds = grant.quota_seconds - priced.used_seconds
    quota_seconds = min(grant.quota_seconds, MAX_CALL_SECONDS)
    return answer._replace(
        granted_seconds=granted_seconds,
        valid_until=at + (grant.lapses_at - at) // 2,
        report_before=at + timedelta(seconds=granted_seconds),
        hang_up_after_seconds=max(0, quota_seconds - _HANG_UP_SECONDS),
    )


def reserve(priced: PricedRequest, grant: Grant, answer: Answer) -> Reservation:
    """Return the call with its answer, and what is reserved for its used and granted seconds."""
    price = priced.context.price
    promised: Promise | None = None
    held: tuple[ReservedPart, ...] = ()
    if not price.costs_nothing:
        if grant.lapses_at is not None:
            promised = Promise(grant.lapses_at, *price.cost(grant.quota_seconds))
        held = _parts_to_reserve(priced, _promises(priced, promised))
    return Reservation(
        call=priced.call,
        last_request=priced.request,
        answer=answer,
        rate_card_version=price.rating.price.rate_card_version,
        wanted_seconds=priced.wanted_seconds,
        default_seconds=priced.default_seconds,
        used_seconds=priced.used_seconds,
        reported_at=None if priced.request.operation is Operation.AUTHORIZE else priced.at,
        promised=promised,
        held=held,
        limit_keys=_limit_keys(priced) if held else (),
    )


def _promises(priced: PricedRequest, promised: Promise | None) -> list[Promise]:
    """Return what the bridge may rely on: this answer, or the last one if this gets lost."""
    is_release = priced.request.operation is Operation.RELEASE
    promises = () if is_release else (priced.last_promise, promised)
    return [promise for promise in promises if promise is not None]


def _parts_to_reserve(priced: PricedRequest, promises: list[Promise]) -> tuple[ReservedPart, ...]:
    used = priced.context.price.cost(priced.used_seconds)
    granted = parts_to_reserve(promises, used)
    if not priced.used_seconds:
        return tuple(granted)
    # Without a `Call Ended`, what was used is charged once usage may no longer be late, and not
    # while the call may still go on.
    until = max((priced.at, *(promise.until for promise in promises)))
    due_at = charge_time(max(priced.at + priced.context.account.late_usage, until))
    return (ReservedPart(due_at, *used, used=True), *granted)


def _limit_keys(priced: PricedRequest) -> tuple[SpendKey, ...]:
    context, settings = priced.context, priced.context.account.settings
    records = sorted(context.price.limit_keys(context.rating_context.licensing, settings))
    has_daily = settings is not None and settings.daily_spend_limit_micros is not None
    return (day_of(priced.call.rated_at), *records) if has_daily else tuple(records)


def book_reservation(
    context: AuthorizationContext, priced: PricedRequest, grant: Grant, reservation: Reservation
) -> Authorization:
    """Reserve on account, pool and limits, and note which limits admins are notified of."""
    before, spend_counters, at = context.account, context.spend_counters, priced.at
    reached_limits = tuple(
        limit for limit in grant.exceeded if spend_counters.notify_once(limit.limit, at)
    )
    # `priced` has them without what the call had reserved before.
    reserved, pool = priced.context.account.reserved, priced.context.pool
    for held in reservation.held:
        credit = held.credit
        for key in reservation.limit_keys:
            spend_counters.hold(key, credit, at)
        if held.used:
            credit = credit._replace(began_at=reservation.call.rated_at - CLOCK_SKEW)
        reserved = reserved.lapsed(at).with_added(credit)
        if pool is not None and held.minutes:
            pool = pool.with_held(held.pool, at)
    notified = (
        before.call_limit_notified
        if grant.call_limit_notified is None
        else grant.call_limit_notified
    )
    calls = before.reserved.calls_at(at) if notified and not before.call_limit_notified else None
    account = before._replace(
        reserved=reserved, call_limit_notified=notified, days=spend_counters.days(at)
    )
    pools = () if pool is None or pool is context.pool else (pool,)
    is_changed = account != before or pools or spend_counters.touched
    after = account._replace(version=before.version + 1) if is_changed else before
    transaction = Transaction(
        before=before, after=after, pools=pools, spend_counters=spend_counters.touched
    )
    return Authorization(reservation, transaction, reached_limits, calls)
