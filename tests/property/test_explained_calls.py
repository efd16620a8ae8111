"""Every recorded call is explained, and a record that was changed is found out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from builders import ANSWERED, LONG_AGO, ORGANIZER, fact, phone_call
from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.credit.lots import LotShare
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import Cover, Licensing, NotEntitled
from perminute.domain.licensing.timelines import Fact, Timeline
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute.domain.rating.rate_card import Rate, RateCard, Step
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rating.usage_record import Flag, Free, Outcome, Usage
from perminute.domain.reference.licenses import PRODUCTS, License
from perminute.domain.reporting.explanation import CallHistory, Explanation, explain
from perminute.domain.reporting.postings import ListedUsage, Posting
from perminute.domain.values.money import round_half_up
from perminute.formats.explanation_texts import LICENSE_NAMES, sentences

POSTING = Posting(8, ANSWERED, "000000000041", ANSWERED)
INSTANTS = [ANSWERED + timedelta(days=days) for days in (-3, -2, -1, 0, 1)]
USER_VALUES: dict[str, list[Any]] = {
    **{license_attribute(product): [True, True, False] for product in PRODUCTS},
    "country": ["DE", "US", "IN"],
    "dialOutPolicy": ["sameCountry", "zoneA", "none", "anyDestination"],
    "tollFreeDialInAllowed": [True, False],
}
ORGANIZATION_VALUES: dict[str, list[Any]] = {
    "licensingProgram": ["volume", "volume", "other"],
    "communicationsCreditsLicense": ["perUser", "organization"],
    "dialOutPolicy": ["sameCountry", "zoneA"],
}
money = st.integers(0, 2_000_000)
increments = st.sampled_from([1, 6, 30, 60, 90])


@st.composite
def timelines(draw: st.DrawFn, values: dict[str, list[Any]]) -> Timeline:
    return Timeline(draw(st.lists(facts(values), max_size=12)))


@st.composite
def facts(draw: st.DrawFn, values: dict[str, list[Any]]) -> Fact:
    attribute = draw(st.sampled_from(sorted(values)))
    stated = fact(attribute, draw(st.sampled_from(values[attribute])), draw(instants))
    return replace(stated, issued_at=draw(instants), event_id=draw(st.sampled_from("abc")))


instants = st.sampled_from(INSTANTS)


@st.composite
def rates(draw: st.DrawFn, leg_type: LegType, prefix: str) -> Rate:
    later = draw(st.sets(st.integers(1, 3_000), max_size=2))
    return Rate(
        leg_type=leg_type,
        prefix=prefix,
        country=draw(st.sampled_from([None, "DE", "IN"])),
        description="as the card has it",
        currency=draw(st.sampled_from(["USD", "USD", "EUR"])),
        connection_fee_micros=draw(money),
        initial_increment_seconds=draw(increments),
        steps=tuple(Step(start, draw(money), draw(increments)) for start in (0, *sorted(later))),
        effective_from=draw(st.sampled_from([None, LONG_AGO, ANSWERED + timedelta(days=1)])),
        effective_to=None,
        blocked=draw(st.integers(0, 5)) == 0,
    )


@st.composite
def cards(draw: st.DrawFn) -> RateCard:
    legs = (LegType.DIAL_OUT, LegType.TOLL_DIAL_IN, LegType.TOLL_FREE_DIAL_IN)
    keys = [(leg, prefix) for leg in legs for prefix in ("49", "4930", "493023125")]
    return RateCard(
        [draw(rates(*key)) for key in draw(st.sets(st.sampled_from(keys)))], version="a-card"
    )


@st.composite
def calls(draw: st.DrawFn) -> Call:
    leg = draw(st.sampled_from([*LegType, LegType.DIAL_OUT]))
    number = draw(st.sampled_from(["+493023125042", "+49302312****"]))
    answered = draw(st.integers(0, 9)) > 0
    return phone_call(
        leg_type=leg,
        service_number=number,
        remote_number=number,
        meeting_type=draw(st.sampled_from([MeetingType.SCHEDULED, *MeetingType])),
        answered_at=ANSWERED if answered else None,
        billable_seconds=draw(st.none() | st.integers(0, 4_000)) if answered else None,
    )


@st.composite
def records(draw: st.DrawFn) -> tuple[Usage, RatingContext]:
    licensing = Licensing(
        draw(timelines(ORGANIZATION_VALUES)), {ORGANIZER: draw(timelines(USER_VALUES))}
    )
    currency = draw(st.sampled_from([None, "USD", "EUR"]))
    set_up_at = draw(instants) if currency else None
    context = RatingContext(licensing, draw(cards()), currency, set_up_at)
    rating = rate_call(draw(calls()), context)
    drawn = draw(st.integers(0, rating.pool_minutes_wanted))
    usage = rating.usage(drawn)
    if usage.charge_micros:
        paid = draw(st.integers(0, usage.charge_micros))
        lots = (LotShare("lot", "po-1", -paid),) if paid else ()
        usage = usage._replace(entry_id="000000000041", lots=lots)
    return usage, context


def explained(usage: Usage, context: RatingContext, *, by_row: bool) -> Explanation:
    history = CallHistory()
    if usage.outcome is not Outcome.FREE:
        history = CallHistory((POSTING, ListedUsage.of(usage)))
    if by_row:
        context = context._replace(rate_card=usage.price.as_card(usage.call.leg_type))
    return explain(usage, history, context, has_card=not by_row)


@given(record=records(), by_row=st.booleans())
def test_every_record_is_explained_and_agrees(
    record: tuple[Usage, RatingContext], *, by_row: bool
) -> None:
    usage, context = record
    explanation = explained(usage, context, by_row=by_row)
    assert explanation.differences == ()
    said = sentences(explanation, usage.call.rated_number)
    assert len(said) >= 2
    assert all(sentence.endswith(".") and ".." not in sentence for sentence in said)
    assert not any(word in sentence for sentence in said for word in ("None", "{", "}"))


@given(records())
def test_the_steps_and_the_fee_of_a_charge_add_up_to_it(
    record: tuple[Usage, RatingContext],
) -> None:
    usage, context = record
    derivation = explained(usage, context, by_row=False).derivation
    if derivation.rate is None:
        assert derivation.steps == ()
        return
    total = round_half_up(sum(step.sixtieths for step in derivation.steps), 60)
    fee = derivation.rate.connection_fee_micros if derivation.steps else 0
    priced = usage.charge_micros if usage.outcome is Outcome.CHARGED else usage.price.retail_micros
    assert total + fee == priced
    ends = [(step.from_second, step.to_second) for step in derivation.steps]
    assert all(end == start for (_, end), (start, _) in pairwise(ends))


@given(records())
def test_the_conditions_that_are_named_decide_the_outcome(
    record: tuple[Usage, RatingContext],
) -> None:
    usage, context = record
    explanation = explained(usage, context, by_row=False)
    rules = explanation.derivation.rules
    if isinstance(usage.reason, Free):
        assert rules == ()
        return
    held = {license_.brings for license_ in explanation.licenses}
    assert {rule.license for rule, _ in rules} == held - {License.COMMUNICATIONS_CREDITS}
    met = [rule.cover for rule, conditions in rules if all(conditions)]
    if usage.outcome is Outcome.NOT_ENTITLED:
        assert met == []
        unmet = [
            why
            for rule, conditions in rules[-1:]
            for why, is_met in zip(rule.conditions, conditions, strict=True)
            if not is_met
        ]
        assert usage.reason == (unmet or [NotEntitled.NO_LICENSE])[0]
    elif usage.outcome is Outcome.INCLUDED:
        assert met[0] is Cover.INCLUDED
    elif usage.outcome is Outcome.CHARGED:
        assert met[0] is Cover.CREDITS


@given(records())
def test_licenses_and_policies_are_those_that_rating_saw(
    record: tuple[Usage, RatingContext],
) -> None:
    usage, context = record
    explanation = explained(usage, context, by_row=False)
    at, user = usage.call.rated_at, context.licensing.user(usage.call.organizer_id)
    for product, brings, in_force in explanation.licenses:
        assert user.value_at(license_attribute(product), at) is True
        assert brings in LICENSE_NAMES
        assert in_force.since <= at
    for attribute, of_organizer, in_force in explanation.settings:
        timeline = user if of_organizer else context.licensing.organization
        assert timeline.value_at(attribute, at) == in_force.value
    if usage.policy_flag is not None:
        assert explanation.policy is not None


CHANGES: dict[str, Any] = {
    "charge_micros": lambda usage: usage._replace(charge_micros=usage.charge_micros + 1),
    "outcome": lambda usage: usage._replace(
        outcome=Outcome.INCLUDED if usage.outcome is Outcome.FREE else Outcome.FREE
    ),
    "reason": lambda usage: usage._replace(reason=None if usage.reason else NotEntitled.NO_LICENSE),
    "draws_on_pool": lambda usage: usage._replace(draws_on_pool=not usage.draws_on_pool),
    "policy_flag": lambda usage: usage._replace(
        flags=() if usage.policy_flag else (Flag.DIAL_OUT_NOT_ALLOWED, *usage.flags)
    ),
    "billed_seconds": lambda usage: usage._replace(
        price=usage.price._replace(billed_seconds=usage.price.billed_seconds + 60)
    ),
}


@given(record=records(), field=st.sampled_from(sorted(CHANGES)), by_row=st.booleans())
def test_a_record_that_was_changed_is_found_out_by_the_field(
    record: tuple[Usage, RatingContext], field: str, *, by_row: bool
) -> None:
    usage, context = record
    tampered = CHANGES[field](usage)
    explanation = explained(tampered, context, by_row=by_row)
    shown = field != "billed_seconds" or tampered.outcome is not Outcome.UNRATED
    assert (field in {difference.field for difference in explanation.differences}) is shown
    assert sentences(explanation, None)
