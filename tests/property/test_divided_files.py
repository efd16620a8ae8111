"""A file that is divided anywhere becomes the same records as the whole file."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_examples import FILES, OPTIONS

from perminute.sources.divide import find_boundary, header_of
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile, StatedCall

if TYPE_CHECKING:
    from perminute.sources.outcomes import Problem, Skip

# So that a window has a whole row, and some channel ends in it.
SOUND = [",".join("x" * 21)] * 3
LAST = [1] * 5
HEADER = FILES["teams-csv"][0].splitlines(keepends=True)[0]
WIDTH = HEADER.count(b",") + 1
CHANNEL_ROW = FILES["asterisk-csv"][0].splitlines(keepends=True)[0].decode()
EVENT = FILES["asterisk-ami"][0].split(b"\r\n\r\n")
REQUEST = FILES["twilio-callback"][0].splitlines(keepends=True)[0]
CELLS = st.sampled_from(["x", "", '"quoted"', '"two\r\nlines"', '"a ""b"" c"', '"open', 'in"side'])
ROWS = st.tuples(CELLS, st.integers(0, WIDTH - 1)).map(
    lambda cell: ",".join(["x"] * cell[1] + [cell[0]] + ["x"] * (WIDTH - 1 - cell[1]))
)
LINES = st.one_of(ROWS, ROWS, ROWS, st.sampled_from(['"', "x,y", ""]))


def readings(source: str, content: bytes) -> list[tuple[object, object]]:
    read = SOURCES[source].read(InputFile("file", io.BytesIO(content)), OPTIONS)
    return [(reading.record, kind(reading.call)) for reading in read]


def kind(call: StatedCall | Skip | Problem) -> object:
    """What was read; a message may name what comes after the record."""
    return call if isinstance(call, StatedCall) else call.reason


def check(source: str, content: bytes, window_begins: int) -> None:
    header = header_of(source, content)
    place = find_boundary(source, header, content[window_begins:])
    if place is None:
        assert source == "chime-sma"
        return
    boundary = window_begins + place
    if boundary == len(content):
        return
    parts = content[:boundary], header + content[boundary:]
    assert [each for part in parts for each in readings(source, part)] == readings(source, content)


@given(lines=st.lists(LINES, min_size=4, max_size=30), place=st.floats(0.1, 0.9))
def test_rows_with_lines_in_them_and_damaged_ones_are_the_same(
    lines: list[str], place: float
) -> None:
    content = HEADER + "".join(f"{line}\r\n" for line in [*lines, *SOUND]).encode()
    check("teams-csv", content, max(len(HEADER), int(place * len(content))))


@given(channels=st.lists(st.integers(1, 4), min_size=3, max_size=12), place=st.floats(0, 0.7))
def test_the_rows_of_a_channel_stay_together(channels: list[int], place: float) -> None:
    rows = [
        CHANNEL_ROW.replace("1793696400.1", f"1793696400.{number}").replace("603", str(seconds))
        for number, count in enumerate([*channels, *LAST])
        for seconds in range(count)
    ]
    content = "".join(rows).encode()
    check("asterisk-csv", content, int(place * len(content)))


@given(channels=st.lists(st.integers(1, 4), min_size=3, max_size=12), place=st.floats(0, 0.7))
def test_the_events_of_a_channel_stay_together(channels: list[int], place: float) -> None:
    event = next(each for each in EVENT if b"Event: Cdr" in each and b"UserField" in each)
    unique_id = next(
        line.partition(b": ")[2] for line in event.split(b"\r\n") if line.startswith(b"UniqueID")
    )
    events = [
        event.replace(unique_id, unique_id + str(number).encode()) + b"\r\n\r\n"
        for number, count in enumerate([*channels, *LAST])
        for _ in range(count)
    ]
    content = b"".join(events)
    check("asterisk-ami", content, int(place * len(content)))


@given(count=st.integers(2, 8), place=st.floats(0, 0.9))
def test_lines_of_json_are_the_same(count: int, place: float) -> None:
    content = REQUEST * count
    check("twilio-callback", content, int(place * len(content)))


@given(
    documents=st.lists(st.sampled_from(["{}", '{"a": 1}', '{\n"a":\n{}\n}', "[{},\n{},\n{}]"])),
    place=st.floats(0, 0.9),
)
def test_documents_of_json_are_divided_between_objects_alone(
    documents: list[str], place: float
) -> None:
    content = "".join(f"{document}\n" for document in documents).encode()
    check("chime-sma", content, int(place * len(content)))


def test_a_page_is_not_divided_whatever_its_lines_look_like() -> None:
    rows = ",\n".join(json.dumps({"id": n}) for n in range(50))
    assert find_boundary("graph-pstn", b"", f'{{"value": [\n{rows}\n]}}'.encode()) is None


@pytest.mark.parametrize("source", ["teams-csv", "asterisk-csv", "asterisk-ami", "twilio-callback"])
def test_a_line_that_never_ends_is_cut_where_the_window_ends(source: str) -> None:
    assert find_boundary(source, HEADER, b"x" * 100) == 100
    assert find_boundary(source, HEADER, b"x" * 50 + b"\n" + b"x" * 49) == 51
