"""May a call begin, and for how long: grants, denials and what they reserve."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from authorizing import (
    BY_THE_MINUTE,
    DAY,
    MINUTE,
    RATE,
    SUBSCRIBED,
    Scene,
    asks,
    configured,
    under_way,
    used,
)
from builders import (
    ANSWERED,
    MICROS,
    ORGANIZATION,
    ORGANIZER,
    card,
    fact,
    holding,
    holds,
    lot,
)

from perminute.domain.authorization.reservations import (
    ChargingRequest,
    Decision,
    Denied,
    PaidBy,
)
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.credit_settings import LATE_USAGE_HOURS
from perminute.domain.credit.holds import Hold
from perminute.domain.errors import Conflict
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.limits.spending import LimitName, SpendCounter, day_of
from perminute.domain.notifications.notifications import FraudSuspected, SpendLimitReached
from perminute.domain.rating.calls import MAX_CALL_SECONDS, LegType, MeetingType

if TYPE_CHECKING:
    from perminute.domain.credit.lots import Lot

TO_FRANCE = "+33123456789"
"""The card prices it in euros, and the credit is kept in dollars."""


def test_a_call_that_is_covered_may_begin_and_is_told_all_that_it_needs_to_know() -> None:
    scene = Scene()
    answer = scene.authorize(asks(600)).answer
    assert (answer.decision, answer.reason, answer.sequence) == (Decision.ALLOW, None, 0)
    assert (answer.granted_seconds, answer.final_unit, answer.paid_by) == (
        600,
        False,
        PaidBy.CREDITS,
    )
    assert (answer.rate_micros_per_minute, answer.connection_fee_micros, answer.currency) == (
        RATE,
        0,
        "USD",
    )
    assert answer.report_before == ANSWERED + timedelta(seconds=600)
    assert answer.valid_until is not None
    assert answer.report_before <= answer.valid_until
    assert scene.reserved() == 10 * RATE


def test_who_does_not_say_how_much_is_granted_five_minutes() -> None:
    assert Scene().authorize().answer.granted_seconds == 300


def test_a_grant_is_whole_blocks_at_the_least_what_was_asked_for() -> None:
    scene = Scene()
    answer = scene.authorize(asks(61)).answer
    assert (answer.granted_seconds, answer.final_unit) == (120, False)
    assert scene.reserved() == 2 * RATE


def test_the_last_grant_is_what_the_credit_really_covers_fee_included() -> None:
    scene = Scene(holding(lot("1", 150_000)))
    answer = scene.authorize(asks(600), remote_number="+442079460100").answer
    assert (answer.granted_seconds, answer.final_unit) == (120, True)
    assert scene.reserved() == 140_000
    assert scene.account.available_micros(ANSWERED) == 10_000


def test_what_one_call_has_reserved_no_other_is_granted() -> None:
    scene = Scene(holding(lot("1", 4 * RATE)))
    assert scene.authorize(asks(180)).answer.granted_seconds == 180
    second = scene.authorize(asks(180), call_id="call-2").answer
    assert (second.granted_seconds, second.final_unit) == (60, True)
    third = scene.authorize(call_id="call-3").answer
    assert (third.decision, third.reason) == (Decision.DENY, Denied.INSUFFICIENT_CREDIT)
    assert (third.granted_seconds, third.final_unit, third.valid_until) == (0, True, None)


def test_an_update_keeps_what_was_used_and_grants_more() -> None:
    scene = Scene()
    first = scene.authorize(asks(300))
    second = scene.update(first, used(240, 1), ANSWERED + 4 * MINUTE)
    assert (second.answer.granted_seconds, second.answer.sequence) == (300, 1)
    assert second.reservation.used_seconds == 240
    assert scene.reserved() == 9 * RATE
    third = scene.update(second, used(60, 2), ANSWERED + 5 * MINUTE)
    assert third.reservation.used_seconds == 300
    assert scene.reserved() == 10 * RATE


def test_a_grant_after_part_of_a_block_ends_with_a_block() -> None:
    scene = Scene()
    first = scene.authorize(asks(60))
    second = scene.update(first, used(50, 1, 60), ANSWERED + MINUTE)
    assert second.answer.granted_seconds == 70
    assert scene.reserved() == 2 * RATE


def test_an_update_that_finds_nothing_left_says_so_and_keeps_what_was_used() -> None:
    scene = Scene(holding(lot("1", 2 * RATE)))
    first = scene.authorize(asks(120))
    second = scene.update(first, used(120, 1), ANSWERED + 2 * MINUTE)
    assert (second.answer.decision, second.answer.reason) == (
        Decision.DENY,
        Denied.INSUFFICIENT_CREDIT,
    )
    assert (second.answer.granted_seconds, second.answer.final_unit) == (0, True)
    assert scene.reserved(ANSWERED + 2 * MINUTE) == 2 * RATE


def test_more_used_than_granted_is_reserved_even_if_nothing_covers_it() -> None:
    scene = Scene(holding(lot("1", 2 * RATE)))
    first = scene.authorize(asks(120))
    scene.update(first, used(300, 1), ANSWERED + 5 * MINUTE)
    assert scene.reserved(ANSWERED + 5 * MINUTE) == 5 * RATE
    assert scene.account.available_micros(ANSWERED + 5 * MINUTE) == -3 * RATE


def test_a_release_gives_back_what_was_not_used_and_keeps_the_rest_for_the_charge() -> None:
    scene = Scene()
    first = scene.authorize(asks(600))
    at = ANSWERED + 2 * MINUTE
    released = scene.release(first, 61, at)
    assert released.answer.granted_seconds == 0
    assert scene.reserved(at) == 2 * RATE
    assert scene.account.reserved.calls_at(at) == 0
    assert scene.reserved(at + 90 * DAY) == 2 * RATE


def test_what_is_used_stays_reserved_when_the_grant_has_lapsed() -> None:
    scene = Scene()
    first = scene.authorize(asks(300))
    at = ANSWERED + 4 * MINUTE
    second = scene.update(first, used(200, 1, 300), at)
    granted, used_part = (
        next(one for one in second.reservation.held if one.used is used) for used in (False, True)
    )
    assert (used_part.micros, granted.micros) == (4 * RATE, 5 * RATE)
    assert scene.account.reserved.calls_at(at) == 1
    assert scene.reserved(granted.until) == 4 * RATE
    assert scene.account.reserved.calls_at(granted.until) == 0


def test_what_was_reported_is_due_at_the_first_quarter_of_a_day_after_usage_may_be_late() -> None:
    scene = Scene()
    first = scene.authorize(asks(300))
    late = ANSWERED + 4 * MINUTE
    due_at = (ANSWERED + timedelta(hours=LATE_USAGE_HOURS)).replace(hour=12)
    second = scene.update(first, used(200, 1), late)
    assert second.reservation.charge_at == scene.account.reserved.charge_due_at == due_at
    third = scene.release(second, 100, due_at - timedelta(hours=LATE_USAGE_HOURS))
    assert third.reservation.charge_at == due_at
    assert scene.account._replace(lots=()).due_at == due_at


def test_nothing_is_due_while_the_call_may_go_on() -> None:
    settings = configured(late_usage_hours=1, max_grant_seconds=4 * 3_600)
    scene = Scene(holding(lot("1", 100 * MICROS), settings=settings))
    first = scene.authorize(asks(60))
    second = scene.update(first, used(60, 1, 4 * 3_600), ANSWERED + MINUTE)
    granted_until = max(one.until for one in second.reservation.held if not one.used)
    assert granted_until > ANSWERED + timedelta(hours=8)
    assert second.reservation.charge_at is not None
    assert granted_until <= second.reservation.charge_at < granted_until + timedelta(hours=6)


def test_a_call_that_reports_nothing_is_never_due() -> None:
    scene = Scene()
    released = scene.release(scene.authorize(asks(300)), 0, ANSWERED + MINUTE)
    assert released.reservation.charge_at is None
    assert scene.account._replace(lots=()).due_at is None


def test_the_leg_that_a_bridge_describes_ends_with_its_last_report() -> None:
    scene = Scene()
    second = scene.update(scene.authorize(asks(600)), used(61, 1), ANSWERED + 2 * MINUTE)
    ended_at = ANSWERED + 3 * MINUTE + timedelta(microseconds=7)
    third = scene.release(second, 100, ended_at)
    told = third.reservation.as_reported()
    assert (told.answered_at, told.ended_at) == (ended_at - timedelta(seconds=161), ended_at)
    assert told.connected_seconds == 161
    endless = replace(third.reservation, used_seconds=10**6).as_reported()
    assert endless.connected_seconds == MAX_CALL_SECONDS
    with pytest.raises(ValueError, match="nothing was reported of call call-1"):
        scene.authorize(asks(), call_id="call-1").reservation.as_reported()


def test_a_call_that_was_never_answered_leaves_nothing_reserved() -> None:
    scene = Scene()
    scene.release(scene.authorize(asks(600)), 0, ANSWERED + MINUTE)
    assert not scene.account.reserved


def test_a_reservation_lapses_after_twice_its_validity() -> None:
    scene = Scene(holding(lot("1", 4 * RATE)))
    answer = scene.authorize(asks(240), at=ANSWERED + timedelta(seconds=7)).answer
    assert answer.valid_until is not None
    at = ANSWERED + timedelta(seconds=7)
    lapsed = at + 2 * (answer.valid_until - at)
    assert scene.reserved(lapsed - timedelta(microseconds=1)) == 4 * RATE
    assert scene.authorize(asks(240), call_id="b", at=lapsed).answer.granted_seconds == 240


def test_a_call_that_reports_after_that_is_covered_anew() -> None:
    scene = Scene(holding(lot("1", 5 * RATE)))
    first = scene.authorize(asks(240))
    late = ANSWERED + timedelta(hours=1)
    scene.authorize(asks(120), call_id="b", at=late)
    second = scene.update(first, used(60, 1, 240), late)
    assert (second.answer.granted_seconds, second.answer.final_unit) == (120, True)
    assert scene.reserved(late) == 5 * RATE


def test_a_lot_that_expires_before_the_charge_can_come_is_not_granted() -> None:
    soon = lot("1", 100 * RATE, expires_at=ANSWERED + 8 * MINUTE)
    scene = Scene(holding(soon, lot("2", RATE)))
    assert scene.authorize(asks(120)).answer.granted_seconds == 60


def test_a_call_is_granted_as_long_as_a_lot_that_expires_can_pay_for() -> None:
    scene = Scene(holding(lot("1", MICROS, expires_at=ANSWERED + 11 * MINUTE)))
    answer = scene.authorize(asks(300)).answer
    assert (answer.granted_seconds, answer.final_unit) == (240, True)
    longer = Scene(holding(lot("1", MICROS, expires_at=ANSWERED + 13 * MINUTE)))
    assert longer.authorize(asks(300)).answer.granted_seconds == 300


def test_while_it_rings_a_rate_may_change_and_the_dearer_one_is_reserved() -> None:
    changing = card(
        "dialOut,49,DE,USD,0.015,,2026-11-02T09:00:30Z",
        "dialOut,49,DE,USD,0.03,2026-11-02T09:00:30Z,",
        header="leg_type,prefix,country,currency,rate_per_minute,effective_from,effective_to",
    )
    scene = Scene(holding(lot("1", 4 * RATE)), rates=changing)
    assert scene.authorize(asks(300)).answer.granted_seconds == 120
    before = ANSWERED - MINUTE
    early = Scene(holding(lot("1", 4 * RATE)), rates=changing)
    assert early.authorize(asks(300), at=before).answer.granted_seconds == 240


def test_a_lot_that_expires_before_one_that_pays_first_is_no_cover_for_long() -> None:
    first, second = lot("1", 4 * RATE), lot("2", 9 * RATE, expires_at=ANSWERED + 13 * MINUTE)
    scene = Scene(holding(first, second))
    assert scene.authorize(asks(240)).answer.granted_seconds == 240
    assert scene.authorize(asks(60), call_id="b").answer.granted_seconds == 60
    assert scene.account.available_micros(ANSWERED) == 8 * RATE
    longer = scene.account.reserved.with_added(Hold(ANSWERED + 14 * MINUTE, 0, 1))
    assert scene.account._replace(reserved=longer).available_micros(ANSWERED) == -RATE


def used_beside(second: Lot) -> int:
    """Have a call use the first lot, and count what others may spend beside that."""
    scene = Scene(holding(lot("1", 4 * RATE), second))
    call = scene.authorize(asks(240))
    released = ANSWERED + 4 * MINUTE
    scene.release(call, 240, released)
    return scene.account.available_micros(released, lasting_until=released + 12 * MINUTE)


def test_what_a_call_has_used_is_paid_by_a_lot_of_its_time_though_that_expires_first() -> None:
    assert used_beside(lot("2", 9 * RATE, expires_at=ANSWERED + 2 * DAY)) == 9 * RATE


@pytest.mark.parametrize(("days", "counts"), [(2, False), (4, False), (5, True)])
def test_a_lot_that_is_bought_after_a_call_counts_if_it_lives_until_that_is_charged(
    days: int, *, counts: bool
) -> None:
    expires_at = ANSWERED + days * DAY
    bought = lot("2", 9 * RATE, purchased_at=ANSWERED + MINUTE, expires_at=expires_at)
    assert used_beside(bought) == (9 * RATE if counts else 0)


def test_nothing_is_granted_on_a_debt() -> None:
    assert Scene(holding(debt_micros=1)).authorize().answer.reason == Denied.INSUFFICIENT_CREDIT


@pytest.mark.parametrize(
    ("reason", "scene", "call"),
    [
        ("noLicense", Scene(user=Timeline()), {}),
        ("noCreditsLicense", Scene(user=holds("payPerMinute")), {}),
        ("creditsNotSetUp", Scene(account=Account(organization_id=ORGANIZATION)), {}),
        ("notVolumeLicensing", Scene(organization=Timeline()), {}),
        (
            "countryNotAvailable",
            Scene(user=holds("payPerMinute", "communicationsCredits", country=None)),
            {},
        ),
        (
            "dialOutNotAllowed",
            Scene(user=Timeline([*BY_THE_MINUTE.facts, fact("dialOutPolicy", "sameCountry")])),
            {"remote_number": "+442079460100"},
        ),
        (
            "tollFreeNotAllowed",
            Scene(
                user=Timeline([*BY_THE_MINUTE.facts, fact("tollFreeDialInAllowed", value=False)])
            ),
            {"leg_type": LegType.TOLL_FREE_DIAL_IN, "service_number": "+18005550100"},
        ),
        ("noRate", Scene(), {"remote_number": "+881612345678"}),
        ("currencyMismatch", Scene(), {"remote_number": TO_FRANCE}),
        ("blockedNumber", Scene(), {"remote_number": "+449098790100"}),
        ("adHocMeeting", Scene(), {"meeting_type": MeetingType.AD_HOC}),
        (
            "adHocMeeting",
            Scene(user=SUBSCRIBED),
            {"meeting_type": MeetingType.AD_HOC},
        ),
    ],
)
def test_a_call_is_denied_with_the_reason(reason: str, scene: Scene, call: dict[str, Any]) -> None:
    before = scene.account
    decided = scene.authorize(**call)
    assert (decided.answer.decision, decided.answer.reason) == (Decision.DENY, reason)
    assert scene.account is before
    assert not decided.reservation.held


@pytest.mark.parametrize("meeting_type", MeetingType)
def test_what_a_subscription_includes_is_allowed_without_touching_the_account(
    meeting_type: MeetingType,
) -> None:
    scene = Scene(holding(debt_micros=5), user=SUBSCRIBED)
    before = scene.account
    answer = scene.authorize(
        asks(600),
        leg_type=LegType.TOLL_DIAL_IN,
        service_number="+8613800138000",
        meeting_type=meeting_type,
    ).answer
    assert (answer.decision, answer.granted_seconds, answer.paid_by) == (
        Decision.ALLOW,
        600,
        PaidBy.SUBSCRIPTION,
    )
    assert scene.account is before


def test_what_a_subscription_includes_has_a_rate_in_any_currency() -> None:
    scene = Scene(user=SUBSCRIBED, rates=card("tollDialIn,33,FR,EUR,0.016,0.01,"))
    call: dict[str, Any] = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": TO_FRANCE}
    answer = scene.authorize(**call).answer
    assert (answer.decision, answer.paid_by) == (Decision.ALLOW, PaidBy.SUBSCRIPTION)
    assert (answer.rate_micros_per_minute, answer.connection_fee_micros, answer.currency) == (
        16_000,
        10_000,
        "EUR",
    )


def test_who_joins_with_the_app_costs_nobody_anything() -> None:
    scene = Scene(holding(debt_micros=5), user=Timeline())
    answer = scene.authorize(leg_type=LegType.APP, remote_number=None).answer
    assert (answer.decision, answer.paid_by) == (Decision.ALLOW, PaidBy.NOBODY)


def test_no_call_may_last_longer_than_a_meeting_can() -> None:
    settings = configured(max_grant_seconds=MAX_CALL_SECONDS)
    scene = Scene(holding(settings=settings), user=SUBSCRIBED)
    call: dict[str, Any] = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550100"}
    first = scene.authorize(asks(90_000), **call)
    assert (first.answer.granted_seconds, first.answer.final_unit) == (86_400, True)
    second = scene.update(first, used(86_400, 1), ANSWERED + timedelta(days=1))
    assert second.answer.reason == Denied.CALL_TOO_LONG


# ── Minute pools ─────────────────────────────────────────────────────────────────────────────


def pooled(minutes: int, account: Account | None = None, *licenses: str) -> Scene:
    organization = Timeline(
        [fact("purchased:MCOMEETADV", 1), fact("poolMinutesPerLicense", minutes)]
    )
    user = holds("subscription", *(licenses or ("communicationsCredits",)))
    return Scene(account or holding(lot("1", MICROS)), user, organization)


def test_minutes_of_the_pool_are_reserved_like_money() -> None:
    scene = pooled(10, holding(debt_micros=1))
    first = scene.authorize(asks(360)).answer
    assert (first.granted_seconds, first.paid_by, first.final_unit) == (360, PaidBy.POOL, False)
    assert (scene.reserved(), scene.pool.held.amount_at(ANSWERED)) == (0, 6)
    second = scene.authorize(asks(360), call_id="call-2").answer
    assert (second.granted_seconds, second.final_unit) == (240, True)
    third = scene.authorize(call_id="call-3").answer
    assert third.reason == Denied.INSUFFICIENT_CREDIT


def test_beyond_the_pool_credit_is_reserved() -> None:
    scene = pooled(4)
    answer = scene.authorize(asks(600)).answer
    assert (answer.granted_seconds, answer.paid_by) == (600, PaidBy.POOL_AND_CREDITS)
    assert (scene.reserved(), scene.pool.held.amount_at(ANSWERED)) == (6 * RATE, 4)


def test_who_may_not_use_credit_is_granted_the_pool_and_no_more() -> None:
    scene = pooled(4, None, "subscription")
    first = scene.authorize(asks(600))
    assert (first.answer.granted_seconds, first.answer.final_unit) == (240, True)
    second = scene.update(first, used(240, 1), ANSWERED + 4 * MINUTE)
    assert (second.answer.decision, second.answer.reason) == (Decision.DENY, "noCreditsLicense")
    other = scene.authorize(call_id="call-2", at=ANSWERED + 4 * MINUTE).answer
    assert other.reason == "noCreditsLicense"


def test_an_update_takes_more_minutes_and_a_release_gives_them_back() -> None:
    scene = pooled(10)
    first = scene.authorize(asks(180))
    second = scene.update(first, used(180, 1, 300), ANSWERED + 3 * MINUTE)
    assert scene.pool.held.amount_at(ANSWERED) == 8
    scene.release(second, 30, ANSWERED + 4 * MINUTE)
    assert scene.pool.held.amount_at(ANSWERED + 4 * MINUTE) == 4


def test_a_call_that_may_be_answered_in_the_next_month_reserves_credit_as_well() -> None:
    scene = pooled(10)
    late = datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC)
    answer = scene.authorize(asks(300), at=late).answer
    assert (answer.granted_seconds, answer.paid_by) == (300, PaidBy.POOL_AND_CREDITS)
    assert (scene.reserved(late), scene.pool.held.amount_at(late)) == (5 * RATE, 5)


def test_licenses_that_go_while_a_call_is_under_way_leave_it_no_more_than_there_is() -> None:
    scene = pooled(24, holding(debt_micros=1))
    first = scene.authorize(asks(300))
    fewer = fact("poolMinutesPerLicense", 8, ANSWERED + 2 * MINUTE, "fewer")
    scene.organization = Timeline([*scene.organization.facts, fewer])
    second = scene.update(first, used(300, 1), ANSWERED + 5 * MINUTE)
    assert (second.answer.granted_seconds, second.answer.final_unit) == (180, True)


def test_minutes_used_before_the_cutover_are_not_granted_again() -> None:
    scene = pooled(10, holding(debt_micros=1))
    used_before = fact("poolMinutesUsed", 4, ANSWERED.replace(day=1, hour=0), "cutover")
    scene.organization = Timeline([*scene.organization.facts, used_before])
    answer = scene.authorize(asks(600)).answer
    assert (answer.granted_seconds, answer.final_unit) == (360, True)


# ── Limits ───────────────────────────────────────────────────────────────────────────────────


def test_a_day_may_not_cost_more_than_its_limit_which_is_told_once() -> None:
    scene = Scene(holding(lot("1", MICROS), settings=configured(daily_spend_limit_micros=5 * RATE)))
    first = scene.authorize(asks(180)).answer
    assert (first.granted_seconds, scene.told) == (180, [])
    second = scene.authorize(asks(180), call_id="call-2").answer
    assert (second.granted_seconds, second.final_unit) == (120, True)
    assert second.limit is LimitName.DAILY_SPEND
    third = scene.authorize(call_id="call-3").answer
    assert (third.reason, third.limit) == (Denied.SPEND_LIMIT, LimitName.DAILY_SPEND)
    assert scene.told == [
        SpendLimitReached(
            limit=LimitName.DAILY_SPEND,
            period="2026-11-02",
            amount_micros=5 * RATE,
            spent_micros=0,
            reserved_micros=3 * RATE,
            currency="USD",
        )
    ]


def test_the_next_day_has_all_of_its_limit_again() -> None:
    today = SpendCounter(key=day_of(ANSWERED), spent_micros=5 * RATE)
    settings = configured(daily_spend_limit_micros=5 * RATE)
    scene = Scene(holding(lot("1", MICROS), settings=settings, days=(today,)))
    assert scene.authorize().answer.reason == Denied.SPEND_LIMIT
    tomorrow = scene.authorize(call_id="b", at=ANSWERED + timedelta(days=1)).answer
    assert tomorrow.granted_seconds == 300


def test_a_limit_stops_only_what_costs_something() -> None:
    settings = configured(daily_spend_limit_micros=0)
    scene = pooled(10, holding(lot("1", MICROS), settings=settings))
    assert scene.authorize(asks(600)).answer.granted_seconds == 600


def test_if_credit_is_short_as_well_that_is_the_reason() -> None:
    settings = configured(daily_spend_limit_micros=0)
    assert Scene(holding(settings=settings)).authorize().answer.reason == (
        Denied.INSUFFICIENT_CREDIT
    )


def test_a_user_has_a_limit_of_the_month() -> None:
    user = Timeline([*BY_THE_MINUTE.facts, fact("monthlySpendLimit", 3 * RATE)])
    scene = Scene(user=user)
    assert scene.authorize(asks(120)).answer.granted_seconds == 120
    second = scene.authorize(asks(120), call_id="b").answer
    assert (second.granted_seconds, second.final_unit) == (60, True)
    third = scene.authorize(call_id="c").answer
    assert (third.reason, third.limit) == (Denied.SPEND_LIMIT, LimitName.MONTHLY_SPEND)
    (told,) = scene.told
    assert (told.user_id, told.period) == (ORGANIZER, "2026-11")


def test_a_burst_to_one_prefix_is_stopped_and_told_while_other_calls_go_on() -> None:
    scene = Scene(
        holding(lot("1", 10 * MICROS), settings=configured(prefix_hourly_spend_limit_micros=MICROS))
    )
    expensive: dict[str, Any] = {"remote_number": "+37121234567"}
    first = scene.authorize(asks(120), **expensive)
    assert first.answer.granted_seconds == 120
    second = scene.authorize(call_id="b", **expensive).answer
    assert (second.reason, second.limit) == (
        Denied.FRAUD_SUSPECTED,
        LimitName.PREFIX_HOURLY_SPEND,
    )
    assert scene.authorize(call_id="c", **expensive).answer.reason == Denied.FRAUD_SUSPECTED
    (told,) = scene.told
    assert isinstance(told, FraudSuspected)
    assert (told.prefix, told.since, told.amount_micros) == ("371", ANSWERED, MICROS)
    assert scene.authorize(call_id="d").answer.decision is Decision.ALLOW
    later = scene.authorize(asks(60), call_id="e", at=ANSWERED + timedelta(hours=1), **expensive)
    assert later.answer.granted_seconds == 60


def test_so_many_calls_at_once_and_no_more_told_again_when_half_of_them_are_over() -> None:
    scene = Scene(holding(lot("1", MICROS), settings=configured(max_concurrent_calls=2)))
    first, second = scene.authorize(), scene.authorize(call_id="b")
    for call_id in "cdwxyz":
        denied = scene.authorize(call_id=call_id).answer
        assert (denied.reason, denied.limit) == (Denied.SPEND_LIMIT, LimitName.CONCURRENT_CALLS)
    assert [told.calls for told in scene.told] == [2]
    scene.release(first, 60, ANSWERED + MINUTE)
    assert scene.update(second, used(60, 1), ANSWERED + MINUTE).answer.granted_seconds == 300
    assert scene.authorize(call_id="e").answer.decision is Decision.ALLOW
    assert scene.authorize(call_id="f").answer.decision is Decision.DENY
    assert len(scene.told) == 2


# ── Sequence ─────────────────────────────────────────────────────────────────────────────────


def test_the_last_request_again_has_the_answer_that_it_had() -> None:
    decided = Scene().authorize(asks(600))
    later = under_way(answered_at=ANSWERED + MINUTE, ended_at=ANSWERED + MINUTE)
    again = decided.reservation.repeated_answer(asks(600), ANSWERED + MINUTE, later)
    assert again == decided.answer


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (asks(601), "sequence: 0 was used for another request of this call; send that one again"),
        (used(60, 0), "sequence: 0 was used for another request"),
        (used(60, 2), "sequence: is 2, but the last of this call was 0"),
        (asks(600, 1), "callId: is authorized already"),
    ],
)
def test_anything_but_the_next_request_is_a_conflict(asked: ChargingRequest, message: str) -> None:
    reservation = Scene().authorize(asks(600)).reservation
    with pytest.raises(Conflict, match=message):
        reservation.repeated_answer(asked, ANSWERED)


def test_another_call_under_the_same_id_is_a_conflict() -> None:
    reservation = Scene().authorize(asks(600)).reservation
    with pytest.raises(Conflict, match="another request"):
        reservation.repeated_answer(asks(600), ANSWERED, under_way(organizer_id="bob"))


def test_a_call_that_was_refused_can_be_asked_for_again_and_not_gone_on_with() -> None:
    reservation = Scene(user=Timeline()).authorize().reservation
    assert reservation.repeated_answer(asks(None, 1), ANSWERED, under_way()) is None
    with pytest.raises(Conflict, match="was refused; there is nothing to update"):
        reservation.repeated_answer(used(60, 1), ANSWERED)


def test_a_call_that_was_released_is_over() -> None:
    scene = Scene()
    reservation = scene.release(scene.authorize(), 60, ANSWERED + MINUTE).reservation
    with pytest.raises(Conflict, match="was released; there is nothing to update"):
        reservation.repeated_answer(used(60, 2), ANSWERED)
    with pytest.raises(Conflict, match="was released; a new call needs an id of its own"):
        reservation.repeated_answer(asks(60, 2), ANSWERED, under_way())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (asks(None, 1), "sequence: is 1, but the first of a call is 0"),
        (used(60, 0), "callId: was never authorized; there is nothing to update"),
    ],
)
def test_a_call_begins_with_an_authorization(asked: ChargingRequest, message: str) -> None:
    with pytest.raises(Conflict, match=message):
        asked.check_is_first()
