"""What happens to an account: each function gives the account after, and all that is to be written.

An entry for every movement of the balance, the lots that gave or took it, and the notifications
that the movement calls for: decided together from one account, to be committed together or not at
all. Whoever books something at an instant first books what time alone brought until then
(`advance`), so that an expired lot never pays; a booking that comes before its time is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, TypedDict

from perminute.domain.credit.books import Books, LateCall
from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.lots import Lot, merged
from perminute.domain.credit.recharge import MAX_FAILURES, Disabled
from perminute.domain.credit.transaction import Transaction
from perminute.domain.errors import Refused
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.limit_reached import limit_reached
from perminute.domain.limits.spending import ReachedLimit, day_of, limits_on, records_of
from perminute.domain.notifications.notification_rules import notify_of_call
from perminute.domain.notifications.notifications import (
    CallFlagged,
    CallNotEntitled,
    CallNotRated,
    MinutePoolThreshold,
    RechargeFailed,
    RechargeSucceeded,
)
from perminute.domain.pools.pools import Position, month_of
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag, Outcome, Usage
from perminute.domain.reference.phone_numbers import masked
from perminute.domain.values.times import MAX_CLOCK_AHEAD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date, datetime

    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.limits.spending import SpendingChange, Spendings
    from perminute.domain.notifications.notifications import CallNotification
    from perminute.domain.pools.pools import Pools
    from perminute.domain.pools.settling import Settlement
    from perminute.domain.rating.calls import Call, LegType
    from perminute.domain.rating.rating import Rating

MAX_STEPS = 20
"""Warnings and expiries of one booking: with all that they may call for, they fit a transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """Credit that was bought: a lot; micro-units of `currency`."""

    purchase_id: str
    amount_micros: int
    currency: str
    purchased_at: datetime
    expires_at: datetime
    recharge_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A correction of the balance, up or down; micro-units of the account's currency.

    Upward it opens a lot like that of a purchase; `expires_at` matters only then (ours: given
    credit is worth no more than bought credit). Downward it may name the purchase that it takes
    back, in whole or in part: a chargeback.
    """

    adjustment_id: str
    amount_micros: int
    expires_at: datetime
    purchase_id: str | None = None


def purchase(  # noqa: PLR0913 - the parts of a purchase
    account: Account,
    bought: Purchase,
    *,
    at: datetime,
    cause: str,
    heard_at: datetime | None = None,
    after_failure: bool = False,
) -> Transaction:
    """Open a lot, after its debt is paid; the first purchase sets the credits up.

    Credit bought by hand asks for no recharge, even if it leaves the balance below the trigger:
    somebody is just buying. It does where it switches recharging on again. A recharge that is paid
    `after_failure` was given back to the monthly limit when it failed, and counts from now on.

    Credit that is booked was bought by then, even if the seller's clock is ahead: no lot pays
    before the purchase that opened it.
    """
    books = Books(account, at, heard_at)
    purchased_at = min(bought.purchased_at, at)
    books.set_up(bought.currency, purchased_at)
    books.open_lot(
        EntryType.PURCHASE,
        Lot(
            lot_id=books.next_entry_id,
            purchase_id=bought.purchase_id,
            purchased_at=purchased_at,
            expires_at=bought.expires_at,
            remaining_micros=bought.amount_micros,
        ),
        cause,
    )
    recharge = books.account.recharge.succeeded(bought.recharge_id)
    if after_failure:
        recharge = recharge.paid_after_failure(bought.amount_micros, books.now)
    books.set(recharge=recharge)
    if bought.recharge_id is not None:
        succeeded = RechargeSucceeded(
            recharge_id=bought.recharge_id,
            amount_micros=bought.amount_micros,
            balance_micros=books.account.balance_micros,
            currency=bought.currency,
            after_failure=after_failure or None,
        )
        books.notify(succeeded, cause=bought.recharge_id)
    switched_on = account.recharge.failures >= MAX_FAILURES
    return books.close(may_ask=switched_on or bought.recharge_id is not None)


def adjust(
    account: Account,
    adjustment: Adjustment,
    *,
    at: datetime,
    cause: str,
    heard_at: datetime | None = None,
) -> Transaction:
    """Correct the balance up, by a lot of its own, or down, out of the lots that pay first.

    Raises `Refused` while the credit has no currency.
    """
    _check_currency_known(account)
    books = Books(account, at, heard_at)
    if adjustment.amount_micros > 0:
        books.open_lot(
            EntryType.ADJUSTMENT,
            Lot(
                lot_id=books.next_entry_id,
                purchase_id=adjustment.adjustment_id,
                purchased_at=at,
                expires_at=adjustment.expires_at,
                remaining_micros=adjustment.amount_micros,
            ),
            cause,
        )
    else:
        books.pay(EntryType.ADJUSTMENT, -adjustment.amount_micros, cause)
    return books.close(may_ask=adjustment.amount_micros < 0)


def _check_currency_known(account: Account) -> None:
    # An adjustment names no currency. Booked now, it would be worth that amount of whatever
    # currency comes first.
    if account.currency is None:
        raise Refused(
            "amount",
            f"has no currency yet, since the credit of {account.organization_id} is not set up; "
            "send this again after its first Credits Configured or Credit Purchased",
        )


def configure(
    account: Account,
    settings: CreditSettings,
    *,
    at: datetime | None = None,
    heard_at: datetime | None = None,
) -> Transaction:
    """Take over settings unless later ones are already known; the first set the credits up.

    They are booked `at` an instant, by default when they were issued. If a copy of the event whose
    settings are in force says that it was issued earlier, it counts from then on against others;
    those that it has superseded by then stay superseded.

    Those that are saved again as they are change nothing: else a program that saves them every
    hour would set the limits of recharging back every hour.
    """
    at = at or settings.configured_at
    books = Books(account, at, heard_at)
    books.set_up(settings.currency, _set_up_at(settings, at))
    known = account.settings
    is_latest = known is None or known.order <= settings.order
    differ = is_latest and not settings.is_same_as(known)
    if is_latest or settings.is_earlier_copy_of(known):
        books.set(settings=settings)
    if differ:
        books.set(recharge=account.recharge.reconfigured())
        had_limit = known is not None and known.prefix_hourly_spend_limit_micros is not None
        if settings.prefix_hourly_spend_limit_micros is not None and not had_limit:
            # While there was no such limit, nothing was counted for it.
            number = account.corrections + 1
            books.set(corrections=number, prefixes_from=number)
    return books.close(may_ask=differ)


def _set_up_at(settings: CreditSettings, at: datetime) -> datetime:
    """Return from when settings that are booked at an instant set the credits up.

    That is when they were issued, if it lies ahead by no more than clocks differ. What lies further
    ahead was said by a clock that is wrong: until then calls would not be paid for.
    """
    is_believable = settings.configured_at - at <= MAX_CLOCK_AHEAD
    return settings.configured_at if is_believable else at


def fail_recharge(
    account: Account,
    recharge_id: str,
    reason: str,
    *,
    at: datetime,
    heard_at: datetime | None = None,
) -> Transaction:
    """Record that a recharge failed; the third failure in a row disables auto-recharge.

    Both are notified. The failure of a recharge that is not open is notified as that of one that
    was never requested, and changes nothing else. Callers must have sorted out repeated failures
    and failures of recharges that were paid.
    """
    books = Books(account, at, heard_at)
    was_open = account.recharge.waits_for(recharge_id)
    books.set(recharge=account.recharge.failed(recharge_id))
    failed = RechargeFailed(
        recharge_id=recharge_id,
        reason=reason,
        balance_micros=account.balance_micros,
        currency=account.currency,
        never_requested=None if was_open else True,
    )
    books.notify(failed, cause=recharge_id)
    if account.recharge.failures < MAX_FAILURES <= books.account.recharge.failures:
        books.tell_disabled(Disabled.THREE_FAILURES)
    return books.close(may_ask=was_open)


def charge(  # noqa: PLR0913 - the parts of a charge
    account: Account,
    ratings: Sequence[Rating],
    *,
    pools: Pools,
    spendings: Spendings,
    reservations: Sequence[Reservation] = (),
    at: datetime,
    heard_at: datetime | None = None,
    reported: Mapping[str, datetime] | None = None,
    days: Mapping[str, date] | None = None,
    expired: Sequence[Lot] = (),
    settlement: Settlement | None = None,
) -> Transaction:
    """Take the charges of a batch in one entry; a batch that costs nothing changes nothing.

    What the calls had reserved is given back first. Those that draw on a minute pool do so in the
    order of the pool, and then move the account even if they cost nothing. Each paid usage comes
    back naming its entry and the lots that paid it, and flagged if it left the balance below zero.
    Calls that nobody pays for, or that go against a policy, are told; and so are limits that they
    reach.

    `expired` are lots that may still pay late calls; `reported` says when each call was reported,
    if not all of them at `at`, and `days` on which day. Where one comes late for its pool, the
    `settlement` corrects those that drew before it came, in an entry of their own. Raises
    `FurtherLotsNeeded` if the lots in the account item do not suffice.
    """
    further = None if settlement is None else settlement.further
    books = Books(account, at, heard_at, further=further, expired=expired)
    _give_back(books, reservations, spendings)
    usages = _drawn(ratings, pools, reservations, books.now)
    if settlement is not None:
        usages = settlement.give_minutes(usages, ratings, pools)
    total_micros = sum(usage.charge_micros for usage in usages)
    moved = pools.touched or spendings.touched or books.account != account
    if not (total_micros or moved or any(next(notifications_of_call(one), None) for one in usages)):
        return Transaction(
            before=account, after=account, usages=usages, settled=tuple(reservations)
        )
    if total_micros:
        usages = _paid(books, usages, reported or {})
    tell_pools(books, pools)
    usages = tuple(hold_notifications(books, usage, pools) for usage in usages)
    rerated: tuple[Usage, ...] = ()
    corrected: tuple[SpendingChange, ...] = ()
    if settlement is not None:
        rerated, corrected = settlement.correct(books, spendings)
        total_micros += settlement.change_micros
    _count_spending(books, usages, pools, spendings)
    books.set(days=spendings.days(books.now))
    for usage in usages:
        day = (days or {}).get(usage.call.call_id, books.at.date())
        notify_of_call(books, usage, notifications_of_call(usage), day)
    booking = books.close(may_ask=total_micros > 0, as_it_stands=bool(rerated))
    return replace(
        booking,
        usages=usages,
        rerated=rerated,
        pools=pools.touched,
        steps=pools.steps,
        spendings=spendings.touched,
        corrected=corrected,
        settled=tuple(reservations),
    )


def tell_pools(books: Books, pools: Pools) -> None:
    """Move the account with its pools, and tell the thresholds that these have reached."""
    if pools.touched:
        books.touch()
    books.put_pools(pools.touched)
    for pool, percent, minutes in pools.reach(books.now):
        used = pool.used + pools.licensing.pool_minutes_used(pool.month.start)
        reached = MinutePoolThreshold(
            percent=percent, minutes=minutes, used=used, month=str(pool.month)
        )
        books.notify(reached, cause=f"{pool.month}/{percent}/{books.account.version}", at=books.now)


def notifications_of_call(usage: Usage) -> Iterator[CallNotification]:
    """Say what is worth telling of a single call, and does not have to wait for its pool."""
    match usage.outcome, usage.reason:
        case _ if usage.notifications_held:
            pass
        case Outcome.NOT_ENTITLED, NotEntitled() as why:
            yield CallNotEntitled(reason=why, **_about_call(usage))
        case Outcome.UNRATED, Unpriced() as why:
            # An unrated call has a currency only if the rate is in another one than the credit.
            currency = usage.price.currency
            yield CallNotRated(reason=why, rate_currency=currency, **_about_call(usage))
        case _:
            pass
    if usage.policy_flag is not None:
        yield CallFlagged(reason=usage.policy_flag, **_about_call(usage))
    if usage.reported_by_bridge:
        yield CallFlagged(reason=Flag.REPORTED_BY_BRIDGE, **_about_call(usage))


class _AboutCall(TypedDict):
    """What all news of a call carries."""

    call_id: str
    organizer_id: str
    leg_type: LegType
    number: str | None
    answered_at: datetime | None
    retail_cost_micros: int | None
    currency: str | None


def _about_call(usage: Usage) -> _AboutCall:
    call, price = usage.call, usage.stated_price
    return {
        "call_id": call.call_id,
        "organizer_id": call.organizer_id,
        "leg_type": call.leg_type,
        "number": masked(call.rated_number),
        "answered_at": call.answered_at,
        "retail_cost_micros": price.retail_micros,
        "currency": None if price.retail_micros is None else price.currency,
    }


def hold_notifications(books: Books, usage: Usage, pools: Pools) -> Usage:
    """Return a call marked as waiting if its pool may still pay it; else return it unchanged.

    Only a call that is not entitled or not rated by now is marked: the notification of it waits
    until the pool is settled. A call that becomes one of these while the pool is settled is
    notified of then, and needs no mark.
    """
    tells = usage.outcome in {Outcome.NOT_ENTITLED, Outcome.UNRATED}
    may_draw = usage.draws_on_pool or usage.notifications_held
    if not (tells and books.waits and may_draw and pools.may_change(usage.call)):
        return replace(usage, notifications_held=False) if usage.notifications_held else usage
    books.hold_notifications()
    # Who settles the pool has to come by, though the minutes of the call may stay as they are.
    pools.visit(usage.call)
    return replace(usage, notifications_held=True)


def advance(
    account: Account,
    at: datetime,
    *,
    heard_at: datetime | None = None,
    further: Sequence[Lot] | None = None,
) -> Transaction:
    """Book what time alone brings until `at`, at most `MAX_STEPS` at once, in the order of time.

    Lots are warned of and expire; a recharge that was not possible is asked for. Call it until the
    account is no longer due; with the `further` lots if they are due.
    """
    again_at = account.recharge_due_at
    books = Books(account, at, heard_at, further=further)
    for lot in sorted(books.due_lots(at), key=lambda one: one.expires_at)[:MAX_STEPS]:
        if lot.expires_at <= at:
            books.expire(lot)
        else:
            books.warn(lot)
    fell = books.account.balance_micros < account.balance_micros
    return books.close(
        may_ask=fell or (again_at is not None and again_at <= account.now(at, heard_at))
    )


def move_lots_up(account: Account, further: Sequence[Lot], short_micros: int) -> Transaction:
    """Move further lots into the account item, for a charge that was short by so much."""
    at = account.as_of
    if at is None:
        msg = f"nothing was ever booked for {account.organization_id}: it has no further lots"
        raise ValueError(msg)
    books = Books(account, at, further=further)
    books.move_lots_up(short_micros)
    return books.close(may_ask=False)


def _paid(
    books: Books, usages: Sequence[Usage], reported: Mapping[str, datetime]
) -> tuple[Usage, ...]:
    """Take what calls cost out of the lots, in one entry, which each of them names.

    Calls are paid in the order in which their calls ended, however a batch was delivered; across
    batches, what is said of a call is what held when it was booked.
    """
    in_order = [usage for usage in usages if usage.charge_micros]
    in_order.sort(key=lambda one: (one.call.ended_at, one.call.call_id))
    balance_micros = books.account.balance_micros
    charges = [(_late_call(one.call, reported, books.at), one.charge_micros) for one in in_order]
    drawn = books.draw_for_calls(charges)
    books.enter_late(charges, drawn)
    paid: dict[str, Usage] = {}
    for usage, (shares, late, _) in zip(in_order, drawn, strict=True):
        balance_micros -= usage.charge_micros + sum(share.amount_micros for share in late)
        flags = (*usage.flags, Flag.OVERDRAWN) if balance_micros < 0 else usage.flags
        paid[usage.call.call_id] = replace(usage, lots=shares, flags=flags)
    total_micros = sum(usage.charge_micros for usage in in_order)
    shares = merged(chain.from_iterable(one.shares for one in drawn))
    entry = books.enter(EntryType.CHARGE, -total_micros, shares, cause=None)
    return tuple(
        replace(paid[usage.call.call_id], entry_id=entry.entry_id)
        if usage.call.call_id in paid
        else usage
        for usage in usages
    )


def _late_call(call: Call, reported: Mapping[str, datetime], at: datetime) -> LateCall:
    return LateCall(call.call_id, call.ended_at, reported.get(call.call_id, at))


def _give_back(books: Books, reservations: Sequence[Reservation], spendings: Spendings) -> None:
    """Give back what calls have reserved of the credit, and of limits."""
    for reservation in reservations:
        for held in reservation.held:
            books.set(reserved=books.account.reserved.without(held.credit))
            for key in reservation.keys:
                spendings.release(key, held.credit)


def _drawn(
    ratings: Sequence[Rating], pools: Pools, reservations: Sequence[Reservation], now: datetime
) -> tuple[Usage, ...]:
    """Make the records, each with what the pool gives it, in the order of the pool.

    What a call has reserved is given back only when its turn comes: until then it is not for the
    others of its batch either.
    """
    authorized = {one.call.call_id: one for one in reservations if one.held}
    left = {call_id: one for call_id, one in authorized.items() if one.holds_minutes}
    drawn: dict[str, tuple[int, int]] = {}
    for rating in sorted((one for one in ratings if one.draws_on_pool), key=_position):
        call, own = rating.call, None
        if call.call_id in authorized:
            own = _own_minutes(rating, left.pop(call.call_id, None), pools, now)
        minutes = pools.draw(call, rating.pool_minutes_wanted, reserved=own, now=now)
        drawn[call.call_id] = minutes, 0 if own is None else minutes
    for reservation in left.values():
        _release_minutes(reservation, pools, now)
    usages = (one.usage(*drawn.get(one.call.call_id, (0, 0))) for one in ratings)
    return tuple(_with_authorization(one, authorized.get(one.call.call_id)) for one in usages)


def _with_authorization(usage: Usage, reservation: Reservation | None) -> Usage:
    if reservation is None:
        return usage
    return replace(usage, authorized_at=reservation.call.rated_at)


def _own_minutes(
    rating: Rating, reservation: Reservation | None, pools: Pools, now: datetime
) -> int:
    """Give back what a call has reserved, and tell how much of it is its own.

    One that was answered in another month than it was authorized in has nothing of its own.
    """
    if reservation is None:
        return 0
    minutes = _release_minutes(reservation, pools, now)
    return minutes if month_of(reservation.call) == month_of(rating.call) else 0


def _release_minutes(reservation: Reservation, pools: Pools, now: datetime) -> int:
    month = month_of(reservation.call)
    return sum(pools.release(month, held.pool, now) for held in reservation.held if held.minutes)


def _count_spending(
    books: Books, usages: Sequence[Usage], pools: Pools, spendings: Spendings
) -> None:
    """Count what calls cost where limits do, and tell of those that they reach.

    A call that its pool may still bear reaches none: the next one that counts does, or a bridge
    that asks. So it is as long as the calls before are not all counted.
    """
    settings, currency = books.account.settings, books.account.currency
    licensing = pools.licensing
    for usage in usages:
        micros = usage.charge_micros
        if not micros:
            continue
        call, prefix, at = usage.call, usage.price.prefix, usage.began_at
        for key in (day_of(at), *records_of(call, prefix, at, licensing, settings)):
            spendings.spend(key, micros, call.ended_at.date())
        if books.waits and usage.draws_on_pool and pools.may_change(call):
            continue
        for limit in limits_on(call, prefix, at, licensing, settings):
            if not spendings.is_counted(limit.key):
                continue
            spent_micros = spendings[limit.key].spent_micros
            if spent_micros >= limit.micros and spendings.tell_once(limit, books.now):
                held_micros = spendings[limit.key].held.amount_at(books.now)
                news, cause = limit_reached(
                    ReachedLimit(limit, spent_micros, held_micros), currency
                )
                books.notify(news, cause=f"{cause}/{books.account.version}")


def _position(rating: Rating) -> Position:
    return Position.of(rating.call)
