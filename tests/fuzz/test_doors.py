"""Whatever comes in at a door is taken, or refused in words: nothing that is sent ends a function.

Random bytes, random JSON, and samples of what is right with something in them changed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from builders import card
from hypothesis import given, settings
from hypothesis import strategies as st
from webhooks import CALLBACK, CDR, Received, body_of, sample, with_body
from webhooks import EVENTS as TWILIO_EVENTS

from perminute.adapters.dynamodb import streams
from perminute.adapters.memory import PublishedRateCards
from perminute.adapters.rate_card_bucket import Pointer
from perminute.api.endpoints import BY_NAME
from perminute.api.reports.endpoint import REPORTS, endpoint_of
from perminute.domain.errors import FaultyRateCard, Refused
from perminute.formats.rate_card_csv import read_rate_card
from perminute.observability import logger
from perminute.ports.messaging import Rejection, Waiting
from perminute_local.microsoft_graph import read_users
from perminute_local.replay.lambda_runtime import LoadedFunction, SQSMessage
from perminute_local.replay.links import http_event
from perminute_local.replay.plan import Delivery, Events
from perminute_local.simulation.backends.twin_functions import SharedTwins, load_twins
from perminute_local.stack import load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
EVENTS = [json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))]
BUS_EVENTS = [event for event in EVENTS if "detail-type" in event]
RATES = (ROOT / "examples" / "day" / "rates.csv").read_bytes()
QUEUES = {
    "ChargeCallsFunction": "CallsDeadLetters",
    "ApplyLicensingFunction": "LicensingDeadLetters",
    "BookCreditFunction": "CreditDeadLetters",
    "RerateCallsFunction": "ReratingsDeadLetters",
}
USER = {
    "id": "8b6c1a0f-47a3-4e4a-95f8-f0a0c2d1e3f4",
    "usageLocation": "US",
    "assignedLicenses": [{"skuId": "c7df2760-2c81-4ef7-b578-5b5392b571df"}],
}
IDS = ("organizationId", "callId")
AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
ANSWERED = {200, 400, 403, 404, 409}
REPORT_PARAMETERS = (
    *("from", "to", "month", "groupBy", "organizerId", "legType", "country", "outcome", "limit"),
    *("cursor", "callId", "basis", "format", "version", "horizonDays", "price", "months"),
)

# Not every text: what is no Unicode at all, as a lone half of a pair, can stand in JSON as well.
texts = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(
    [
        "",
        "\ud800",
        "\x00",
        "NaN",
        "1e999",
        "2026-02-30T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1" * 400,
    ]
)
numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 10**30, 2**63])
scalars = st.none() | st.booleans() | numbers | texts
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def changed(draw: st.DrawFn, samples: list[dict[str, Any]]) -> Any:
    """A sample in which one to three places have something else, nothing, or something more."""
    document = json.loads(json.dumps(draw(st.sampled_from(samples))))
    for _ in range(draw(st.integers(1, 3))):
        place = document
        while True:
            key = draw(st.sampled_from(sorted(place)))
            inner = place[key]
            if not (isinstance(inner, dict) and inner and draw(st.booleans())):
                break
            place = inner
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                place[key] = draw(documents)
            case "remove" if len(place) > 1:
                del place[key]
            case _:
                place[draw(texts)] = draw(documents)
    return document


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes of which some are others, missing or more."""
    damaged = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(damaged)))
        size = draw(st.integers(0, 3))
        damaged[at : at + size] = draw(st.binary(max_size=3))
    return bytes(damaged)


def texts_of(samples: list[dict[str, Any]]) -> st.SearchStrategy[str]:
    """What may stand in the body of a message."""
    return st.one_of(
        st.binary(max_size=60).map(lambda content: content.decode(errors="replace")),
        st.text(max_size=40),
        documents.map(json.dumps),
        changed(samples).map(json.dumps),
        st.sampled_from(samples)
        .flatmap(lambda one: damaged(json.dumps(one).encode()))
        .map(lambda content: content.decode(errors="replace")),
    )


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = logger.log_level
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel(before)


@cache
def world() -> tuple[SharedTwins, dict[str, LoadedFunction]]:
    """One world for all inputs: what was taken in before is there when the next one comes."""
    made = SharedTwins(PublishedRateCards(card()))
    return made, load_twins(load_template(), made)


