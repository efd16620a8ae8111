"""`perminute send`: what is checked first, what goes to the bus, and what is said of the rest."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from event_bus import Bus

from perminute_local import send_events
from perminute_local.cli import main
from perminute_local.sending import EventSender

if TYPE_CHECKING:
    from pathlib import Path

CALL: dict[str, Any] = {
    "id": "e-1",
    "source": "perminute.telephony",
    "detail-type": "Call Ended",
    "time": "2026-11-02T09:10:00Z",
    "detail": {
        "callId": "call-1",
        "organizationId": "contoso",
        "organizerId": "adele",
        "meetingId": "m-1",
        "meetingType": "scheduled",
        "legType": "tollDialIn",
        "serviceNumber": "+12065550100",
        "answeredAt": "2026-11-02T09:00:00Z",
        "endedAt": "2026-11-02T09:10:00Z",
    },
}
LICENSE: dict[str, Any] = {
    "id": "e-2",
    "source": "perminute.licensing",
    "detail-type": "License Assigned",
    "time": "2026-11-02T08:00:00.5Z",
    "detail": {
        "organizationId": "contoso",
        "userId": "adele",
        "license": "payPerMinute",
        "effectiveAt": "2026-11-02T08:00:00Z",
    },
}


def call(call_id: str, **changed: Any) -> dict[str, Any]:
    return {**CALL, "detail": {**CALL["detail"], "callId": call_id, **changed}}


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Bus:
    bus = Bus()
    monkeypatch.setattr(send_events, "sender_to", lambda stack: EventSender(bus, stack))
    return bus


@pytest.fixture
def send(tmp_path: Path, bus: Bus, capsys: pytest.CaptureFixture[str]) -> Any:
    del bus

    def run(*lines: object, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        file = tmp_path / "events.jsonl"
        file.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
        code = main(["send", str(file), "--stack", "perminute-dev", *options])
        shown = capsys.readouterr()
        return code, shown.out, shown.err.replace(f"{tmp_path}/", "")

    return run


def sent(bus: Bus) -> list[dict[str, Any]]:
    return [json.loads(entry["Detail"]) for entries in bus.requests for entry in entries]


def test_events_are_sent_ten_at_a_time_in_their_order(send: Any, bus: Bus) -> None:
    calls = [call(f"call-{n}") for n in range(21)]
    code, out, err = send("# a comment", *calls[:1], "", *calls[1:])
    assert (code, out, err) == (0, "", "21 events, 21 sent\n")
    assert bus.sizes == [10, 10, 1]
    assert sent(bus) == [one["detail"] for one in calls]


def test_a_single_faulty_line_is_one(send: Any) -> None:
    assert "nothing was sent: 1 of the lines is refused\n" in send(CALL, "{")[2]


def test_more_events_than_are_in_memory_at_once_are_all_sent(
    send: Any, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_events, "EVENTS_AT_ONCE", 4)
    calls = [call(f"call-{n}") for n in range(9)]
    assert send(*calls)[0] == 0
    assert sent(bus) == [one["detail"] for one in calls]


def test_one_faulty_line_keeps_all_from_being_sent_and_every_fault_is_listed(
    send: Any, bus: Bus
) -> None:
    code, out, err = send(
        CALL,
        "{",
        "[]",
        {**CALL, "source": "aws.s3"},
        call("call-2", serviceNumber="5"),
        call("call-3", endedAt="2026-11-02T08:00:00Z"),
        {**LICENSE, "detail": {**LICENSE["detail"], "license": "gold"}},
        {**CALL, "time": "2999-11-02T09:10:00Z"},
        options=("--json",),
    )
    assert (code, bus.requests) == (2, [])
    document = json.loads(out)
    assert (document["error"], document["message"]) == (
        "faultyLines",
        "nothing was sent: 7 of the lines are refused",
    )
    assert [f["at"].rpartition(":")[2] for f in document["faults"]] == list("2345678")
    fields = [fault["message"].partition(":")[0] for fault in document["faults"]]
    assert fields == [
        *("event", "event", "source", "serviceNumber", "endedAt"),
        *("license", "time"),
    ]
    assert "events.jsonl:4: source: must be one of perminute.telephony" in err


def test_what_the_bus_did_not_take_is_named_by_its_line_and_may_be_sent_again(
    send: Any, bus: Bus
) -> None:
    bus.answers = [[None, "MalformedDetail"]]
    code, out, err = send(call("call-1"), call("call-2"), options=("--json",))
    assert code == 1
    assert "events.jsonl:2: not sent: Call Ended callId call-2: MalformedDetail: no\n" in err
    assert "2 events, 1 sent\n" in err
    document = json.loads(out)
    (failed,) = document.pop("notSent")
    assert document == {"events": 2, "sent": 1}
    assert failed["at"].endswith("events.jsonl:2")


def test_an_event_that_its_id_identifies_keeps_it_although_the_bus_gives_another(
    send: Any, bus: Bus
) -> None:
    numbered = {**LICENSE, "detail": {**LICENSE["detail"], "changeId": "c-1"}}
    assert send(LICENSE, numbered)[0] == 0
    # The bus keeps whole seconds of `time` only.
    assert sent(bus) == [
        {"changeId": "e-2", "issuedAt": "2026-11-02T08:00:00.5Z", **LICENSE["detail"]},
        numbered["detail"],
    ]
    code, _, err = send({name: LICENSE[name] for name in LICENSE if name != "id"})
    assert code == 2
    assert "events.jsonl:1: id: is missing" in err
    assert send({name: CALL[name] for name in CALL if name != "id"})[0] == 0


def test_standard_input_is_read_and_calls_send_is_the_same_command(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(CALL).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert main(["calls", "send", "-", "--stack", "perminute-dev"]) == 0
    assert sent(bus) == [CALL["detail"]]
    assert capsys.readouterr().err == "1 event, 1 sent\n"


def test_a_file_may_have_one_event_over_several_lines(send: Any, bus: Bus) -> None:
    for mark in ("", "\ufeff"):
        code, _, err = send(mark + json.dumps(CALL, indent=2))
        assert (code, err) == (0, "1 event, 1 sent\n")
    assert sent(bus) == [CALL["detail"]] * 2
    code, _, err = send(json.dumps(CALL, indent=2)[:-1])
    assert code == 2
    assert "events.jsonl: event: is not JSON" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\n# nothing\n", "no event"), ('{"id": 1}'.encode("utf-16"), "is UTF-16")],
)
def test_a_file_without_events_is_a_wrong_file(
    content: bytes, said: str, tmp_path: Path, bus: Bus, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(content)
    assert main(["send", str(file), "--stack", "perminute-dev"]) == 2
    assert said in capsys.readouterr().err
    assert bus.requests == []
