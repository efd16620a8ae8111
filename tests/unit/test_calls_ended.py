"""`Calls Ended`: each call becomes an event of its own, or is queued again with others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.memory import SentCalls, StoredRejections
from perminute.application.charge_calls import CALLS_PER_BATCH
from perminute.application.results import Accepted, Duplicate, Result
from perminute.domain.errors import Refused, Unavailable
from perminute.events.calls_ended import MAX_EVENT_BYTES, DivideCalls
from perminute.events.telephony import MAX_CALLS_IN_EVENT, parse_ended_call
from perminute.sqs import BatchResults, Received, process_batch

EVENTS = Path(__file__).parents[2] / "events"
SAMPLE = json.loads((EVENTS / "calls-ended.v1.json").read_text())
CALL = SAMPLE["detail"]["calls"][0]
HEARD = datetime(2026, 11, 2, 9, 32, 1, tzinfo=UTC)
RECEIVED = Received(HEARD, HEARD + timedelta(seconds=2))
LATER = Received(HEARD + timedelta(hours=1), HEARD + timedelta(hours=1))


def event(*calls: Any, **changed: Any) -> str:
    return json.dumps({**SAMPLE, **changed, "detail": {"calls": calls}})


def call(number: int, organization_id: str = "contoso", **changed: Any) -> dict[str, Any]:
    return {**CALL, "organizationId": organization_id, "callId": f"c-{number}", **changed}


class Divided:
    """Divides messages, and what is queued as well until nothing is."""

    def __init__(self) -> None:
        self.queue = SentCalls()
        self.reported: list[tuple[str, int, int]] = []

    def __call__(self, body: str, received: Received = RECEIVED) -> list[tuple[str, Received]]:
        return list(DivideCalls(self.queue, self.report)(body, received))

    def report(self, event_id: str, calls: int, parts: int) -> None:
        self.reported.append((event_id, calls, parts))

    def in_the_end(self, body: str) -> list[tuple[str, Received]]:
        events = self(body)
        while self.queue.sent:
            events += self(self.queue.sent.pop(0), LATER)
        return events


def test_calls_of_one_organization_are_charged_at_once_each_as_an_event_of_its_own() -> None:
    divided = Divided()
    events = divided(event(call(0), call(1, billableSeconds=60.0)))
    assert [json.loads(body) for body, _ in events] == [
        {
            "id": f"{SAMPLE['id']}#{number}",
            "source": "perminute.telephony",
            "detail-type": "Call Ended",
            "time": "2026-11-02T09:32:00Z",
            "detail": detail,
        }
        for number, detail in enumerate([call(0), call(1, billableSeconds=60.0)])
    ]
    assert {received for _, received in events} == {RECEIVED}
    assert (divided.queue.sent, divided.reported) == ([], [])


def test_any_other_message_stays_as_it_is() -> None:
    single = (EVENTS / "call-ended.v1.json").read_text()
    quoting = json.dumps({**json.loads(single), "note": "Calls Ended \ud83d"})
    for body in (single, quoting, "not JSON", '{"detail-type": "Calls Begun"}', "", "[7]"):
        assert Divided()(body) == [(body, RECEIVED)]


@given(
    st.lists(st.sampled_from(["contoso", "tailspin", "\ud83d", 7, None]), min_size=1, max_size=9),
    st.integers(1, 60),
)
def test_no_part_is_more_than_a_transaction_and_no_call_is_lost(
    organizations: list[Any], copies: int
) -> None:
    """Numbers, order within an organization, content and time of arrival stay as they were."""
    calls = [call(n, name) for n, name in enumerate(organizations * min(copies, 55))]
    divided = Divided()
    events = divided.in_the_end(event(*calls))
    found = {json.loads(body)["id"]: json.loads(body)["detail"] for body, _ in events}
    assert len(events) == len(found) == len(calls)
    assert found == {f"{SAMPLE['id']}#{number}": call for number, call in enumerate(calls)}
    assert {received.heard_at for _, received in events} == {HEARD}
    for name in organizations:
        own = [one["callId"] for one in found.values() if one["organizationId"] == name]
        assert own == sorted(own, key=lambda one: int(one[2:]))
    for _, queued, parts in divided.reported:
        assert queued == len(calls)
        assert -(-queued // CALLS_PER_BATCH) <= parts <= queued


def test_more_calls_than_a_transaction_charges_are_queued_in_parts() -> None:
    divided = Divided()
    assert divided(event(*map(call, range(CALLS_PER_BATCH + 1)))) == []
    sizes = [len(json.loads(body)["detail"]["calls"]) for body in divided.queue.sent]
    assert sizes == [CALLS_PER_BATCH, 1]
    assert divided.reported == [(SAMPLE["id"], CALLS_PER_BATCH + 1, 2)]


def test_what_python_alone_can_read_reaches_the_reader_of_the_call() -> None:
    """A part that is queued is JSON as well."""
    odd = '{"callId": "c-1", "note": "\\ud83d", "n": 1e999, "m": ' + "9" * 400 + "}"
    body = event(call(0), "HERE").replace('"HERE"', odd)
    (_, first), (_, second) = Divided().in_the_end(body), Divided().in_the_end(body)
    assert first == second
    assert json.loads(first[0])["detail"]["callId"] == "c-1"
    with pytest.raises(Refused, match=r"^organizationId: is required"):
        parse_ended_call(*first)


REFUSED = {
    "calls: must be a list of 1 to 500 items": [event(), event(*[0] * (MAX_CALLS_IN_EVENT + 1))],
    "calls: is required": [json.dumps({**SAMPLE, "detail": {}})],
    'schemaVersion: must be "1"': [
        json.dumps({**SAMPLE, "detail": {"schemaVersion": "2", "calls": [0]}})
    ],
    "source: must be perminute.telephony": [event(CALL, source="perminute.billing")],
    "time: lies more than 1 day after": [event(CALL, time="2026-11-04T09:32:00Z")],
    "id: must have at most 246 characters": [event(CALL, id="e" * 247)],
    "calls: the event has 241 KB, and at most 240 are allowed": [
        event(call(0, note="x" * (MAX_EVENT_BYTES + 1 - len(event(call(0, note="")))))),
    ],
    "part.numbers: must be 1, one for each call": [
        event(CALL, part={"heardAt": None, "numbers": [1, 2]})
    ],
    "numbers: is required": [event(CALL, part={"heardAt": None})],
    "part: must be a JSON object": [event(CALL, part=7)],
}


@pytest.mark.parametrize(("why", "bodies"), REFUSED.items())
def test_an_event_that_is_wrong_as_a_whole_is_refused_as_a_whole(
    why: str, bodies: list[str]
) -> None:
    for body in bodies:
        with pytest.raises(Refused) as refused:
            Divided()(body)
        assert str(refused.value).startswith(why)


def test_the_largest_event_is_divided() -> None:
    room = MAX_EVENT_BYTES - len(event(call(0), call(1, "tailspin", note="")))
    body = event(call(0), call(1, "tailspin", note="x" * room))
    assert len(body) == MAX_EVENT_BYTES
    assert len(Divided().in_the_end(body)) == 2


def test_a_part_cannot_say_that_it_arrived_later_than_it_did() -> None:
    for heard_at, expected in (("2027-01-01T00:00:00Z", HEARD), ("2026-11-02T09:00:00Z", None)):
        ((_, received),) = Divided()(event(CALL, part={"heardAt": heard_at, "numbers": [3]}))
        assert received.heard_at == (expected or datetime(2026, 11, 2, 9, tzinfo=UTC))


def settled(
    rejections: StoredRejections, *results: Result[str], divide: Any = None
) -> BatchResults[str]:
    records = [
        {"messageId": "m-1", "body": event(call(0), {"organizationId": "contoso"}, call(1))},
        {"messageId": "m-2", "body": "not JSON"},
    ]
    return process_batch(
        {"Records": records},
        divide=divide or Divided(),
        parse=parse_ended_call,
        use_case=lambda calls, _: list(results[: len(calls)]),
        rejections=rejections,
    )


def test_a_message_with_several_calls_comes_again_if_one_of_them_failed() -> None:
    """Then none of its refused calls is stored: it is refused again."""
    rejections = StoredRejections()
    failed = settled(rejections, Accepted("new"), Unavailable("throttled"))
    assert failed.response() == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert failed.counts() == {"accepted": 1, "repeated": 0, "refused": 1, "failed": 1}
    assert [one.body for one in rejections.stored] == ["not JSON"]
    again = settled(rejections, Duplicate(), Refused("callId", "conflict"))
    assert again.response() == {"batchItemFailures": []}
    assert again.counts() == {"accepted": 0, "repeated": 1, "refused": 3, "failed": 0}
    reasons = {one.event_id.partition("#")[2]: one.reason for one in again.refused}
    assert reasons["2"] == "callId: conflict"
    assert reasons["1"].startswith("callId: is required; ")


def test_a_message_of_which_several_calls_failed_is_reported_once() -> None:
    failed = settled(StoredRejections(), Unavailable("throttled"), Unavailable("throttled"))
    assert failed.failures() == {"throttled": 1}


class FullQueue:
    def send(self, messages: Any) -> None:
        raise Unavailable(f"no room for {len(messages)}")


def test_an_event_whose_parts_cannot_be_queued_comes_again() -> None:
    divide = DivideCalls(FullQueue(), lambda *_: None)
    organizations = event(call(0), call(1, "tailspin"))
    batch: BatchResults[Any] = process_batch(
        {"Records": [{"messageId": "m-1", "body": organizations}]},
        divide=divide,
        parse=parse_ended_call,
        use_case=lambda calls, _: [Duplicate() for _ in calls],
        rejections=StoredRejections(),
    )
    assert batch.response() == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert batch.failures() == {"no room for 2": 1}
