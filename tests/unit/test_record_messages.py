"""Messages of the queue of call records, and the keys of objects that they name."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perminute.application.record_messages import RecordsMessage, SentRecords
from perminute.domain.errors import Refused
from perminute.events.records import parse_records_message, part_body, records_body
from perminute.ports.record_objects import ObjectPart, StoredObject
from perminute.sources.object_keys import read_key, write_key
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import SourceOptions
from perminute.sqs import Received

NOW = datetime(2026, 11, 5, 9, tzinfo=UTC)
STORED = StoredObject("records", "chime-sma/a b+c.json", 812, "5d41402a", "v1")
CREATED: dict[str, Any] = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "source": "aws.s3",
    "detail-type": "Object Created",
    "detail": {
        "version": "0",
        "bucket": {"name": "records"},
        "object": {
            "key": "chime-sma/a b+c.json",
            "size": 812,
            "etag": "5d41402a",
            "version-id": "v1",
            "sequencer": "617f08299329d189",
        },
        "reason": "PutObject",
    },
}
OPTIONS = st.builds(
    SourceOptions,
    tenant=st.none() | st.from_regex(r"[a-z0-9][a-z0-9@.-]{0,20}", fullmatch=True),
    timezone=st.none() | st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")]),
    encoded_values=st.booleans(),
)


def parse(body: str) -> RecordsMessage:
    return parse_records_message(body, Received(None, NOW))


def test_the_event_of_s3_names_an_object() -> None:
    body = json.dumps(CREATED)
    assert parse(body) == RecordsMessage(body, STORED, NOW)
    assert parse(body).place == "s3://records/chime-sma/a b+c.json"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(CREATED),
        part_body(ObjectPart(STORED, 0, 5)),
        records_body("chime-sma", "x", b"{}", SourceOptions()),
    ],
)
def test_a_message_is_as_of_when_it_was_sent_if_a_clock_says_that_is_later(body: str) -> None:
    """As in a replay of records on a machine whose clock is behind them."""
    sent = NOW + timedelta(days=1)
    assert parse_records_message(body, Received(sent, NOW)).now == sent
    assert parse_records_message(body, Received(NOW, sent)).now == sent


def test_a_part_is_read_as_it_is_written() -> None:
    for stored in (STORED, STORED._replace(version_id=None)):
        part = ObjectPart(stored, 100, 812)
        message = parse(part_body(part))
        assert message.content == part
        assert message.place == "s3://records/chime-sma/a b+c.json bytes 100-812"


@given(
    source=st.sampled_from(list(SOURCES)),
    content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
    options=OPTIONS,
)
def test_records_are_read_as_they_are_written(
    source: str, content: bytes, options: SourceOptions
) -> None:
    body = records_body(source, "requests/1", content, options)
    assert parse(body).content == SentRecords(source, "requests/1", content, options)


def test_what_is_escaped_much_is_shorter_in_base64() -> None:
    content = json.dumps(json.dumps({"a": '"' * 1000})).encode()
    body = records_body("chime-sma", "at", content, SourceOptions())
    assert len(body) < 2 * len(content)
    assert json.loads(body)["records"]["base64"] is True


@pytest.mark.parametrize(
    ("sent", "field", "message"),
    [
        ("", "message", "is empty"),
        ("[]", "message", "must be a JSON object"),
        ("{", "message", "is not JSON"),
        ({}, "source", "is required; detail-type: is required; detail: is required"),
        ({**CREATED, "detail-type": "Object Deleted"}, "detail-type", 'must be "Object Created"'),
        ({"part": 1}, "part", "must be a JSON object"),
        (
            {"part": {"bucket": "b", "key": "k", "size": 9, "etag": "e", "begin": 5, "end": 5}},
            "part.end",
            "must be greater than begin",
        ),
        ({"records": {"source": "chime", "at": "a", "content": ""}}, "records.source", "must be"),
        (
            {"records": {"source": "chime-sma", "at": "a", "content": "", "timezone": "../x"}},
            "records.timezone",
            "must be a time zone",
        ),
        (
            {"records": {"source": "chime-sma", "at": "a", "content": "=", "base64": True}},
            "records.content",
            "must be base64",
        ),
        (
            '{"records": {"source": "chime-sma", "at": "a", "content": "\\ud800"}}',
            "records.content",
            "is not Unicode text",
        ),
    ],
)
def test_a_message_that_is_wrong_is_refused_by_its_field(
    sent: object, field: str, message: str
) -> None:
    body = sent if isinstance(sent, str) else json.dumps(sent)
    with pytest.raises(Refused) as refused:
        parse(body)
    assert refused.value.field.split(".")[-1] == field.rsplit(".", maxsplit=1)[-1]
    assert message in str(refused.value)


@given(body=st.text(max_size=60) | st.recursive(st.integers() | st.text(max_size=3), st.lists))
def test_any_message_is_read_or_refused(body: object) -> None:
    text = body if isinstance(body, str) else json.dumps({"records": body})
    with contextlib.suppress(Refused):
        parse(text)


@given(source=st.sampled_from(list(SOURCES)), options=OPTIONS)
def test_a_key_is_read_as_it_is_written(source: str, options: SourceOptions) -> None:
    for name in ("page 1+2.json", "2026/month=11/page.json"):
        read = read_key(write_key(source, options, name))
        assert (read.source.name, read.options) == (source, options)


def test_keys_of_chime_name_their_source() -> None:
    rest = "json/abcdef1/2026/11/03/09/00_00_000_t-1"
    for folder, source in (
        ("Amazon-Chime-Voice-Connector-CDRs", "chime-voice-connector"),
        ("Amazon-Chime-Voice-Connector-SDRs", "chime-voice-connector"),
        ("Amazon-Chime-SMADRs", "chime-sma"),
    ):
        read = read_key(f"{folder}/{rest}")
        assert (read.source.name, read.options) == (source, SourceOptions())


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("records.csv", "begins with no source"),
        ("teams-csv", "begins with no source"),
        ("Teams-CSV/records.csv", "begins with no source"),
        ("state/graph/x.json", "begins with no source"),
        ("asterisk-csv/tz=Europe~Atlantis/Master.csv", "tz= must be a time zone"),
        ("asterisk-csv/tz=/Master.csv", "tz= must be a time zone"),
        ("asterisk-csv/tz=..~..~etc~passwd/Master.csv", "tz= must be a time zone"),
        ("asterisk-csv/zone=UTC/Master.csv", "zone=UTC is not an option here"),
        ("asterisk-csv/tz=UTC/tz=UTC/Master.csv", "tz=UTC is not an option here"),
        ("asterisk-csv/2026/tz=UTC/Master.csv", "tz=UTC is not an option here"),
        ("graph-pstn/tenant=/page.json", "tenant= must have 1 to"),
        ("freeswitch-json/values=encoded/a.json", "values= must be plain"),
        ("x\x1b[31m/a", "key x\\x1b[31m/a: begins with no source"),
    ],
)
def test_a_key_that_says_nothing_or_something_else_is_refused(key: str, message: str) -> None:
    with pytest.raises(Refused) as refused:
        read_key(key)
    assert message in str(refused.value)
