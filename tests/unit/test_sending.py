"""Events on the bus: in which requests, and what is not taken for sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from event_bus import Bus

from perminute.application.retry import RetryPolicy
from perminute_local.sending import EventSender, NotSent, Sent, lines_of_not_sent

AT_ONCE = RetryPolicy(attempts=3, sleep=lambda _: None)


def event(user_id: str = "adele", source: str = "perminute.licensing", **more: Any) -> Any:
    return {
        "source": source,
        "detail-type": "User Changed",
        "time": "2026-11-24T06:00:00.25Z",
        "detail": {"userId": user_id, **more},
    }


def denied(message: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": "AccessDeniedException", "Message": message}}, "PutEvents"
    )


def test_an_event_becomes_an_entry_of_the_stacks_bus() -> None:
    bus = Bus()
    assert EventSender(bus, "perminute-dev")([event()]) == [Sent('{"userId": "adele"}')]
    assert bus.requests == [
        [
            {
                "EventBusName": "perminute-dev",
                "Source": "perminute.licensing",
                "DetailType": "User Changed",
                "Time": datetime(2026, 11, 24, 6, 0, 0, 250_000, tzinfo=UTC),
                "Detail": '{"userId": "adele"}',
            }
        ]
    ]


def test_ten_entries_go_in_a_request_and_no_more_bytes_than_aws_takes() -> None:
    bus = Bus()
    EventSender(bus, "bus")([event(str(n)) for n in range(21)])
    assert bus.sizes == [10, 10, 1]
    bus = Bus()
    EventSender(bus, "bus")([event(calls="x" * 200_000), event(), event(calls="x" * 100_000)])
    assert bus.sizes == [2, 1]


def test_what_the_bus_does_not_take_inside_its_200_is_not_sent() -> None:
    bus = Bus([[None, "MalformedDetail", None]])
    events = [event("adele"), event("bob", changeId="c-2"), event("cleo")]
    outcomes = EventSender(bus, "bus", AT_ONCE)(events)
    assert outcomes[1] == NotSent("MalformedDetail: no")
    assert [type(outcome) for outcome in outcomes] == [Sent, NotSent, Sent]
    assert list(lines_of_not_sent(events, outcomes)) == [
        "not sent: User Changed userId bob changeId c-2: MalformedDetail: no"
    ]
    assert bus.sizes == [3]


def test_throttled_entries_are_sent_again_and_no_others() -> None:
    bus = Bus([[None, "ThrottlingException"], ["InternalFailure"]])
    outcomes = EventSender(bus, "bus", AT_ONCE)([event("adele"), event("bob")])
    assert outcomes == [Sent('{"userId": "adele"}'), Sent('{"userId": "bob"}')]
    assert [json.loads(entry["Detail"])["userId"] for sent in bus.requests for entry in sent] == [
        *("adele", "bob"),
        *("bob", "bob"),
    ]


def test_entries_that_stay_throttled_are_not_sent() -> None:
    bus = Bus([["ThrottlingException"]] * 3)
    assert EventSender(bus, "bus", AT_ONCE)([event()]) == [NotSent("ThrottlingException: no")]
    assert bus.sizes == [1, 1, 1]


def test_a_request_that_fails_ends_the_sending_and_keeps_what_was_sent_before() -> None:
    lost = EndpointConnectionError(endpoint_url="https://events")
    bus = Bus([[None] * 9 + ["ThrottlingException"], lost])
    outcomes = EventSender(bus, "bus", AT_ONCE)([event(str(n)) for n in range(25)])
    assert [type(outcome) for outcome in outcomes] == [Sent] * 9 + [NotSent] * 16
    assert outcomes[9] == NotSent("ThrottlingException: no")
    assert outcomes[10] == NotSent(
        'Could not connect to the endpoint URL: "https://events": check the network, and AWS_REGION'
    )
    assert bus.sizes == [10, 1]


@pytest.mark.parametrize(
    ("source", "parameter"),
    [
        ("perminute.billing", "BillingProducers"),
        ("perminute.licensing", "LicensingProducers"),
        ("perminute.telephony", "TelephonyProducers"),
    ],
)
def test_an_explicit_deny_names_the_parameter_that_lets_the_sender_in(
    source: str, parameter: str
) -> None:
    bus = Bus([denied("not authorized, with an explicit deny in a resource-based policy")])
    (outcome,) = EventSender(bus, "bus")([event(source=source)])
    assert isinstance(outcome, NotSent)
    assert f"the stack's parameter {parameter} does not name" in outcome.reason
    assert "explicit deny" in outcome.reason


def test_a_missing_permission_names_what_to_allow() -> None:
    bus = Bus([denied("because no identity-based policy allows the events:PutEvents action")])
    (outcome,) = EventSender(bus, "bus")([event()])
    assert isinstance(outcome, NotSent)
    assert outcome.reason.endswith(
        "What to do: your own policy must allow events:PutEvents on the stack's EventBusArn"
    )
