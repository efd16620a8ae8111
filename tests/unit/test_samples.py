"""The further forms of the samples are made from them, and say the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from perminute.application.record_messages import SentRecords
from perminute.events.records import parse_records_message, part_body, records_body
from perminute.ports.record_objects import ObjectPart
from perminute.sqs import Received
from perminute_local.documents.samples import BUS, QUEUES, further_forms

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
NOW = datetime(2026, 11, 3, 9, 5, tzinfo=UTC)


def test_the_further_forms_of_each_sample_are_what_is_made_of_it() -> None:
    made = further_forms(EVENTS)
    folders = ("put-events", "sqs", "records/sqs")
    written = [path for folder in folders for path in EVENTS.glob(f"{folder}/*")]
    written += EVENTS.glob("*.jsonl")
    assert {path: path.read_text() for path in written} == made, "run: make documents"


def test_a_form_for_put_events_says_what_the_sample_says_but_for_its_id() -> None:
    for path in EVENTS.glob("put-events/*"):
        sample = json.loads((EVENTS / path.name).read_text())
        (entry,) = json.loads(path.read_text())
        detail = json.loads(entry.pop("Detail"))
        assert detail == sample["detail"]
        assert entry == {
            "Source": sample["source"],
            "DetailType": sample["detail-type"],
            "Time": sample["time"],
            "EventBusName": BUS,
        }


def test_a_form_for_lambda_has_the_sample_as_the_body_of_its_queue() -> None:
    for path in EVENTS.glob("sqs/*"):
        sample = json.loads((EVENTS / path.name).read_text())
        (record,) = json.loads(path.read_text())["Records"]
        assert json.loads(record["body"]) == sample
        assert record["eventSourceARN"].endswith(f":{BUS}-{QUEUES[sample['source']]}")


def test_the_samples_in_order_are_all_events_that_there_are() -> None:
    lines = (EVENTS / "samples.jsonl").read_text().splitlines()
    events = [json.loads(path.read_text()) for path in EVENTS.glob("*.v1.json")]
    named = {event["detail-type"] for event in events if "detail-type" in event}
    assert {json.loads(line)["detail-type"] for line in lines} == named
    assert len(lines) == len(named)


def test_a_message_of_call_records_is_written_as_functions_write_it() -> None:
    read = {
        path.name.partition(".")[0]: parse_records_message(path.read_text(), Received(None, NOW))
        for path in EVENTS.glob("records/*.json")
    }
    stored, part, sent = (read[name].content for name in ("object", "part", "records"))
    assert isinstance(part, ObjectPart)
    assert isinstance(sent, SentRecords)
    assert stored == part.object
    assert json.loads(part_body(part)) == json.loads(read["part"].body)
    again = records_body(sent.source, sent.at, sent.content, sent.options)
    assert json.loads(again) == json.loads(read["records"].body)


def test_the_bus_of_the_forms_is_that_of_the_stage_for_development() -> None:
    stage = (ROOT / "samconfig.toml").read_text().partition("[dev.deploy.parameters]")[2]
    assert stage.lstrip().startswith(f'stack_name = "{BUS}"')
