"""One search by an event's id finds what became of it: lines, outbox, notifications."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from builders import (
    ANSWERED,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    fact,
    processed_event,
    purchase,
)
from charging import sample
from daily import Expiry
from log_lines import logged

from perminute.adapters.dynamodb.outbox_items import outbox_item
from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.adapters.messaging import work_body
from perminute.adapters.notification_documents import document_of, facts_of
from perminute.api.endpoints import BY_NAME
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls
from perminute.application.correlation import caused_by, causes, correlation_id, traceable
from perminute.application.licensing_cache import LicensingCache
from perminute.application.publish_notifications import Published
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.credit.transaction import MAX_CORRELATION_ID, NO_CAUSES, Causes
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.reference.licenses import product_named
from perminute.observability import MAX_CHARACTERS_OF_NAMES
from perminute.reports import report_batch, report_published
from perminute.sqs import BatchResults
from perminute_local.replay.lambda_runtime import LoadedFunction, SQSMessage
from perminute_local.replay.links import http_event
from perminute_local.simulation.backends.twin_functions import SharedTwins, load_twins
from perminute_local.stack import load_template

if TYPE_CHECKING:
    from perminute.application.charge_calls import EndedCall
    from perminute.ports.messaging import Announcement

SEEN = {"SequenceNumber": "1", "ApproximateCreationDateTime": ANSWERED.timestamp()}
"""What a table's stream says of a record beside the record."""
CALL = "6f5e4a50-1d1a-4cf1-9a3b-3a5a3f0d4c01"
"""The id of the sample of a `Call Ended`."""


def test_causes_are_those_of_the_innermost_event_and_end_with_it() -> None:
    assert causes() == NO_CAUSES
    assert correlation_id() == ""
    with caused_by("run"):
        with caused_by("e-1", "e-2", "e-1", of_calls={"c": "e-1"}):
            assert causes() == Causes(("e-1", "e-2"), {"c": "e-1"})
            assert (causes().of("c"), causes().of("d"), causes().of(None)) == ("e-1", "e-2", "e-2")
            with caused_by(""):
                assert correlation_id() == "e-2"
        assert correlation_id() == "run"
    with pytest.raises(ZeroDivisionError), caused_by("e-3"):
        _ = 1 // 0
    assert causes() == NO_CAUSES


def test_an_id_from_outside_is_one_line_with_an_end() -> None:
    assert traceable(CALL) == CALL
    assert traceable("e\x1b\n1") == "e\\x1b 1"
    assert len(traceable("\U000e0041" * 250)) == MAX_CORRELATION_ID


