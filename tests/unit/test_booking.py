from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from builders import ANSWERED, LONG_AGO, MICROS, charge, holding, lot, rating

from perminute.domain.credit.accounts import NO_FORECAST, Account, ForecastState
from perminute.domain.credit.booking import (
    MAX_STEPS,
    Adjustment,
    Purchase,
    adjust,
    configure,
    due_changes,
    fail_recharge,
    purchase,
)
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import EntryType, LedgerEntry
from perminute.domain.credit.lots import Lot, LotShare, twelve_months_after
from perminute.domain.credit.recharge import AutoRecharge, Disabled, recharge_id
from perminute.domain.credit.transaction import Transaction
from perminute.domain.errors import Refused
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.spending import SpendCounter, day_of
from perminute.domain.notifications.notifications import (
    BalanceExhausted,
    CallNotEntitled,
    CallNotRated,
    CreditExpired,
    CreditExpiring,
    LowBalance,
    NotificationBody,
    RechargeDisabled,
    RechargeFailed,
    RechargeRequested,
    RechargeSucceeded,
)
from perminute.domain.rating.calls import LegType, MeetingType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag
from perminute.domain.reporting.postings import Posting

EMPTY = Account(organization_id="contoso")
NEXT_YEAR = twelve_months_after(LONG_AGO)


def settings(at: int = 0, event_id: str = "e-1", **changed: object) -> CreditSettings:
    parts = CreditSettings(
        configured_at=ANSWERED + timedelta(minutes=at), event_id=event_id, currency="USD"
    )
    return parts._replace(**changed)  # type: ignore[arg-type]


def recharging(trigger: int, amount: int, limit: int | None = None) -> CreditSettings:
    auto = AutoRecharge(trigger_micros=trigger, recharge_micros=amount, monthly_limit_micros=limit)
    return settings(auto_recharge=auto)


def bought(amount_micros: int, identity: str = "po-1", **changed: object) -> Purchase:
    parts = Purchase(
        purchase_id=identity,
        amount_micros=amount_micros,
        currency="USD",
        purchased_at=LONG_AGO,
        expires_at=NEXT_YEAR,
    )
    return parts._replace(**changed)  # type: ignore[arg-type]


def buy(account: Account, one: Purchase, at: datetime = ANSWERED) -> Transaction:
    return purchase(account, one, at=at, cause=f"purchase#{one.purchase_id}")


def correct(account: Account, amount_micros: int, at: datetime = ANSWERED) -> Transaction:
    one = Adjustment(adjustment_id="a-1", amount_micros=amount_micros, expires_at=NEXT_YEAR)
    return adjust(account, one, at=at, cause="adjustment#a-1")


def news(booking: Transaction) -> list[NotificationBody]:
    return [one.body for one in booking.notifications]


def test_the_first_purchase_opens_a_lot_and_sets_the_credits_up() -> None:
    opened = Lot(
        lot_id="000000000001",
        purchase_id="po-1",
        purchased_at=LONG_AGO,
        expires_at=NEXT_YEAR,
        remaining_micros=50 * MICROS,
    )
    booking = buy(EMPTY, bought(50 * MICROS))
    assert booking == Transaction(
        before=EMPTY,
        after=Account(
            organization_id="contoso",
            version=1,
            entries=1,
            balance_micros=50 * MICROS,
            currency="USD",
            credits_set_up_at=LONG_AGO,
            as_of=ANSWERED,
            lots=(opened,),
        ),
        entries=(
            LedgerEntry(
                organization_id="contoso",
                entry_id="000000000001",
                type=EntryType.PURCHASE,
                amount_micros=50 * MICROS,
                balance_after_micros=50 * MICROS,
                at=ANSWERED,
                lots=(LotShare("000000000001", "po-1", 50 * MICROS),),
                cause="purchase#po-1",
                opens=opened,
            ),
        ),
    )


def test_credits_are_set_up_at_the_earliest_of_what_sets_them_up_whatever_comes_first() -> None:
    configured = configure(EMPTY, settings()).after
    account = buy(configured, bought(1)).after
    assert configured.credits_set_up_at == ANSWERED
    assert account.credits_set_up_at == LONG_AGO
    assert configure(account, settings(1)).after.credits_set_up_at == LONG_AGO


def test_a_clock_that_is_ahead_neither_sets_credits_up_later_nor_lets_a_lot_pay_too_early() -> None:
    ahead = ANSWERED + timedelta(hours=23)
    account = buy(EMPTY, bought(1, purchased_at=ahead)).after
    assert account.credits_set_up_at == account.lots[0].purchased_at == account.as_of == ANSWERED
    configured = configure(EMPTY, settings(23 * 60), at=ANSWERED).after
    assert configured.credits_set_up_at == ANSWERED
    assert configured.settings == settings(23 * 60)


@pytest.mark.parametrize(
    ("issued_after", "set_up_after"), [(-3_600, -3_600), (0, 0), (300, 300), (301, 0), (82_800, 0)]
)
def test_settings_set_the_credits_up_when_they_were_issued_as_far_ahead_as_clocks_differ(
    issued_after: int, set_up_after: int
) -> None:
    issued_at = ANSWERED + timedelta(seconds=issued_after)
    issued = settings()._replace(configured_at=issued_at)
    account = configure(EMPTY, issued, at=ANSWERED).after
    assert account.credits_set_up_at == ANSWERED + timedelta(seconds=set_up_after)
    assert account.as_of == ANSWERED


