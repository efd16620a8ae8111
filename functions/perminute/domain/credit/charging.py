"""Charge calls: what pools, lots and limits bear, and the notifications that this requires."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

from perminute.domain.credit.ledger import EntryType, day_listed_with, of_other_months
from perminute.domain.credit.lots import Lot, merged
from perminute.domain.credit.transaction import ReplacedUsage, Transaction
from perminute.domain.credit.transaction_builder import CallCharge, TransactionBuilder
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.limit_reached import limit_reached
from perminute.domain.limits.spending import ReachedLimit, day_of, limits_on, spend_keys_of
from perminute.domain.notifications.notification_rules import cause_of
from perminute.domain.notifications.notifications import (
    CallFlagged,
    CallNotEntitled,
    CallNotRated,
    MinutePoolThreshold,
)
from perminute.domain.pools.pools import DrawPosition, month_of
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag, Outcome, Usage
from perminute.domain.reference.phone_numbers import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date, datetime

    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.limits.spending import Limit, SpendChange, SpendCounters, SpendKey
    from perminute.domain.notifications.notifications import CallNotification
    from perminute.domain.pools.pools import MinutePools
    from perminute.domain.pools.settling import Settlement
    from perminute.domain.rating.rating import Rating


_NOTIFIED = frozenset({Outcome.NOT_ENTITLED, Outcome.UNRATED})


def charge(  # noqa: PLR0913 - the parts of a charge
    account: Account,
    ratings: Sequence[Rating],
    *,
    pools: MinutePools,
    spend_counters: SpendCounters,
    reservations: Sequence[Reservation] = (),
    at: datetime,
    heard_at: datetime | None = None,
    reported: Mapping[str, datetime] | None = None,
    days: Mapping[str, date] | None = None,
    expired: Sequence[Lot] = (),
    settlement: Settlement | None = None,
) -> Transaction:
    """Charge a batch of calls in one entry; a batch of free calls changes nothing.

    What the calls had reserved is given back first. Calls that are listed make the next version of
    the account even if they cost nothing: reports leave out lists of later versions.

    `expired` are lots that may still pay late calls; `reported` says when each call was reported,
    if not all of them at `at`, and `days` on which day. If a call comes late for its pool, the
    `settlement` corrects those that drew before it came, in an entry of their own. Raises
    `FurtherLotsNeeded` if the lots in the account item do not suffice.
    """
    further = None if settlement is None else settlement.further
    builder = TransactionBuilder(account, at, heard_at, further=further, expired=expired)
    _release_reservations(builder, reservations, spend_counters)
    usages = _drawn(ratings, pools, reservations, builder.now)
    if settlement is not None:
        pools.put(settlement.pool)
        usages = settlement.charged
    total_micros = sum(usage.charge_micros for usage in usages)
    if any(usage.outcome is not Outcome.FREE for usage in usages):
        builder.touch()
    elif not (
        pools.touched
        or spend_counters.touched
        or builder.account != account
        or any(next(notifications_of_call(usage), None) for usage in usages)
    ):
        return Transaction(
            before=account, after=account, usages=usages, settled=tuple(reservations)
        )
    if total_micros:
        usages = _paid(builder, usages, reported or {})
    write_pools(builder, pools)
    usages = tuple(hold_notifications(builder, usage, pools) for usage in usages)
    replaced: tuple[ReplacedUsage, ...] = ()
    corrected: tuple[SpendChange, ...] = ()
    if settlement is not None:
        replaced, corrected = settlement.correct(builder, spend_counters)
        total_micros += sum(correction.change_micros for correction in settlement.corrected)
    _count_spending(builder, usages, pools, spend_counters)
    builder.set(days=spend_counters.days(builder.now))
    for usage in usages:
        for body in notifications_of_call(usage):
            day = (days or {}).get(usage.call.call_id, at.date())
            builder.notify(body, cause=cause_of(body, usage), at=usage.call.ended_at, day=day)
    booking = builder.build(may_ask=total_micros > 0, as_it_stands=bool(replaced))
    return booking._replace(
        usages=usages,
        replaced=replaced,
        pools=pools.touched,
        steps=pools.steps,
        spend_counters=spend_counters.touched,
        corrected=corrected,
        settled=tuple(reservations),
    )


def write_pools(builder: TransactionBuilder, pools: MinutePools) -> None:
    """Write pools with the account, and notify of the thresholds that they have reached."""
    touched = pools.touched
    if not touched:
        return
    builder.touch()
    builder.put_pools(touched)
    for pool, percent, minutes in pools.thresholds_reached(builder.now):
        used = pool.used + pools.licensing.pool_minutes_used(pool.month.start)
        reached = MinutePoolThreshold(
            percent=percent, minutes=minutes, used=used, month=str(pool.month)
        )
        builder.notify(
            reached, cause=f"{pool.month}/{percent}/{builder.account.version}", at=builder.now
        )


def notifications_of_call(usage: Usage) -> Iterator[CallNotification]:
    """Return the notifications of a single call that need not wait for its pool."""
    if usage.reason is None and not usage.flags:
        return
    match usage.outcome, usage.reason:
        case _ if usage.notifications_held:
            pass
        case Outcome.NOT_ENTITLED, NotEntitled() as why:
            yield _about(usage, CallNotEntitled, why)
        case Outcome.UNRATED, Unpriced() as why:
            # An unrated call has a currency only if the rate is in another one than the credit.
            yield _about(usage, CallNotRated, why, usage.price.currency)
        case _:
            pass
    if usage.policy_flag is not None:
        yield _about(usage, CallFlagged, usage.policy_flag)
    if usage.reported_by_bridge:
        yield _about(usage, CallFlagged, Flag.REPORTED_BY_BRIDGE)


def _about(
    usage: Usage,
    kind: type[CallNotification],
    reason: NotEntitled | Unpriced | Flag,
    rate_currency: str | None = None,
) -> CallNotification:
    call, price = usage.call, usage.stated_price
    return kind(
        call_id=call.call_id,
        organizer_id=call.organizer_id,
        reason=reason,
        leg_type=call.leg_type,
        number=masked(call.rated_number),
        answered_at=call.answered_at,
        retail_cost_micros=price.retail_micros,
        currency=None if price.retail_micros is None else price.currency,
        rate_currency=rate_currency,
    )


def hold_notifications(builder: TransactionBuilder, usage: Usage, pools: MinutePools) -> Usage:
    """Return a call marked as waiting if its pool may still pay it, else without that mark.

    Only a call that is not entitled or not rated by now is marked: its notification waits until
    the pool is settled. A call that becomes one of these by settling is notified of then.
    """
    is_notified = usage.outcome in _NOTIFIED
    may_draw = usage.draws_on_pool or usage.notifications_held
    if not (is_notified and builder.waits and may_draw and pools.may_change(usage.call)):
        return usage._replace(notifications_held=False) if usage.notifications_held else usage
    builder.hold_notifications()
    # Settling must reach the call, though its minutes may stay as they are.
    pools.extend_scope_to(usage.call)
    return usage._replace(notifications_held=True)


def _paid(
    builder: TransactionBuilder, usages: Sequence[Usage], reported: Mapping[str, datetime]
) -> tuple[Usage, ...]:
    """Take what calls cost out of the lots, in one entry, which each of them names.

    They are paid in the order in which they ended, however their batch was delivered.
    """
    costly = [usage for usage in usages if usage.charge_micros]
    costly.sort(key=lambda usage: DrawPosition.of(usage.call))
    balance_micros = builder.account.balance_micros
    drawn = builder.draw_for_calls(
        [
            CallCharge(
                usage.charge_micros,
                usage.call.ended_at,
                reported.get(usage.call.call_id, builder.at),
            )
            for usage in costly
        ]
    )
    for usage, part in zip(costly, drawn, strict=True):
        if part.late:
            builder.enter_late({usage.call.call_id: part.late})
    total_micros = sum(usage.charge_micros for usage in costly)
    shares = merged(chain.from_iterable(part.shares for part in drawn))
    charges = ((usage.call.ended_at, usage.charge_micros) for usage in costly)
    other_months = of_other_months(builder.at, charges)
    entry = builder.enter(
        EntryType.CHARGE,
        -total_micros,
        shares,
        cause=None,
        call_ids=_listed_elsewhere(builder, usages, costly),
        other_months=other_months,
    )
    paid: dict[str, Usage] = {}
    for usage, (shares, late, _) in zip(costly, drawn, strict=True):
        balance_micros -= usage.charge_micros + sum(share.amount_micros for share in late)
        flags = (*usage.flags, Flag.OVERDRAWN) if balance_micros < 0 else usage.flags
        paid[usage.call.call_id] = usage._replace(lots=shares, flags=flags, entry_id=entry.entry_id)
    return tuple(paid.get(usage.call.call_id, usage) for usage in usages)


def _listed_elsewhere(
    builder: TransactionBuilder, usages: Sequence[Usage], costly: Sequence[Usage]
) -> tuple[str, ...]:
    # The entry names the calls that it charges and that are not in its list.
    days = {usage.call.ended_at.date() for usage in usages if usage.outcome is not Outcome.FREE}
    listed_with = day_listed_with(builder.at, builder.now, days)
    if days == {listed_with}:
        return ()
    elsewhere = (usage.call for usage in costly if usage.call.ended_at.date() != listed_with)
    return tuple(call.call_id for call in elsewhere)


def _release_reservations(
    builder: TransactionBuilder, reservations: Sequence[Reservation], spend_counters: SpendCounters
) -> None:
    reserved = builder.account.reserved
    for reservation in reservations:
        for held in reservation.held:
            reserved = reserved.without(held.credit)
            for key in reservation.limit_keys:
                spend_counters.release(key, held.credit)
    if reserved is not builder.account.reserved:
        builder.set(reserved=reserved)


def _drawn(
    ratings: Sequence[Rating],
    pools: MinutePools,
    reservations: Sequence[Reservation],
    now: datetime,
) -> tuple[Usage, ...]:
    """Make the records, each with what the pool gives it, in the order of the pool."""
    authorized_at = {
        ended.call.call_id: ended.call.rated_at for ended in reservations if ended.held
    }
    left = {ended.call.call_id: ended for ended in reservations if ended.reserves_minutes}
    drawn: dict[str, tuple[int, int]] = {}
    drawing = [rating for rating in ratings if rating.draws_on_pool]
    for rating in sorted(drawing, key=lambda rating: DrawPosition.of(rating.call)):
        # What a call has reserved is released only when its turn comes, so that no other call of
        # its batch takes it.
        call, own = rating.call, None
        if call.call_id in authorized_at:
            own = _own_minutes(rating, left.pop(call.call_id, None), pools, now)
        minutes = pools.draw(call, rating.pool_minutes_wanted, reserved=own, now=now)
        drawn[call.call_id] = minutes, 0 if own is None else minutes
    for reservation in left.values():
        _release_minutes(reservation, pools, now)
    return tuple(
        rating.usage(
            *drawn.get(rating.call.call_id, (0, 0)), authorized_at.get(rating.call.call_id)
        )
        for rating in ratings
    )


def _own_minutes(
    rating: Rating, reservation: Reservation | None, pools: MinutePools, now: datetime
) -> int:
    """Release what a call has reserved, and return how much of it the call may use."""
    if reservation is None:
        return 0
    minutes = _release_minutes(reservation, pools, now)
    # It may have been answered in another month than it was authorized in.
    return minutes if month_of(reservation.call) == month_of(rating.call) else 0


def _release_minutes(reservation: Reservation, pools: MinutePools, now: datetime) -> int:
    month = month_of(reservation.call)
    return sum(pools.release(month, held.pool, now) for held in reservation.held if held.minutes)


def _count_spending(
    builder: TransactionBuilder,
    usages: Sequence[Usage],
    pools: MinutePools,
    spend_counters: SpendCounters,
) -> None:
    """Count what calls cost for limits, and notify of limits that they reach."""
    settings, licensing = builder.account.settings, pools.licensing
    spent: defaultdict[tuple[SpendKey, date], int] = defaultdict(int)
    for usage in usages:
        if not usage.charge_micros:
            continue
        call, prefix, at = usage.call, usage.price.prefix, usage.began_at
        for key in (day_of(at), *spend_keys_of(call, prefix, at, licensing, settings)):
            spent[key, call.ended_at.date()] += usage.charge_micros
        limits = limits_on(call, prefix, at, licensing, settings)
        # The pool may still pay the call. If the limit is reached all the same, the next call that
        # counts for it is notified of, or the next request of a bridge.
        if limits and not (builder.waits and usage.draws_on_pool and pools.may_change(call)):
            _add_up(spent, spend_counters)
            _notify_of_reached(builder, limits, spend_counters)
    _add_up(spent, spend_counters)


def _add_up(spent: dict[tuple[SpendKey, date], int], spend_counters: SpendCounters) -> None:
    # Few calls have limits: what the others cost is added once for all of them.
    for (key, ended_on), micros in spent.items():
        spend_counters.spend(key, micros, ended_on)
    spent.clear()


def _notify_of_reached(
    builder: TransactionBuilder, limits: Sequence[Limit], spend_counters: SpendCounters
) -> None:
    for limit in limits:
        if not spend_counters.is_counted(limit.key):
            continue
        spent_micros = spend_counters[limit.key].spent_micros
        if spent_micros >= limit.micros and spend_counters.notify_once(limit, builder.now):
            held_micros = spend_counters[limit.key].held.amount_at(builder.now)
            reached = ReachedLimit(limit, spent_micros, held_micros)
            body, cause = limit_reached(reached, builder.account.currency)
            builder.notify(body, cause=f"{cause}/{builder.account.version}")
