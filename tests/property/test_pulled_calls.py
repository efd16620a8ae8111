"""Whatever Graph answers and however the directory changes, no row is lost, doubled or guessed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pulled_calls import NUMBER_ROW, TENANT_ROW, World, row

from perminute.application.pull_graph_calls import Fate

NUMBERS = ("+12065550100", "+12065550199")
DIRECTORIES = (
    (TENANT_ROW, NUMBER_ROW),
    (TENANT_ROW,),
    (TENANT_ROW, "number,+12065550100,fabrikam,tollDialIn,"),
    (TENANT_ROW, *(f"number,{number},,tollFreeDialIn," for number in NUMBERS)),
    (f"{TENANT_ROW}2026-11-03T08:00:00Z", NUMBER_ROW),
)
rows = st.builds(
    row,
    st.sampled_from(["call-1", "call-2", "call-3", ""]),
    calleeNumber=st.sampled_from([*NUMBERS, "anonymous", None]),
    duration=st.sampled_from([0, 1, 300, -1, "300", 0.5, None]),
    callType=st.sampled_from(["conf_in", "conf_in", "conf_out", "user_out", "oc_x", None]),
    endDateTime=st.sampled_from(["2026-11-03T08:05:00Z", "2026-11-03T07:00:00Z", "?"]),
)
days = st.lists(
    st.tuples(st.lists(rows, max_size=5), st.sampled_from(DIRECTORIES)), min_size=1, max_size=4
)


@given(days)
def test_every_row_stands_is_kept_skipped_or_was_told(
    days: list[tuple[list[dict[str, Any]], tuple[str, ...]]],
) -> None:
    world = World()
    for answered, directory in days:
        world.graph.rows = answered
        world.correct(*directory)
        before = len(world.kept())
        done = world.pull()
        assert done.failure is None
        # Each row has one fate, and those that are kept are in the files.
        assert sum(done.rows.values()) == len(answered)
        assert done.kept == len(world.kept()) - before
        told = world.charge()
        assert len(told) == done.rows[Fate.PROBLEM] + done.rows[Fate.DIFFERS]
        # Once that is charged and told, nothing of the same rows is kept any more.
        again = world.pull()
        assert (again.kept, again.failure) == (0, None)
        assert again.rows[Fate.SKIPPED] == done.rows[Fate.SKIPPED]
        world.next_day()
