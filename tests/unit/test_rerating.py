"""What a late change makes of calls: the difference, who pays it or gets it back, what is told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from builders import (
    ANSWERED,
    LONG_AGO,
    ORGANIZATION,
    charge,
    fact,
    holding,
    lot,
    rating,
)

from perminute.domain.credit.booking import Purchase, purchase
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import EntryType, LedgerEntry
from perminute.domain.credit.lots import Lot, LotShare, total_micros, twelve_months_after
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.licensing.licensing import Cover, Entitlement, Licensing, NotEntitled
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.notifications.notifications import (
    BalanceExhausted,
    CallFlagged,
    CallNotEntitled,
)
from perminute.domain.pools.pools import MinutePool, MinutePools, Month
from perminute.domain.rating.usage_record import Adjusted, Flag, Outcome
from perminute.domain.rerating.corrections import ReratedCall, rerate
from perminute.domain.rerating.rerating import EVERYBODY, Rerating, rerating_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.rating.rating import Rating
    from perminute.domain.rating.usage_record import Usage

CAUSE = "rerating#event#e-1"
LATER = ANSWERED + timedelta(hours=1)
NO_LICENSE = Entitlement(NotEntitled.NO_LICENSE)


def costs(call_id: str, micros: int) -> Rating:
    return rating(call_id, micros)


def not_entitled(call_id: str) -> Rating:
    return rating(call_id, 0)._replace(cover=NO_LICENSE)


def charged(account: Account, *ratings: Rating) -> tuple[Account, tuple[Usage, ...]]:
    booking = charge(account, ratings, at=ANSWERED)
    return booking.after, booking.usages


def rerated(
    account: Account,
    *changes: tuple[Usage, Rating],
    opened: Mapping[str, Lot] | None = None,
    **more: Any,
) -> Transaction:
    changed = [ReratedCall(before, rating_.usage()) for before, rating_ in changes]
    parts: dict[str, Any] = {
        "pools": MinutePools({}, Licensing()),
        "at": LATER,
        "cause": CAUSE,
        **more,
    }
    return rerate(account, changed, opened=opened or {}, **parts)


def left(account: Account) -> dict[str, int]:
    return {one.lot_id: one.remaining_micros for one in account.lots}


def check(account: Account, booking: Transaction) -> None:
    """Balance = lots - debt, and the entry says what moved."""
    after = booking.after
    assert after.balance_micros == total_micros(after.lots) - after.debt_micros
    moved = sum(entry.amount_micros for entry in booking.entries)
    assert after.balance_micros == account.balance_micros + moved
    debt = sum(entry.debt_change_micros for entry in booking.entries)
    assert after.debt_micros == account.debt_micros + debt
    assert after.version == account.version + 1


def test_what_was_charged_too_much_goes_back_to_the_lots_that_paid_it() -> None:
    account, (a, b) = charged(holding(lot("1", 5), lot("2", 50)), costs("a", 12), costs("b", 4))
    assert left(account) == {"2": 39}
    first = lot("1", 5)
    booking = rerated(account, (a, not_entitled("a")), opened={"1": first})
    check(account, booking)
    assert left(booking.after) == {"1": 5, "2": 46}
    (entry,) = booking.entries
    assert entry == LedgerEntry(
        organization_id=ORGANIZATION,
        entry_id="000000000011",
        type=EntryType.ADJUSTMENT,
        amount_micros=12,
        balance_after_micros=51,
        at=LATER,
        lots=(LotShare("2", "po-2", 7), LotShare("1", "po-1", 5)),
        cause=CAUSE,
        call_ids=("a",),
    )
    (corrected,) = booking.rerated
    assert (corrected.outcome, corrected.reason) == (Outcome.NOT_ENTITLED, NotEntitled.NO_LICENSE)
    assert corrected.charge_micros == 0
    assert corrected.entry_id == a.entry_id
    assert corrected.adjustments == (Adjusted("000000000011", -12),)
    assert corrected.movements == (
        Adjusted("000000000010", 12),
        Adjusted("000000000011", -12),
    )
    assert corrected.lots == ()
    assert corrected.flags == (Flag.RERATED,)
    assert b.lots == (LotShare("2", "po-2", -4),)


def test_what_is_charged_less_leaves_the_first_lots_as_they_paid() -> None:
    account, (a,) = charged(holding(lot("1", 5), lot("2", 50)), costs("a", 12))
    booking = rerated(account, (a, costs("a", 8)))
    check(account, booking)
    assert left(booking.after) == {"2": 47}
    assert booking.rerated[0].lots == (LotShare("1", "po-1", -5), LotShare("2", "po-2", -3))


def test_what_is_charged_more_is_paid_by_the_lots_as_they_are_now() -> None:
    account, (a,) = charged(holding(lot("1", 5), lot("2", 6)), costs("a", 3))
    booking = rerated(account, (a, costs("a", 12)))
    check(account, booking)
    assert (left(booking.after), booking.after.debt_micros) == ({}, 1)
    (corrected,) = booking.rerated
    assert corrected.lots == (LotShare("1", "po-1", -5), LotShare("2", "po-2", -6))
    assert corrected.flags == (Flag.OVERDRAWN, Flag.RERATED)
    assert [one.body for one in booking.notifications] == [
        BalanceExhausted(balance_micros=-1, currency="USD")
    ]


def test_a_batch_is_one_entry_that_each_of_its_calls_names() -> None:
    account, (a, b, c) = charged(
        holding(lot("1", 50)), costs("a", 5), costs("b", 7), not_entitled("c")
    )
    booking = rerated(account, (a, not_entitled("a")), (b, costs("b", 9)), (c, costs("c", 4)))
    check(account, booking)
    (entry,) = booking.entries
    assert entry.amount_micros == 5 - 2 - 4
    assert [one.adjustments for one in booking.rerated] == [
        (Adjusted(entry.entry_id, -5),),
        (Adjusted(entry.entry_id, 2),),
        (Adjusted(entry.entry_id, 4),),
    ]
    assert [one.entry_id for one in booking.rerated] == [a.entry_id, b.entry_id, None]
    assert booking.rerated[2].movements == (Adjusted(entry.entry_id, 4),)


def test_a_batch_that_comes_out_even_still_has_an_entry_that_explains_its_calls() -> None:
    account, (a, b) = charged(holding(lot("1", 50)), costs("a", 5), not_entitled("b"))
    booking = rerated(account, (a, not_entitled("a")), (b, costs("b", 5)))
    check(account, booking)
    assert [(e.amount_micros, e.lots) for e in booking.entries] == [(0, ())]
    (told,) = booking.notifications
    assert isinstance(told.body, CallNotEntitled)
    assert (told.call_id, told.body.reason) == ("a", NotEntitled.NO_LICENSE)


def test_a_change_of_outcome_alone_moves_the_account_and_no_money() -> None:
    account, (a,) = charged(holding(lot("1", 5)), not_entitled("a"))
    included = costs("a", 3)._replace(cover=Entitlement(Cover.INCLUDED))
    booking = rerated(account, (a, included))
    check(account, booking)
    assert booking.entries == ()
    assert (booking.rerated[0].outcome, booking.rerated[0].adjustments) == (Outcome.INCLUDED, ())


def test_the_debt_that_a_call_made_is_what_is_given_back_first() -> None:
    account, (a,) = charged(holding(lot("1", 5)), costs("a", 12))
    assert account.debt_micros == 7
    booking = rerated(account, (a, costs("a", 4)), opened={"1": lot("1", 5)})
    check(account, booking)
    assert (left(booking.after), booking.after.debt_micros) == ({"1": 1}, 0)
    assert booking.rerated[0].lots == (LotShare("1", "po-1", -4),)


def test_what_goes_back_pays_the_debt_of_others_before_it_goes_to_lots() -> None:
    account, (a,) = charged(holding(lot("1", 5)), costs("a", 5))
    account, _ = charged(account, costs("b", 3))
    booking = rerated(account, (a, not_entitled("a")), opened={"1": lot("1", 5)})
    check(account, booking)
    assert (left(booking.after), booking.after.debt_micros) == ({"1": 2}, 0)


def test_what_a_purchase_paid_as_debt_goes_into_a_lot_for_such_refunds() -> None:
    account, (a,) = charged(holding(), costs("a", 12))
    bought = Purchase(
        purchase_id="po-9",
        amount_micros=20,
        currency="USD",
        purchased_at=ANSWERED,
        expires_at=twelve_months_after(ANSWERED),
    )
    account = purchase(account, bought, at=ANSWERED, cause="purchase#po-9").after
    assert left(account) == {"000000000011": 8}
    booking = rerated(account, (a, not_entitled("a")))
    check(account, booking)
    assert left(booking.after) == {"000000000011": 8, "000000000012": 12}
    refund = booking.after.lots[-1]
    assert refund == Lot(
        lot_id="000000000012",
        purchase_id="rerating#2026-11",
        purchased_at=LATER,
        expires_at=twelve_months_after(LATER),
        remaining_micros=12,
    )
    assert booking.entries[0].opens == refund._replace(remaining_micros=0)


def test_an_expired_lot_gets_nothing_back_and_nobody_loses_it_for_that() -> None:
    account, (a, b) = charged(holding(lot("1", 9)), costs("a", 4), costs("b", 5))
    opened = {"1": lot("1", 9)}
    late = twelve_months_after(LONG_AGO)
    just_before = rerated(
        account, (a, not_entitled("a")), opened=opened, at=late - timedelta(seconds=1)
    )
    assert left(just_before.after) == {"1": 4}
    booking = rerated(account, (a, not_entitled("a")), opened=opened, at=late)
    check(account, booking)
    assert [(one.purchase_id, one.remaining_micros) for one in booking.after.lots] == [
        ("rerating#2027-01", 4)
    ]
    # The next refund of that month goes into the same lot.
    again = rerated(booking.after, (b, not_entitled("b")), opened=opened, at=late)
    check(booking.after, again)
    assert left(again.after) == {booking.after.lots[0].lot_id: 9}
    assert again.entries[0].opens is None


def test_what_is_taken_asks_for_a_recharge_and_what_is_given_does_not() -> None:
    auto = AutoRecharge(trigger_micros=100, recharge_micros=10)
    settings = CreditSettings(
        configured_at=LONG_AGO, event_id="s", currency="USD", auto_recharge=auto
    )
    account, (a,) = charged(holding(lot("1", 5)), costs("a", 2))
    account = account._replace(settings=settings)
    assert rerated(account, (a, costs("a", 3))).after.recharge.requests == 1
    assert rerated(account, (a, costs("a", 1))).after.recharge.requests == 0


def test_a_call_of_which_nothing_but_the_price_changes_is_not_notified_again() -> None:
    account, (a,) = charged(holding(lot("1", 5)), not_entitled("a"))
    cheaper = not_entitled("a")
    cheaper = cheaper._replace(price=cheaper.price._replace(retail_micros=1))
    assert rerated(account, (a, cheaper)).notifications == ()


def test_only_what_was_not_so_before_is_told_and_again_if_it_is_so_again() -> None:
    flagged = not_entitled("a")._replace(flags=(Flag.DIAL_OUT_NOT_ALLOWED,))
    account, (a,) = charged(holding(lot("1", 5)), not_entitled("a"))
    booking = rerated(account, (a, flagged))
    (told,) = booking.notifications
    assert isinstance(told.body, CallFlagged)
    assert (told.call_id, told.body.reason) == ("a", Flag.DIAL_OUT_NOT_ALLOWED)
    assert told.at == LATER
    back = rerated(booking.after, (booking.rerated[0], not_entitled("a")))
    again = rerated(back.after, (back.rerated[0], flagged))
    assert back.notifications == ()
    assert again.notifications[0].body == booking.notifications[0].body
    assert again.notifications[0].id != booking.notifications[0].id


def test_a_call_differs_in_what_was_decided_and_not_in_what_was_booked() -> None:
    _, (a,) = charged(holding(lot("1", 2)), costs("a", 5))
    assert Flag.OVERDRAWN in a.flags
    assert not ReratedCall(a, costs("a", 5).usage()).differs
    assert ReratedCall(a, costs("a", 4).usage()).differs
    assert ReratedCall(
        a, costs("a", 5)._replace(flags=(Flag.DIAL_OUT_NOT_ALLOWED,)).usage()
    ).differs


def test_pools_are_written_and_told_with_what_they_change() -> None:
    month = Month(2026, 11)
    pool = MinutePool(organization_id=ORGANIZATION, month=month, used_by_day={ANSWERED.date(): 8})
    minutes = [fact("poolMinutesPerLicense", 10), fact("purchased:SPE_E5", 1)]
    pools = MinutePools({month: pool}, Licensing(Timeline(minutes)))
    pools.put(pool)
    account = holding(lot("1", 5))
    booking = rerated(account, pools=pools)
    check(account, booking)
    assert booking.pools == (pool._replace(notified_percent=80),)
    assert [type(one.body).__name__ for one in booking.notifications] == ["MinutePoolThreshold"]


# Which calls are to be looked at


def facts(*said: tuple[str | None, str, object]) -> Sequence[tuple[str | None, Any]]:
    return [
        (subject, fact(attribute, value, ANSWERED + timedelta(hours=n)))  # type: ignore[arg-type]
        for n, (subject, attribute, value) in enumerate(said)
    ]


def waiting(*said: tuple[str | None, str, object]) -> Rerating | None:
    return rerating_for(ORGANIZATION, "event#e-1", facts(*said), LATER)


def test_a_user_is_looked_at_since_the_first_thing_said_of_that_user() -> None:
    rerating = waiting(("bob", "country", "DE"), ("adele", "dialOutPolicy", "none"))
    assert rerating == Rerating(
        organization_id=ORGANIZATION,
        rerating_id="event#e-1",
        at=LATER,
        since={"bob": ANSWERED, "adele": ANSWERED + timedelta(hours=1)},
    )
    assert rerating.cause == "rerating#event#e-1"
    assert rerating.concerns("bob", ANSWERED)
    assert not rerating.concerns("bob", ANSWERED - timedelta(microseconds=1))
    assert not rerating.concerns("adele", ANSWERED)
    assert not rerating.concerns("eve", LATER)


def test_what_is_said_of_the_organization_concerns_everybody() -> None:
    rerating = waiting((None, "licensingProgram", "other"))
    assert rerating is not None
    assert rerating.since == {EVERYBODY: ANSWERED}
    assert rerating.concerns("eve", ANSWERED)


def test_what_only_changes_the_pool_looks_at_the_pools() -> None:
    for attribute in ("poolMinutesPerLicense", "poolBasis", "purchased:SPE_E5"):
        rerating = waiting((None, attribute, 1))
        assert rerating is not None
        assert (dict(rerating.since), rerating.pools_since) == ({}, ANSWERED)


def test_a_subscription_looks_at_the_pools_too_if_these_count_assigned_licenses() -> None:
    for attribute, seats in (("license:SPE_E5", ANSWERED), ("license:MCOMEETACPEA", None)):
        rerating = waiting(("adele", attribute, True))
        assert rerating is not None
        assert (rerating.seats_since, rerating.pools_since) == (seats, None)


def test_a_name_and_licenses_that_bring_no_minutes_change_no_call() -> None:
    assert waiting((None, "name", "Contoso"), (None, "purchased:MCOMEETACPEA", 5)) is None
