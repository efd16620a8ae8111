"""Why a call cost what it did, in figures and in sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, ENDED, LONG_AGO, ORGANIZER, card, fact, holds, phone_call, volume

from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.lots import LotShare
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import Licensing, NotEntitled
from perminute.domain.licensing.timelines import InForce, Timeline
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute.domain.rating.derivation import PricedStep
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rating.usage_record import Adjusted, Flag, Outcome, Usage
from perminute.domain.reference.licenses import License
from perminute.domain.reporting.explanation import (
    CallHistory,
    Difference,
    Explanation,
    LicenseInForce,
    Movement,
    Pending,
    explain,
)
from perminute.domain.reporting.postings import ListedUsage, Posting, RevisedUsage
from perminute.formats.explanation_texts import sentences

if TYPE_CHECKING:
    from perminute.domain.rating.rate_card import RateCard

HEADER = (
    "leg_type,prefix,country,currency,rate_per_minute,connection_fee,blocked,"
    "initial_increment_seconds,increment_seconds,from_second"
)
PER_MINUTE = holds("payPerMinute", "communicationsCredits")
SUBSCRIBED = holds("SPE_E5", "communicationsCredits")
CHARGED_AT, LATER = ENDED + timedelta(seconds=1), ENDED + timedelta(hours=5)
POSTING = Posting(8, CHARGED_AT, "000000000041", CHARGED_AT)
CHANGED = Posting(9, LATER, "000000000066", LATER)


def context(
    user: Timeline,
    rates: RateCard | None = None,
    organization: Timeline | None = None,
    currency: str | None = "USD",
) -> RatingContext:
    licensing = Licensing(organization or volume(), {ORGANIZER: user})
    return RatingContext(licensing, rates or card(), currency, LONG_AGO if currency else None)


def charged(call: Call, rated_by: RatingContext, pool_minutes: int = 0) -> Usage:
    """A call as it is recorded: what it costs is paid by one lot."""
    usage = rate_call(call, rated_by).usage(pool_minutes)
    if not usage.charge_micros:
        return usage
    return usage._replace(
        entry_id="000000000041", lots=(LotShare("lot", "po-1", -usage.charge_micros),)
    )


def listed(usage: Usage) -> CallHistory:
    return CallHistory((POSTING, ListedUsage.of(usage)))


def explained(
    call: Call, rated_by: RatingContext, pool_minutes: int = 0
) -> tuple[Explanation, list[str]]:
    """Explain a call that nothing has changed."""
    usage = charged(call, rated_by, pool_minutes)
    explanation = explain(usage, listed(usage), recorded(usage, rated_by))
    assert explanation.differences == ()
    return explanation, sentences(explanation, call.rated_number)


def recorded(usage: Usage, rated_by: RatingContext) -> RatingContext:
    """What is known later: the card is gone but for the row in the record."""
    return rated_by._replace(rate_card=usage.price.as_card(usage.call.leg_type))


def test_a_call_that_credit_pays_is_explained_from_its_licenses_to_the_lot() -> None:
    call = phone_call(ended_at=ENDED - timedelta(seconds=10))
    explanation, said = explained(call, context(PER_MINUTE))
    long_ago = InForce(value=True, since=LONG_AGO, issued_at=LONG_AGO, event_id="e")
    assert explanation.licenses == (
        LicenseInForce("MCOMEETACPEA", License.PAY_PER_MINUTE, long_ago),
        LicenseInForce("MCOPSTNC", License.COMMUNICATIONS_CREDITS, long_ago),
    )
    assert explanation.derivation.steps == (PricedStep(0, 600, 15_000, 60),)
    assert explanation.movements == (
        Movement(150_000, "000000000041", EntryType.CHARGE, CHARGED_AT, None, None),
    )
    assert said == [
        "A call to +493023125042 was made from a scheduled meeting of adele; it was answered on "
        "2026-11-02 at 09:00:00 and connected for 9 min 50 s.",
        "When it was answered, adele had MCOMEETACPEA (pay-per-minute, since 2026-01-01 00:00) and "
        "MCOPSTNC (communications credits, since 2026-01-01 00:00).",
        "The longest matching prefix of rate card card-1 is +49 (DE): 0.015 USD a minute, no "
        "connection fee.",
        "590 s are billed as 600 s, since a block that was begun counts whole. This costs "
        "0.15 USD.",
        "Charged: 0.15 USD, paid by po-1 (0.15).",
    ]


def test_a_single_second_is_one() -> None:
    call = phone_call(ended_at=ANSWERED + timedelta(seconds=1))
    _, said = explained(call, context(PER_MINUTE))
    assert said[-2].startswith("1 s is billed as 60 s, since a block that was begun counts whole.")


def test_of_a_call_that_straddles_the_end_of_the_pool_the_rest_is_priced() -> None:
    explanation, said = explained(phone_call(), context(SUBSCRIBED), pool_minutes=4)
    assert explanation.derivation.steps == (PricedStep(240, 600, 15_000, 60),)
    assert (explanation.pool_minutes_wanted, explanation.pool_minutes_left) == (10, 4)
    assert said[-2:] == [
        "The minute pool of 2026-11 paid the first 4 minutes, all that were left for the call; "
        "credit pays the other 6.",
        "Charged: 0.09 USD, paid by po-1 (0.09).",
    ]


def test_a_single_minute_of_the_pool_is_one() -> None:
    _, said = explained(phone_call(), context(SUBSCRIBED), pool_minutes=1)
    assert said[-2] == (
        "The minute pool of 2026-11 paid the first minute, all that was left for the call; credit "
        "pays the other 9."
    )


def test_steps_beside_the_pool_are_those_of_the_rest_and_add_up_to_the_charge() -> None:
    rates = card(
        "dialOut,49,DE,USD,0.02,0.005,,60,60,0",
        "dialOut,49,DE,USD,0.012,0.005,,60,60,480",
        header=HEADER,
    )
    _, said = explained(phone_call(), context(SUBSCRIBED, rates), pool_minutes=4)
    assert said[-3:] == [
        "600 s are billed. This costs 0.189 USD.",
        "The minute pool of 2026-11 paid the first 4 minutes, all that were left for the call; "
        "credit pays the other 6: 240 s at 0.02 a minute (0.08), 120 s at 0.012 a minute (0.024) "
        "and the connection fee (0.005).",
        "Charged: 0.109 USD, paid by po-1 (0.109).",
    ]


def test_how_many_minutes_an_ample_pool_had_is_not_recorded_and_not_guessed() -> None:
    explanation, said = explained(phone_call(), context(SUBSCRIBED), pool_minutes=10)
    assert explanation.usage.outcome is Outcome.POOLED
    assert explanation.pool_minutes_left is None
    assert said[-2:] == [
        "600 s are billed. This would cost 0.15 USD.",
        "The minute pool of 2026-11 paid all 10 minutes: nothing is charged. How many minutes the "
        "pool had before is not recorded.",
    ]


def test_a_pool_that_was_used_up_is_named() -> None:
    explanation, said = explained(phone_call(), context(SUBSCRIBED))
    assert explanation.pool_minutes_left == 0
    assert said[-2] == "The minute pool of 2026-11 had nothing left for the call."


def test_a_call_that_was_rated_again_says_what_it_was_before_and_which_event_was_late() -> None:
    late = replace(
        fact(license_attribute("MCOPSTNC"), value=True, event_id="l-0039"), issued_at=LATER
    )
    user = holds("payPerMinute")
    before = charged(phone_call(), context(user))
    after = charged(phone_call(), context(Timeline([*user.facts, late])))._replace(
        entry_id=None,
        adjustments=(Adjusted("000000000066", 150_000),),
        lots=(LotShare("a", "po-0921", -100_000), LotShare("b", "po-1001", -50_000)),
        flags=(Flag.RERATED,),
    )
    revised = RevisedUsage(ListedUsage.of(before), ListedUsage.of(after))
    history = CallHistory(
        (POSTING._replace(entry_id=None, entry_at=None), ListedUsage.of(before)),
        ((CHANGED, revised),),
        {"000000000066": "rerating#event#l-0039"},
    )
    explanation = explain(after, history, context(Timeline([*user.facts, late])))
    assert explanation.differences == ()
    assert explanation.movements == (
        Movement(
            150_000,
            "000000000066",
            EntryType.ADJUSTMENT,
            LATER,
            "rerating#event#l-0039",
            ListedUsage.of(before),
        ),
    )
    said = sentences(explanation, "+493023125042")
    assert (
        "MCOPSTNC (communications credits, since 2026-01-01 00:00, known only since "
        "2026-11-02 14:10, by l-0039)" in said[1]
    )
    assert said[-2:] == [
        "Charged: 0.15 USD, paid by po-0921 (0.1) and po-1001 (0.05).",
        "Changed on 2026-11-02 14:10 because of event l-0039, entry 66: before, it was not "
        "entitled (no credits license), and nothing was charged.",
    ]


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        ("rerating#callEnded", " because its Call Ended came after its bridge's report"),
        ("rerating#pool#2026-11", " because of the minute pool of 2026-11, which was settled"),
        ("rerating#rates#v#2", " because of rate card v#2, by which it was to be rated"),
        ("rerating#change#c-1 and 3 more", " because of change c-1 and 3 more"),
        ("rerating#recharge#r-1", " because of recharge r-1"),
    ],
)
def test_each_cause_of_a_correction_is_said_in_words(cause: str, why: str) -> None:
    usage = charged(phone_call(), context(PER_MINUTE))
    before = ListedUsage.of(usage)._replace(charge_micros=100_000, flags=(Flag.REPORTED_BY_BRIDGE,))
    revised = RevisedUsage(before, ListedUsage.of(usage))
    adjusted = usage._replace(adjustments=(Adjusted("000000000066", 50_000),))
    history = CallHistory((POSTING, before), ((CHANGED, revised),), {"000000000066": cause})
    explanation = explain(adjusted, history, context(PER_MINUTE))
    assert explanation.differences == ()
    assert [movement.amount_micros for movement in explanation.movements] == [100_000, 50_000]
    assert sentences(explanation, None)[-1] == (
        f"Changed on 2026-11-02 14:10{why}, entry 66: before, it was charged 0.1 USD by its "
        "bridge's report."
    )


def test_a_correction_that_moves_no_money_has_no_entry_and_its_cause_is_not_recorded() -> None:
    usage = charged(phone_call(), context(holds("payPerMinute")))
    before = ListedUsage.of(usage)._replace(reason=NotEntitled.NO_LICENSE)
    history = CallHistory(
        (POSTING, before), ((CHANGED, RevisedUsage(before, ListedUsage.of(usage))),)
    )
    explanation = explain(usage, history, context(holds("payPerMinute")))
    assert explanation.movements == (Movement(0, None, None, LATER, None, before),)
    assert sentences(explanation, None)[-1] == (
        "Changed on 2026-11-02 14:10 (why is not recorded): before, it was not entitled "
        "(no license), and nothing was charged."
    )


def test_a_masked_number_that_may_hide_another_price_says_so() -> None:
    rates = card("dialOut,49,DE,USD,0.015,,", "dialOut,493023125,DE,USD,0.9,,")
    masked = phone_call(remote_number="+49302312****")
    explanation, said = explained(masked, context(PER_MINUTE, rates))
    assert explanation.usage.flags == (Flag.PREFIX_UNCERTAIN,)
    assert "The masked digits of the number may hide a longer prefix with another price." in said
    assert "+49302312****" in said[0]


def test_a_blocked_prefix_is_named_and_no_price_is_guessed() -> None:
    call = phone_call(remote_number="+449098790100")
    explanation, said = explained(call, context(PER_MINUTE))
    assert explanation.derivation.steps == ()
    assert said[-1] == (
        "It has no price: rate card card-1 blocks the prefix +449. A price is never guessed, so "
        "nothing is charged, and admins are notified."
    )


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("+4712345678", "rate card card-1 has no rate for its number"),
        (
            "+33123456789",
            "rate card card-1 has a price only in EUR, which is not the currency of the credit",
        ),
    ],
)
def test_why_a_call_has_no_price_is_said(number: str, why: str) -> None:
    _, said = explained(phone_call(remote_number=number), context(PER_MINUTE))
    assert said[-1].startswith(f"It has no price: {why}.")


def test_what_no_lot_paid_is_debt() -> None:
    usage = charged(phone_call(), context(PER_MINUTE))
    overdrawn = usage._replace(lots=(LotShare("a", "po-2001", -100_000),), flags=(Flag.OVERDRAWN,))
    explanation = explain(overdrawn, listed(overdrawn), context(PER_MINUTE))
    assert explanation.debt_micros == 50_000
    assert sentences(explanation, None)[-2:] == [
        "Charged: 0.15 USD, paid by po-2001 (0.1).",
        "The rest (0.05) became debt, since no credit was left.",
    ]
    nothing_left = overdrawn._replace(lots=())
    said = sentences(explain(nothing_left, listed(nothing_left), context(PER_MINUTE)), None)
    assert said[-2:] == [
        "Charged: 0.15 USD.",
        "All of it (0.15) became debt, since no credit was left.",
    ]


def test_steps_fee_and_rounding_add_up_to_the_price() -> None:
    rates = card(
        "dialOut,49,DE,USD,0.02,0.005,,30,6,0",
        "dialOut,49,DE,USD,0.012001,0.005,,30,6,600",
        header=HEADER,
    )
    explanation, said = explained(phone_call(billable_seconds=1_150), context(PER_MINUTE, rates))
    assert explanation.derivation.steps == (
        PricedStep(0, 600, 20_000, 6),
        PricedStep(600, 1_152, 12_001, 6),
    )
    assert explanation.derivation.is_rounded
    assert said[0].endswith("connected for 19 min 10 s, as the operator stated.")
    assert said[2:] == [
        "The longest matching prefix of rate card card-1 is +49 (DE): 0.02 USD a minute, and a "
        "connection fee of 0.005.",
        "1150 s are billed as 1152 s, since a block that was begun counts whole. This costs "
        "0.315409 USD: 600 s at 0.02 a minute (0.2), 552 s at 0.012001 a minute (0.110409) and the "
        "connection fee (0.005); the sum is rounded half up to a millionth.",
        "Charged: 0.315409 USD, paid by po-1 (0.315409).",
    ]


@pytest.mark.parametrize(
    ("user", "organization", "currency", "why"),
    [
        (Timeline(), volume(), "USD", []),
        (
            holds("payPerMinute", country="IN"),
            Timeline(),
            None,
            [
                "The pay-per-minute license does not cover it: the organization did not buy "
                "through volume licensing; the organization's credit was not set up yet; the "
                "organizer's usage location (IN) is not served; the organizer had no "
                "communications-credits license."
            ],
        ),
        (
            holds("SPE_E5", "payPerMinute"),
            volume(),
            "USD",
            [
                "The subscription license does not cover it: the organizer had no "
                "communications-credits license.",
                "The pay-per-minute license does not cover it: the organizer had no "
                "communications-credits license.",
            ],
        ),
    ],
)
def test_a_call_that_nobody_is_entitled_to_says_all_that_was_missing(
    user: Timeline, organization: Timeline, currency: str | None, why: list[str]
) -> None:
    rated_by = context(user, organization=organization, currency=currency)
    explanation, said = explained(phone_call(), rated_by)
    assert explanation.usage.outcome is Outcome.NOT_ENTITLED
    assert said[2 : 2 + len(why)] == why
    assert said[2 + len(why)].startswith("No license covers it, so nothing is charged")


@pytest.mark.parametrize(
    ("call", "last"),
    [
        (phone_call(leg_type=LegType.APP), "Joining with the app is free."),
        (phone_call(answered_at=None), "It was never connected, so it is free."),
        (phone_call(meeting_type=MeetingType.AD_HOC), "Calls of ad-hoc meetings are free."),
    ],
)
def test_a_free_call_says_why_and_names_no_license(call: Call, last: str) -> None:
    explanation, said = explained(call, context(PER_MINUTE))
    assert explanation.derivation.rules == ()
    assert len(said) == 2
    assert said[-1] == last


def test_a_free_call_agrees_after_credit_was_set_up_in_another_currency() -> None:
    call = phone_call(meeting_type=MeetingType.AD_HOC)
    usage = charged(call, context(PER_MINUTE, currency=None))
    since_then = recorded(usage, context(PER_MINUTE, currency="EUR"))
    assert rate_call(call, since_then).price.unpriced is Unpriced.CURRENCY_MISMATCH
    assert explain(usage, listed(usage), since_then).differences == ()


def test_a_toll_number_is_included_in_the_subscription() -> None:
    call = phone_call(leg_type=LegType.TOLL_DIAL_IN, service_number="+14255550100")
    _, said = explained(call, context(SUBSCRIBED))
    assert said[0].startswith("Somebody called the toll number +14255550100 to join a scheduled")
    assert "The subscription includes calls to toll numbers: nothing is charged." in said


def test_a_policy_that_does_not_allow_a_call_is_named() -> None:
    policy = fact("dialOutPolicy", "sameCountry")
    of_all = Timeline([*volume().facts, fact("dialOutPolicy", "none")])
    user = Timeline([*holds("payPerMinute", "MCOPSTNC", country="US").facts, policy])
    explanation, said = explained(phone_call(), context(user, organization=of_all))
    assert explanation.policy is not None
    assert said[2] == (
        "The policy of the organizer (dialOutPolicy: sameCountry) does not allow such a call. It "
        "took place all the same, so it is flagged, and treated like others."
    )
    _, said = explained(phone_call(), context(PER_MINUTE, organization=of_all))
    assert said[2].startswith("The policy of the organization (dialOutPolicy: none)")


def test_toll_free_calls_have_a_policy_as_well() -> None:
    refused = fact("tollFreeDialInAllowed", value=False)
    call = phone_call(leg_type=LegType.TOLL_FREE_DIAL_IN, service_number="+18005550100")
    _, said = explained(call, context(Timeline([*PER_MINUTE.facts, refused])))
    assert said[2].startswith("The policy of the organizer (tollFreeDialInAllowed: false)")


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"charge_micros": 150_001}, {"charge_micros"}),
        (
            {"outcome": Outcome.NOT_ENTITLED, "reason": NotEntitled.NO_LICENSE},
            {"outcome", "reason"},
        ),
        ({"pool_minutes": 3}, {"pool_minutes"}),
        ({"flags": (Flag.DIAL_OUT_NOT_ALLOWED,)}, {"policy_flag"}),
    ],
)
def test_a_record_that_rating_does_not_confirm_says_what_differs(
    changed: dict[str, Any], fields: set[str]
) -> None:
    usage = charged(phone_call(), context(PER_MINUTE))._replace(**changed)
    explanation = explain(usage, listed(usage), context(PER_MINUTE))
    assert {difference.field for difference in explanation.differences} == fields
    assert explanation.is_faulty
    assert sentences(explanation, None)[-1].startswith("Rated again from what is recorded, it dif")


def test_a_tampered_price_differs_from_its_row_and_from_the_card() -> None:
    usage = charged(phone_call(), context(PER_MINUTE))
    tampered = usage._replace(price=usage.price._replace(rate_micros_per_minute=14_000))
    by_row = explain(tampered, listed(tampered), recorded(tampered, context(PER_MINUTE)))
    assert by_row.differences == (
        Difference("charge_micros", 150_000, 140_000),
        Difference("retail_micros", 150_000, 140_000),
    )
    by_card = explain(tampered, listed(tampered), context(PER_MINUTE), has_card=True)
    assert by_card.differences == (Difference("rate_micros_per_minute", 14_000, 15_000),)


def test_what_lists_and_revisions_say_otherwise_differs_too() -> None:
    usage = charged(phone_call(), context(PER_MINUTE))
    other = ListedUsage.of(usage)._replace(charge_micros=1)
    explanation = explain(usage, CallHistory((POSTING, other)), context(PER_MINUTE))
    assert explanation.differences == (Difference("listed.charge_micros", 150_000, 1),)
    explanation = explain(usage, CallHistory(), context(PER_MINUTE))
    assert explanation.differences == (Difference("listed", Outcome.CHARGED, None),)
    adjusted = usage._replace(adjustments=(Adjusted("000000000066", 7),))
    explanation = explain(adjusted, listed(adjusted), context(PER_MINUTE))
    assert explanation.differences == (Difference("adjustments", ("000000000066", 7), None),)


def test_what_may_still_change_is_said_and_is_no_fault() -> None:
    usage = charged(phone_call(), context(holds("payPerMinute")))
    pending = (Pending.RERATING, Pending.SETTLING)
    explanation = explain(usage, listed(usage), context(PER_MINUTE), pending=pending)
    assert explanation.differences
    assert not explanation.is_faulty
    assert sentences(explanation, None)[-2:] == [
        "A late change of licenses or credit is still being applied: this may change.",
        "Its minute pool is still being settled: this may change.",
    ]


def test_a_call_that_only_its_bridge_reported_says_so() -> None:
    usage = charged(phone_call(), context(PER_MINUTE))
    reported = usage._replace(flags=(Flag.REPORTED_BY_BRIDGE,))
    said = sentences(explain(reported, listed(reported), context(PER_MINUTE)), None)
    assert said[-1] == (
        "Only its bridge has reported it until now; its Call Ended will correct it."
    )


def test_no_name_from_outside_ends_a_line_or_moves_the_cursor() -> None:
    call = phone_call(organizer_id="a\x1b[2J\n\u202eb", answered_at=ANSWERED)
    user = Licensing(volume(), {call.organizer_id: PER_MINUTE})
    usage = rate_call(call, context(PER_MINUTE)._replace(licensing=user)).usage()
    said = sentences(explain(usage, CallHistory(), context(PER_MINUTE)), "+4930")
    assert all(sentence.isprintable() for sentence in said)
    assert "a\\x1b[2J \\u202eb" in said[0]
