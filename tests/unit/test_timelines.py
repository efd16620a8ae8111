from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

from builders import ANSWERED, fact

from perminute.domain.licensing.timelines import InForce, Timeline

EARLIER, LATER = ANSWERED - timedelta(hours=1), ANSWERED + timedelta(hours=1)


def test_what_takes_effect_at_an_instant_holds_at_that_instant() -> None:
    timeline = Timeline([fact("country", "DE", EARLIER), fact("country", "FR", ANSWERED)])
    just_before = ANSWERED - timedelta(microseconds=1)
    assert [timeline.value_at("country", at) for at in (just_before, ANSWERED, LATER)] == [
        "DE",
        "FR",
        "FR",
    ]


def test_nothing_holds_before_the_first_fact() -> None:
    assert Timeline([fact("country", "DE", ANSWERED)]).value_at("country", EARLIER) is None
    assert Timeline().value_at("country", ANSWERED) is None


def test_attributes_do_not_disturb_each_other() -> None:
    timeline = Timeline([fact("country", "DE", EARLIER), fact("license:SPE_E5", value=True)])
    assert timeline.value_at("country", ANSWERED) == "DE"


def test_the_order_of_arrival_does_not_matter_nor_does_a_fact_that_comes_twice() -> None:
    facts = [
        fact("license:X", value=True, since=EARLIER, event_id="1"),
        fact("license:X", value=False, since=ANSWERED, event_id="2"),
        fact("license:X", value=True, since=ANSWERED, event_id="3"),
    ]
    timelines = [Timeline([*order, order[0]]) for order in permutations(facts)]
    assert all(timeline == timelines[0] for timeline in timelines)
    assert {timeline.value_at("license:X", ANSWERED) for timeline in timelines} == {False}


def test_a_value_that_is_stated_again_has_held_since_it_was_first_stated() -> None:
    facts = [
        fact("country", "DE", EARLIER - timedelta(hours=1), "1"),
        fact("country", "FR", EARLIER, "2"),
        fact("country", "DE", ANSWERED, "3"),
        fact("country", "DE", LATER, "4"),
    ]
    timeline = Timeline(facts)
    assert timeline.in_force("country", LATER) == InForce("DE", ANSWERED, ANSWERED, "3")
    assert timeline.in_force("country", EARLIER) == InForce("FR", EARLIER, EARLIER, "2")
    assert timeline.in_force("country", EARLIER - timedelta(hours=2)) is None
    assert timeline.in_force("name", LATER) is None


def test_what_was_stated_late_names_the_first_event_that_stated_it() -> None:
    late = replace(fact("country", "DE", EARLIER, "late"), issued_at=LATER)
    assert Timeline([late]).in_force("country", ANSWERED) == InForce("DE", EARLIER, LATER, "late")
    known = fact("country", "DE", ANSWERED, "known")
    in_force = Timeline([late, known]).in_force("country", ANSWERED)
    assert in_force == InForce("DE", EARLIER, ANSWERED, "known")
    # It is stated only later that the value of before has held on.
    again = fact("country", "DE", LATER, "again")
    assert Timeline([late, again]).in_force("country", ANSWERED) == InForce(
        "DE", EARLIER, LATER, "late"
    )


def test_of_two_facts_for_one_instant_the_one_that_holds_is_in_force() -> None:
    taken = fact("license:X", value=False, since=ANSWERED, event_id="2")
    given = fact("license:X", value=True, since=ANSWERED, event_id="3")
    assert Timeline([given, taken]).in_force("license:X", LATER) == InForce(
        value=False, since=ANSWERED, issued_at=ANSWERED, event_id="2"
    )
