"""One suite over the twin and the DynamoDB stores: what is read to explain a call."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, ENDED, LONG_AGO, ORGANIZER, card
from explaining import HOUR, TAKEN, World, changes

from perminute.application.correct_rates import CorrectRates, RateCorrection
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reporting.explanation import Pending

if TYPE_CHECKING:
    from stores import Stores


@pytest.fixture
def world(stores: Stores, organization: str) -> World:
    return World(stores, organization)


def test_a_call_that_nothing_changed_agrees_with_its_list_and_its_card(world: World) -> None:
    world.charge()
    explanation = world.explain()
    assert (explanation.differences, explanation.pending) == ((), ())
    assert changes(explanation) == [("2", 150_000, None, None)]
    assert explanation.movements[0].at == ENDED
    assert explanation.has_card


def test_a_late_license_is_the_cause_of_a_movement_once_the_call_is_rated_again(
    world: World,
) -> None:
    world.take_and_rerate()
    world.charge()
    event_id = world.licensed(replace(TAKEN, value=True, issued_at=ENDED), user=ORGANIZER)
    waiting = world.explain()
    assert (waiting.pending, waiting.is_faulty) == ((Pending.RERATING,), False)
    assert {"outcome", "reason", "charge_micros"} == {d.field for d in waiting.differences}
    world.rerate()
    explanation = world.explain()
    assert (explanation.differences, explanation.pending) == ((), ())
    cause = f"rerating#event#{event_id}"
    assert changes(explanation) == [("2", 150_000, cause, Outcome.NOT_ENTITLED)]
    assert explanation.movements[0].at == ENDED + HOUR


def test_all_that_ever_became_of_a_call_is_in_order(world: World) -> None:
    world.charge()
    world.take_and_rerate()
    world.licensed(replace(TAKEN, value=True, issued_at=ENDED), user=ORGANIZER)
    world.rerate()
    explanation = world.explain()
    assert explanation.differences == ()
    assert [(entry, micros, before) for entry, micros, _, before in changes(explanation)] == [
        ("2", 150_000, None),
        ("3", -150_000, Outcome.CHARGED),
        ("4", 150_000, Outcome.NOT_ENTITLED),
    ]


def test_a_rate_correction_is_named_by_its_version(world: World) -> None:
    world.charge()
    dearer = card("dialOut,49,DE,USD,0.02,,")
    dearer.version = "card-2"
    world.cards.publish(dearer)
    correction = RateCorrection("card-2", LONG_AGO, ENDED, ENDED + HOUR)
    list(CorrectRates(world.recorded).book(world.organization, correction))
    explanation = world.explain()
    assert explanation.differences == ()
    assert changes(explanation)[1:] == [("3", 50_000, "rerating#rates#card-2", Outcome.CHARGED)]
    assert explanation.usage.price.rate_card_version == "card-2"


@pytest.mark.parametrize("ended_after", [timedelta(minutes=5), timedelta(minutes=7), 30 * HOUR])
def test_a_call_that_its_bridge_reported_first_is_found_wherever_it_ended(
    world: World, ended_after: timedelta
) -> None:
    world.report()
    world.charge_reported()
    assert world.explain().usage.flags == (Flag.REPORTED_BY_BRIDGE,)
    ended_at = ANSWERED + ended_after
    world.charge(answered_at=ended_at - timedelta(minutes=5), ended_at=ended_at)
    explanation = world.explain()
    assert explanation.differences == ()
    charge, corrected = explanation.movements
    assert (charge.amount_micros, corrected.amount_micros) == (75_000, 0)
    assert corrected.before is not None
    assert corrected.before.ended_at == ANSWERED + timedelta(minutes=5)
    assert corrected.before.flags == (Flag.REPORTED_BY_BRIDGE,)


def test_a_call_that_was_never_connected_after_all_was_charged_before(world: World) -> None:
    world.report()
    world.charge_reported()
    world.charge(answered_at=None)
    explanation = world.explain()
    assert explanation.differences == ()
    assert explanation.usage.outcome is Outcome.FREE
    assert [before for *_, before in changes(explanation)] == [None, Outcome.CHARGED]


def test_free_calls_are_explained_as_well(world: World) -> None:
    world.charge(leg_type=LegType.APP, remote_number=None)
    explanation = world.explain()
    assert (explanation.usage.outcome, explanation.movements) == (Outcome.FREE, ())
    assert explanation.differences == ()