def fuzzed(**strategies: st.SearchStrategy[Any]) -> Callable[..., Any]:
    """Try as many inputs as `--fuzz-inputs` says."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        return settings(settings.get_profile("fuzz"))(given(**strategies)(test))

    return decorate


@pytest.mark.parametrize("function", QUEUES)
def test_a_message_is_taken_or_kept_with_its_reason(function: str) -> None:
    made, functions = world()
    kept = made.refused[QUEUES[function]].stored

    @fuzzed(bodies=st.lists(texts_of(BUS_EVENTS), min_size=1, max_size=3))
    def try_it(bodies: list[str]) -> None:
        before = len(kept)
        assert functions[function].invoke([SQSMessage(body) for body in bodies], "arn") == []
        for rejection in kept[before:]:
            assert rejection.reason.strip()
            rejection.reason.encode()

    try_it()


def test_a_request_is_answered_whatever_it_is() -> None:
    _, functions = world()
    bodies = [json.loads(event["body"]) for event in EVENTS if "body" in event]

    @fuzzed(
        endpoint=st.sampled_from(sorted(BY_NAME)),
        event=st.fixed_dictionaries(
            {
                "pathParameters": st.dictionaries(st.sampled_from(IDS), texts),
                "queryStringParameters": st.dictionaries(texts, texts, max_size=4),
                "body": texts_of(bodies) | st.none(),
                "isBase64Encoded": st.booleans(),
            }
        ),
    )
    def try_it(endpoint: str, event: dict[str, Any]) -> None:
        request = http_event(BY_NAME[endpoint], dict.fromkeys(IDS, "x"), {}, AT) | event
        answer = functions["AuthorizeCallsFunction"].call(request)
        assert answer is not None
        assert answer["statusCode"] in ANSWERED
        assert isinstance(json.loads(answer["body"]), dict)

    try_it()


@pytest.mark.parametrize("function", ["AuthorizeCallsFunction", "ReadReportsFunction"])
def test_an_invocation_is_answered_whatever_it_is(function: str) -> None:
    _, functions = world()
    samples = [event for event in EVENTS if "operation" in event]
    routed = [event for event in EVENTS if "routeKey" in event]

    @fuzzed(event=documents | changed(samples) | changed(routed))
    def try_it(event: Any) -> None:
        assert isinstance(functions[function].call(event), dict)

    try_it()


def test_a_report_is_answered_or_its_parameters_are_refused() -> None:
    _, functions = world()
    route = endpoint_of("overview")
    assert route is not None
    values = texts | st.sampled_from(
        ["2026-11-01", "2026-12-01", "2026-11-02T09:00:00Z", "2026-11", "day,legType", "csv", "1"]
    )
    parameters = st.dictionaries(st.sampled_from(REPORT_PARAMETERS), values | documents)

    @fuzzed(
        report=st.sampled_from(REPORTS) | texts,
        organization=st.sampled_from(["contoso", "nobody"]) | texts,
        parameters=parameters,
        headers=st.dictionaries(
            st.sampled_from(["if-none-match", "accept-encoding", "accept"]),
            texts | st.sampled_from(["gzip", "*"]),
        ),
    )
    def try_it(
        report: str, organization: str, parameters: dict[str, Any], headers: dict[str, str]
    ) -> None:
        function = functions["ReadReportsFunction"]
        path = {"organizationId": organization, "report": report}
        query = {name: value for name, value in parameters.items() if isinstance(value, str)}
        event = http_event(route, path, query, AT) | {"headers": headers}
        answer = function.call(event)
        assert answer is not None
        assert answer["statusCode"] in {*ANSWERED, 304}
        invoked = function.call({"operation": report, "organizationId": organization, **parameters})
        assert isinstance(invoked, dict)
        assert "asOf" in invoked or invoked["error"] in {"invalid", "notFound"}

    try_it()


def test_a_rate_card_is_read_or_its_faults_are_named() -> None:
    @fuzzed(content=st.binary(max_size=200) | damaged(RATES))
    def try_it(content: bytes) -> None:
        assert all(message.strip() for message in faults_of(content))

    try_it()


def faults_of(content: bytes) -> list[str]:
    try:
        read_rate_card(content)
    except FaultyRateCard as faulty:
        return [fault.message for fault in faulty.faults] or [""]
    return []


def test_a_pointer_to_a_rate_card_is_read_or_refused() -> None:
    right = Pointer.of("2026-11", b"a card").content()

    @fuzzed(
        content=st.binary(max_size=60) | documents.map(json.dumps).map(str.encode) | damaged(right)
    )
    def try_it(content: bytes) -> None:
        with suppress(ValueError):
            assert Pointer.parse(content).version is not None

    try_it()


def test_what_graph_says_is_read_or_refused() -> None:
    @fuzzed(content=texts_of([USER, {"value": [USER]}]))
    def try_it(content: str) -> None:
        with suppress(Refused):
            assert isinstance(read_users(content), list)

    try_it()


def test_a_record_of_the_stream_is_read_or_kept() -> None:
    image = {"organizationId": {"S": "contoso"}, "record": {"S": "outbox#1"}}
    record = {"eventName": "INSERT", "dynamodb": {"Keys": image, "NewImage": image}}

    @fuzzed(image=documents | changed([record]), notifications=texts_of(BUS_EVENTS))
    def try_it(image: Any, notifications: str) -> None:
        told = {"dynamodb": {"Keys": image, "NewImage": {"notifications": {"S": notifications}}}}
        for record in (image, told):
            if isinstance(record, dict):
                assert isinstance(streams.read_outbox(record), Rejection | list | tuple)
                assert isinstance(streams.read_rerating(record), Rejection | Waiting)

    try_it()


def test_a_line_of_a_replay_is_an_event_or_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    @fuzzed(lines=st.lists(texts_of(BUS_EVENTS), max_size=3))
    def try_it(lines: list[str]) -> None:
        path.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
        events = Events(path)
        assert [isinstance(one, Delivery) for one in events] == [True] * len(events)

    try_it()


def test_a_webhook_is_answered_and_what_is_not_signed_is_never_queued() -> None:
    requests = [sample(name) for name in (CALLBACK, TWILIO_EVENTS, CDR)]
    right = {(request["routeKey"], body_of(request)) for request in requests}

    @fuzzed(
        event=documents | changed(requests),
        request=st.sampled_from(requests),
        content=st.binary(max_size=60)
        | st.sampled_from(requests).flatmap(lambda one: damaged(body_of(one))),
    )
    def try_it(event: Any, request: dict[str, Any], content: bytes) -> None:
        received = Received()
        assert received.status(event) in {204, 400, 403, 404, 413}
        before = len(received.messages)
        route = request["routeKey"]
        status = received.status(with_body(request, content))
        is_let_in = route.endswith("/cdr") or (route, content) in right
        # Of a form not its spelling is signed, but what it says.
        assert status == 204 or not is_let_in
        assert route.endswith(("/cdr", "/callback")) or status == (204 if is_let_in else 403)
        assert len(received.messages) == before + (status == 204)

    try_it()
