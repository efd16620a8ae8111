"""Call records in the folder of a replay: what is wrong with it, and when each record arrives."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perminute.api.webhooks.serving import MAX_BODY_BYTES
from perminute.events.queued_calls import calls_ended_bodies
from perminute.sources.chime import CHIME_VOICE_CONNECTOR
from perminute.sources.convert import convert
from perminute.sources.outcomes import Leg, Skip, SkipReason
from perminute.sources.stated_call import InputFile, SourceOptions
from perminute.sources.twilio import TWILIO_CALLBACK
from perminute_local.cli import main
from perminute_local.replay.arrivals import MAX_TOLD, Skips, arrivals_of
from perminute_local.replay.plan import Disturbance, Events, Timeline, check_folder
from perminute_local.replay.record_folder import directory_of, record_sources
from perminute_local.replay.record_ids import record_ids
from perminute_local.replay.run import read_plan
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from perminute_local.replay.arrivals import Arrival

DAY = Path(__file__).parents[2] / "examples" / "day"
SAMPLES = DAY.parent / "call-records"
CARD = (DAY / "rates.csv").read_bytes()
DIRECTORY = b"kind,key,organization_id,leg_type,organizer_id\n"
NUMBER = DIRECTORY + b"number,+12065550100,contoso,tollDialIn,adele\ntenant,connector,contoso,,\n"
NINE = datetime(2026, 11, 2, 9, tzinfo=UTC)


def folder(tmp_path: Path, files: dict[str, bytes]) -> Path:
    for name, content in ({"rates.csv": CARD, "directory.csv": NUMBER} | files).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def chime(name: str, ended: datetime, **changes: object) -> bytes:
    record = {
        "TransactionId": name,
        "VoiceConnectorId": "connector",
        "Status": "Completed",
        "BillableDurationSeconds": 60,
        "SourcePhoneNumber": "+4930901820",
        "DestinationPhoneNumber": "+12065550100",
        "Direction": "Inbound",
        "StartTimeEpochSeconds": int(ended.timestamp()) - 60,
        "EndTimeEpochSeconds": int(ended.timestamp()),
    }
    return json.dumps(record | changes).encode() + b"\n"


def arriving(path: Path) -> list[Arrival]:
    return list(arrivals_of(check_folder(path), directory_of(path)).in_order)


def places(path: Path) -> list[tuple[str, datetime | None]]:
    return [(one.place.removeprefix("records/"), one.at) for one in arriving(path)]


@pytest.mark.parametrize(
    ("files", "faults"),
    [
        (
            {"directory.csv": None, "records/chime-sma/a.json": b"{}"},
            [
                "directory.csv: there is no such file; records need the directory that says whose "
                "they are: docs/sources.md has its columns"
            ],
        ),
        (
            {"directory.csv": DIRECTORY + b"number,5,contoso,tollDialIn,\nuser,a,,,\n"},
            ["directory.csv: the directory is refused: 2 faults", "directory.csv:2: ", "…:3: "],
        ),
        (
            {"directory.csv": DIRECTORY.decode().encode("utf-16")},
            ["directory.csv: is UTF-16, not UTF-8; save the file as UTF-8"],
        ),
        (
            {"records/asterisk/Master.csv": b""},
            ["records/asterisk: is not a source. Did you mean 'asterisk-csv'? One of graph-pstn, "],
        ),
        (
            {"records/Master.csv": b""},
            ["records/Master.csv: is a file; put it into the folder of its source, records/SOURCE"],
        ),
        (
            {"records/chime-sma/OPTIONS.json": b"{\n'}"},
            ["records/chime-sma/OPTIONS.json: options: "],
        ),
        (
            {"records/chime-sma/OPTIONS.json": b'{"timezone": "Berlin", "tenant": "a/b"}'},
            ["records/chime-sma/OPTIONS.json: tenant: must have no slash: it becomes a part of "],
        ),
        (
            {"records/chime-sma/OPTIONS.json": b'{"timezone": "Berlin"}'},
            ["records/chime-sma/OPTIONS.json: timezone: is not a time zone; write its name in "],
        ),
        (
            {"records/chime-sma/OPTIONS.json": b'{"authToken": "0123 "}'},
            ["records/chime-sma/OPTIONS.json: authToken: must be the auth token of "],
        ),
        (
            {"records/chime-sma/OPTIONS.json": b'{"encodeValues": "no"}'},
            ["records/chime-sma/OPTIONS.json: encodeValues: must be "],
        ),
        (
            {"records/chime-sma/OPTIONS.json": b'{"files": ["b.json"]}'},
            ["records/chime-sma/OPTIONS.json: files: there is no file b.json beside it"],
        ),
        (
            {"records/chime-sma/OPTIONS.json": b'{"files": ["../../rates.csv"]}'},
            ["records/chime-sma/OPTIONS.json: files.0: must be a file in the folder of the source"],
        ),
        (
            {"records/asterisk-csv/tz=Europe~Berlin/Master.csv": b""},
            ["records/asterisk-csv/tz=Europe~Berlin/Master.csv: what a key of the bucket says is "],
        ),
    ],
)
def test_every_fault_of_the_records_is_named_before_anything_starts(
    files: dict[str, bytes | None],
    faults: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = {"events.jsonl": b""}
    folder(tmp_path, events | {name: content for name, content in files.items() if content})
    for name, content in files.items():
        (tmp_path / name).unlink(missing_ok=True) if content is None else None
        if content == b"":
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    assert main(["replay", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.removeprefix("perminute: ").replace(f"{tmp_path}/", "").splitlines()
    assert len(lines) == len(faults)
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(fault.replace("…", "directory.csv"))


def test_faults_of_records_are_told_beside_those_of_other_files(tmp_path: Path) -> None:
    path = folder(tmp_path, {"records/asterisk/a": b"1", "records/zoom/b": b"1"})
    (path / "rates.csv").unlink()
    with pytest.raises(WrongFile, match="cannot be replayed: 4 files are faulty"):
        check_folder(path)
    # Where there are records that can be read, events are not missed; but the directory is.
    (path / "directory.csv").unlink()
    (path / "records" / "asterisk").rename(path / "records" / "asterisk-csv")
    (path / "records" / "zoom").rename(path / "records" / "chime-sma")
    with pytest.raises(WrongFile, match="cannot be replayed: 2 files are faulty"):
        check_folder(path)


def test_a_file_arrives_when_its_last_call_has_ended_and_a_request_by_itself(
    tmp_path: Path,
) -> None:
    minute = timedelta(minutes=1)
    path = folder(
        tmp_path,
        {
            "records/chime-voice-connector/b/2.json": chime("c-1", NINE + minute)
            + chime("c-2", NINE),
            "records/chime-voice-connector/a/none.json": b'{"neither": 1}',
            "records/chime-voice-connector/.hidden": chime("c-3", NINE),
            "records/chime-voice-connector/expected.jsonl": chime("c-4", NINE),
        },
    )
    assert places(path) == [
        ("chime-voice-connector/a/none.json", NINE + minute),
        ("chime-voice-connector/b/2.json", NINE + minute),
    ]
    sample = (SAMPLES / "twilio-callback" / "requests.jsonl").read_bytes().splitlines(keepends=True)
    requests = b"\n" + sample[1] + sample[0] + b'{"body": "no time"}\nno JSON\n[]\n'
    folder(path, {"records/twilio-callback/requests.jsonl": requests})
    last = datetime(2026, 11, 3, 14, 40, tzinfo=UTC)
    assert places(path)[-1] == ("twilio-callback/requests.jsonl", last)
    folder(path, {"records/twilio-callback/OPTIONS.json": b'{"authToken": "12345"}'})
    # What has no time at all comes with the last one that has one.
    assert places(path)[1:] == [
        ("twilio-callback/requests.jsonl:3", last.replace(minute=2, second=5)),
        ("twilio-callback/requests.jsonl:4", last.replace(minute=2, second=5)),
        ("chime-voice-connector/a/none.json", last),
        ("twilio-callback/requests.jsonl:2", last),
    ]
    assert [one.is_posted for one in arriving(path)] == [False, True, True, False, True]
    rejected = arrivals_of(check_folder(path), directory_of(path)).rejected
    assert [one.event_id.rpartition("/")[2] for one in rejected] == [
        "requests.jsonl:5",
        "requests.jsonl:6",
    ]
    assert {one.reason.partition(" must")[0] for one in rejected} == {
        "notACallRecord: is not a request:"
    }


def test_only_the_files_that_are_listed_are_records(tmp_path: Path) -> None:
    records = {f"records/chime-voice-connector/{n}": chime(n, NINE) for n in ("a", "b", "c")}
    options = b'{"files": ["c", "a"], "note": "unknown fields are ignored"}'
    path = folder(tmp_path, records | {"records/chime-voice-connector/OPTIONS.json": options})
    assert places(path) == [(f"chime-voice-connector/{name}", NINE) for name in ("c", "a")]


@settings(max_examples=25)
@given(
    st.sampled_from(("UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires")),
    st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=250).filter(
        lambda tenant: tenant == tenant.strip()
    ),
    st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1).filter(
        lambda token: token == token.strip()
    ),
    st.booleans(),
)
def test_options_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    zone: str,
    tenant: str,
    token: str,
    encoded: bool,  # noqa: FBT001 - an example of hypothesis
) -> None:
    said = {"timezone": zone, "tenant": tenant, "authToken": token, "encodeValues": encoded}
    path = tmp_path_factory.getbasetemp() / "options"
    options = json.dumps(said).encode()
    folder(path, {"records/chime-sma/OPTIONS.json": options, "records/chime-sma/a.json": b"{}"})
    (source,), errors = record_sources(path)
    assert errors == []
    assert source.options == SourceOptions(
        tenant=tenant, timezone=ZoneInfo(zone), auth_token=token, encoded_values=encoded
    )


def test_events_and_records_come_in_the_order_of_time_events_first(tmp_path: Path) -> None:
    names = {"early": NINE - timedelta(seconds=1), "same": NINE}
    records = {f"records/chime-voice-connector/{n}": chime(n, at) for n, at in names.items()}
    event = {"id": "event", "source": "perminute.billing", "time": "2026-11-02T09:00:00Z"}
    path = folder(tmp_path, {"events.jsonl": json.dumps(event).encode(), **records})
    timeline = Timeline(Events(path / "events.jsonl"), arriving(path))
    early, same = (f"records/chime-voice-connector/{name}" for name in names)
    assert [one.event_id for one in timeline] == [early, "event", same]
    assert len(timeline) == 3
    timeless = json.dumps(event | {"time": None}).encode()
    (path / "events.jsonl").write_bytes(timeless)
    timeline = Timeline(Events(path / "events.jsonl"), arriving(path))
    assert [one.event_id for one in timeline] == ["event", early, same]


def test_of_a_folder_with_records_there_may_be_no_events(tmp_path: Path) -> None:
    path = folder(tmp_path, {"records/chime-voice-connector/a": chime("c-1", NINE)})
    plan = read_plan(path, batch_size=None, disturbance=Disturbance())
    assert [one.event_id for one in plan.deliveries] == ["records/chime-voice-connector/a"]
    assert (plan.rejected, plan.requests) == ((), ())
    (path / "records" / "chime-voice-connector" / "a").unlink()
    with pytest.raises(WrongFile, match=r"events\.jsonl: there is no such file"):
        read_plan(path, batch_size=None, disturbance=Disturbance())


def ids_of(path: Path, *names: str) -> dict[str, str]:
    directory = (path / "directory.csv").read_bytes()
    return record_ids(names, arriving(path), directory, "bucket")


def bodies_of(path: Path) -> list[str]:
    """The messages that the function makes of a file of the Chime SDK."""
    (arrival,) = arriving(path)
    file = InputFile("a", io.BytesIO(arrival.content()))
    found = convert(CHIME_VOICE_CONNECTOR, (file,), directory_of(path), arrival.source.options)
    return list(calls_ended_bodies(one.result for one in found if isinstance(one.result, Leg)))


def test_a_call_that_is_refused_is_named_by_its_record(tmp_path: Path) -> None:
    wrong = chime("c-3", NINE, VoiceConnectorId="unknown")
    content = chime("c-1", NINE) + wrong + chime("c-2", NINE)
    path = folder(tmp_path, {"records/chime-voice-connector/a": content})
    (body,) = bodies_of(path)
    event_id = json.loads(body)["id"]
    found = ids_of(path, f"{event_id}#0", f"{event_id}#1", f"{event_id}#2", "other#0", "other")
    place = "records/chime-voice-connector/a"
    assert found == {f"{event_id}#0": f"{place}:1", f"{event_id}#1": f"{place}:3"}


def test_calls_of_a_file_with_many_are_named_each_by_its_record(tmp_path: Path) -> None:
    content = b"".join(chime(f"{n:0220}", NINE) for n in range(601))
    path = folder(tmp_path, {"records/chime-voice-connector/a": content})
    named = [
        f"{event['id']}#{number}"
        for event in map(json.loads, bodies_of(path))
        for number in range(len(event["detail"]["calls"]))
    ]
    assert list(ids_of(path, *named).values()) == [
        f"records/chime-voice-connector/a:{line}" for line in range(1, 602)
    ]


def test_a_record_that_is_kept_is_named_by_its_file_and_place(tmp_path: Path) -> None:
    options = b'{"timezone": "Europe/Berlin", "tenant": "t=1"}'
    files = {"asterisk-csv/OPTIONS.json": options, "asterisk-csv/b/Master.csv": b"x"}
    files |= {"chime-sma/a.json": b"{}"}
    path = folder(tmp_path, {f"records/{name}": content for name, content in files.items()})
    keys = {one.place: one.key for one in arriving(path)}
    log = "asterisk-csv/tenant=t=1/tz=Europe~Berlin/b/Master.csv"
    assert keys == {
        "records/asterisk-csv/b/Master.csv": log,
        "records/chime-sma/a.json": "chime-sma/a.json",
    }
    assert ids_of(path, f"s3://bucket/{log}:9", "s3://bucket/chime-sma/a.json bytes 5-9:1#/2") == {
        f"s3://bucket/{log}:9": "records/asterisk-csv/b/Master.csv:9",
        "s3://bucket/chime-sma/a.json bytes 5-9:1#/2": "records/chime-sma/a.json bytes 5-9:1#/2",
    }
    assert ids_of(path, f"s3://other/{log}:9") == {}


def test_a_call_of_a_request_is_named_by_the_line_of_its_own(tmp_path: Path) -> None:
    requests = (SAMPLES / "twilio-callback" / "requests.jsonl").read_bytes().splitlines()[:2]
    path = folder(
        tmp_path,
        {
            "directory.csv": (SAMPLES / "directory.csv").read_bytes(),
            "records/twilio-callback/OPTIONS.json": b'{"authToken": "another one"}',
            "records/twilio-callback/requests.jsonl": b"\n".join(requests),
        },
    )
    second = arriving(path)[1]
    content = InputFile("request", io.BytesIO(second.content()))
    (outcome,) = convert(TWILIO_CALLBACK, (content,), directory_of(path), SourceOptions())
    assert isinstance(outcome.result, Leg)
    (body,) = calls_ended_bodies([outcome.result])
    name = f"{json.loads(body)['id']}#0"
    assert ids_of(path, name) == {name: "records/twilio-callback/requests.jsonl:2"}


def test_a_file_that_was_removed_meanwhile_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path, {"records/chime-voice-connector/a": chime("c-1", NINE)})
    (arrival,) = arriving(path)
    arrival.file.unlink()
    with pytest.raises(WrongFile, match="/a: was removed while it was replayed; run the replay"):
        arrival.content()


def test_documents_that_no_webhook_takes_are_dropped(tmp_path: Path) -> None:
    sizes = {"a": MAX_BODY_BYTES, "b": MAX_BODY_BYTES + 1}
    files = {f"records/freeswitch-json/{name}": b" " * size for name, size in sizes.items()}
    assert [one.is_posted for one in arriving(folder(tmp_path, files))] == [True, False]


def test_skipped_records_are_counted_and_the_first_ones_told(tmp_path: Path) -> None:
    lines = chime("c-1", NINE, IsProxyCall=True) + b'{"no": "record"}\n' * (MAX_TOLD + 1) + b"{"
    path = folder(tmp_path, {"records/chime-voice-connector/a": lines})
    skips = arrivals_of(check_folder(path), directory_of(path)).skips
    *told, count = skips.remarks()
    assert len(told) == MAX_TOLD
    assert told[0] == (
        "records/chime-voice-connector/a:2: notACallRecord: TransactionId: is missing"
    )
    assert count == (
        f"{MAX_TOLD + 2} records were skipped, which are no calls: {MAX_TOLD + 1} notACallRecord, "
        "1 proxyCall"
    )
    one = Skips()
    one.add("records/chime-voice-connector/b", Skip(SkipReason.PROXY_CALL))
    assert list(one.remarks()) == ["1 record was skipped, which is no call: 1 proxyCall"]
    assert list(Skips().remarks()) == []