def test_a_purchase_sets_the_credits_up_before_settings_that_are_issued_later() -> None:
    configured = configure(EMPTY, settings(4), at=ANSWERED).after
    account = buy(configured, bought(1, purchased_at=ANSWERED)).after
    assert account.credits_set_up_at == ANSWERED


def test_the_currency_cannot_change() -> None:
    account = buy(EMPTY, bought(1)).after
    with pytest.raises(Refused, match=r"^currency: is EUR, but the credit of contoso is kept"):
        buy(account, bought(1, currency="EUR"))
    with pytest.raises(Refused, match=r"^currency: is EUR"):
        configure(account, settings(1, currency="EUR"))


def test_the_settings_configured_last_hold_whichever_arrives_first() -> None:
    first, second = settings(0, "e-1"), settings(1, "e-0")
    for one, other in [(first, second), (second, first)]:
        account = configure(configure(EMPTY, one).after, other).after
        assert account.settings == second


def test_a_purchase_pays_the_debt_first_and_its_lot_keeps_the_rest() -> None:
    account = holding(debt_micros=30)
    booking = buy(account, bought(50))
    assert (booking.after.debt_micros, booking.after.balance_micros) == (0, 20)
    assert [one.remaining_micros for one in booking.after.lots] == [20]
    assert booking.entries[0].lots == (LotShare("000000000010", "po-1", 20),)
    assert booking.entries[0].debt_change_micros == -30


def test_a_purchase_that_the_debt_swallows_leaves_no_lot() -> None:
    booking = buy(holding(debt_micros=80), bought(50))
    assert booking.after == holding(debt_micros=30)._replace(version=8, entries=10, as_of=ANSWERED)
    assert booking.entries[0].lots == ()


def test_lots_pay_in_the_order_in_which_they_were_bought_however_late_one_is_reported() -> None:
    account = buy(EMPTY, bought(5, "second", purchased_at=LONG_AGO + timedelta(days=9))).after
    account = buy(account, bought(5, "first", purchased_at=LONG_AGO)).after
    paid = charge(account, [rating("a", 7)], at=ANSWERED)
    assert [(s.purchase_id, s.amount_micros) for s in paid.entries[0].lots] == [
        ("first", -5),
        ("second", -2),
    ]
    assert [(one.purchase_id, one.remaining_micros) for one in paid.after.lots] == [("second", 3)]


def test_a_purchase_that_is_reported_after_its_credit_expired_pays_no_debt() -> None:
    later = NEXT_YEAR + timedelta(days=1)
    booking = buy(holding(debt_micros=3), bought(50), at=later)
    assert [(e.type, e.amount_micros, e.at) for e in booking.entries] == [
        (EntryType.PURCHASE, 50, later),
        (EntryType.EXPIRY, -50, later),
    ]
    assert {one.at for one in booking.notifications} == {later}
    assert (booking.after.lots, booking.after.debt_micros) == ((), 3)


def test_an_adjustment_upward_is_a_lot_of_its_own_and_downward_takes_from_the_first() -> None:
    account = holding(lot("1", 10))
    up = correct(account, 4)
    assert [(one.purchase_id, one.remaining_micros) for one in up.after.lots] == [
        ("po-1", 10),
        ("a-1", 4),
    ]
    down = correct(account, -12)
    assert (down.after.lots, down.after.debt_micros, down.after.balance_micros) == ((), 2, -2)
    assert down.entries[0].lots == (LotShare("1", "po-1", -10),)


@pytest.mark.parametrize("amount_micros", [3, -3])
def test_an_adjustment_is_refused_before_any_currency_is_known(amount_micros: int) -> None:
    with pytest.raises(Refused, match=r"^amount: has no currency yet, since the credit of contoso"):
        correct(EMPTY, amount_micros)
    account = configure(EMPTY, settings()).after
    assert correct(account, amount_micros).after.balance_micros == amount_micros


def test_an_adjustment_does_not_change_since_when_credits_are_set_up() -> None:
    before = buy(EMPTY, bought(5)).after
    assert correct(before, -3, ANSWERED).after.credits_set_up_at == before.credits_set_up_at


def test_a_batch_is_charged_in_one_entry_that_its_paid_usages_name() -> None:
    account = holding(lot("1", 5), lot("2", 5))
    booking = charge(
        account, [rating("a", 4), rating("b", 0), rating("c", 6), rating("d", 1)], at=ANSWERED
    )
    assert booking.after == account._replace(
        balance_micros=-1,
        debt_micros=1,
        lots=(),
        version=8,
        entries=10,
        as_of=ANSWERED,
        days=(SpendCounter(key=day_of(ANSWERED), spent_micros=11),),
        forecast=ForecastState(ANSWERED.date()),
    )
    assert booking.entries == (
        LedgerEntry(
            organization_id="contoso",
            entry_id="000000000010",
            type=EntryType.CHARGE,
            amount_micros=-11,
            balance_after_micros=-1,
            at=ANSWERED,
            lots=(LotShare("1", "po-1", -5), LotShare("2", "po-2", -5)),
        ),
    )
    assert [(u.call.call_id, u.entry_id, u.lots, u.flags) for u in booking.usages] == [
        ("a", "000000000010", (LotShare("1", "po-1", -4),), ()),
        ("b", None, (), ()),
        ("c", "000000000010", (LotShare("1", "po-1", -1), LotShare("2", "po-2", -5)), ()),
        ("d", "000000000010", (), (Flag.OVERDRAWN,)),
    ]


