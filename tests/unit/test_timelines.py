from __future__ import annotations

from datetime import timedelta
from itertools import permutations

from builders import ANSWERED, fact

from perminute.domain.licensing.timelines import Timeline

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