class World:
    """An organization, its use cases over a twin, and by which ids it is told of what."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.store.record(ORGANIZATION, entitled_changes())
        licensing, cards = LicensingCache(self.store), PublishedRateCards(card())
        calls = InMemoryCalls(self.store)
        self._charge = ChargeCalls(self.store, calls, licensing, cards, WITHOUT_WAITING)
        self._book = BookCredit(self.store, WITHOUT_WAITING)
        again = RecordedCalls(self.store, calls, licensing, cards, WITHOUT_WAITING)
        self.rerate = RerateCalls(again, self.store)
        self.book(replace(purchase(amount=1), event_id="bought"))
        # The calls since the credits were set up: there are none.
        self.store.reratings.clear()

    def book(self, event: Any) -> None:
        (result,) = self._book([event])
        assert isinstance(result, Accepted), result

    def charge(self, *calls: EndedCall) -> None:
        assert all(isinstance(one, Accepted) for one in self._charge(calls))

    def told(self) -> list[tuple[str, str | None, str]]:
        """What was told since it was asked before, of which call, and by which id."""
        store = self.store
        documents = [facts_of(one, store.causes[one.id].of(one.call_id)) for one in store.outbox]
        store.outbox.clear()
        return [(d["type"], d.get("callId"), d.get("correlationId", "")) for d in documents]


def test_what_is_told_of_a_call_names_its_event_and_of_the_balance_the_last_one() -> None:
    world = World()
    world.charge(
        replace(ended(call_id="first", organizer_id="nobody"), event_id="e-1"),
        replace(ended(call_id="second", organizer_id="nobody"), event_id="e-2"),
        # 90 minutes at 0.015 are more than there is.
        replace(ended(call_id="third", ended_at=ANSWERED + timedelta(hours=2)), event_id="e-3"),
    )
    assert sorted(world.told()) == [
        ("BalanceExhausted", None, "e-3"),
        ("CallNotEntitled", "first", "e-1"),
        ("CallNotEntitled", "second", "e-2"),
    ]
    assert {one.event_ids for one in world.store.causes.values()} == {("e-1", "e-2", "e-3")}


def test_what_time_brings_names_the_event_that_came_first_or_else_the_run() -> None:
    later = ANSWERED + timedelta(days=400)
    call = ended(answered_at=later, ended_at=later + timedelta(minutes=1))
    for event_id, name in (("e-9", "e-9"), ("", "run-1")):
        world = World()
        with caused_by("run-1"):
            if event_id:
                world.charge(replace(call, event_id=event_id))
            else:
                Expiry(world.store).all(later)
        told = world.told()
        assert ("CreditExpired", None, name) in told
        assert {one for _, _, one in told} == {name}


def test_settings_and_what_they_ask_for_name_their_event() -> None:
    world = World()
    recharge = AutoRecharge(trigger_micros=10**9, recharge_micros=10**7)
    settings = CreditSettings(
        currency="USD", configured_at=ANSWERED, event_id="e-5", auto_recharge=recharge
    )
    world.book(replace(purchase("settings"), change=settings, issued_at=ANSWERED, event_id="e-5"))
    assert world.told() == [("RechargeRequested", None, "e-5")]


def test_what_a_late_change_brings_names_that_change_and_so_does_the_log() -> None:
    world = World()
    world.charge(replace(ended(), event_id="e-1"))
    world.told()
    lost = fact(license_attribute(product_named("payPerMinute")), value=False, event_id="late")
    change = LicensingChange(ORGANIZATION, "adele", (replace(lost, issued_at=ANSWERED),))
    event = LicensingEvent(change, processed_event("late"), ANSWERED)
    assert ApplyLicensing(world.store, WITHOUT_WAITING)([event]) == [Accepted(None)]
    (result,) = world.rerate([ReratingRequest(ORGANIZATION)])
    assert isinstance(result, Accepted)
    assert result.result.causes == ["late"]
    assert world.told() == [("CallNotEntitled", "call-1", "late")]


# In the log


def test_a_batch_names_its_events_in_one_line_and_what_became_of_those_not_accepted() -> None:
    names = [
        {"eventId": "e-1", "callId": "c-1"},
        {"eventId": "e-2", "callId": "c-2", "result": "repeated"},
    ]
    with logged() as lines:
        report_batch(BatchResults(accepted=["x"], repeated=1, names=names))
    (line,) = lines
    assert (line["message"], line["accepted"], line["events"]) == ("batch settled", 1, names)


def test_a_line_ends_and_the_next_one_goes_on() -> None:
    longest = {"eventId": "e" * 64, "callId": "\U0001f600" * 250}
    with logged() as lines:
        report_batch(BatchResults(accepted=["x"] * 500, names=[longest] * 500))
    assert {line["message"] for line in lines} == {"batch settled", "batch settled, continued"}
    assert [one for line in lines for one in line["events"]] == [longest] * 500
    assert all(len(repr(line["events"])) <= 1.1 * MAX_CHARACTERS_OF_NAMES for line in lines)
    # CloudWatch Logs takes 256 KB as one event.
    assert all(len(json.dumps(line, ensure_ascii=False).encode()) < 256 * 1024 for line in lines)


def test_what_is_published_is_named_with_all_that_led_to_it() -> None:
    named = [{"notificationIds": ["n-1"], "correlationIds": ["e-2", "e-1"]}]
    with logged() as lines:
        report_published(Published(announced=1, named=named))
    (line,) = lines
    assert (line["message"], line["records"]) == ("notifications published", named)


# From the event to the topic, through the functions themselves


class Functions:
    def __init__(self) -> None:
        self.shared = SharedTwins(PublishedRateCards(card()))
        self.functions = load_twins(load_template(), self.shared)

    def __getitem__(self, name: str) -> LoadedFunction:
        return self.functions[name]

    def publish(self) -> list[Announcement]:
        """Publishes the outbox of the twin as the table's stream would show it."""
        store = self.shared.store
        # The first calls of their groups are added to it meanwhile.
        for one in store.outbox:
            row = outbox_item([one], 1, store.causes[one.id])
            stream = [{"dynamodb": {"NewImage": row, **SEEN}}]
            assert not self["PublishNotificationsFunction"].invoke_with_records(stream)
        return self.shared.topic.announced


