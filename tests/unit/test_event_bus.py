"""Changes of users on the event bus: as few requests as there may be, and none that is lost."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from perminute.adapters.event_bus import EventBridgeLicensing
from perminute.domain.errors import Unavailable
from perminute.domain.licensing.graph_users import DatedChange, UserChange

AT = datetime(2026, 11, 2, 6, tzinfo=UTC)


@dataclass
class Client:
    """EventBridge's client, which takes so many events of a request."""

    takes: int = 10
    error: Exception | None = None
    requests: list[list[Any]] = field(default_factory=list)

    def put_events(self, *, Entries: list[Any]) -> Any:  # noqa: N803 - as botocore has it
        if self.error:
            raise self.error
        self.requests.append(Entries)
        throttled = {"ErrorCode": "ThrottlingException", "ErrorMessage": "…"}
        answers = [{"EventId": "e"} if n < self.takes else throttled for n in range(len(Entries))]
        return {"FailedEntryCount": max(0, len(Entries) - self.takes), "Entries": answers}


def send(client: Client, count: int) -> None:
    changes = [
        DatedChange(UserChange(f"u-{number}", "License Assigned", "license", "SPE_E5"), AT)
        for number in range(count)
    ]
    EventBridgeLicensing(lambda: client, "bus").send("contoso", changes)


def test_ten_events_are_one_request() -> None:
    client = Client()
    send(client, 21)
    assert [len(entries) for entries in client.requests] == [10, 10, 1]
    entry = client.requests[2][0]
    detail = json.loads(entry.pop("Detail"))
    assert entry == {
        "EventBusName": "bus",
        "Source": "perminute.licensing",
        "DetailType": "License Assigned",
        "Time": AT,
    }
    assert detail.pop("changeId")
    assert detail == {
        "schemaVersion": "1",
        "organizationId": "contoso",
        "userId": "u-20",
        "license": "SPE_E5",
        "issuedAt": "2026-11-02T06:00:00Z",
        "effectiveAt": "2026-11-02T06:00:00Z",
    }


def test_no_event_is_no_request() -> None:
    client = Client()
    send(client, 0)
    assert client.requests == []


def test_an_event_that_was_not_taken_is_an_error_although_the_answer_is_none() -> None:
    with pytest.raises(Unavailable, match=r"^bus did not take an event: ThrottlingException$"):
        send(Client(takes=9), 10)


def test_a_bus_that_cannot_be_reached_is_named() -> None:
    client = Client(error=EndpointConnectionError(endpoint_url="https://events"))
    with pytest.raises(Unavailable, match=r"^bus: Could not connect"):
        send(client, 1)
