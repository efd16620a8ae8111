"""The JSON Schema of events and what reads them agree on every value, whichever side it is from."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perminute.domain.errors import Refused
from perminute.domain.times import format_instant
from perminute.events.billing import BILLING, credit_event
from perminute.events.door import read_event
from perminute.events.licensing import LICENSING, licensing_event
from perminute.events.telephony import TELEPHONY, ended_leg
from perminute_local.event_documents import schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

ROOT = Path(__file__).parents[2]
SAMPLES = [
    event
    for path in sorted((ROOT / "events").glob("*.v1.json"))
    if "source" in (event := json.loads(path.read_text()))
]
SCHEMA = schema()
DEFINITIONS = SCHEMA["$defs"]
KINDS = [reference["$ref"].rpartition("/")[2] for reference in SCHEMA["anyOf"]]
ANY_EVENT = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)

DOORS: dict[str, tuple[TypeAdapter[Any], Callable[[Any], object]]] = {
    "perminute.telephony": (TELEPHONY, ended_leg),
    "perminute.licensing": (LICENSING, licensing_event),
    "perminute.billing": (BILLING, credit_event),
}

UNSAID = (
    "lies more than 5 minutes after the event's time",
    "lies before answeredAt",
    "lies more than 24 h after answeredAt",
    "expiresAt must lie after purchasedAt",
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
    try:
        to_domain(read_event(json.dumps(event), door))
    except Refused as refused:
        return str(refused)
    return None


def check_agreement(event: Any) -> None:
    why = refusal(event)
    if not ANY_EVENT.is_valid(event):
        assert why is not None
    elif why is not None:
        assert any(rule in why for rule in UNSAID), why


# ── Values that a schema allows ──────────────────────────────────────────────────────────────

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
NUMBERS = (
    "+493023125042",
    "+18005550199",
    "+49151234****",
    "+1206555*****",
    "104",
    "",
    "+6834321\n",
)
OFFSETS = ("Z", "z", "+00:00", "-00:00", "+05:30", "-23:59", "+23:59")
ODD_TIMES = (
    "2016-12-31T23:59:60Z",
    "2026-02-29T00:00:00Z",
    "2024-02-29T00:00:00Z",
    "2026-11-02T24:00:00Z",
    "2026-11-02T12:00:00",
    "2026-11-02T12:00:00+24:00",
    "2026-11-02T12:00:00Z\n",
    "2026-11-02 12:00:00Z",
    "2026-11-02T12:00:00.Z",
    "2026-11-02T12:00Z",
    "2026-11-02",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00+00:01",
    "9990-12-31T23:59:59.999Z",
    "9990-12-31T23:59:59-00:01",
    "9991-01-01T00:00:00Z",
    "9999-12-31T23:59:59-00:01",
    "٢٠٢٦-11-02T12:00:00Z",
)
times = st.sampled_from(ODD_TIMES) | st.builds(
    lambda minutes, digits, t, offset: (
        format_instant(NOON + timedelta(minutes=minutes))[:19].replace("T", t)
        + (f".{digits}" if digits else "")
        + offset
    ),
    st.sampled_from([-1_500, -1_440, -10, -1, 0, 0, 1, 5, 6]),
    st.text("0123456789", max_size=9),
    st.sampled_from("Tt"),
    st.sampled_from(OFFSETS[:3]) | st.sampled_from(OFFSETS),
)


def texts(of: dict[str, Any]) -> st.SearchStrategy[str]:
    match of:
        case {"title": "time"}:
            return times
        case {"title": "phone number or withheld"}:
            return st.sampled_from(NUMBERS)
        case {"pattern": pattern}:
            return st.from_regex(pattern, fullmatch=True)
        case _:
            return st.text(min_size=of.get("minLength", 0), max_size=of["maxLength"])


def whole_numbers(of: dict[str, Any]) -> st.SearchStrategy[float]:
    whole = st.integers(of["minimum"], of["maximum"])
    return whole | whole.map(float)


def objects(of: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: values(part) for name, part in of["properties"].items()}
    required = {name: fields.pop(name) for name in of.get("required", ())}
    return st.fixed_dictionaries(required, optional=fields)


BY_TYPE: dict[str, Callable[[dict[str, Any]], st.SearchStrategy[Any]]] = {
    "string": texts,
    "integer": whole_numbers,
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
    "array": lambda of: st.lists(values(of["items"]), max_size=3),
    "object": objects,
}


def values(of: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a part of the schema allows, and some that only its `if` or format forbids."""
    match of:
        case {"$ref": str(reference)}:
            return values(DEFINITIONS[reference.rpartition("/")[2]])
        case {"anyOf": parts}:
            return st.one_of(*map(values, parts))
        case {"enum": several}:
            return st.sampled_from(several)
        case {"const": only}:
            return st.just(only)
        case _:
            return BY_TYPE[of["type"]](of)


QUICK = settings(
    max_examples=40, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_schema_allows_is_read(kind: str) -> None:
    """But for what no schema can say; of each kind of event some must be read, and not all odd."""
    read = 0

    @QUICK
    @given(values(DEFINITIONS[kind]).filter(ANY_EVENT.is_valid))
    def agree(event: dict[str, Any]) -> None:
        nonlocal read
        check_agreement(event)
        read += refusal(event) is None

    agree()
    assert read > 5


# ── Values that are nearly right ─────────────────────────────────────────────────────────────

near_misses: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, 0.0, -0.0, 1, 61.0, 61.5, -1, 86_400, 86_401, 2**63, 1e300),
        *("", " ", "adele ", "\u00a0adele", "x" * 250, "x" * 251, "é" * 250, "😀" * 251, "a\nb"),
        *("61", "0.026", "-0.026", "-0", "0.0000001", "1e3", "+1", "1000000000000000.1", "٣"),
        *("usd", "USD", "UDS", "EUR ", "de", "DE", "UK", "ZZ", "1", "2"),
        *("spe_e5", "\u017fPE_E5", "SPE_E5\n", "tag:DialoutCPCDomesticPSTNDisabled", "tag:none"),
        *("3E26EE1F-8A5F-4D52-AEE2-B81CE45C8F40", "PERUSER", "zonea"),
        *([], {}, [[]], ["1"], ["1"] * 21, ["-1"], {"enabled": True}, {"enabled": False}),
        *NUMBERS,
        *ODD_TIMES,
    ]
)


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
    """A sample in which one to three fields have something else, are gone, or are new."""
    event: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(SAMPLES))))
    names = fields_of(event["detail-type"])
    for _ in range(draw(st.integers(1, 3))):
        detail = event.get("detail")
        place = detail if isinstance(detail, dict) and draw(st.integers(0, 5)) else event
        name = draw(st.sampled_from(sorted(event) if place is event else names))
        if draw(st.integers(0, 4)) == 0:
            place.pop(name, None)
        else:
            elsewhere = [one["detail"][name] for one in SAMPLES if name in one["detail"]]
            place[name] = draw(near_misses | times | st.sampled_from([*elsewhere, None]))
    return event


@settings(max_examples=600)
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