def test_who_overdrew_does_not_depend_on_the_order_within_a_batch() -> None:
    calls = [rating("c", 2), rating("a", 4), rating("b", 4)]
    for order in permutations(calls):
        booking = charge(holding(lot("1", 5)), order, at=ANSWERED)
        flagged = {u.call.call_id for u in booking.usages if Flag.OVERDRAWN in u.flags}
        assert flagged == {"b", "c"}


def test_a_batch_of_free_calls_leaves_the_account_as_it_was() -> None:
    free = rating("a", 0, meeting_type=MeetingType.AD_HOC)
    booking = charge(EMPTY, [free], at=ANSWERED)
    assert booking.after is EMPTY
    assert booking == Transaction(before=EMPTY, after=EMPTY, usages=(free.usage(),))


def test_a_batch_that_costs_nothing_makes_the_next_version_since_it_is_listed() -> None:
    booking = charge(EMPTY, [rating("a", 0)], at=ANSWERED)
    assert booking.after == EMPTY._replace(version=1, as_of=ANSWERED)
    (listed,) = booking.lists
    assert (listed.posting, listed.entry) == (Posting(1, ANSWERED), None)


def test_calls_that_nobody_pays_for_are_told_each() -> None:
    unlicensed = rating("a", 0, organizer_id="nobody")
    unpriced = rating("b", 0, remote_number="+881612345678")
    in_euros = rating("d", 0, remote_number="+33199001234")
    booking = charge(EMPTY, [unlicensed, unpriced, rating("c", 0), in_euros], at=ANSWERED)
    assert news(booking) == [
        CallNotEntitled(
            call_id="a",
            organizer_id="nobody",
            leg_type=LegType.DIAL_OUT,
            number="+49302312****",
            answered_at=ANSWERED,
            retail_cost_micros=150_000,
            currency="USD",
            reason=NotEntitled.NO_LICENSE,
        ),
        CallNotRated(
            call_id="b",
            organizer_id="adele",
            leg_type=LegType.DIAL_OUT,
            number="+88161234****",
            answered_at=ANSWERED,
            reason=Unpriced.NO_RATE,
        ),
        CallNotRated(
            call_id="d",
            organizer_id="adele",
            leg_type=LegType.DIAL_OUT,
            number="+3319900****",
            answered_at=ANSWERED,
            reason=Unpriced.CURRENCY_MISMATCH,
            rate_currency="EUR",
        ),
    ]
    assert {one.at for one in booking.notifications} == {unlicensed.call.ended_at}


# Time


@pytest.mark.parametrize(
    ("bought_at", "expires_at"),
    [
        ("2026-10-30T12:02:00Z", "2027-10-30T12:02:00Z"),
        ("2027-02-28T23:59:59.5Z", "2028-02-28T23:59:59.5Z"),
        ("2028-02-29T08:00:00Z", "2029-02-28T08:00:00Z"),
        ("2027-12-31T00:00:00Z", "2028-12-31T00:00:00Z"),
    ],
)
def test_a_lot_lasts_twelve_calendar_months(bought_at: str, expires_at: str) -> None:
    assert twelve_months_after(datetime.fromisoformat(bought_at)) == datetime.fromisoformat(
        expires_at
    )


def test_a_lot_expires_at_its_very_instant_and_not_a_moment_before() -> None:
    account = holding(lot("1", 5, warned=True), lot("2", 3))
    assert not account.is_due(NEXT_YEAR - timedelta(days=31))
    before = due_changes(account, NEXT_YEAR - timedelta(microseconds=1))
    assert before.entries == ()
    booking = due_changes(before.after, NEXT_YEAR)
    assert [(e.type, e.amount_micros, e.at, e.cause) for e in booking.entries] == [
        (EntryType.EXPIRY, -5, NEXT_YEAR, "lot#1"),
        (EntryType.EXPIRY, -3, NEXT_YEAR, "lot#2"),
    ]
    assert (booking.after.lots, booking.after.balance_micros) == ((), 0)


def test_what_expired_cannot_pay_even_if_nobody_brought_the_account_up_to_date() -> None:
    with pytest.raises(RuntimeError, match="was not applied to contoso"):
        charge(holding(lot("1", 5)), [rating("a", 1)], at=NEXT_YEAR)


def test_a_lot_is_warned_of_thirty_days_ahead_once_with_what_is_left() -> None:
    account = holding(lot("1", 5))
    ahead = NEXT_YEAR - timedelta(days=30)
    assert account.due_at == ahead
    booking = due_changes(account, ahead)
    expiring = CreditExpiring(
        purchase_id="po-1", remaining_micros=5, expires_at=NEXT_YEAR, currency="USD"
    )
    assert (news(booking), booking.entries) == ([expiring], ())
    assert booking.after.due_at == NEXT_YEAR
    again = due_changes(booking.after, ahead + timedelta(days=1))
    assert again == Transaction(before=booking.after, after=booking.after)


def test_expiry_is_told_with_what_is_forfeited_and_is_a_fall_of_the_balance_like_any() -> None:
    account = holding(
        lot("1", 5, warned=True),
        lot("2", 3, expires_at=NEXT_YEAR + timedelta(days=90)),
        settings=settings(low_balance_thresholds_micros=(4, 3)),
    )
    booking = due_changes(account, NEXT_YEAR + timedelta(hours=5))
    assert news(booking) == [
        LowBalance(threshold_micros=4, balance_micros=3, currency="USD"),
        CreditExpired(
            purchase_id="po-1",
            amount_micros=5,
            expires_at=NEXT_YEAR,
            late_usage_until=NEXT_YEAR + timedelta(hours=72),
            balance_micros=3,
            currency="USD",
        ),
    ]
    assert {one.at for one in booking.notifications} == {NEXT_YEAR}