def test_one_search_by_the_id_of_an_event_or_of_its_call_shows_the_way() -> None:
    functions = Functions()
    other = sample("call-ended", callId="c-2", organizerId="alex")
    other = json.dumps({**json.loads(other), "id": "e-2"})
    with logged() as lines:
        bodies = (sample("call-ended"), other, '{"id": "e-3"}')
        charging = functions["ChargeCallsFunction"]
        assert not charging.invoke([SQSMessage(body) for body in bodies], "arn")
        announced = functions.publish()
    call = "b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21"
    for name in (CALL, call):
        found = [line["message"] for line in lines if name in json.dumps(line)]
        assert list(dict.fromkeys(found)) == [
            "batch settled",
            "call not charged",
            "notifications published",
        ]
    assert [line["message"] for line in lines if "e-3" in json.dumps(line)] == ["event refused"]
    (batch,) = (line for line in lines if line["message"] == "batch settled")
    assert batch["events"] == [
        {"eventId": CALL, "callId": call},
        {"eventId": "e-2", "callId": "c-2"},
    ]
    assert "+4930" not in json.dumps(lines)
    assert [(one.correlation_id, document_of(one)["correlationId"]) for one in announced] == [
        (CALL, CALL),
        ("e-2", "e-2"),
    ]


def test_the_lines_of_a_call_are_those_that_the_runbook_shows() -> None:
    page = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
    shown = page.partition("### One call, in logs and traces")[2].partition("```json\n")[2]
    expected = [json.loads(line) for line in shown.partition("```")[0].splitlines()]
    functions = Functions()
    with logged() as lines:
        assert not functions["ChargeCallsFunction"].invoke([SQSMessage(sample("call-ended"))], "a")
        functions.publish()
    found = [line for line in lines if "b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21" in json.dumps(line)]
    assert [
        {field: line[field] for field in shown_line}
        for line, shown_line in zip(found, expected, strict=True)
    ] == expected


def test_a_request_goes_by_the_id_that_api_gateway_gave_it_and_an_invocation_by_lambdas() -> None:
    functions = Functions()
    asks = {
        "sequence": 0,
        "organizerId": "nobody",
        "meetingId": "m",
        "meetingType": "scheduled",
        "legType": "dialOut",
        "remoteNumber": "+493023125042",
    }
    ids = {"organizationId": ORGANIZATION, "callId": "c-1"}
    event = http_event(BY_NAME["authorize"], ids, asks, ANSWERED)
    event["requestContext"]["requestId"] = "JKJaXmPLvHcESHA="
    with logged() as lines:
        functions["AuthorizeCallsFunction"].call(event)
        functions["AuthorizeCallsFunction"].call({"operation": "nonsense"})
    denied, refused = lines
    assert (denied["message"], denied["correlationId"]) == ("call denied", "JKJaXmPLvHcESHA=")
    assert refused["correlationId"] == refused["function_request_id"] != ""


def test_what_a_daily_run_brings_goes_by_the_id_of_the_run() -> None:
    functions = Functions()
    assert not functions["BookCreditFunction"].invoke([SQSMessage(sample("credit-purchased"))], "a")
    functions.shared.store.outbox.clear()
    with logged() as lines:
        expiry = functions["ExpireCreditFunction"]
        expiry.call({"time": "2028-01-01T00:05:00Z"})
        (queue,) = [one for one in functions.shared.work.values() if one.sent]
        for work in queue.sent:  # a page, which adds its organizations
            assert not expiry.invoke([SQSMessage(work_body(work))], "arn")
        announced = functions.publish()
    assert {one.notification.type for one in announced} >= {"CreditExpired"}
    run = "ExpireCreditFunction-3"
    assert {one.correlation_id for one in announced} == {run}
    found = list(dict.fromkeys(line["message"] for line in lines if run in json.dumps(line)))
    assert found == [
        "accounts updated",
        "reported calls charged",
        "digests sent",
        "forecasts made",
        "batch settled",
        "notifications published",
    ]


@pytest.mark.parametrize(
    ("function", "use_case"),
    [
        ("ApplyLicensingFunction", "apply_licensing"),
        ("BookCreditFunction", "book_credit"),
        ("ChargeCallsFunction", "charge_calls"),
        ("RerateCallsFunction", "rerate_calls"),
    ],
)
def test_what_a_batch_brings_that_no_event_says_goes_by_the_id_of_the_run(
    function: str, use_case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as what settling a minute pool brings."""
    found = list[str]()

    def seen(*_: object) -> list[object]:
        found.append(correlation_id())
        return []

    monkeypatch.setattr(f"perminute.bootstrap.{use_case}.{use_case}", lambda *_: seen)
    assert Functions()[function].call({"Records": []}) == {"batchItemFailures": []}
    assert found == [f"{function}-1"]
