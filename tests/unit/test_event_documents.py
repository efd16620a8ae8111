"""What docs/ says of events is what the functions read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import ValidationError, convert

from perminute import fields
from perminute.domain.errors import Refused
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, MAX_QUANTITY, licensing_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute.parsing import _read_text
from perminute_local.documents.event_documents import page, schema, schema_text

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
SAMPLES = sorted(ROOT.glob("events/*.v1.json"))
ANY_EVENT = jsonschema_rs.validator_for(schema(), validate_formats=True)


def without(name: str) -> Any:
    event = json.loads((ROOT / "events" / "credits-configured.v1.json").read_text())
    del event["detail"][name]
    return event


def with_detail(sample: str, **changed: object) -> Any:
    event = json.loads((ROOT / "events" / f"{sample}.v1.json").read_text())
    return {**event, "detail": {**event["detail"], **changed}}


def test_the_documents_are_what_the_code_makes_of_them() -> None:
    assert (ROOT / "docs" / "events.md").read_text() == page(), "run: make documents"
    assert (ROOT / "docs" / "events.schema.json").read_text() == schema_text(), "make documents"


def test_every_event_has_a_sample_that_the_schema_allows() -> None:
    requests = ("authorize-call", "read-report")
    text, events = page(), [one for one in SAMPLES if not one.name.startswith(requests)]
    assert events
    for sample in events:
        assert f"(../events/{sample.name})" in text
        ANY_EVENT.validate(json.loads(sample.read_text()))
    assert text.count("A sample: ") == len(events)


@pytest.mark.parametrize(
    "event",
    [
        without("currency"),
        with_detail("credits-configured", currency="usd"),
        with_detail("credits-configured", lowBalanceThresholds=["1"] * 21),
        with_detail("credits-configured", dailySpendLimit="-1"),
        with_detail("credits-configured", maxConcurrentCalls="200"),
        with_detail("credit-purchased", amount="0.00"),
        with_detail("credit-purchased", amount=10),
        with_detail("call-ended", endedAt="2026-11-02"),
        with_detail("call-ended", legType="fax"),
        with_detail("call-ended", remoteNumber="0301234567"),
        with_detail("call-ended", callId=""),
        with_detail("call-ended", organizerId="adele "),
        with_detail("call-ended", organizationId="\tcontoso"),
        with_detail("call-ended", schemaVersion="2"),
    ],
)
def test_the_schema_does_not_allow_what_is_refused(event: Any) -> None:
    assert not ANY_EVENT.is_valid(event)


TYPES = ("NonzeroAmount", "Amount", "PositiveAmount", "Id", "OrganizationId")
"""Of these the schema says all that is checked; it cannot say what calendars and lists hold."""


@pytest.mark.parametrize("name", TYPES)
@given(text=st.text("+-0123456789.*a \n\u00a0\ufeff", max_size=20))
@example("-0.0").via("an amount that is not negative")
@example("-0.1").via("an amount that is")
@example("0.1234567").via("too many decimals")
@example("1000000000000000.0").via("the largest amount")
@example("1000000000000000.1").via("more than the largest amount")
@example("0001000000000000000").via("too many digits")
@example("000999999999999999").via("leading zeros")
def test_the_schema_allows_exactly_what_is_read(name: str, text: str) -> None:
    kind = getattr(fields, name)
    try:
        convert(text, kind, dec_hook=_read_text)
    except ValidationError:
        read = False
    else:
        read = True
    assert jsonschema_rs.is_valid(kind.schema, text) is read


def is_read(event: Any, door: Any, to_domain: Callable[[Any], object]) -> bool:
    try:
        to_domain(read_event(json.dumps(event), door))
    except Refused:
        return False
    return True


NUMBERS: st.SearchStrategy[Any] = (
    st.none() | st.text("+-0123456789*a\n", max_size=17) | st.integers() | st.just([])
)


@given(
    leg_type=st.sampled_from(["tollDialIn", "tollFreeDialIn", "dialOut", "app", "fax"]),
    numbers=st.fixed_dictionaries({}, optional={"serviceNumber": NUMBERS, "remoteNumber": NUMBERS}),
)
@example("dialOut", {"remoteNumber": "+4930123****"}).via("four masked digits")
@example("dialOut", {"remoteNumber": "+4930123*****"}).via("one too many")
@example("tollDialIn", {"remoteNumber": "+4930123*****", "serviceNumber": "+6834321"})
@example("tollFreeDialIn", {"serviceNumber": "+683432"}).via("too short")
@example("tollFreeDialIn", {"serviceNumber": "+6834321\n"}).via("a line")
@example("dialOut", {"remoteNumber": "+6834321", "serviceNumber": 104}).via("no text")
@example("dialOut", {"serviceNumber": "+6834321"}).via("what sets the price is missing")
@example("app", {"serviceNumber": "", "remoteNumber": "anonymous"})
def test_the_schema_allows_the_numbers_that_are_read(
    leg_type: str, numbers: dict[str, Any]
) -> None:
    event = with_detail("call-ended", legType=leg_type)
    kept = {k: v for k, v in event["detail"].items() if k not in {"serviceNumber", "remoteNumber"}}
    event = {**event, "detail": {**kept, **numbers}}
    assert ANY_EVENT.is_valid(event) is is_read(event, TELEPHONY, ended_call)


@given(
    quantity=st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(0, MAX_QUANTITY).map(round).map(float)
    | st.integers(-(2**70), 2**70)
    | st.text("0123456789", max_size=3)
)
@example(61.0).via("a whole number all the same")
@example(-0.0).via("nothing")
@example(61.5).via("no whole number")
@example(1e300).via("a whole number that is too large")
def test_the_schema_allows_the_whole_numbers_that_are_read(quantity: object) -> None:
    event = with_detail("licenses-purchased", quantity=quantity)
    assert ANY_EVENT.is_valid(event) is is_read(event, LICENSING, licensing_event)