def test_many_lots_that_expire_are_booked_in_pieces_in_the_order_of_time() -> None:
    lots = [
        lot(f"{n}", 1, expires_at=NEXT_YEAR - timedelta(seconds=n), warned=n % 2 == 0)
        for n in range(MAX_STEPS + 5)
    ]
    account, booked = holding(*lots), list[LedgerEntry]()
    while account.is_due(NEXT_YEAR):
        booking = due_changes(account, NEXT_YEAR)
        assert len(booking.entries) <= MAX_STEPS
        account, booked = booking.after, [*booked, *booking.entries]
    assert [e.at for e in booked] == sorted(one.expires_at for one in lots)
    assert account.lots == ()


# Thresholds


def test_every_threshold_that_is_passed_is_told_the_highest_first_and_zero_by_itself() -> None:
    account = holding(
        lot("1", 100), settings=settings(low_balance_thresholds_micros=(10, 50, 0, 100, 101))
    )
    booking = charge(account, [rating("a", 100)], at=ANSWERED)
    assert news(booking) == [
        LowBalance(threshold_micros=100, balance_micros=0, currency="USD"),
        LowBalance(threshold_micros=50, balance_micros=0, currency="USD"),
        LowBalance(threshold_micros=10, balance_micros=0, currency="USD"),
        BalanceExhausted(balance_micros=0, currency="USD"),
    ]
    assert len({one.id for one in booking.notifications}) == 4


def test_a_threshold_is_told_again_only_after_the_balance_was_back_above_it() -> None:
    account = holding(lot("1", 55), settings=settings(low_balance_thresholds_micros=(50,)))
    first = charge(account, [rating("a", 10)], at=ANSWERED)
    second = charge(first.after, [rating("b", 10)], at=ANSWERED)
    refilled = buy(second.after, bought(15))
    third = charge(refilled.after, [rating("c", 1)], at=ANSWERED)
    assert [len(one.notifications) for one in (first, second, refilled, third)] == [1, 0, 0, 1]
    assert first.notifications[0].id != third.notifications[0].id


# Auto-recharge

FIRST, SECOND = recharge_id("contoso", 1), recharge_id("contoso", 2)


def test_who_is_told_of_a_low_balance_is_told_that_a_recharge_is_requested() -> None:
    auto = recharging(50, 30)._replace(low_balance_thresholds_micros=(50, 30))
    first = charge(holding(lot("1", 60), settings=auto), [rating("a", 20)], at=ANSWERED)
    low = LowBalance(threshold_micros=50, balance_micros=40, currency="USD", recharge_id=FIRST)
    assert news(first) == [low, requested(FIRST, 40)]
    second = charge(first.after, [rating("b", 15)], at=ANSWERED)
    assert news(second) == [low._replace(threshold_micros=30, balance_micros=25)]
    paid = buy(second.after, bought(30, recharge_id=FIRST))
    off = configure(paid.after, settings(1, low_balance_thresholds_micros=(30,))).after
    third = charge(off, [rating("c", 30)], at=ANSWERED)
    assert news(third) == [low._replace(threshold_micros=30, balance_micros=25, recharge_id=None)]


def requested(
    identity: str, balance: int, attempt: int = 1, *, amount: int = 30
) -> RechargeRequested:
    return RechargeRequested(
        recharge_id=identity,
        amount_micros=amount,
        balance_micros=balance,
        currency="USD",
        attempt=attempt,
    )


def below(trigger: int = 50, amount: int = 30, limit: int | None = None) -> Transaction:
    """An account of 60 that a call has just brought down to 40."""
    account = holding(lot("1", 60), settings=recharging(trigger, amount, limit))
    return charge(account, [rating("a", 20)], at=ANSWERED)


def test_below_the_trigger_one_recharge_is_asked_for_until_its_credit_arrives() -> None:
    first = below()
    assert news(first) == [requested(FIRST, 40)]
    second = charge(first.after, [rating("b", 5)], at=ANSWERED)
    assert news(second) == []
    paid = buy(second.after, bought(30, recharge_id=FIRST))
    succeeded = RechargeSucceeded(
        recharge_id=FIRST, amount_micros=30, balance_micros=65, currency="USD"
    )
    assert news(paid) == [succeeded]
    assert news(charge(paid.after, [rating("c", 16)], at=ANSWERED)) == [requested(SECOND, 49)]


def test_at_the_trigger_nothing_is_asked_for() -> None:
    account = holding(lot("1", 60), settings=recharging(50, 30))
    assert news(charge(account, [rating("a", 10)], at=ANSWERED)) == []


def test_the_next_request_follows_if_the_balance_is_still_below_after_a_recharge() -> None:
    first = below(trigger=500)
    paid = buy(first.after, bought(30, recharge_id=FIRST))
    assert news(paid)[1:] == [requested(SECOND, 70)]


def test_another_purchase_is_no_answer_to_the_request() -> None:
    first = below(trigger=500)
    assert news(buy(first.after, bought(1, "by-hand"))) == []


