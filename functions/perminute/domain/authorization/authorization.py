"""May a call begin, and for how long may it go on? ChargingRequest before money is spent.

What a call may still cost is reserved on the account of its organization, in the same write that
grants it, so no credit is granted twice. A grant is whole billing blocks, as many as were asked
for or as credit, pool and limits really cover; the last one says so, and the bridge hangs up at
its end. What it reserves is what the whole call costs if it ends with the grant: exactly what will
be charged then, for it is rated by the same rules.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.authorization.call_prices import CallPrice
from perminute.domain.authorization.call_times import CLOCK_SKEW, RINGING
from perminute.domain.authorization.reservations import (
    DEFAULT_QUOTA_SECONDS,
    HANG_UP,
    SHORTEST_VALIDITY,
    Answer,
    ChargingRequest,
    Decision,
    Denied,
    Held,
    Operation,
    PaidBy,
    Promise,
    Reservation,
    covered,
)
from perminute.domain.authorization.reserving import Reserving
from perminute.domain.credit.holds import charge_time, lapses_at
from perminute.domain.licensing.licensing import Cover, Entitlement, NotEntitled
from perminute.domain.limits.spending import (
    Limit,
    LimitName,
    ReachedLimit,
    day_of,
    limits_on,
    records_of,
)
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Unpriced
from perminute.domain.rating.usage_record import Free, policy_flag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from perminute.domain.authorization.call_prices import CallRatings
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lots
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.limits.spending import SpendingKey, Spendings
    from perminute.domain.pools.pools import MinutePool
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rating import Rating, RatingContext


_HANG_UP_SECONDS = HANG_UP // timedelta(seconds=1)

LONGEST_RESERVATION = timedelta(days=3)
"""What a grant reserves lapses before: a day's grant is valid for a day and a minute, twice that
is reserved, and the grid of `holds` adds less than a sixteenth."""


class Standing(NamedTuple):
    """All that a decision about a call under way rests on, beside the call.

    `ratings` are those by which it may be priced.
    `pool` is that of the month in which it was authorized, None if it draws on none. `spendings`
    has a record for each limit that holds for it, and for each in which it has reserved something.
    `further` are the lots that are not in the account item, read only if one may expire soon.
    """

    account: Account
    context: RatingContext
    ratings: CallRatings
    pool: MinutePool | None
    spendings: Spendings
    further: Lots = ()


class Authorization(NamedTuple):
    """The answer and what is to be written with it; the account is the one before if that is all.

    `booking` is to be committed together with the reservation, or not at all, and so is the news
    of limits that are `reached`, and of a `full_house` of so many calls.
    """

    reservation: Reservation
    booking: Transaction
    reached: tuple[ReachedLimit, ...] = ()
    full_house: int | None = None

    @property
    def answer(self) -> Answer:
        """What the bridge is told."""
        return self.reservation.answer


def authorize(
    standing: Standing, call: Call, asked: ChargingRequest, at: datetime
) -> Authorization:
    """Decide whether a call may begin, `at` when it is answered at the earliest."""
    asking = _Call(standing, call, asked, at)
    if (why := asking.refusal()) is not None:
        return asking.denied(why)
    if asking.costs_nothing:
        return asking.allowed_for_nothing()
    return asking.granted()


def update(
    standing: Standing, before: Reservation, asked: ChargingRequest, at: datetime
) -> Authorization:
    """Take note of what a call has used, and grant it more if there is any."""
    asking = _Call(standing, before.call, asked, at, before)
    if (why := asking.refusal()) is not None:
        return asking.denied(why)
    if asking.costs_nothing:
        return asking.allowed_for_nothing()
    return asking.granted()


def release(
    standing: Standing, before: Reservation, asked: ChargingRequest, at: datetime
) -> Authorization:
    """End what a call has reserved, but for what it has used: that waits to be charged."""
    return _Call(standing, before.call, asked, at, before).released()


class _Call:
    """One call while one request about it is decided; what it has reserved before is given back."""

    def __init__(
        self,
        standing: Standing,
        call: Call,
        asked: ChargingRequest,
        at: datetime,
        before: Reservation | None = None,
    ) -> None:
        account, self._terms, self._ratings, pool, spendings, self._further = standing
        self._has = Reserving(account, pool, spendings, at)
        self._call, self._at = call, at
        self._before = before
        reported, wanted = (
            (before.used_seconds, before.wanted_seconds) if before else (0, DEFAULT_QUOTA_SECONDS)
        )
        self._default_seconds = wanted
        self._asked = asked.in_full(wanted, reported)
        self._used_seconds = reported + self._asked.used_seconds
        self._wanted_seconds = self._asked.requested_seconds or wanted
        self._promised_before = self._has.give_back(before) if before else None
        self._promised: Promise | None = None
        self._reached: list[ReachedLimit] = []
        self._full_house: int | None = None
        self._price = CallPrice.of(self._ratings, self._pool_minutes_left())

    # ── What speaks against it ───────────────────────────────────────────────────────────────

    def refusal(self) -> str | None:
        """Return what stands against the call whatever it costs, if anything does.

        Against a masked number stands what stands against any rate that it may hide: this one may
        be blocked, or of a country that the organizer may not call.
        """
        refusals = (self._refusal_of(rating) for rating in self._ratings.at_request)
        return next((why for why in refusals if why is not None), None)

    def _refusal_of(self, rating: Rating) -> str | None:
        if isinstance(rating.cover, Free):
            return self._ad_hoc() if rating.cover is Free.AD_HOC_MEETING else None
        rest, draws_on_pool = rating.cover
        if isinstance(rest, NotEntitled) and not (draws_on_pool and self._price.pool_minutes):
            return rest
        if (flag := policy_flag_of(rating.flags)) is not None:
            return flag
        if rest is not Cover.INCLUDED and rating.rate is None:
            return rating.price.unpriced
        return None

    @property
    def costs_nothing(self) -> bool:
        """Whether it is included or free: then nothing is reserved for it."""
        return self._price.costs_nothing

    def _too_many_at_once(self) -> bool:
        """Whether as many calls are under way as the admins allow, which is then told once.

        It is told again once no more than half as many were: a full house would else tell it
        with every call that ends and makes room for another.
        """
        settings = self._has.account.settings
        if settings is None or settings.max_concurrent_calls is None:
            return False
        calls, most = self._has.account.reserved.calls_at(self._at), settings.max_concurrent_calls
        if calls >= most and not self._has.account.calls_notified:
            self._has.calls_notified(told=True)
            self._full_house = calls
        elif self._has.account.calls_notified and calls <= most // 2:
            self._has.calls_notified(told=False)
        return calls >= most

    # ── Answers ──────────────────────────────────────────────────────────────────────────────

    def denied(self, why: str, limit: LimitName | None = None) -> Authorization:
        """Grant nothing; what the call has used waits to be charged.

        What the answer before granted stays reserved: this one may not be heard.
        """
        held = self._hold(self._promises())
        answer = self._answer(Decision.DENY, reason=str(why), final_unit=True, limit=limit)
        return self._decided(answer, held)

    def allowed_for_nothing(self) -> Authorization:
        """Grant what was asked for: nobody pays by the minute."""
        left = MAX_CALL_SECONDS - self._used_seconds
        if left <= 0:
            return self.denied(Denied.CALL_TOO_LONG)
        granted = min(self._wanted_seconds, self._has.account.max_grant_seconds, left)
        answer = self._allowed(
            self._used_seconds + granted, self._lapses(granted), MAX_CALL_SECONDS, self._for_nothing
        )
        is_final = granted == left < self._wanted_seconds
        return self._decided(replace(answer, final_unit=is_final), ())

    def granted(self) -> Authorization:
        """Grant whole blocks: as many as were asked for and may be at a time, or as are covered."""
        used = self._used_seconds
        if used >= MAX_CALL_SECONDS:
            return self.denied(Denied.CALL_TOO_LONG)
        if self._before is None and self._is_paid(1) and self._too_many_at_once():
            return self.denied(Denied.SPEND_LIMIT, LimitName.CONCURRENT_CALLS)
        limits = tuple(
            (limit, limit.micros - self._spent_micros(limit)) for limit in self._limits()
        )
        least = min((micros for _, micros in limits), default=None)
        furthest = _furthest(
            used,
            MAX_CALL_SECONDS,
            lambda seconds: self._is_within(seconds, least) and self._is_paid(seconds),
        )
        target = min(used + self._wanted_seconds, MAX_CALL_SECONDS)
        reached = min(target, furthest)
        covered_quota = self._price.blocks(reached)
        quota = min(covered_quota, self._most_at_a_time())
        is_cut = quota < covered_quota
        in_the_way = self._in_the_way(reached, limits) if reached < target and not is_cut else ()
        for limit in in_the_way:
            if self._has.spendings.tell_once(limit, self._at):
                self._reached.append(self._reached_now(limit))
        name = in_the_way[0].name if in_the_way else None
        if reached == used:
            return self.denied(self._why_no_more(name), name)
        lapses_at_ = self._lapses(quota - used)
        self._promised = Promise(lapses_at_, *self._cost(quota))
        held = self._hold(self._promises())
        remaining = min(self._price.blocks(furthest), MAX_CALL_SECONDS)
        answer = self._allowed(quota, lapses_at_, remaining, self._payer(quota), name)
        is_final = reached < used + self._wanted_seconds and not is_cut
        return self._decided(replace(answer, final_unit=is_final), held)

    def released(self) -> Authorization:
        """Keep what was used, and nothing else."""
        return self._decided(self._answer(Decision.ALLOW), self._hold(()))

    # ── How far it may go ────────────────────────────────────────────────────────────────────

    def _most_at_a_time(self) -> int:
        """Return where the longest grant ends: with a block, the next one after now at least.

        A grant that ended with the block in use would let nobody go on: a bridge asks before.
        """
        used, blocks = self._used_seconds, self._price.blocks
        most = max(used + self._has.account.max_grant_seconds, blocks(blocks(used) + 1))
        return blocks(_furthest(used, most, lambda end: blocks(end) <= most))

    def _limits(self) -> tuple[Limit, ...]:
        """Return the limits in the order in which they are named, those of all its prefixes."""
        at, licensing, settings = (
            self._call.rated_at,
            self._terms.licensing,
            self._has.account.settings,
        )
        limits = (
            limit
            for prefix in self._ratings.prefixes
            for limit in limits_on(self._call, prefix, at, licensing, settings)
        )
        return tuple(dict.fromkeys(limits))

    def _spent_micros(self, limit: Limit) -> int:
        """Tell what was spent of a limit, or is reserved by others."""
        spent_micros, reserved_micros = self._reached_now(limit)[1:]
        return spent_micros + reserved_micros

    def _reached_now(self, limit: Limit) -> ReachedLimit:
        spending = self._has.spendings[limit.key]
        return ReachedLimit(limit, spending.spent_micros, spending.held.amount_at(self._at))

    def _is_within(self, seconds: int, most_micros: int | None) -> bool:
        """Whether so many seconds in all cost no more; what costs nothing passes no limit."""
        micros = self._price.micros(self._price.blocks(seconds))
        return not micros or most_micros is None or micros <= most_micros

    def _is_paid(self, seconds: int) -> bool:
        """Whether licenses and credit bear so many seconds in all, until the end is charged."""
        quota = self._price.blocks(seconds)
        micros = self._price.micros(quota)
        if not micros:
            return micros == 0
        lapses_at_ = self._lapses(quota - self._used_seconds)
        return micros <= self._has.account.available_micros(
            self._at, lasting_until=lapses_at_, further=self._further
        )

    def _in_the_way(self, reached: int, limits: Sequence[tuple[Limit, int]]) -> tuple[Limit, ...]:
        """Name the limits that the next block would pass; if credit is short, that is the cause."""
        if not self._is_paid(reached + 1):
            return ()
        return tuple(limit for limit, micros in limits if not self._is_within(reached + 1, micros))

    def _why_no_more(self, limit: LimitName | None) -> str:
        """Say why not one more block is granted."""
        cover = self._price.rating.cover
        if isinstance(cover, Entitlement) and isinstance(cover.rest, NotEntitled):
            return cover.rest
        if limit is None:
            return Denied.INSUFFICIENT_CREDIT
        fraud = limit is LimitName.PREFIX_HOURLY_SPEND
        return Denied.FRAUD_SUSPECTED if fraud else Denied.SPEND_LIMIT

    def _ad_hoc(self) -> str | None:
        """Ad-hoc meetings are nobody's to pay, so only what costs nothing anyway is allowed."""
        context = self._terms
        entitled = context.licensing.entitlement(self._call, context.credits_set_up_at)
        return None if entitled.rest is Cover.INCLUDED else Free.AD_HOC_MEETING

    # ── What it reserves ─────────────────────────────────────────────────────────────────────

    def _pool_minutes_left(self) -> int:
        """Count what is left by the licenses whenever it was answered, or now, if that is less."""
        if self._has.pool is None:
            return 0
        at, month, licensing = self._call.rated_at, self._has.pool.month, self._terms.licensing
        since, until = max(at - CLOCK_SKEW, month.start), min(at + RINGING, month.end)
        minutes = min(
            licensing.fewest_pool_minutes(since, until),
            licensing.pool_minutes_for_calls(self._at),
        )
        return max(0, self._has.pool.left_at(self._at, minutes))

    def _promises(self) -> tuple[Promise, ...]:
        """Return what the bridge may rely on: this answer, or the one before if this gets lost."""
        return tuple(one for one in (self._promised_before, self._promised) if one is not None)

    def _hold(self, promises: tuple[Promise, ...]) -> tuple[Held, ...]:
        """Reserve what is promised beside what was used.

        What was used is held until it is charged. That is due when no `Call Ended` has come for as
        long as usage may be late, and not while the call may still go on.
        """
        if self.costs_nothing:
            return ()
        held: tuple[Held, ...] = ()
        used = self._cost(self._used_seconds)
        if self._used_seconds:
            until = max((self._at, *(promise.until for promise in promises)))
            due_at = charge_time(max(self._at + self._has.account.late_usage, until))
            held = (Held(due_at, *used, used=True),)
        if promises:
            held = (*held, *covered(promises, used))
        for one in held:
            self._has.hold(one, self._keys, self._call)
        return held

    def _cost(self, seconds: int) -> tuple[int, int]:
        """Return what so many seconds in all take of the credit, and of the pool."""
        if not seconds:
            return 0, 0
        blocks = self._price.blocks(seconds)
        return self._price.micros(blocks) or 0, self._price.minutes(blocks)

    @cached_property
    def _keys(self) -> tuple[SpendingKey, ...]:
        """Name the records that count what is reserved: as they will count what it costs."""
        at, licensing, settings = (
            self._call.rated_at,
            self._terms.licensing,
            self._has.account.settings,
        )
        records = {
            key
            for prefix in self._ratings.prefixes
            for key in records_of(self._call, prefix, at, licensing, settings)
        }
        if settings is None or settings.daily_spend_limit_micros is None:
            return tuple(sorted(records))
        return (day_of(at), *sorted(records))

    def _lapses(self, granted: int) -> datetime:
        """Tell when a reservation lapses: twice the validity of what it grants."""
        validity = max(SHORTEST_VALIDITY, timedelta(seconds=granted) + RINGING)
        return lapses_at(self._at, 2 * validity)

    # ── What is said and written ─────────────────────────────────────────────────────────────

    @property
    def _for_nothing(self) -> PaidBy:
        app = self._price.rating.cover is Free.APP_JOIN
        return PaidBy.NOBODY if app else PaidBy.SUBSCRIPTION

    def _payer(self, quota: int) -> PaidBy:
        price = self._price
        if price.is_free_at_once:
            return self._for_nothing
        if not price.rating.draws_on_pool or not price.pool_minutes:
            return PaidBy.CREDITS
        if price.micros(quota) == 0:
            return PaidBy.POOL
        of_pool = price.pool_minutes * SECONDS_PER_MINUTE
        return PaidBy.POOL_AND_CREDITS if of_pool > self._used_seconds else PaidBy.CREDITS

    def _allowed(
        self,
        quota: int,
        lapses_at_: datetime,
        remaining: int,
        paid_by: PaidBy,
        limit: LimitName | None = None,
    ) -> Answer:
        granted = quota - self._used_seconds
        return self._answer(
            Decision.ALLOW,
            granted_seconds=granted,
            valid_until=self._at + (lapses_at_ - self._at) // 2,
            report_before=self._at + timedelta(seconds=granted),
            hang_up_after_seconds=max(0, min(quota, MAX_CALL_SECONDS) - _HANG_UP_SECONDS),
            remaining_seconds=remaining,
            paid_by=paid_by,
            limit=limit,
        )

    def _answer(self, decision: Decision, **said: Any) -> Answer:  # noqa: ANN401 - its own fields
        price = self._price.rating.price
        if said.get("reason") == Unpriced.CURRENCY_MISMATCH:
            # As in the record of such a call: credit cannot pay it, so no amount is stated.
            price = price.without_amounts()
        return Answer(
            sequence=self._asked.sequence,
            decision=decision,
            rate_micros_per_minute=price.rate_micros_per_minute,
            connection_fee_micros=price.connection_fee_micros,
            currency=price.currency,
            failure_handling=self._has.account.failure_handling,
            **said,
        )

    def _decided(self, answer: Answer, held: tuple[Held, ...]) -> Authorization:
        """Write down the call as it is now, and what became of its organization with it."""
        reservation = Reservation(
            call=self._call,
            asked=self._asked,
            answer=answer,
            rate_card_version=self._price.rating.price.rate_card_version,
            wanted_seconds=self._wanted_seconds,
            default_seconds=self._default_seconds,
            used_seconds=self._used_seconds,
            reported_at=None if self._asked.operation is Operation.AUTHORIZE else self._at,
            promised=self._promised,
            held=held,
            keys=self._keys if held else (),
        )
        return Authorization(
            reservation, self._has.booking(), tuple(self._reached), self._full_house
        )


def _furthest(start: int, end: int, is_covered: Callable[[int], bool]) -> int:
    """Find the last of `start` to `end` that is covered, as all before it are; else `start`."""
    if start < end and is_covered(end):
        return end
    while start < end:
        middle = (start + end + 1) // 2
        if is_covered(middle):
            start = middle
        else:
            end = middle - 1
    return start
