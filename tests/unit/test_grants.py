"""What an answer lets a bridge rely on, until it is proved that a later one was heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from authorizing import (
    MINUTE,
    NOVEMBER,
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
    Operation,
    PaidBy,
    Promise,
    ReservedPart,
    parts_to_reserve,
)
from perminute.domain.credit.credit_settings import FailureHandling
from perminute.domain.errors import Conflict, Refused
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.limits.spending import LimitName
from perminute.domain.pools.pools import MinutePool
from perminute.domain.rating.calls import MAX_CALL_SECONDS, LegType, MeetingType

if TYPE_CHECKING:
    from perminute.domain.authorization.authorization import Authorization
    from perminute.domain.credit.accounts import Account
    from perminute.domain.rating.rate_card import RateCard

SECOND = timedelta(seconds=1)


def lapse(decided: Authorization) -> datetime:
    promised = decided.reservation.promised
    assert promised is not None
    return promised.until


# ── An answer that gets lost ─────────────────────────────────────────────────────────────────


def test_a_grant_that_shrinks_stays_reserved_until_the_next_request() -> None:
    scene = Scene(holding(lot("1", 10 * RATE)))
    first = scene.authorize(asks(600))
    second = scene.update(first, used(55, 1, 60), ANSWERED + 55 * SECOND)
    assert second.answer.granted_seconds == 65
    assert scene.reserved(ANSWERED + MINUTE) == 10 * RATE
    assert scene.account.reserved.calls_at(ANSWERED + MINUTE) == 1
    other = scene.authorize(asks(600), ANSWERED + MINUTE, call_id="b")
    assert (other.answer.decision, other.answer.reason) == (
        Decision.DENY,
        Denied.INSUFFICIENT_CREDIT,
    )
    third = scene.update(second, used(60, 2), ANSWERED + 2 * MINUTE)
    assert third.answer.granted_seconds == 65
    assert scene.reserved(ANSWERED + 2 * MINUTE) == 3 * RATE


def test_what_is_held_for_a_lost_answer_lapses_with_the_grant_before() -> None:
    scene = Scene()
    first = scene.authorize(asks(600))
    second = scene.update(first, used(55, 1, 60), ANSWERED + 55 * SECOND)
    assert lapse(second) < lapse(first)
    assert scene.reserved(lapse(first) - SECOND) == 10 * RATE
    assert scene.reserved(lapse(first)) == RATE


def test_what_others_have_forgotten_as_lapsed_is_not_held_again() -> None:
    """Requests need not be decided in the order of their times."""
    scene = Scene()
    first, other = scene.authorize(asks(600)), scene.authorize(asks(600), call_id="b")
    just_before, just_after = lapse(first) - SECOND, lapse(first) + SECOND
    scene.authorize(asks(60), just_after, call_id="c")
    scene.update(first, used(60, 1, 60), just_before)
    scene.release(other, 60, just_before)
    assert min(hold.amount for hold in scene.account.reserved.by_instant) >= 0
    assert min(hold.calls for hold in scene.account.reserved.by_instant) >= 0


def test_a_lasting_smaller_grant_outlives_the_greater_one_before() -> None:
    scene = Scene()
    first = scene.authorize(asks(600))
    at = lapse(first) - MINUTE
    second = scene.update(first, used(55, 1, 60), at)
    assert lapse(first) < lapse(second)
    assert scene.reserved(at) == 10 * RATE
    assert scene.reserved(lapse(first)) == 2 * RATE
    assert scene.account.reserved.calls_at(at) == 1


@pytest.mark.parametrize("limits", [{"daily_spend_limit_micros": RATE}])
def test_a_limit_that_is_lowered_in_mid_call_frees_nothing_that_may_still_be_used(
    limits: dict[str, Any],
) -> None:
    scene = Scene()
    first = scene.authorize(asks(600))
    scene.account = scene.account._replace(settings=configured(**limits))
    second = scene.update(first, used(60, 1), ANSWERED + MINUTE)
    assert (second.answer.decision, second.answer.limit) == (Decision.DENY, LimitName.DAILY_SPEND)
    assert scene.reserved(ANSWERED + MINUTE) == 10 * RATE
    assert scene.account.reserved.calls_at(ANSWERED + MINUTE) == 1
    assert scene.reserved(lapse(first)) == RATE
    third = scene.update(second, used(5, 2), ANSWERED + 65 * SECOND)
    assert third.answer.decision is Decision.DENY
    assert scene.reserved(ANSWERED + 65 * SECOND) == 2 * RATE


def test_a_release_proves_that_the_call_needs_nothing_more() -> None:
    scene = Scene()
    shrunk = scene.update(scene.authorize(asks(600)), used(55, 1, 60), ANSWERED + 55 * SECOND)
    scene.release(shrunk, 5, ANSWERED + MINUTE)
    assert scene.reserved(ANSWERED + MINUTE) == RATE


def test_minutes_of_a_pool_stay_reserved_as_credit_does() -> None:
    organization = Timeline([fact("purchased:MCOMEETADV", 1), fact("poolMinutesPerLicense", 10)])
    scene = Scene(holding(), holds("subscription"), organization)
    first = scene.authorize(asks(600))
    scene.update(first, used(55, 1, 60), ANSWERED + 55 * SECOND)
    assert scene.pool.held.amount_at(ANSWERED + MINUTE) == 10
    other = scene.authorize(asks(60), ANSWERED + MINUTE, call_id="b")
    assert other.answer.decision is Decision.DENY
    assert scene.pool.held.amount_at(lapse(first)) == 1


def test_the_greatest_promise_that_lasts_is_covered() -> None:
    soon, late = ANSWERED, ANSWERED + MINUTE
    more = partial(ReservedPart, soon, calls=0)
    small, great = (3, 1), (7, 0)
    cases = {
        (Promise(soon, *great), Promise(late, *small)): (
            ReservedPart(late, 1, 1),
            more(4, 0),
        ),
        (Promise(soon, *small), Promise(late, *great)): (
            ReservedPart(late, 5, 0),
            more(0, 1),
        ),
        (Promise(late, *small), Promise(late, *great)): (ReservedPart(late, 5, 1),),
        (Promise(soon, 1, 0), Promise(late, 2, 0)): (ReservedPart(late, 0, 0),),
        (Promise(soon, *small),): (ReservedPart(soon, 1, 1),),
    }
    for promises, held in cases.items():
        assert tuple(parts_to_reserve(promises, (2, 0))) == held


# ── When to hang up ──────────────────────────────────────────────────────────────────────────


def test_a_bridge_is_told_to_hang_up_two_seconds_before_the_grant_ends() -> None:
    scene = Scene()
    first = scene.authorize(asks(300))
    assert first.answer.hang_up_after_seconds == 298
    second = scene.update(first, used(290, 1), ANSWERED + 290 * SECOND)
    assert second.answer.hang_up_after_seconds == 598


def test_a_bridge_is_told_how_long_the_call_is_covered_beside_this_grant() -> None:
    scene = Scene(holding(lot("1", 20 * RATE)))
    first = scene.authorize(asks(300))
    assert first.answer.remaining_seconds == 1_200
    assert scene.update(first, used(60, 1), ANSWERED + MINUTE).answer.remaining_seconds == 1_200
    limited = Scene(
        holding(lot("1", 20 * RATE), settings=configured(daily_spend_limit_micros=7 * RATE))
    )
    assert limited.authorize(asks(300)).answer.remaining_seconds == 420


def test_who_has_enough_is_covered_for_a_day_and_so_is_what_costs_nothing() -> None:
    rich = Scene(holding(lot("1", 1_000 * MICROS))).authorize().answer
    included: dict[str, Any] = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550100"}
    free = Scene(user=SUBSCRIBED).authorize(**included).answer
    assert rich.remaining_seconds == free.remaining_seconds == MAX_CALL_SECONDS
    assert (rich.hang_up_after_seconds, free.hang_up_after_seconds) == (298, 298)


def test_who_is_granted_nothing_is_told_neither() -> None:
    answer = Scene(holding()).authorize().answer
    assert (answer.hang_up_after_seconds, answer.remaining_seconds) == (None, None)


def test_a_grant_too_short_to_hang_up_in_says_so() -> None:
    rates = card("dialOut,49,DE,USD,0.015,1,1", header=BY_SECONDS)
    answer = Scene(rates=rates).authorize(asks(1)).answer
    assert (answer.granted_seconds, answer.hang_up_after_seconds) == (1, 0)


BY_SECONDS = (
    "leg_type,prefix,country,currency,rate_per_minute,initial_increment_seconds,increment_seconds"
)


# ── How much at a time ───────────────────────────────────────────────────────────────────────


def test_no_grant_is_longer_than_half_an_hour_and_such_a_cut_is_not_final() -> None:
    answer = Scene(holding(lot("1", 100 * MICROS))).authorize(asks(7_200)).answer
    assert (answer.granted_seconds, answer.final_unit, answer.limit) == (1_800, False, None)


@pytest.mark.parametrize(
    ("most", "reported", "granted"),
    [(600, 0, 600), (590, 0, 540), (600, 290, 550), (30, 0, 60), (30, 50, 70), (1, 60, 60)],
)
def test_admins_say_how_much_and_a_grant_ends_with_a_block(
    most: int, reported: int, granted: int
) -> None:
    settings = configured(max_grant_seconds=most)
    scene = Scene(holding(lot("1", 100 * MICROS), settings=settings))
    first = scene.authorize(asks(3_600))
    decided = (
        scene.update(first, used(reported, 1), ANSWERED + reported * SECOND) if reported else first
    )
    assert (decided.answer.granted_seconds, decided.answer.final_unit) == (granted, False)


@pytest.mark.parametrize(("most", "block"), [(1, 60), (60, 60), (90, 60), (1_800, 3_600)])
def test_a_bridge_that_asks_in_time_gets_past_its_block(most: int, block: int) -> None:
    rates = card(f"dialOut,49,DE,USD,0.015,{block},{block}", header=BY_SECONDS)
    settings = configured(max_grant_seconds=most)
    scene = Scene(holding(lot("1", 1_000 * MICROS), settings=settings), rates=rates)
    decided = scene.authorize(asks(600))
    for sequence in range(1, 5):
        must_ask = decided.answer.hang_up_after_seconds
        assert must_ask is not None
        since = must_ask - decided.reservation.used_seconds
        decided = scene.update(decided, used(since, sequence), ANSWERED + must_ask * SECOND)
        assert (decided.answer.hang_up_after_seconds or 0) > must_ask


def test_what_credit_cuts_further_is_final() -> None:
    settings = configured(max_grant_seconds=600)
    answer = Scene(holding(lot("1", 5 * RATE), settings=settings)).authorize(asks(3_600)).answer
    assert (answer.granted_seconds, answer.final_unit) == (300, True)
    enough = Scene(holding(lot("1", 12 * RATE), settings=settings)).authorize(asks(3_600)).answer
    assert (enough.granted_seconds, enough.final_unit) == (600, False)


def test_a_block_longer_than_the_most_at_a_time_is_final_where_credit_ends() -> None:
    rates = card("dialOut,49,DE,USD,0.015,3600,3600", header=BY_SECONDS)
    settings = configured(max_grant_seconds=600)
    scene = Scene(holding(lot("1", 60 * RATE), settings=settings), rates=rates)
    answer = scene.authorize(asks(7_200)).answer
    assert (answer.granted_seconds, answer.final_unit) == (3_600, True)


def test_what_costs_nothing_is_granted_no_longer_at_a_time() -> None:
    included: dict[str, Any] = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550100"}
    answer = Scene(user=SUBSCRIBED).authorize(asks(7_200), **included).answer
    assert (answer.granted_seconds, answer.final_unit) == (1_800, False)


def test_a_fraud_limit_acts_when_the_bridge_reports_next() -> None:
    scene = Scene(holding(lot("1", 1_000 * MICROS)))
    first = scene.authorize(asks(MAX_CALL_SECONDS))
    settings = configured(prefix_hourly_spend_limit_micros=RATE)
    scene.account = scene.account._replace(settings=settings)
    second = scene.update(first, used(1_798, 1), ANSWERED + 1_798 * SECOND)
    assert second.answer.reason == Denied.FRAUD_SUSPECTED


# ── What a report may say ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            ChargingRequest(Operation.UPDATE, 1, None, 121),
            r"^usedSeconds: makes 121 s in all, but the call was authorized 60 s ago; usedSeconds "
            r"counts whole seconds since the report before",
        ),
        (ChargingRequest(Operation.RELEASE, 1, None, 86_400), "^usedSeconds: makes 86400 s in all"),
        (
            ChargingRequest(Operation.UPDATE, 1, None, 0, 121),
            "^totalUsedSeconds: makes 121 s in all",
        ),
    ],
)
def test_more_than_the_clock_allows_cannot_have_been_used(
    asked: ChargingRequest, message: str
) -> None:
    reservation = Scene().authorize().reservation
    with pytest.raises(Refused, match=message):
        reservation.next_request(asked, ANSWERED + MINUTE)


def test_a_report_may_be_a_minute_ahead_and_the_sum_of_all_reports_counts() -> None:
    scene = Scene()
    first = scene.authorize()
    at = ANSWERED + MINUTE
    assert first.reservation.next_request(used(120, 1, 300), at) == used(120, 1, 300)
    second = scene.update(first, used(60, 1), at)
    with pytest.raises(Refused, match="makes 150 s in all, but the call was authorized 70 s ago"):
        second.reservation.next_request(used(90, 2), at + 10 * SECOND)


def test_a_report_of_nothing_is_true_by_any_clock() -> None:
    reservation = Scene().authorize().reservation
    early = ANSWERED - timedelta(hours=1)
    assert reservation.next_request(used(0, 1), early) == used(0, 1, 300)


@pytest.mark.parametrize(
    ("reported_at", "answered_after"),
    [(58, 0), (110, 52), (7 * 60, 60), (0, -30)],
)
def test_a_report_that_waited_moves_no_call_out_of_its_price(
    reported_at: int, answered_after: int
) -> None:
    scene = Scene()
    released = scene.release(scene.authorize(), 58, ANSWERED + reported_at * SECOND)
    leg_ = released.reservation.as_reported()
    assert leg_.answered_at == ANSWERED + answered_after * SECOND
    assert leg_.ended_at == leg_.answered_at + 58 * SECOND


def test_a_total_may_be_reported_instead() -> None:
    scene = Scene()
    second = scene.update(scene.authorize(), used(60, 1), ANSWERED + MINUTE)
    total = ChargingRequest(Operation.UPDATE, 2, None, 0, 90)
    asked = second.reservation.next_request(total, ANSWERED + 90 * SECOND)
    assert asked == used(30, 2, 300)
    third = scene.update(second, asked, ANSWERED + 90 * SECOND)
    assert third.reservation.used_seconds == 90
    again = third.reservation.repeated_answer(total, ANSWERED + 91 * SECOND)
    assert again == third.answer


def test_a_total_never_falls() -> None:
    scene = Scene()
    second = scene.update(scene.authorize(), used(60, 1), ANSWERED + MINUTE)
    with pytest.raises(Refused, match="totalUsedSeconds: is 59, but 60 were reported before"):
        second.reservation.next_request(
            ChargingRequest(Operation.RELEASE, 2, None, 0, 59), ANSWERED + 2 * MINUTE
        )


# ── The same request again ───────────────────────────────────────────────────────────────────


def test_what_is_wanted_by_default_may_be_spelled_out_when_a_request_is_sent_again() -> None:
    scene = Scene()
    first = scene.authorize(asks(None))
    assert first.reservation.repeated_answer(asks(300), ANSWERED, under_way()) == first.answer
    second = scene.update(first, used(60, 1, 600), ANSWERED + MINUTE)
    third = scene.update(second, used(60, 2), ANSWERED + 2 * MINUTE)
    later = ANSWERED + 2 * MINUTE
    for same in (used(60, 2), used(60, 2, 600), ChargingRequest(Operation.UPDATE, 2, 600, 0, 120)):
        assert third.reservation.repeated_answer(same, later) == third.answer
    for other in (used(60, 2, 300), used(61, 2), ChargingRequest(Operation.UPDATE, 2, None, 0, 60)):
        with pytest.raises(Conflict, match="another request"):
            third.reservation.repeated_answer(other, later)


def test_what_is_spelled_out_may_be_left_to_the_default() -> None:
    scene = Scene()
    first = scene.authorize(asks(300))
    assert first.reservation.repeated_answer(asks(None), ANSWERED, under_way()) == first.answer
    second = scene.update(first, used(60, 1, 300), ANSWERED + MINUTE)
    assert second.reservation.repeated_answer(used(60, 1), ANSWERED + MINUTE) == second.answer


def test_once_a_grant_has_lapsed_the_same_request_grants_nothing() -> None:
    first = Scene().authorize()
    before, after = lapse(first) - SECOND, lapse(first)
    assert first.reservation.repeated_answer(asks(), before, under_way()) == first.answer
    again = first.reservation.repeated_answer(asks(), after, under_way())
    assert again is not None
    assert (again.decision, again.reason) == (Decision.DENY, Denied.GRANT_LAPSED)
    assert (again.granted_seconds, again.hang_up_after_seconds) == (0, None)
    assert (again.valid_until, again.paid_by, again.final_unit) == (None, None, True)


def test_a_grant_for_nothing_lapses_as_others_do() -> None:
    included: dict[str, Any] = {
        "leg_type": LegType.TOLL_DIAL_IN,
        "service_number": "+14255550100",
    }
    first, leg_ = Scene(user=SUBSCRIBED).authorize(**included), under_way(**included)
    assert first.reservation.repeated_answer(asks(), ANSWERED + 11 * MINUTE, leg_) == first.answer
    again = first.reservation.repeated_answer(asks(), ANSWERED + 12 * MINUTE, leg_)
    assert again is not None
    assert again.reason == Denied.GRANT_LAPSED


def test_what_to_do_when_nobody_answers_comes_with_each_answer() -> None:
    opened = configured(failure_handling=FailureHandling.OPEN)
    assert Scene().authorize().answer.failure_handling is FailureHandling.CLOSED
    scene = Scene(holding(lot("1", MICROS), settings=opened))
    assert scene.authorize().answer.failure_handling is FailureHandling.OPEN
    denied = Scene(holding(settings=opened)).authorize().answer
    assert (denied.decision, denied.failure_handling) == (Decision.DENY, FailureHandling.OPEN)


# ── When it may have been answered ───────────────────────────────────────────────────────────

PERIODS = "leg_type,prefix,country,currency,rate_per_minute,effective_from,effective_to"


def changes_at(instant: datetime, before: str, after: str) -> RateCard:
    at = f"{instant:%Y-%m-%dT%H:%M:%S}Z"
    return card(
        f"dialOut,49,DE,USD,{before},,{at}", f"dialOut,49,DE,USD,{after},{at},", header=PERIODS
    )


@pytest.mark.parametrize(
    ("seconds", "before", "after", "dear"),
    [
        (-29, "0.50", "0.01", True),
        (-31, "0.50", "0.01", False),
        (0, "0.50", "0.01", True),
        (60, "0.01", "0.50", True),
        (61, "0.01", "0.50", False),
    ],
)
def test_the_dearest_price_around_the_answer_is_reserved(
    seconds: int, before: str, after: str, *, dear: bool
) -> None:
    rates = changes_at(ANSWERED + seconds * SECOND, before, after)
    scene = Scene(rates=rates)
    scene.authorize(asks(60))
    assert scene.reserved() == (500_000 if dear else 10_000)


def test_the_dearest_of_several_prices_is_reserved() -> None:
    instants = [ANSWERED - 10 * SECOND, ANSWERED + 10 * SECOND, ANSWERED + 20 * SECOND]
    first, second, third = (f"{at:%Y-%m-%dT%H:%M:%S}Z" for at in instants)
    rates = card(
        f"dialOut,49,DE,USD,0.01,,{first}",
        f"dialOut,49,DE,USD,0.02,{first},{second}",
        f"dialOut,493,DE,USD,0.70,{second},{third}",
        header=PERIODS,
    )
    scene = Scene(rates=rates)
    answer = scene.authorize(asks(60)).answer
    assert answer.rate_micros_per_minute == 20_000
    assert scene.reserved() == 700_000


def test_a_call_that_was_not_included_a_moment_ago_is_reserved_for() -> None:
    subscribed = Timeline(
        [
            *holds("payPerMinute", "communicationsCredits").facts,
            *holds("subscription", since=ANSWERED - 10 * SECOND).facts,
        ]
    )
    call: dict[str, Any] = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550100"}
    scene = Scene(user=subscribed)
    answer = scene.authorize(asks(60), **call).answer
    assert (answer.decision, answer.paid_by) == (Decision.ALLOW, PaidBy.SUBSCRIPTION)
    assert scene.reserved() == 8_500
    broke = Scene(holding(lot("1", 100)), user=subscribed).authorize(asks(60), **call).answer
    assert broke.reason == Denied.INSUFFICIENT_CREDIT


def test_the_pool_gives_no_more_than_it_has_whenever_the_call_is_answered() -> None:
    organization = Timeline(
        [
            fact("purchased:MCOMEETADV", 1),
            fact("poolMinutesPerLicense", 10),
            fact("poolMinutesPerLicense", 3, ANSWERED + 30 * SECOND),
        ]
    )
    scene = Scene(holding(), holds("subscription"), organization)
    assert scene.authorize(asks(600)).answer.granted_seconds == 180


def test_a_new_month_has_its_whole_pool_from_its_first_second() -> None:
    december = datetime(2026, 12, 1, 0, 0, 5, tzinfo=UTC)
    organization = Timeline(
        [
            fact("purchased:MCOMEETADV", 1),
            fact("poolMinutesPerLicense", 10),
            fact("poolMinutesUsed", 10, datetime(2026, 11, 1, tzinfo=UTC)),
        ]
    )
    pool = MinutePool(organization_id="contoso", month=NOVEMBER._replace(month=12))
    scene = Scene(holding(lot("1", MICROS)), SUBSCRIBED, organization, pool=pool)
    scene.authorize(asks(60), december)
    assert scene.pool.held.amount_at(december) == 1
    # It may have been answered in November, whose pool is used up.
    assert scene.reserved(december) == RATE


def test_a_limit_holds_for_each_prefix_by_which_a_call_may_be_rated() -> None:
    soon = f"{ANSWERED + 30 * SECOND:%Y-%m-%dT%H:%M:%S}Z"
    rates = card("dialOut,49,DE,USD,0.01,,", f"dialOut,4930,DE,USD,0.01,{soon},", header=PERIODS)
    settings = configured(prefix_hourly_spend_limit_micros=50_000)
    scene = Scene(holding(lot("1", MICROS), settings=settings), rates=rates)
    scene.authorize(asks(180))
    late = scene.authorize(asks(180), ANSWERED + 91 * SECOND, call_id="b")
    assert (late.answer.granted_seconds, late.answer.limit) == (120, LimitName.PREFIX_HOURLY_SPEND)


# ── Which reason is named ────────────────────────────────────────────────────────────────────

BROKE = holding(lot("1", RATE - 1))
RICH = holding(lot("1", MICROS))
EVERY_LIMIT: dict[str, Any] = {
    "max_concurrent_calls": 0,
    "daily_spend_limit_micros": 0,
    "prefix_hourly_spend_limit_micros": 0,
}
AD_HOC = {"meeting_type": MeetingType.AD_HOC}
UNLIMITED = holds("payPerMinute", "communicationsCredits")
LIMITED = Timeline([*UNLIMITED.facts, fact("monthlySpendLimit", 0)])
UNLICENSED = Timeline([fact("monthlySpendLimit", 0), fact("dialOutPolicy", "none")])
FORBIDDEN = Timeline([*LIMITED.facts, fact("dialOutPolicy", "none")])
PREMIUM = "+4490123456"


NO_MONEY_LEFT = {"daily_spend_limit_micros": 0, "prefix_hourly_spend_limit_micros": 0}
FRAUD = {"prefix_hourly_spend_limit_micros": 0}


class Case(NamedTuple):
    """A call against which all that is in the later rows speaks as well."""

    reason: str
    limit: str | None
    user: Timeline
    call: dict[str, Any]
    credit: Account = BROKE
    limits: dict[str, Any] = EVERY_LIMIT


PRECEDENCE = (
    Case("adHocMeeting", None, UNLICENSED, {**AD_HOC, "remote_number": PREMIUM}),
    Case("noLicense", None, UNLICENSED, {"remote_number": PREMIUM}),
    Case("dialOutNotAllowed", None, FORBIDDEN, {"remote_number": PREMIUM}),
    Case("blockedNumber", None, LIMITED, {"remote_number": PREMIUM}),
    Case("insufficientCredit", None, LIMITED, {}),
    Case("spendLimit", "maxConcurrentCalls", LIMITED, {}, RICH),
    Case("spendLimit", "dailySpendLimit", LIMITED, {}, RICH, NO_MONEY_LEFT),
    Case("spendLimit", "monthlySpendLimit", LIMITED, {}, RICH, FRAUD),
    Case("fraudSuspected", "prefixHourlySpendLimit", UNLIMITED, {}, RICH, FRAUD),
)


@pytest.mark.parametrize("case", PRECEDENCE, ids=lambda case: case.limit or case.reason)
def test_of_all_reasons_the_first_is_named(case: Case) -> None:
    account = case.credit._replace(settings=configured(**case.limits))
    answer = Scene(account, case.user).authorize(**case.call).answer
    denied = (answer.decision, answer.reason, answer.limit)
    assert denied == (Decision.DENY, case.reason, case.limit)


def test_a_call_that_has_lasted_a_day_is_denied_for_that_before_its_credit() -> None:
    scene = Scene(holding(lot("1", 10_000 * MICROS)))
    decided = scene.authorize(asks(60))
    scene.account = scene.account._replace(lots=(), balance_micros=0)
    last = used(MAX_CALL_SECONDS, 1)
    answer = scene.update(decided, last, ANSWERED + timedelta(days=1)).answer
    assert answer.reason == Denied.CALL_TOO_LONG