def test_a_request_that_nobody_answers_is_sent_again_each_day_under_its_own_id() -> None:
    account, at = below(limit=30).after, ANSWERED
    for attempt in range(2, 30):
        at += timedelta(hours=24)
        assert account.due_at == at
        assert news(due_changes(account, at - timedelta(microseconds=1))) == []
        booking = due_changes(account, at)
        assert news(booking) == [requested(FIRST, 40, attempt)]
        account = booking.after
    assert (account.recharge.requests, account.recharge.month_micros) == (1, 30)


def test_each_attempt_is_a_notification_with_an_id_of_its_own() -> None:
    first = below()
    second = due_changes(first.after, ANSWERED + timedelta(hours=24))
    again = due_changes(first.after, ANSWERED + timedelta(hours=24))
    assert first.notifications[0].id != second.notifications[0].id
    assert second.notifications[0].id == again.notifications[0].id


def test_a_request_is_sent_again_whatever_the_balance_is_by_then() -> None:
    up = buy(below().after, bought(500, "by-hand")).after
    assert news(due_changes(up, ANSWERED + timedelta(hours=24))) == [requested(FIRST, 540, 2)]


def test_an_attempt_that_came_late_puts_the_next_one_off() -> None:
    account = due_changes(below().after, ANSWERED + timedelta(hours=30)).after
    assert account.due_at == ANSWERED + timedelta(hours=54)


def without_forecast(account: Account) -> Account:
    """The account as if no call had cost anything: else it is listed from the next day on."""
    return account._replace(forecast=NO_FORECAST)


def test_a_request_stays_open_while_auto_recharge_is_off_and_is_not_sent() -> None:
    account = configure(below().after, settings(1)).after
    later = ANSWERED + timedelta(days=5)
    assert account.due_at == NEXT_YEAR - timedelta(days=30)
    assert without_forecast(account).listed_from == ANSWERED + timedelta(days=3)
    assert news(charge(account, [rating("b", 1)], at=later)) == []
    on_again = recharging(50, 30)._replace(configured_at=later)
    assert news(configure(account, on_again)) == [requested(FIRST, 40, 2)]
    failed = fail_recharge(account, FIRST, "no", at=later)
    assert (failed.after.recharge.open, failed.after.recharge.failures) == (None, 1)


def test_an_amount_that_is_changed_meanwhile_does_not_change_what_was_asked_for() -> None:
    account = configure(below().after, recharging(50, 99)._replace(event_id="e-2")).after
    assert news(due_changes(account, ANSWERED + timedelta(hours=24))) == [requested(FIRST, 40, 2)]


@pytest.mark.parametrize("days", [1, 4, 40])
def test_an_outcome_that_comes_days_later_still_counts(days: int) -> None:
    later = ANSWERED + timedelta(days=days)
    account = due_changes(below().after, later).after
    failed = fail_recharge(account, FIRST, "expired card", at=later)
    assert news(failed) == [
        RechargeFailed(recharge_id=FIRST, reason="expired card", balance_micros=40, currency="USD"),
        requested(SECOND, 40),
    ]
    assert failed.after.recharge.failures == 1
    paid = buy(account, bought(30, recharge_id=FIRST), at=later)
    assert news(paid) == [
        RechargeSucceeded(recharge_id=FIRST, amount_micros=30, balance_micros=70, currency="USD")
    ]
    assert paid.after.recharge.open is None


def test_the_daily_run_looks_at_a_request_that_is_open_for_three_days_though_others_send_it() -> (
    None
):
    account = below().after
    for hours in (25, 50, 75):
        account = due_changes(account, ANSWERED + timedelta(hours=hours)).after
    assert account.due_at == ANSWERED + timedelta(hours=99)
    assert without_forecast(account).listed_from == ANSWERED + timedelta(hours=72)
    paid = buy(account, bought(30, recharge_id=FIRST), at=ANSWERED + timedelta(hours=76)).after
    assert without_forecast(paid).listed_from == NEXT_YEAR - timedelta(days=30)


def test_the_third_failure_in_a_row_switches_it_off_and_says_so() -> None:
    account, told = below().after, list[NotificationBody]()
    for number in (1, 2, 3):
        booking = fail_recharge(account, recharge_id("contoso", number), "no", at=ANSWERED)
        account, told = booking.after, [*told, *news(booking)]
    assert [type(one).__name__ for one in told] == [
        "RechargeFailed",
        "RechargeRequested",
        "RechargeFailed",
        "RechargeRequested",
        "RechargeFailed",
        "RechargeDisabled",
    ]
    assert told[-1] == RechargeDisabled(
        reason=Disabled.THREE_FAILURES, balance_micros=40, currency="USD"
    )
    assert account.due_at == NEXT_YEAR - timedelta(days=30)
    assert news(charge(account, [rating("b", 5)], at=ANSWERED)) == []
    by_hand = buy(account, bought(1, "by-hand"))
    assert news(by_hand) == [requested(recharge_id("contoso", 4), 41)]
    saved_again = configure(account, settings(5, auto_recharge=account.auto_recharge))
    assert news(saved_again) == []
    off = configure(account, settings(5)).after
    on = configure(off, settings(6, auto_recharge=account.auto_recharge))
    assert news(on) == [requested(recharge_id("contoso", 4), 40)]


