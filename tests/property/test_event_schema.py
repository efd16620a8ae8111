"""The JSON Schema of events and what reads them agree on every value, whichever side it is from."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped] # it ships no annotations
import jsonschema_rs
import pytest
from from_schema import Values, with_something_else
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perminute.adapters.memory import SentCalls
from perminute.domain.errors import Refused
from perminute.events.billing import BILLING, credit_event
from perminute.events.calls_ended import DivideCalls
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, licensing_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute.sqs import Received
from perminute_local.documents.event_documents import schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.events.event import Source

ROOT = Path(__file__).parents[2]
SAMPLES = [
    event
    for path in sorted((ROOT / "events").glob("*.v1.json"))
    if "source" in (event := json.loads(path.read_text()))
]
DETAILS = [event["detail"] for event in SAMPLES]
SCHEMA = schema()
DEFINITIONS = SCHEMA["$defs"]
KINDS = [reference["$ref"].rpartition("/")[2] for reference in SCHEMA["anyOf"]]
ANY_EVENT = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)
WITHOUT_FORMATS = jsonschema_rs.validator_for(SCHEMA, validate_formats=False)
IN_PYTHON = jsonschema.Draft202012Validator(SCHEMA)
"""Whose patterns are Python's, in which `$` also stands before a last line's end."""

IN_THE_END = Received(None, datetime(9999, 12, 1, tzinfo=UTC))
DOORS: dict[str, tuple[Source[Any], Callable[[Any], object]]] = {
    "perminute.telephony": (TELEPHONY, ended_call),
    "perminute.licensing": (LICENSING, licensing_event),
    "perminute.billing": (BILLING, credit_event),
}

UNSAID = (
    "lies more than 5 minutes after the event's time",
    "lies before answeredAt",
    "lies more than 24 h after answeredAt",
    "expiresAt: must lie after purchasedAt",
    "must be at least minimumPurchase",
    "must lie in the years 1970 to 9990",
    "date value out of range",
)
"""Why what the schema allows may be refused all the same: nothing else may."""


def refusal(event: Any) -> str | None:
    """What its function says of an event that it refuses; no rule of the bus matches any other."""
    source = event.get("source") if isinstance(event, dict) else None
    if not isinstance(source, str) or source not in DOORS:
        return "source"
    door, to_domain = DOORS[source]
    queue = SentCalls([json.dumps(event)])
    divide = DivideCalls(queue, lambda *_: None)
    try:
        while queue.sent:
            for body, _ in divide(queue.sent.pop(), IN_THE_END):
                to_domain(read_event(body, door))
    except Refused as refused:
        return str(refused)
    return None


def check_agreement(event: Any) -> None:
    assert IN_PYTHON.is_valid(event) is WITHOUT_FORMATS.is_valid(event)
    why = refusal(event)
    if not ANY_EVENT.is_valid(event):
        assert why is not None
    elif why is not None:
        assert any(rule in why for rule in UNSAID), why


QUICK = settings(
    max_examples=40, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


QUICK_KINDS = ("CallEndedEvent", "UserChangedEvent", "CreditsConfiguredEvent")
"""One of each source: all of them take a tenth of the time of all properties."""


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind in QUICK_KINDS else pytest.mark.thorough)
        for kind in KINDS
    ],
)
def test_what_the_schema_allows_is_read(kind: str) -> None:
    """But for what no schema can say; of each kind of event some must be read, and not all odd."""
    read, of_kind = 0, IN_PYTHON.evolve(schema={**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{kind}"}]})

    @QUICK
    @given(Values(DEFINITIONS).of(DEFINITIONS[kind]).filter(of_kind.is_valid))
    def agree(event: dict[str, Any]) -> None:
        nonlocal read
        check_agreement(event)
        read += refusal(event) is None

    agree()
    assert read


def fields_of(kind: str) -> list[str]:
    """The fields that the detail of an event may have."""
    (event,) = (
        definition
        for definition in map(DEFINITIONS.__getitem__, KINDS)
        if definition["properties"]["detail-type"]["const"] == kind
    )
    return sorted(
        DEFINITIONS[event["properties"]["detail"]["$ref"].rpartition("/")[2]]["properties"]
    )


@st.composite
def nearly_right(draw: st.DrawFn) -> dict[str, Any]:
    """A sample in whose detail, or around it, something is else or gone."""
    event: dict[str, Any] = draw(st.sampled_from(SAMPLES))
    if draw(st.integers(0, 5)) == 0:
        return draw(with_something_else(event, sorted(event), SAMPLES))
    names = fields_of(event["detail-type"])
    return {**event, "detail": draw(with_something_else(event["detail"], names, DETAILS))}


@given(nearly_right())
def test_what_is_nearly_right_is_read_if_the_schema_allows_it(event: dict[str, Any]) -> None:
    check_agreement(event)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event["detail-type"])
def test_the_samples_are_allowed_and_read(event: dict[str, Any]) -> None:
    assert ANY_EVENT.is_valid(event)
    assert refusal(event) is None


def changed(kind: str, **detail: object) -> dict[str, Any]:
    event = next(one for one in SAMPLES if one["detail-type"] == kind)
    return {**event, "detail": {**event["detail"], **detail}}


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (changed("Call Ended", endedAt="2026-11-02T09:36:01Z"), UNSAID[0]),
        (changed("Credit Purchased", purchasedAt="2031-01-01T00:00:00Z"), UNSAID[0]),
        (changed("Call Ended", endedAt="2026-11-02T09:00:00Z", billableSeconds=None), UNSAID[1]),
        (changed("Call Ended", answeredAt="2026-10-31T00:00:00Z", billableSeconds=None), UNSAID[2]),
        (changed("Credit Purchased", expiresAt="2026-10-30T12:02:00Z"), UNSAID[3]),
        (
            changed(
                "Credits Configured",
                autoRecharge={"enabled": False, "rechargeAmount": "1", "minimumPurchase": "50"},
            ),
            UNSAID[4],
        ),
        (changed("Call Ended", answeredAt="1970-01-01T00:00:00+00:01"), UNSAID[5]),
        (changed("License Assigned", effectiveAt="0001-01-01T00:00:00+00:01"), UNSAID[6]),
    ],
)
def test_what_no_schema_can_say_is_refused_all_the_same(event: dict[str, Any], why: str) -> None:
    """Each exception is one: it is allowed, and refused."""
    assert ANY_EVENT.is_valid(event)
    assert why in (refusal(event) or "")
