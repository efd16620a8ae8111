"""What becomes of dropped and posted call records: calls that are queued, and what is kept."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from ingesting import BUCKET, NOW, Desk, created
from record_examples import DIRECTORY, FILES
from stated_calls import directory

from perminute.application import ingest_records
from perminute.application.ingest_records import IngestedRecords
from perminute.application.results import Accepted
from perminute.application.retry import Deadline
from perminute.domain.errors import Refused, Unavailable
from perminute.events.event import read_event
from perminute.events.records import records_body
from perminute.events.telephony import TELEPHONY
from perminute.sources.stated_call import SourceOptions
from perminute.sqs import Received

TENANT = "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10"
KEY = f"teams-csv/tenant={TENANT}/PSTN.calls.2026-11-05.csv"
EXPORT = FILES["teams-csv"][0]
HEADER, ROW, *_ = EXPORT.splitlines(keepends=True)
NONE = SourceOptions()
NOBODY = directory("tenant,other,contoso,,,,")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def rows(count: int) -> bytes:
    """An export with so many calls, each with a line break in a cell."""
    return HEADER + b"".join(
        ROW.replace(b'"Lee ""L"", Robin"', b'"Lee,\nRobin"').replace(b"2B3A01", b"%06X" % number)
        for number in range(count)
    )


def test_a_dropped_file_becomes_calls_skips_and_what_is_kept(desk: Desk) -> None:
    assert desk.done(desk.drop(KEY, EXPORT)) == IngestedRecords(
        f"s3://{BUCKET}/{KEY}",
        calls=3,
        skipped={"userCall": 1},
        # A quotation mark that is never closed, and a line that was cut.
        kept={"notACallRecord": 2},
    )
    (body,) = desk.bodies
    event = read_event(body, TELEPHONY, Received(NOW, NOW))
    assert [call["callId"] for call in event.detail.calls] == [leg.call_id for leg in desk.legs]
    assert event.time == max(leg.ended_at for leg in desk.legs)
    assert [(each.event_id, each.reason.partition(":")[0]) for each in desk.kept] == [
        (f"s3://{BUCKET}/{KEY}:5", "notACallRecord"),
        (f"s3://{BUCKET}/{KEY}:7", "notACallRecord"),
    ]


def test_the_same_file_again_is_the_same_events(desk: Desk) -> None:
    event = desk.drop(KEY, EXPORT)
    desk.done(event)
    first = list(desk.bodies)
    desk.done(event)
    assert desk.bodies == first * 2


def test_what_is_kept_is_charged_once_the_directory_is_right(desk: Desk) -> None:
    event = desk.drop(KEY, EXPORT)
    unknown = desk.with_directory(NOBODY)
    assert unknown.done(event).kept == {"unknownTenant": 3, "notACallRecord": 2}
    assert not unknown.legs
    kept = [each for each in unknown.kept if each.reason.startswith("unknownTenant")]
    again = unknown.with_directory(DIRECTORY)
    for each in kept:
        assert again.done(each.body) == IngestedRecords(each.event_id, calls=1)
    assert again.legs == [*desk_legs(event, desk)]


def desk_legs(event: str, desk: Desk) -> list[Any]:
    desk.done(event)
    return list(desk.legs)


def test_what_is_refused_again_is_kept_again_from_the_same_place(desk: Desk) -> None:
    unknown = desk.with_directory(NOBODY)
    unknown.done(desk.drop("twilio-event-stream/events.json", FILES["twilio-event-stream"][0]))
    first = [each for each in unknown.kept if "unknown" in each.reason]
    assert first
    unknown.kept = []
    for each in first:
        unknown.done(each.body)
    assert unknown.kept == first


def test_a_message_is_processed_by_one_directory(desk: Desk) -> None:
    event = desk.drop(KEY, EXPORT)
    desk.ingest(event, event)
    assert desk.directories.asked == 2


def test_a_clock_that_is_ahead_is_told_and_no_call_of_the_future_is_charged(desk: Desk) -> None:
    at = NOW + timedelta(hours=1)
    moved = ROW.replace(b"2026-11-03 08:10", at.strftime("%Y-%m-%d %H:%M").encode())
    moved = moved.replace(b"2026-11-03 08:00", at.strftime("%Y-%m-%d %H:%M").encode())
    result = desk.done(desk.drop(KEY, HEADER + moved + ROW.replace(b"2B3A01", b"2B3A02")))
    assert (result.calls, result.kept) == (1, {"invalidTime": 1})
    (kept,) = desk.kept
    assert kept.reason.startswith("invalidTime: the call ended after its record was read")


def test_an_object_that_vanished_or_was_replaced_is_refused_with_that_word(desk: Desk) -> None:
    (refused,) = desk.ingest(created(KEY, EXPORT))
    assert isinstance(refused, Refused)
    assert "vanished" in refused.message
    event = desk.drop(KEY, EXPORT)
    desk.drop(KEY, EXPORT + ROW)
    (refused,) = desk.ingest(event)
    assert isinstance(refused, Refused)
    assert "replaced" in refused.message


def test_a_key_without_a_source_is_refused_and_the_next_message_is_not(desk: Desk) -> None:
    refused, accepted = desk.ingest(desk.drop("teams/x.csv", EXPORT), desk.drop(KEY, EXPORT))
    assert isinstance(refused, Refused)
    assert isinstance(accepted, Accepted)


def test_a_folder_of_the_console_has_no_records(desk: Desk) -> None:
    assert desk.done(created("teams-csv/", b"")) == IngestedRecords(f"s3://{BUCKET}/teams-csv/")


@pytest.mark.parametrize(
    ("source", "of_another"),
    [
        ("graph-pstn", "zoom-telephone"),
        ("zoom-telephone", "graph-pstn"),
        ("chime-sma", "twilio-call"),
        ("twilio-event-stream", "chime-sma"),
        ("freeswitch-json", "twilio-event-stream"),
    ],
)
def test_a_file_in_the_folder_of_another_source_is_kept(
    desk: Desk, source: str, of_another: str
) -> None:
    body = desk.drop(f"{source}/file", FILES[of_another][0])
    assert desk.done(body).kept.keys() == {"notACallRecord"}
    (kept,) = desk.kept
    assert (kept.event_id, kept.body) == (f"s3://{BUCKET}/{source}/file", body)
    assert f"is one of {source};" in kept.reason


def test_events_that_are_no_calls_are_usual_beside_calls_and_where_they_are_posted(
    desk: Desk,
) -> None:
    event = b'{"type": "com.twilio.voice.conference.started"}'
    assert desk.done(desk.drop("twilio-event-stream/file", event)).skipped == {"notACallRecord": 1}
    posted = records_body("twilio-callback", "posted", b'{"body": "ConferenceSid=CF1"}', NONE)
    assert desk.done(posted).skipped == {"notACallRecord": 1}
    calls = desk.drop("twilio-callback/file", FILES["twilio-callback"][0])
    assert desk.done(calls).skipped["notACallRecord"] == 1
    assert {one.reason.partition(":")[0] for one in desk.kept} == {"invalidDuration"}


def test_an_empty_file_is_kept_as_damaged(desk: Desk) -> None:
    assert desk.done(desk.drop(KEY, b"")).kept == {"notACallRecord": 1}
    assert desk.done(desk.drop("graph-pstn/page.json", b"")).kept == {"notACallRecord": 1}


def test_a_failure_after_calls_were_queued_repeats_them_and_keeps_nothing_twice(
    desk: Desk,
) -> None:
    event = desk.drop(KEY, EXPORT)
    desk.fails.append(Unavailable("the queue does not answer"))
    (failed,) = desk.ingest(event)
    assert isinstance(failed, Unavailable)
    assert not desk.kept
    desk.done(event)
    assert (len(desk.bodies), len(set(desk.bodies)), len(desk.kept)) == (2, 1, 2)


def test_a_message_that_no_time_is_left_for_comes_again(desk: Desk) -> None:
    (failed,) = desk.ingest(desk.drop(KEY, EXPORT), deadline=Deadline(0, lambda: 1))
    assert isinstance(failed, Unavailable)
    assert not desk.legs


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_records, "PART_BYTES", 4_000)
    monkeypatch.setattr(ingest_records, "WINDOW_BYTES", 3_000)
    monkeypatch.setattr(ingest_records, "_MAX_HEADER_BYTES", 1_000)
    monkeypatch.setattr(ingest_records, "MAX_LINE_BYTES", 1_000)
    monkeypatch.setattr(ingest_records, "MAX_WHOLE_BYTES", 20_000)


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_is_divided_and_no_byte_of_it_is_left_out(desk: Desk) -> None:
    content = rows(100)
    divided = desk.done(desk.drop(KEY, content))
    assert divided == IngestedRecords(f"s3://{BUCKET}/{KEY}", parts=len(desk.parts))
    assert len(desk.parts) == pytest.approx(len(content) / 4_000, abs=2)
    assert [part.begin for part in desk.parts] == [0, *(part.end for part in desk.parts[:-1])]
    assert desk.parts[-1].end == len(content)
    results = desk.parts_done()
    assert sum(result.calls for result in results) == 100
    assert not any(result.kept for result in results)
    assert max(end - begin for begin, end in desk.objects.reads) < 8_000, "never all of it"
    options = SourceOptions(tenant=TENANT)
    assert desk.done(records_body("teams-csv", "whole", content, options)).calls == 100
    assert desk.legs[:100] == desk.legs[100:]


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_comes_again_queues_the_same_messages(desk: Desk) -> None:
    desk.done(desk.drop(KEY, rows(60)))
    parts = list(desk.parts)
    desk.parts_done()
    first = list(desk.bodies)
    desk.parts = parts
    desk.parts_done()
    assert desk.bodies == first * 2


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("key", "content", "what"),
    [
        (KEY, b"PK\x03\x04" + b"x" * 5_000, "a zip of more than"),
        ("graph-pstn/page.json", b'{"value": [' + b"1,\n" * 20_000 + b"1]}", "a document"),
        ("freeswitch-json/a.cdr.json", b"x" * 50_000, "a document"),
    ],
)
def test_what_cannot_be_divided_and_is_too_large_is_refused_with_that_word(
    desk: Desk, key: str, content: bytes, what: str
) -> None:
    (refused,) = desk.ingest(desk.drop(key, content))
    assert isinstance(refused, Refused)
    assert refused.message.startswith(f"tooLarge: s3://{BUCKET}/{key} has {what}")
    assert not desk.parts


@pytest.mark.usefixtures("small_parts")
def test_a_document_that_is_a_little_large_is_read_whole(desk: Desk) -> None:
    page = json.dumps({"value": [{"id": str(n), "callType": "user_in"} for n in range(200)]})
    result = desk.done(desk.drop("graph-pstn/page.json", page.encode()))
    assert result.skipped == {"userCall": 200}


@pytest.mark.usefixtures("small_parts")
def test_lines_of_json_objects_of_chime_are_divided(desk: Desk) -> None:
    lines = FILES["chime-sma"][0].splitlines(keepends=True)
    desk.done(desk.drop("chime-sma/all.jsonl", b"".join(lines) * 10))
    assert len(desk.parts) > 1
    calls = sum(result.calls for result in desk.parts_done())
    assert len({leg.call_id for leg in desk.legs}) < calls, "which are charged once"


def test_of_many_problems_the_first_are_kept_alone_and_the_rest_as_their_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_records, "MAX_KEPT", 10)
    unknown = desk.with_directory(NOBODY)
    event = desk.drop(KEY, rows(25))
    assert unknown.done(event).kept == {"unknownTenant": 25}
    *alone, rest = unknown.kept
    assert len(alone) == 10
    assert (rest.event_id, rest.body) == (f"s3://{BUCKET}/{KEY}", event)
    assert rest.reason == "15 records beside those kept alone: 15 unknownTenant"
    again = unknown.with_directory(DIRECTORY)
    for each in unknown.kept:
        again.done(each.body)
    assert len({leg.call_id for leg in again.legs}) == 25


def test_a_record_that_fits_into_no_message_is_kept_as_the_message_that_brought_it(
    desk: Desk,
) -> None:
    call = {"id": "c", "callType": "conf_in", "x": "y" * 300_000}
    deep = b'{"id": ' + b"[" * 600 + b"]" * 600 + b"}"
    for content in (json.dumps(call).encode(), deep):
        event = desk.drop("graph-pstn/page.json", content)
        desk.done(event)
        kept = desk.kept.pop()
        assert kept.body == event or b"[[[" in content


def test_streaming_records_of_chime_are_known_by_their_key(desk: Desk) -> None:
    record = json.loads(FILES["chime-voice-connector"][0].splitlines()[0])
    key = "Amazon-Chime-Voice-Connector-SDRs/json/abc/2026/11/03/09/00_00_000_t"
    result = desk.done(desk.drop(key, json.dumps(record).encode()))
    assert result.skipped == {"streamingRecord": 1}


def test_options_of_the_key_are_those_of_the_file_and_stay_with_what_is_kept(desk: Desk) -> None:
    key = "asterisk-csv/tz=Europe~Berlin/Master.csv"
    result = desk.done(desk.drop(key, FILES["asterisk-csv"][0]))
    assert result.calls == 6
    mismatch = [each for each in desk.kept if each.reason.startswith("timezoneMismatch")]
    assert json.loads(mismatch[0].body)["records"]["timezone"] == "Europe/Berlin"
    without = desk.done(desk.drop("asterisk-csv/Master.csv", FILES["asterisk-csv"][0]))
    assert (without.calls, without.kept["invalidTime"]) == (0, 9)


def test_a_name_that_is_long_is_kept_with_its_end(desk: Desk) -> None:
    key = f"graph-pstn/{'x' * 900}.json"
    desk.done(desk.drop(key, b"{"))
    (kept,) = desk.kept
    assert len(kept.event_id) == 250
    assert kept.event_id.endswith("x.json")