def test_a_failure_of_what_nobody_requested_is_told_as_that_and_changes_nothing() -> None:
    account = holding(lot("1", 60), settings=recharging(50, 30))
    booking = fail_recharge(account, "never asked", "why not", at=ANSWERED)
    assert news(booking) == [
        RechargeFailed(
            recharge_id="never asked",
            reason="why not",
            balance_micros=60,
            currency="USD",
            never_requested=True,
        )
    ]
    assert booking.after is account


def test_two_failures_and_a_success_are_no_failures_in_a_row() -> None:
    account = below().after
    for number in (1, 2):
        account = fail_recharge(account, recharge_id("contoso", number), "no", at=ANSWERED).after
    account = buy(account, bought(1, recharge_id=recharge_id("contoso", 3))).after
    booking = fail_recharge(account, recharge_id("contoso", 4), "no", at=ANSWERED)
    assert RechargeDisabled not in {type(one) for one in news(booking)}


def test_the_monthly_limit_is_told_once_and_the_next_month_asks_again() -> None:
    account = holding(lot("1", 600), settings=recharging(590, 30, limit=70))
    account = charge(account, [rating("a", 200)], at=ANSWERED).after
    told: list[NotificationBody] = []
    for number in (1, 2):
        booking = buy(
            account, bought(30, f"po-{number}", recharge_id=recharge_id("contoso", number))
        )
        account, told = booking.after, news(booking)
    assert told[1:] == [
        RechargeDisabled(reason=Disabled.MONTHLY_LIMIT, balance_micros=460, currency="USD")
    ]
    assert news(charge(account, [rating("b", 5)], at=ANSWERED)) == []
    december = datetime(2026, 12, 1, tzinfo=UTC)
    assert account.due_at == december
    assert news(due_changes(account, december)) == [requested(recharge_id("contoso", 3), 460)]


def test_what_failed_does_not_count_against_the_limit() -> None:
    account = below(limit=30).after
    booking = fail_recharge(account, FIRST, "no", at=ANSWERED)
    assert news(booking)[1:] == [requested(SECOND, 40)]


def test_a_limit_below_the_amount_is_told_again_only_after_the_balance_was_back_up() -> None:
    blocked = below(limit=20)
    assert [type(one) for one in news(blocked)] == [RechargeDisabled]
    assert blocked.after.due_at == NEXT_YEAR - timedelta(days=30)
    up = buy(blocked.after, bought(30))
    down = charge(up.after, [rating("b", 30)], at=ANSWERED)
    assert (news(up), [type(one) for one in news(down)]) == ([], [RechargeDisabled])


def test_settings_alone_buy_nothing_before_the_first_money_has_moved() -> None:
    # The first purchase is usually under way: buying it once more would be worse than waiting.
    configured = configure(EMPTY, recharging(50, 30))
    assert news(configured) == []
    overdrawn = charge(configured.after, [rating("a", 5)], at=ANSWERED)
    assert news(overdrawn) == [requested(FIRST, -5)]


def test_credit_bought_or_given_by_hand_asks_for_nothing_even_below_the_trigger() -> None:
    configured = configure(EMPTY, recharging(50, 30)).after
    first = buy(configured, bought(20))
    second = buy(first.after, bought(20, "po-2"))
    given = correct(second.after, 5)
    warned = due_changes(given.after, NEXT_YEAR - timedelta(days=30))
    assert [news(one) for one in (first, second, given)] == [[], [], []]
    assert {type(one) for one in news(warned)} == {CreditExpiring}
    used = charge(given.after, [rating("a", 1)], at=ANSWERED)
    assert news(used) == [requested(FIRST, 44)]


def test_credit_bought_by_hand_tells_nothing_of_a_limit_that_no_call_has_met_yet() -> None:
    configured = configure(EMPTY, recharging(50, 30, limit=20)).after
    bought_by_hand = buy(configured, bought(20))
    assert news(bought_by_hand) == []
    used = charge(bought_by_hand.after, [rating("a", 1)], at=ANSWERED)
    assert [type(one) for one in news(used)] == [RechargeDisabled]


def test_settings_that_switch_it_on_below_the_trigger_ask_at_once() -> None:
    assert news(configure(holding(lot("1", 5)), recharging(50, 30))) == [requested(FIRST, 5)]


def test_older_settings_that_arrive_late_switch_nothing_on() -> None:
    account = below(trigger=500).after
    for number in (1, 2, 3):
        account = fail_recharge(account, recharge_id("contoso", number), "no", at=ANSWERED).after
    older = settings(-5, auto_recharge=account.auto_recharge)
    assert news(configure(account, older)) == []


def test_settings_saved_with_a_limit_that_still_stands_in_the_way_are_told_so() -> None:
    blocked = below(limit=20).after
    higher = recharging(50, 30, limit=29)
    again = configure(blocked, higher._replace(configured_at=ANSWERED + timedelta(hours=1)))
    assert [type(one) for one in news(again)] == [RechargeDisabled]
    enough = recharging(50, 30, limit=30)
    mended = configure(blocked, enough._replace(configured_at=ANSWERED + timedelta(hours=1)))
    assert news(mended) == [requested(FIRST, 40)]


# Events that come late, or in another order


def test_calls_that_come_late_do_not_make_the_wait_for_a_recharge_pass() -> None:
    """A backlog is redriven: calls of two days ago, of a day ago, and one of now."""
    now = ANSWERED
    account = holding(lot("1", 60), settings=recharging(500, 30))
    told: list[NotificationBody] = []
    for name, ago in [("a", timedelta(hours=48)), ("b", timedelta(hours=23)), ("c", timedelta(0))]:
        booking = charge(account, [rating(name, 1)], at=now - ago, heard_at=now)
        account, told = booking.after, [*told, *news(booking)]
    assert told == [requested(FIRST, 59)]
    assert account.recharge.open is not None
    assert account.recharge.open.requested_at == now


