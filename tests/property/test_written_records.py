"""A record that is written as a file of its own is read to the same outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_examples import DIRECTORY, FILES, OPTIONS, damaged_file
from stated_calls import converted, directory

from perminute.sources.outcomes import Leg, Problem, ProblemReason, Skip, SkipReason
from perminute.sources.registry import SOURCES
from perminute.sources.write_record import write_record

if TYPE_CHECKING:
    from perminute.sources.outcomes import Outcome, Result

# Only beside the records before it are they what they are.
AMONG_OTHERS = {SkipReason.MERGED_LEG, SkipReason.DUPLICATE, ProblemReason.CONFLICT}


def kind(result: Result) -> object:
    """What an outcome says; messages may name another place in the text."""
    if isinstance(result, Leg):
        return result
    return result.reason, isinstance(result, Skip) and result.is_damaged


def check(source: str, outcomes: list[Outcome]) -> None:
    for _, record, result in outcomes:
        if record is None or (not isinstance(result, Leg) and result.reason in AMONG_OTHERS):
            continue
        content = write_record(source, record)
        first, *others = converted(source, content, of=DIRECTORY, options=OPTIONS)
        # What is left of a damaged file may be a whole body, which alone is read as its call.
        if source == "freeswitch-json" and isinstance(record, str) and record.startswith("cdr="):
            continue
        assert kind(first.result) == kind(result)
        assert all(isinstance(other.result, Skip) for other in others), "of one channel"


@pytest.mark.parametrize("source", SOURCES)
def test_each_record_of_the_examples_is_read_alone_as_among_the_others(source: str) -> None:
    for content in FILES[source]:
        check(source, converted(source, content, of=DIRECTORY, options=OPTIONS))


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
@settings(max_examples=30)
def test_a_record_of_a_damaged_file_is_read_alone_as_there(
    source: str, data: st.DataObject
) -> None:
    content = data.draw(damaged_file(source))
    check(source, converted(source, content, of=DIRECTORY, options=OPTIONS))


@pytest.mark.parametrize("first", [b"\xef\xbb", b'"', b" ", b"\0"])
def test_a_header_below_a_damaged_line_is_kept_as_a_row_of_its_own(first: bytes) -> None:
    content = first + b"\n" + FILES["teams-csv"][0].removeprefix(b"\xef\xbb\xbf")
    check("teams-csv", converted("teams-csv", content, of=DIRECTORY, options=OPTIONS))


def test_what_is_kept_of_a_call_has_all_records_of_its_channel() -> None:
    source = "asterisk-csv"
    content = FILES[source][0]
    known = converted(source, content, of=DIRECTORY, options=OPTIONS)
    place = next(n for n, each in enumerate(known) if each.result == Skip(SkipReason.MERGED_LEG))
    unknown = converted(source, content, of=directory("tenant,other,contoso,,,,"), options=OPTIONS)
    kept = unknown[place - 1]
    assert isinstance(kept.result, Problem)
    again = converted(source, write_record(source, kept.record), of=DIRECTORY, options=OPTIONS)
    assert [each.result for each in again] == [known[place - 1].result, known[place].result]
