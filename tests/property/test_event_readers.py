"""What msgspec reads in one pass is read alike by the reader that names what is wrong."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.errors import Refused
from perminute.events.billing import BILLING
from perminute.events.event import _parse_by_field, _parse_valid
from perminute.events.licensing import LICENSING
from perminute.events.telephony import TELEPHONY
from perminute.fields import Message
from perminute.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perminute.events.event import Source

    Reader = Callable[[str, Source[Any]], object]

SOURCES: dict[str, Source[Any]] = {
    source.name: source for source in (TELEPHONY, LICENSING, BILLING)
}
SAMPLES = [
    event
    for path in sorted((Path(__file__).parents[2] / "events").glob("*.v1.json"))
    if (event := json.loads(path.read_text())).get("source") in SOURCES
]
NUMBERS = "61 61.0 61.5 -0 -0.0 6e1 1e999 9999999999999999999 01 1. .5 +1 1e 0x10 NaN Infinity"
ESCAPES = r'"\ud800" "\udc00\ud800" "\ud83d\ude00" "\u12" "\x" "\u0041" "\" '
OTHERS = 'null true nul [] {} [1,] {"a":1,} {"a":1,"a":"b"} "" "1" "a" "0.5" \'a\' " "a'
VALUES = (
    *NUMBERS.split(),
    *ESCAPES.split(),
    *OTHERS.split(),
    *("1" * 400, "[" * 60 + "]" * 60, "- 1", '" a"', '"2026-11-02T09:00:00.1234567Z"', "// a"),
    *('"\ud800"', '"\t"', '"\0"', '"\x7f"', '"\u2028"', '"é"'),
)
CHARACTERS = st.sampled_from('{}[]",:\\ \n\t\0aeE01.-+u\ud800é')


def nearly_right(event: dict[str, Any]) -> Iterator[str]:
    """Yield the event with each value in each of its fields, once, or twice with its own."""
    text = json.dumps(event)
    for fields, start, end in ((event, "{", "}"), (event["detail"], '"detail": {', "}}")):
        for name, value in product([*fields, "unread"], VALUES):
            field = f"{json.dumps(name)}: {value}"
            yield text.replace(start, f"{start}{field}, ", 1)
            yield f"{text.removesuffix(end)}, {field}{end}"
            yield text.replace(f"{json.dumps(name)}: {json.dumps(fields.get(name))}", field, 1)


@st.composite
def damaged_events(draw: st.DrawFn) -> str:
    text = json.dumps(draw(st.sampled_from(SAMPLES)), ensure_ascii=False)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at] + draw(st.text(CHARACTERS, max_size=2)) + text[at + draw(st.integers(0, 2)) :]
        )
    return text


def outcome(read: Reader, body: str, source: Source[Any]) -> object:
    try:
        return read(body, source)
    except Refused as refusal:
        return str(refusal)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event["detail-type"])
def test_what_is_right_is_read_in_one_pass_and_what_is_nearly_right_alike(
    event: dict[str, Any],
) -> None:
    source = SOURCES[event["source"]]
    assert _parse_valid(json.dumps(event), source) is not None
    for body in nearly_right(event):
        assert outcome(_parse_valid, body, source) in (None, outcome(_parse_by_field, body, source))


@given(body=damaged_events(), source=st.sampled_from([*SOURCES.values()]))
def test_what_is_damaged_is_read_alike(body: str, source: Source[Any]) -> None:
    assert outcome(_parse_valid, body, source) in (None, outcome(_parse_by_field, body, source))


def test_what_nobody_reads_is_text_as_well() -> None:
    with pytest.raises(Refused, match=r"^body: is not JSON"):
        parse(b'{"unread": "\xff"}', Message)