def test_without_knowing_when_it_was_heard_of_no_event_is_older_than_what_is_booked() -> None:
    account = charge(
        holding(lot("1", 60), settings=recharging(50, 30)), [rating("a", 1)], at=ANSWERED
    ).after
    assert account.as_of == ANSWERED
    late = charge(account, [rating("b", 10)], at=ANSWERED - timedelta(hours=30))
    assert late.after.recharge.open is not None
    assert late.after.recharge.open.requested_at == ANSWERED
    assert late.after.as_of == ANSWERED
    assert late.entries[0].at == ANSWERED - timedelta(hours=30)
    assert news(charge(late.after, [rating("c", 1)], at=ANSWERED + timedelta(minutes=1))) == []


def test_a_month_that_has_turned_does_not_turn_back_for_a_late_call() -> None:
    december = datetime(2026, 12, 1, tzinfo=UTC)
    account = holding(lot("1", 60), settings=recharging(500, 30, limit=30))
    account = charge(account, [rating("a", 1)], at=december + timedelta(seconds=10)).after
    account = fail_recharge(account, "unknown", "no", at=december).after
    paid = buy(account, bought(1, recharge_id=FIRST), at=december + timedelta(seconds=20))
    late = charge(paid.after, [rating("b", 1)], at=december - timedelta(seconds=10))
    after = charge(late.after, [rating("c", 1)], at=december + timedelta(seconds=46))
    assert [type(one) for one in (*news(paid), *news(late), *news(after))] == [
        RechargeSucceeded,
        RechargeDisabled,
    ]


def test_stale_settings_and_a_strange_failure_ask_for_nothing() -> None:
    set_up = configure(EMPTY, recharging(50, 30)).after
    by_hand = buy(set_up, bought(20)).after
    stale = configure(by_hand, settings(-60))
    assert (news(stale), stale.after) == ([], replace_time(by_hand, stale.after))
    strange = fail_recharge(by_hand, "never asked", "no", at=ANSWERED)
    assert [type(one) for one in news(strange)] == [RechargeFailed]


def replace_time(account: Account, other: Account) -> Account:
    """The same credit, but for when it was set up and written."""
    return account._replace(
        version=other.version, credits_set_up_at=other.credits_set_up_at, as_of=other.as_of
    )


def test_settings_that_only_move_when_the_credits_were_set_up_are_a_version_too() -> None:
    # Otherwise a writer that read the account before would set it back, unnoticed.
    known = configure(EMPTY, settings(0)).after
    stale = configure(known, settings(-60)).after
    assert stale.credits_set_up_at == ANSWERED - timedelta(minutes=60)
    assert (stale.version, stale.settings) == (known.version + 1, known.settings)


def test_a_purchase_that_is_heard_of_after_its_end_pays_the_debt_and_the_rest_is_forfeited() -> (
    None
):
    account = charge(EMPTY, [rating("a", 15)], at=ANSWERED).after
    late = bought(
        100,
        purchased_at=ANSWERED - timedelta(days=20),
        expires_at=ANSWERED - timedelta(days=10),
    )
    booking = buy(account, late, at=ANSWERED - timedelta(days=20))
    assert [(e.type, e.amount_micros, e.at) for e in booking.entries] == [
        (EntryType.PURCHASE, 100, ANSWERED - timedelta(days=20)),
        (EntryType.EXPIRY, -85, ANSWERED - timedelta(days=10)),
    ]
    assert (booking.after.debt_micros, booking.after.lots) == (0, ())


def test_a_clock_that_is_a_day_ahead_does_not_make_the_wait_for_a_recharge_pass() -> None:
    first = charge(
        holding(lot("1", 60), settings=recharging(500, 30)),
        [rating("a", 1)],
        at=ANSWERED,
        heard_at=ANSWERED,
    ).after
    ahead, now = ANSWERED + timedelta(hours=24, seconds=1), ANSWERED + timedelta(seconds=1)
    assert first.is_due(ahead)
    assert not first.is_due(ahead, now)
    assert news(charge(first, [rating("b", 1)], at=ahead, heard_at=now)) == []
    assert news(due_changes(first, ahead, heard_at=now)) == []


def test_credit_that_expires_below_the_trigger_asks_for_a_recharge() -> None:
    account = holding(
        lot("1", 40, warned=True),
        lot("2", 40, expires_at=NEXT_YEAR + timedelta(days=90)),
        settings=recharging(50, 30),
    )
    assert news(due_changes(account, NEXT_YEAR))[-1] == requested(FIRST, 40)


def test_a_failure_gives_back_what_was_asked_for_in_this_month_only() -> None:
    december = datetime(2026, 12, 1, 8, tzinfo=UTC)
    account = due_changes(below(limit=30).after, december).after
    failed = fail_recharge(account, FIRST, "no", at=december)
    assert news(failed)[1:] == [requested(SECOND, 40)]
    assert failed.after.recharge.month_micros == 30


