"""Events of a replay are read when they are due, in the order of their time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from perminute_local.replay.plan import Events, NotAnEvent
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from pathlib import Path

NINE = datetime(2026, 11, 2, 9, tzinfo=UTC)
TEN = NINE.replace(hour=10, microsecond=123_456)
NOON_IN_TOKYO = "2026-11-02T12:00:00+09:00"


def line(name: str, at: str | None, **fields: object) -> str:
    return json.dumps({"id": name, "source": "perminute.billing", "time": at, **fields})


def events_of(folder: Path, *lines: str) -> Events:
    (folder / "events.jsonl").write_text("\n".join(lines))
    return Events(folder / "events.jsonl")


def times(events: Events) -> list[tuple[str, datetime | None]]:
    return [(event.event_id, event.at) for event in events]


def test_a_line_without_a_time_has_that_of_the_line_before_it_or_the_first_one(
    tmp_path: Path,
) -> None:
    ten = "2026-11-02T10:00:00.123456Z"
    events = events_of(
        tmp_path,
        line("leading", None),
        line("first", ten),
        line("after it", "yesterday"),
        line("same time", ten),
        "# a comment",
        line("earlier", "2026-11-02T09:00:00Z"),
        line("last", None),
        line("in Tokyo", NOON_IN_TOKYO),
    )
    three = NINE.replace(hour=3)
    assert len(events) == 7
    assert times(events) == [
        ("in Tokyo", three),
        ("earlier", NINE),
        ("last", NINE),
        ("leading", TEN),
        ("first", TEN),
        ("after it", TEN),
        ("same time", TEN),
    ]
    # They can be read again: a refused event is looked for by its fingerprint.
    assert times(events) == times(events)


def test_without_any_time_events_have_none_and_remain_in_the_order_of_the_file(
    tmp_path: Path,
) -> None:
    events = events_of(tmp_path, line("b", None), line("a", "soon"))
    assert times(events) == [("b", None), ("a", None)]


def test_requests_are_named_in_the_order_of_the_file_and_no_event_by_its_line(
    tmp_path: Path,
) -> None:
    later = line("", "2026-11-02T10:00:00Z", request="authorize")
    events = events_of(tmp_path, later, "", "no JSON", line("", NOON_IN_TOKYO, request="release"))
    assert events.requests == ["events.jsonl:1", "events.jsonl:4"]
    assert [event.event_id for event in events] == ["events.jsonl:4", "events.jsonl:1"]
    (refused,) = events.rejected
    assert isinstance(refused, NotAnEvent)
    assert refused.event_id == "events.jsonl:3"


def test_a_file_that_was_changed_meanwhile_is_named(tmp_path: Path) -> None:
    events = events_of(tmp_path, line("a", None), line("b", None))
    (tmp_path / "events.jsonl").write_text("")
    with pytest.raises(WrongFile, match=r"events\.jsonl: was changed .* run the replay again"):
        list(events)
