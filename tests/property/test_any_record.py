"""Whatever a file contains: each record is a leg, a skip or a problem, and nothing is raised."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_examples import DIRECTORY, FILES, OPTIONS, damaged_file
from stated_calls import converted

from perminute.events.event import read_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute.sources.outcomes import Leg, Outcome, Problem, Skip
from perminute.sources.registry import SOURCES
from perminute_local.records.call_records import event_of


def check(source: str, outcomes: list[Outcome]) -> None:
    for _, _, result in outcomes:
        assert isinstance(result, Leg | Skip | Problem)
        if isinstance(result, Leg):
            event = json.dumps(event_of(result, source))
            call = ended_call(read_event(event, TELEPHONY)).call
            assert (call.call_id, call.billable_seconds) == (
                result.call_id,
                result.billable_seconds,
            )


@pytest.mark.parametrize("source", SOURCES)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read(source: str, content: bytes) -> None:
    check(source, converted(source, content, of=DIRECTORY, options=OPTIONS))


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
def test_a_file_that_is_damaged_anywhere_is_read(source: str, data: st.DataObject) -> None:
    content = data.draw(damaged_file(source))
    check(source, converted(source, content, of=DIRECTORY, options=OPTIONS))


@given(line=st.text('"ab,\r\n', max_size=12), place=st.integers(1, 6))
def test_a_damaged_line_of_a_csv_file_costs_no_other_row(line: str, place: int) -> None:
    lines = FILES["teams-csv"][0].decode().split("\r\n")
    before = converted("teams-csv", "\r\n".join(lines).encode(), of=DIRECTORY)
    content = "\r\n".join([*lines[:place], line, *lines[place:]]).encode()
    after = converted("teams-csv", content, of=DIRECTORY)
    legs = [result for _, _, result in after if isinstance(result, Leg)]
    assert legs == [result for _, _, result in before if isinstance(result, Leg)]