def test_a_success_after_a_failure_counts_for_the_month_and_is_told_as_that() -> None:
    account = fail_recharge(below(trigger=500, limit=59).after, FIRST, "no", at=ANSWERED).after
    account = buy(account, bought(30, recharge_id=SECOND)).after
    late = purchase(
        account,
        bought(30, "po-2", recharge_id=FIRST),
        at=ANSWERED,
        cause="purchase#po-2",
        after_failure=True,
    )
    assert late.after.recharge.month_micros == 60
    assert news(late) == [
        RechargeSucceeded(
            recharge_id=FIRST,
            amount_micros=30,
            balance_micros=100,
            currency="USD",
            after_failure=True,
        )
    ]
    # In the next month a success counts for that one.
    december = datetime(2026, 12, 1, tzinfo=UTC)
    late = purchase(
        configure(account, settings(1)).after,
        bought(30, "po-2", recharge_id=FIRST),
        at=december,
        cause="purchase#po-2",
        after_failure=True,
    )
    assert (late.after.recharge.month, late.after.recharge.month_micros) == (december, 30)


# A limit for each day


def answered(
    account: Account, times: int, at: datetime = ANSWERED
) -> tuple[Account, list[NotificationBody]]:
    """Have recharges of 1 paid at once, which never bring the balance up to its trigger."""
    told: list[NotificationBody] = []
    for _ in range(times):
        request = account.recharge.open
        assert request is not None
        paid = bought(1, f"for-{request.recharge_id}", recharge_id=request.recharge_id)
        booking = buy(account, paid, at=at)
        account, told = booking.after, [*told, *news(booking)]
    return account, told


def disabled_for_the_day(balance_micros: int) -> RechargeDisabled:
    return RechargeDisabled(
        reason=Disabled.DAILY_LIMIT, balance_micros=balance_micros, currency="USD"
    )


def test_ten_requests_are_sent_in_a_day_and_then_none_until_the_next() -> None:
    account, told = answered(below(trigger=500, amount=1).after, 10)
    assert [one for one in told if not isinstance(one, RechargeSucceeded)] == [
        *(requested(recharge_id("contoso", n), 39 + n, amount=1) for n in range(2, 11)),
        disabled_for_the_day(50),
    ]
    assert account.recharge.open is None
    midnight = datetime(2026, 11, 3, tzinfo=UTC)
    before = midnight - timedelta(microseconds=1)
    assert account.due_at == midnight
    assert news(charge(account, [rating("b", 1)], at=before)) == []
    assert news(due_changes(account, before)) == []
    next_day = due_changes(account, midnight)
    assert news(next_day) == [requested(recharge_id("contoso", 11), 50, amount=1)]
    _, told = answered(next_day.after, 10, midnight)
    assert told[-1] == disabled_for_the_day(60)


def test_the_limit_of_a_day_is_told_once_a_day_though_the_balance_was_back_up() -> None:
    account, _ = answered(below(trigger=500, amount=1).after, 10)
    used_up = account._replace(lots=(), further=None, balance_micros=0)
    up = buy(used_up, bought(1_000, "by-hand"))
    down = charge(up.after, [rating("b", 900)], at=ANSWERED)
    assert (news(up), news(down)) == ([], [])
    assert down.after.due_at == datetime(2026, 11, 3, tzinfo=UTC)


def test_attempts_count_for_the_limit_of_their_day() -> None:
    account = due_changes(below(trigger=500, amount=1).after, ANSWERED + timedelta(hours=24)).after
    _, told = answered(account, 10, ANSWERED + timedelta(hours=24))
    assert told[-1] == disabled_for_the_day(50)
    assert sum(isinstance(one, RechargeRequested) for one in told) == 9


def test_settings_saved_again_as_they_are_set_no_limit_back() -> None:
    account, _ = answered(below(trigger=500, amount=1).after, 10)
    for minutes in range(1, 20):
        again = configure(
            account, settings(minutes, f"e-{minutes}", auto_recharge=account.auto_recharge)
        )
        assert news(again) == []
        account = again.after
        assert account.settings is not None
        assert account.settings.event_id == f"e-{minutes}"  # They are the latest all the same.
    differ = recharging(500, 2)._replace(configured_at=ANSWERED + timedelta(hours=1))
    assert news(configure(account, differ)) == [requested(recharge_id("contoso", 11), 50, amount=2)]


def test_settings_saved_again_as_they_are_ask_for_nothing_where_somebody_is_just_buying() -> None:
    by_hand = buy(configure(EMPTY, recharging(50, 30)).after, bought(20)).after
    auto = by_hand.auto_recharge
    assert news(configure(by_hand, settings(5, "e-2", auto_recharge=auto))) == []
    lower = settings(5, "e-2", auto_recharge=auto, low_balance_thresholds_micros=(5,))
    assert news(configure(by_hand, lower)) == [requested(FIRST, 20)]


def test_a_limit_of_the_month_that_is_met_on_the_next_day_is_told() -> None:
    account, told = answered(below(trigger=500, amount=1, limit=10).after, 10)
    assert told[-1] == RechargeDisabled(
        reason=Disabled.MONTHLY_LIMIT, balance_micros=50, currency="USD"
    )
    account, told = answered(below(trigger=500, amount=1, limit=12).after, 10)
    account = due_changes(account, datetime(2026, 11, 3, tzinfo=UTC)).after
    account, told = answered(account, 2, datetime(2026, 11, 3, tzinfo=UTC))
    assert told[-1] == RechargeDisabled(
        reason=Disabled.MONTHLY_LIMIT, balance_micros=52, currency="USD"
    )
    assert account.due_at == datetime(2026, 12, 1, tzinfo=UTC)
