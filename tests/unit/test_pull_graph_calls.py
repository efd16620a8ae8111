"""What of Graph's calls is kept to be read, told once, or left where it stands."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pulled_calls import AT, NUMBER_ROW, TENANT, TENANT_ROW, Rows, Tenants, World, row

from perminute.adapters.memory import InMemoryCalls
from perminute.application.pull_graph_calls import Fate, graph_records, place_of_calls
from perminute.application.retry import Deadline
from perminute.domain.comparison.record_comparison import OperatorCharge
from perminute.domain.errors import Throttled, Unavailable
from perminute.domain.rating.usage_record import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute.domain.rating.usage_record import Usage

OTHER_TENANT = "9b1d3e6a-0c44-4f7c-8f1e-2a5d7c9e1b20"
KEY = f"graph-pstn/tenant={TENANT}"


def test_a_new_call_is_kept_charged_and_stands() -> None:
    world = World(row("call-1"), row("call-2"), row("call-3"))
    done = world.pull()
    assert (done.rows, done.kept, done.failure) == (Counter({Fate.NEW: 3}), 3, None)
    # Each page of which something is kept is a file, with the rows as Graph wrote them.
    assert sorted(len(json.loads(file)["value"]) for file in world.bucket.files.values()) == [1, 2]
    assert all(name.startswith(f"{KEY}/20261105T031000Z-") for name in world.bucket.files)
    assert world.charge() == []
    assert world.charged == ["contoso call-1", "contoso call-2", "contoso call-3"]
    world.next_day()
    assert world.pull().rows == {Fate.STANDS: 3}


def test_the_same_window_again_writes_nothing() -> None:
    world = World(row("call-1"), row("call-2", calleeNumber="+12065550199"), row("call-3"))
    world.pull()
    before = world.bucket.writes
    assert before == 3
    world.charge()
    done = world.pull()
    assert done.rows == {Fate.STANDS: 2, Fate.REPORTED_BEFORE: 1}
    assert world.bucket.writes == before


def test_a_call_that_is_not_charged_yet_is_kept_again_the_next_day() -> None:
    world = World(row("call-1"))
    world.pull()
    # By a run that is repeated, it is not.
    world.pull()
    assert world.bucket.writes == 1
    world.next_day()
    assert world.pull().rows == {Fate.NEW: 1}
    assert world.charge() == []
    assert world.charged == ["contoso call-1"]


def test_the_days_of_the_window_are_read_the_latest_first() -> None:
    world = World()
    world.pull()
    days = [place.partition("(")[2] for place in world.graph.places]
    assert days[0] == "fromDateTime=2026-11-05,toDateTime=2026-11-06)"
    assert days[-1] == "fromDateTime=2026-10-29,toDateTime=2026-10-30)"
    assert len(days) == 8


def test_a_row_that_two_days_have_is_kept_once() -> None:
    # Graph includes both instants that are asked for. Such a date alone is a problem.
    world = World(row("call-1", startDateTime="2026-11-03"), row("call-2"))
    assert world.pull().rows == {Fate.PROBLEM: 1, Fate.REPORTED_BEFORE: 1, Fate.NEW: 1}
    again = World(row("call-1"), row("call-1"), row("call-2"), row("call-1"))
    assert again.pull().rows == {Fate.NEW: 2, Fate.SKIPPED: 2}
    assert len(again.kept()) == 2


def test_other_calls_are_left_out() -> None:
    world = World(row("call-1", callType="user_out"), row("call-2", callType="ucap_in"))
    assert world.pull().rows == {Fate.SKIPPED: 2}
    assert world.bucket.writes == 0


def test_a_row_that_was_corrected_later_is_a_conflict_that_is_told_once() -> None:
    world = World(row("call-1"))
    world.pull()
    world.charge()
    world.graph.rows = [row("call-1", duration=301)]
    world.next_day()
    assert world.pull().rows == {Fate.DIFFERS: 1}
    assert world.charge() == ["conflict"]
    for _ in range(3):
        world.next_day()
        assert world.pull().rows == {Fate.REPORTED_BEFORE: 1}
    assert world.charge() == []
    # Another correction is another conflict.
    world.graph.rows = [row("call-1", duration=302)]
    assert world.pull().rows == {Fate.DIFFERS: 1}


def test_what_charging_does_not_compare_is_no_correction() -> None:
    call_id = "a3f0c9d2-6b1e-4c55-9f20-7e8d1c2b3a01"
    world = World(row(call_id))
    world.pull()
    world.charge()
    world.graph.rows = [row(call_id.upper(), charge=0.5, duration="300", operator="Other")]
    assert world.pull().rows == {Fate.STANDS: 1}


def test_a_problem_is_told_once() -> None:
    world = World(row("call-1", calleeNumber="+12065550199"))
    assert world.pull().rows == {Fate.PROBLEM: 1}
    assert world.charge() == ["unknownServiceNumber"]
    world.next_day()
    # However Graph orders and spaces the fields of the row.
    world.graph.rows = [dict(reversed(world.graph.rows[0].items()))]
    assert world.pull().rows == {Fate.REPORTED_BEFORE: 1}


@pytest.mark.parametrize("damaged", [row("c" * 251), row("call-1", callType=["conf_in"])])
def test_a_row_that_is_damaged_is_kept_once(damaged: Any) -> None:
    world = World(damaged)
    assert world.pull().rows == {Fate.PROBLEM: 1}
    assert world.pull().rows == {Fate.REPORTED_BEFORE: 1}


def test_a_problem_that_graph_repeats_is_told_once() -> None:
    problem = row("call-1", calleeNumber="+12065550199")
    world = World(problem, problem, problem)
    assert world.pull().rows == {Fate.PROBLEM: 1, Fate.REPORTED_BEFORE: 2}


def test_a_problem_that_a_corrected_directory_solves_is_charged_at_once() -> None:
    world = World(row("call-1", calleeNumber="+12065550199"))
    world.pull()
    world.correct(TENANT_ROW, "number,+12065550199,,tollDialIn,")
    assert world.pull().rows == {Fate.NEW: 1}


def test_a_problem_that_becomes_another_one_is_told_again() -> None:
    world = World(row("call-1"))
    world.correct(TENANT_ROW)
    assert world.pull().rows == {Fate.PROBLEM: 1}
    world.correct(TENANT_ROW, "number,+12065550100,fabrikam,tollDialIn,")
    assert world.pull().rows == {Fate.PROBLEM: 1}
    world.charge()
    world.correct(TENANT_ROW)
    assert world.pull().rows == {Fate.REPORTED_BEFORE: 1}


def test_a_lost_state_has_problems_told_once_more() -> None:
    world = World(row("call-1", calleeNumber="+12065550199"))
    world.pull()
    world.bucket.states.clear()
    world.next_day()
    assert world.pull().rows == {Fate.PROBLEM: 1}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"[]",
        b'{"reported": []}',
        b'{"reported": {"a": 1}}',
        b"\xff",
        b'{"reported": {"a": "x"}}',
    ],
)
def test_a_damaged_state_is_named(damaged: bytes) -> None:
    world = World(row("call-1"))
    world.bucket.store_state(f"graph/{TENANT}", damaged, read=None)
    done = world.pull()
    assert str(done.failure) == (
        f"the state graph/{TENANT} is damaged: delete its object, and known problems are reported "
        "once more"
    )
    assert world.kept() == []


def test_what_is_remembered_is_forgotten_when_graph_no_longer_answers_with_it() -> None:
    world = World(row("call-1", calleeNumber="+12065550199"))
    world.pull()
    first = told(world)
    world.at += timedelta(days=10)
    late = {"startDateTime": "2026-11-13T08:00:00Z", "endDateTime": "2026-11-13T08:05:00Z"}
    world.graph.rows = [row("call-2", calleeNumber="+12065550199", **late)]
    world.pull()
    assert len(told(world)) == 1
    assert told(world).keys().isdisjoint(first)


def told(world: World) -> dict[str, str]:
    state = world.bucket.state(f"graph/{TENANT}")
    assert state is not None
    content: dict[str, str] = json.loads(state.content)["reported"]
    return content


def test_two_runs_at_once_forget_nothing_of_each_other() -> None:
    world = World(row("call-1", calleeNumber="+12065550199"))

    def other_run() -> None:
        world.bucket.before_state = bool
        other = World(row("call-2", calleeNumber="+12065550199"))
        other.bucket = world.bucket
        other.pull()

    # The other run writes between the reading and the writing of this one.
    world.bucket.before_state = other_run
    assert world.pull().failure is None
    assert len(told(world)) == 2


def test_what_a_bridge_reported_is_replaced() -> None:
    world = World(row("call-1"))
    world.pull()
    world.charge()
    key = ("contoso", "call-1")
    usage = world.store.usages[key]
    world.store.usages[key] = usage._replace(flags=(Flag.REPORTED_BY_BRIDGE,))
    assert world.store.usages[key].reported_by_bridge
    assert world.pull().rows == {Fate.NEW: 1}


def test_an_interrupted_run_has_kept_what_it_had_read() -> None:
    numbers = ["+12065550199", "+12065550100", "+12065550100"]
    world = World(*(row(f"call-{n}", calleeNumber=number) for n, number in enumerate(numbers)))
    # Two days without rows have a page each.
    world.graph.failure, world.graph.fails_after = Unavailable("Graph is down"), 3
    done = world.pull()
    assert str(done.failure) == "Graph is down"
    assert done.rows == {Fate.PROBLEM: 1, Fate.NEW: 1}
    assert len(world.kept()) == 2
    world.charge()
    world.graph.failure = None
    assert world.pull().rows == {Fate.REPORTED_BEFORE: 1, Fate.STANDS: 1, Fate.NEW: 1}


def test_a_run_without_time_ends_between_two_pages() -> None:
    world = World(row("call-1"), row("call-2"), row("call-3"))
    time = iter([0.0] * 2 + [0.0, 0.0, 0.0] + [100.0] * 9)
    (done,) = world.use_case(world.at, Deadline(50.0, lambda: next(time)))
    assert "no time was left" in str(done.failure)
    assert done.kept == len(world.kept())


def test_a_table_that_is_throttled_is_asked_again() -> None:
    world = World(row("call-1"))

    class Busy(InMemoryCalls):
        asked = 0

        def usages_by_id(self, *asked_for: Any) -> Mapping[str, Usage]:
            self.asked += 1
            if self.asked == 1:
                raise Throttled
            return super().usages_by_id(*asked_for)

    (done,) = replace(world.use_case, calls=Busy(world.store))(world.at)
    assert (done.failure, done.kept) == (None, 1)


def test_the_failure_of_one_tenant_stops_no_other() -> None:
    world = World()
    broken = Rows(failure=Unavailable("the secret has expired"))
    world.tenants.graphs = {OTHER_TENANT: broken, TENANT: Rows([row("call-1")])}
    world.correct(TENANT_ROW, NUMBER_ROW, f"tenant,{OTHER_TENANT},fabrikam,,")
    first, second = world.pull_all()
    assert (first.tenant, str(first.failure)) == (OTHER_TENANT, "the secret has expired")
    assert (second.tenant, second.failure, second.kept) == (TENANT, None, 1)


def test_nothing_is_read_of_a_tenant_that_the_directory_does_not_name() -> None:
    world = World(row("call-1"))
    world.correct(NUMBER_ROW)
    assert "has no row tenant," in str(world.pull().failure)
    assert world.graph.places == []


def test_a_tenant_that_has_left_is_read_to_its_end() -> None:
    world = World(row("call-1"))
    world.correct(NUMBER_ROW, f"{TENANT_ROW}2026-11-04T00:00:00Z")
    later = {"startDateTime": "2026-11-04T08:00:00Z", "endDateTime": "2026-11-04T08:05:00Z"}
    world.graph.rows.append(row("call-2", **later))
    assert world.pull().rows == {Fate.NEW: 1, Fate.PROBLEM: 1}


def test_the_page_has_every_fate() -> None:
    page = (Path(__file__).parents[2] / "docs" / "microsoft-graph.md").read_text()
    assert [fate for fate in Fate if f"| `{fate}` |" not in page] == []


@pytest.mark.parametrize(
    ("begin", "place"),
    [
        (AT.date(), "(fromDateTime=2026-11-05,toDateTime=2026-11-05T03:10:00Z)"),
        (
            datetime(2026, 11, 4, 1, 2, 3, 400, tzinfo=UTC),
            "(fromDateTime=2026-11-04T01:02:03.000400Z,toDateTime=2026-11-05T03:10:00Z)",
        ),
    ],
)
def test_graph_is_asked_for_days_or_instants(begin: Any, place: str) -> None:
    assert place_of_calls(begin, AT).endswith(f"/communications/callRecords/getPstnCalls{place}")


def test_what_is_read_is_gathered_for_the_comparison_and_a_failure_says_so() -> None:
    world = World(row("call-1"), row("call-1"), row("call-2", calleeNumber="+12065550177"))
    records = graph_records(world.at + timedelta(days=3))
    (done,) = world.use_case(world.at, records=records)
    assert done.failure is None
    ((organization_id, calls),) = records.by_organization().items()
    assert (organization_id, [call.call_id for call in calls]) == ("contoso", ["call-1"])
    assert calls[0].charge == OperatorCharge(120_000, 2)
    assert records.known == {"call-1", "call-2"}

    failing = replace(world.graph, failure=Unavailable("no answer"), read=0)
    incomplete = graph_records(world.at)
    replace(world.use_case, tenants=Tenants({TENANT: failing}))(world.at, records=incomplete)
    assert incomplete.by_organization() == {}


def test_the_organization_of_a_tenant_is_compared_even_if_all_records_are_lost() -> None:
    world = World()
    records = graph_records(world.at)
    world.use_case(world.at, records=records)
    assert records.by_organization() == {"contoso": []}
