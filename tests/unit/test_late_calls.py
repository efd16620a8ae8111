"""A call that is reported late is paid by a lot that was alive when it ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ENDED, LONG_AGO, holding, lot, rating

from perminute.domain.credit.booking import due_changes
from perminute.domain.credit.charging import charge
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.lots import MAX_EXPIRED_LOTS, FurtherLots, Lot, LotShare
from perminute.domain.errors import FurtherLotsNeeded
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.limits.spending import SpendCounters
from perminute.domain.notifications.notifications import LowBalance
from perminute.domain.pools.pools import MinutePools
from perminute.domain.rating.usage_record import Flag
from perminute.domain.rerating.corrections import ReratedCall, rerate

if TYPE_CHECKING:
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction

EXPIRED = ENDED + timedelta(hours=1)
OLD = lot("1", 10, expires_at=EXPIRED, warned=True)
NEW = lot("2", 20, purchased_at=LONG_AGO + timedelta(days=9), expires_at=EXPIRED.replace(year=2030))
SETTINGS = CreditSettings(
    configured_at=LONG_AGO,
    event_id="s",
    currency="USD",
    low_balance_thresholds_micros=(22,),
    late_usage_hours=24,
)


def expired(*lots: Lot, **changed: Any) -> Account:
    """The account once it is booked that lots have expired."""
    return due_changes(holding(*lots, **changed), EXPIRED).after


def report(
    account: Account,
    *micros: int,
    at: datetime = EXPIRED + timedelta(hours=1),
    reported: dict[str, datetime] | None = None,
    forfeited: tuple[Lot, ...] = (OLD,),
    **changed: Any,
) -> Transaction:
    """Charge calls that ended before the old lot expired, and are reported after that."""
    return charge(
        account,
        [rating(f"call-{number}", cost, **changed) for number, cost in enumerate(micros)],
        pools=MinutePools({}, Licensing()),
        spend_counters=SpendCounters(account.days, {}),
        at=at,
        reported=reported,
        expired=forfeited,
    )


def moved(booking: Transaction) -> list[tuple[str, int, str | None]]:
    return [
        (entry.type.value, entry.amount_micros, "+".join(entry.call_ids) or None)
        for entry in booking.entries
    ]


def test_the_lot_of_its_time_pays_and_its_expiry_is_taken_back_in_part() -> None:
    booking = report(expired(OLD, NEW), 3)
    assert moved(booking) == [("expiry", 3, "call-0"), ("charge", -3, None)]
    back, paid = booking.entries
    assert back.lots == (LotShare("1", "po-1", 3),)
    assert paid.lots == booking.usages[0].lots == (LotShare("1", "po-1", -3, late=True),)
    assert booking.after.balance_micros == 20
    assert booking.after.lots == (NEW,)
    assert booking.lots.forfeited == (OLD._replace(remaining_micros=7),)


def test_what_it_does_not_hold_is_paid_by_the_next() -> None:
    booking = report(expired(OLD, NEW), 7, 8)
    assert moved(booking) == [
        ("expiry", 7, "call-0"),
        ("expiry", 3, "call-1"),
        ("charge", -15, None),
    ]
    assert booking.usages[1].lots == (
        LotShare("1", "po-1", -3, late=True),
        LotShare("2", "po-2", -5),
    )
    assert booking.after.balance_micros == 15
    assert booking.lots.forfeited == (OLD._replace(remaining_micros=0),)


def test_lots_pay_in_the_order_of_their_purchase_whether_they_have_expired_or_not() -> None:
    first = NEW._replace(lot_id="0", purchase_id="po-0", purchased_at=LONG_AGO - timedelta(1))
    booking = report(expired(first, OLD), 25)
    assert booking.usages[0].lots == (
        LotShare("0", "po-0", -20),
        LotShare("1", "po-1", -5, late=True),
    )


@pytest.mark.parametrize(("hours", "pays"), [(0, True), (72, True), (72.01, False)])
def test_it_pays_what_is_reported_within_72_hours(hours: float, *, pays: bool) -> None:
    booking = report(expired(OLD, NEW), 3, at=EXPIRED + timedelta(hours=hours))
    assert (booking.entries[0].type is EntryType.EXPIRY) is pays


def test_the_admin_says_how_late_usage_may_be_reported() -> None:
    account = expired(OLD, NEW, settings=SETTINGS)
    assert report(account, 3, at=EXPIRED + timedelta(hours=24)).entries[0].type == "expiry"
    assert report(account, 3, at=EXPIRED + timedelta(hours=25)).entries[0].type == "charge"


def test_each_call_of_a_batch_counts_by_its_own_report() -> None:
    late = EXPIRED + timedelta(hours=73)
    booking = report(expired(OLD, NEW), 3, 4, at=late, reported={"call-0": EXPIRED})
    # The charge is not in the list of its calls, so it names them.
    assert moved(booking) == [("expiry", 3, "call-0"), ("charge", -7, "call-0+call-1")]


def test_a_lot_pays_no_call_that_ended_when_it_had_expired_or_was_not_bought_yet() -> None:
    account = expired(OLD, NEW)
    assert moved(report(account, 3, ended_at=EXPIRED)) == [("charge", -3, None)]
    just_before = EXPIRED - timedelta(microseconds=1)
    assert len(report(account, 3, ended_at=just_before).entries) == 2
    later = OLD._replace(purchased_at=ENDED + timedelta(seconds=1))
    assert moved(report(account, 3, forfeited=(later,))) == [("charge", -3, None)]


def test_credit_that_comes_back_to_pay_a_call_is_no_rise_that_arms_a_threshold() -> None:
    booking = report(expired(OLD, NEW, settings=SETTINGS), 3)
    assert [entry.balance_after_micros for entry in booking.entries] == [23, 20]
    assert booking.notifications == ()


def test_expiry_says_until_when_it_still_pays() -> None:
    booking = due_changes(holding(OLD, NEW, settings=SETTINGS), EXPIRED)
    low, gone = (one.body for one in booking.notifications)
    assert isinstance(low, LowBalance)
    assert getattr(gone, "late_usage_until", None) == EXPIRED + timedelta(hours=24)
    assert booking.after.forfeited_at == EXPIRED


def test_a_call_that_is_paid_from_an_expired_lot_while_there_is_debt_is_overdrawn() -> None:
    account = expired(OLD)._replace(balance_micros=-5, debt_micros=5)
    booking = report(account, 3)
    assert booking.after.balance_micros == -5
    assert booking.usages[0].flags == (Flag.OVERDRAWN,)
    assert booking.usages[0].lots == (LotShare("1", "po-1", -3, late=True),)


def test_further_lots_that_were_bought_before_pay_before_an_expired_one() -> None:
    late = OLD._replace(purchased_at=LONG_AGO + timedelta(days=20))
    further = [NEW._replace(lot_id="3", purchased_at=LONG_AGO + timedelta(days=10))]
    account = expired(NEW)._replace(further=FurtherLots.of(further), balance_micros=40)
    with pytest.raises(FurtherLotsNeeded):
        report(account, 21, forfeited=(late,))
    moved_up = account._replace(lots=(NEW, *further), further=None)
    shares = report(moved_up, 45, forfeited=(late,)).usages[0].lots
    assert [(share.lot_id, share.amount_micros) for share in shares] == [
        ("2", -20),
        ("3", -20),
        ("1", -5),
    ]


def test_lots_that_are_used_up_do_not_hide_others_that_expired_later() -> None:
    lots = [
        OLD._replace(lot_id=f"{n:03d}", purchase_id=f"po-{n}", remaining_micros=n % 2)
        for n in range(200)
    ]
    account = holding(forfeited_at=EXPIRED)
    booking = report(account, 30, 40, forfeited=tuple(lots))
    assert [len(one.lots) for one in booking.usages] == [30, 40]
    assert all(share.late for one in booking.usages for share in one.lots)
    # One transaction has room for so many; the rest is debt here, and paid by living lots else.
    most = report(account, 90, forfeited=tuple(lots))
    assert len(most.lots.forfeited) == MAX_EXPIRED_LOTS
    assert most.after.debt_micros == 90 - MAX_EXPIRED_LOTS


def test_what_came_back_to_pay_a_call_is_forfeited_again_when_the_call_costs_less() -> None:
    charged = report(expired(OLD, NEW), 9)
    (usage,) = charged.usages
    left = charged.lots.forfeited
    cheaper = usage._replace(charge_micros=2, price=usage.price._replace(retail_micros=2))
    corrected = rerate(
        charged.after,
        [ReratedCall(usage, cheaper)],
        pools=MinutePools({}, Licensing()),
        opened={"1": OLD},
        expired=left,
        at=EXPIRED + timedelta(hours=2),
        cause="rerating#late",
    )
    assert moved(corrected) == [("adjustment", 7, "call-0"), ("expiry", -7, None)]
    assert corrected.entries[1].cause == f"entry#{corrected.entries[0].entry_id}"
    assert corrected.after.balance_micros == 20
    assert corrected.after.lots == (NEW,)
    assert corrected.lots.forfeited == (OLD._replace(remaining_micros=8),)
    assert corrected.rerated[0].lots == (LotShare("1", "po-1", -2, late=True),)


def test_what_a_lot_had_paid_before_it_expired_goes_into_the_lot_of_the_month() -> None:
    before = report(holding(OLD, NEW), 9, at=EXPIRED - timedelta(minutes=1), forfeited=())
    (usage,) = before.usages
    account = due_changes(before.after, EXPIRED).after
    cheaper = usage._replace(charge_micros=2, price=usage.price._replace(retail_micros=2))
    corrected = rerate(
        account,
        [ReratedCall(usage, cheaper)],
        pools=MinutePools({}, Licensing()),
        opened={"1": OLD},
        expired=(OLD._replace(remaining_micros=1),),
        at=EXPIRED + timedelta(hours=2),
        cause="rerating#late",
    )
    assert moved(corrected) == [("adjustment", 7, "call-0")]
    assert corrected.after.lots[-1].purchase_id == "rerating#2026-11"
