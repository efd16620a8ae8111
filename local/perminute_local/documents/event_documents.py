"""The JSON Schema of the events and docs/events.md, made from the types that read the events.

`make documents` writes both; a test compares the files in docs/ with them.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from msgspec.json import schema_components

from perminute.domain.licensing.attributes import CAUTIOUS_VALUES
from perminute.domain.licensing.dial_out import POLICY_NAMES, PREDEFINED, DialOutMode
from perminute.domain.rating.calls import MAX_ID_LENGTH, PRICED_BY
from perminute.domain.reference.countries import COUNTRIES, CURRENCIES
from perminute.domain.reference.licenses import GUIDS, OUR_NAMES, PRODUCTS
from perminute.domain.reference.phone_numbers import PATTERN
from perminute.domain.values.times import MAX_CLOCK_AHEAD
from perminute.events.billing import BILLING
from perminute.events.calls_ended import MAX_EVENT_BYTES
from perminute.events.event import Event
from perminute.events.licensing import LICENSING
from perminute.events.telephony import MAX_CALLS_IN_EVENT, TELEPHONY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_REFERENCE = re.compile(r" \(docs/[^)]*\)")


def without_references(text: str) -> str:
    """Leave out where a rule comes from: what our code refers to is not for its readers."""
    return _REFERENCE.sub("", text)


def schema_of_text(text_type: Any) -> dict[str, Any]:  # noqa: ANN401 - msgspec passes the type itself
    """Return the schema of a `TextType`, for msgspec."""
    # A copy: msgspec adds what a field says of its type.
    return dict(text_type.schema)


def numbers_by_leg_type() -> list[dict[str, Any]]:
    """Return what JSON Schema says of the numbers of a call: which one must be there, and E.164."""
    leg_types: dict[str, list[str]] = {}
    for leg_type, field in PRICED_BY.items():
        leg_types.setdefault(field, []).append(leg_type.value)
    return [
        {
            "if": {"properties": {"legType": {"enum": names}}, "required": ["legType"]},
            "then": {
                "properties": {field: {"type": "string", "pattern": PATTERN}},
                "required": [field],
            },
        }
        for field, names in leg_types.items()
    ]


UNSAID = (
    "An event that this schema allows is processed unless it breaks one of these rules, which no "
    "JSON Schema can express. Times: `answeredAt`, `endedAt`, `purchasedAt` and `issuedAt` are at "
    "most 5 minutes after the event's `time`, and `time` is at most a day after the event arrives; "
    "`effectiveAt` is at most 400 days (`ReratingHorizonDays`) before the event was issued; "
    "`endedAt` is not before `answeredAt`, and at most 24 hours after it; `expiresAt` is after "
    "`purchasedAt`; a time of the years 1970 to 9990, or 1 to 9999, is also within them in UTC. "
    "Size: a `Calls Ended` has at most 240 KB. "
    "Money: `Credit Adjusted` comes after the credit has a currency, and all events have the same "
    "currency; `rechargeAmount` is at least `minimumPurchase`. Identity: an earlier event with the "
    "same identity had the same content. Of a `Calls Ended`, each call is processed by itself: one "
    "that breaks a rule is refused alone."
)

_ANY_CASE = re.compile("[a-z]", re.IGNORECASE)


def add_rules(schema: dict[str, Any]) -> None:
    """Add what the models do not say to the schema of all events."""
    schema["description"] = UNSAID
    definitions = schema["$defs"]
    for place in _places(definitions):
        place.update(_BY_TITLE.get(str(place.get("title")), {}))
    call = definitions["CallEnded"]
    unanswered = {"properties": {"answeredAt": {"type": "null"}}, "required": ["answeredAt"]}
    uncharged = {"properties": {"billableSeconds": {"enum": [0, None]}}}
    call["allOf"] = [*numbers_by_leg_type(), {"if": unanswered, "then": uncharged}]
    takes_back = {"properties": {"purchaseId": {"type": "string"}}, "required": ["purchaseId"]}
    # Each is read by itself; what is said here is what all of them should be.
    definitions["CallsEnded"]["properties"]["calls"]["items"] = {"$ref": "#/$defs/CallEnded"}
    definitions["CreditAdjusted"]["allOf"] = [
        {"if": takes_back, "then": {"properties": {"amount": {"pattern": "^-"}}}}
    ]
    amounts = ("triggerAmount", "rechargeAmount")
    definitions["AutoRechargeDetail"]["allOf"] = [
        {
            "if": {"properties": {"enabled": {"const": True}}, "required": ["enabled"]},
            "then": {
                "properties": {name: {"type": "string"} for name in amounts},
                "required": list(amounts),
            },
        }
    ]


def _places(within: object) -> Iterator[dict[str, Any]]:
    if isinstance(within, dict):
        yield within
        within = list(within.values())
    if isinstance(within, list):
        for one in within:
            yield from _places(one)


def _in_any_case(text: str) -> str:
    return _ANY_CASE.sub(lambda letter: f"[{letter[0].upper()}{letter[0].lower()}]", text)


_BY_TITLE: dict[str, dict[str, Any]] = {
    "country": {"enum": sorted(COUNTRIES)},
    "currency": {"enum": sorted(CURRENCIES)},
    "dial-out policy": {"enum": list(POLICY_NAMES)},
    "license": {
        "pattern": rf"^({'|'.join((*OUR_NAMES, *map(_in_any_case, (*PRODUCTS, *GUIDS))))})$(?!\n)"
    },
}


def _names(of: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in of)


def _in_force() -> str:
    """Write which of two statements about one instant is in force, a line for each kind."""
    first = [
        (f"`{name}`", f"the first of {_names(values)}")
        for name, values in CAUTIOUS_VALUES.items()
        if isinstance(values, tuple)
    ]
    settings = (
        "the one without auto-recharge, then the one with the lower `dailySpendLimit`, "
        "`prefixHourlySpendLimit`, `maxConcurrentCalls`, `rechargeAmount`, in this order; "
        "an absent one is the highest"
    )
    rows = [
        ("licenses assigned and removed, `tollFreeDialInAllowed`", "removed, `false`"),
        *first,
        ("`quantity`, `poolMinutesPerLicense`, `monthlySpendLimit`", "the smaller"),
        ("`poolMinutesUsed`", "the larger, which leaves less of the pool"),
        ("`Credits Configured`", settings),
        (
            "anything else, and where all of these are equal",
            "the one with the greater identity, as text: its `changeId`, or its event id",
        ),
    ]
    return "\n".join(f"| {of} | {in_force} |" for of, in_force in rows)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of any event."""
    details = [
        (source.name, detail_type, detail)
        for source in (TELEPHONY, LICENSING, BILLING)
        for detail_type, detail in source.details.items()
    ]
    references, definitions = schema_components(
        [Event[detail] for _, _, detail in details],  # type: ignore[valid-type] # a type of each
        ref_template="#/$defs/{name}",
        schema_hook=schema_of_text,
    )
    events: dict[str, dict[str, Any]] = {}
    for (source, detail_type, detail), reference in zip(details, references, strict=True):
        event = _resolved(reference, definitions)
        properties = event["properties"]
        # Not part of what is sent: the bus states it.
        del definitions[reference["$ref"].rpartition("/")[2]], properties["account"]
        properties["source"] = {"const": source, "type": "string"}
        properties["detail-type"] = {"const": detail_type, "type": "string"}
        event["title"] = f"{detail.__name__}Event"
        event["description"] = definitions[detail.__name__].pop("description")
        events[event["title"]] = event
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "perminute: events in",
        "$defs": definitions | events,
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in events],
    }
    add_rules(made)
    return made


def schema_text() -> str:
    """Write the schema as the file has it."""
    return without_references(json.dumps(schema(), indent=2, ensure_ascii=False)) + "\n"


def page() -> str:
    """Return the page that people read: event_page.md, and a section for each source."""
    template = Template(Path(__file__).with_name("event_page.md").read_text(encoding="utf-8"))
    introduction = template.substitute(
        max_id_length=MAX_ID_LENGTH,
        licenses=_names(OUR_NAMES),
        part_numbers=_names(PRODUCTS),
        dial_out_modes=_names(DialOutMode),
        dial_out_policies=_names(PREDEFINED),
        max_calls=MAX_CALLS_IN_EVENT,
        max_kilobytes=MAX_EVENT_BYTES // 1024,
        minutes_ahead=MAX_CLOCK_AHEAD // timedelta(minutes=1),
        in_force=_in_force(),
    )
    return "\n".join([introduction, *_sections(schema())])


def _sections(whole: dict[str, Any]) -> Iterator[str]:
    definitions: dict[str, Any] = whole["$defs"]
    source = None
    for reference in whole["anyOf"]:
        event = _resolved(reference, definitions)
        properties = event["properties"]
        if properties["source"]["const"] != source:
            source = properties["source"]["const"]
            yield f"## Source `{source}`\n"
        yield from _event(event, definitions)


def _event(event: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    name = event["properties"]["detail-type"]["const"]
    said = re.fullmatch(r"(.*) \[(.*)\]\.", event["description"])
    if said is None:
        msg = f"{name}: its docstring must end in its identity, such as [organizationId, callId]."
        raise ValueError(msg)
    sample = f"events/{name.lower().replace(' ', '-')}.v1.json"
    yield f"### `{name}`\n"
    identity = said[2].replace(", ", " and ")
    yield f"{said[1]}. Identity: {identity}. A sample: [{sample}](../{sample}).\n"
    yield "| field | value | meaning |"
    yield "|---|---|---|"
    detail = _resolved(event["properties"]["detail"], definitions)
    yield from _rows(detail, definitions, within="")
    yield ""


def _rows(of: dict[str, Any], definitions: dict[str, Any], *, within: str) -> Iterator[str]:
    for name, field in of["properties"].items():
        if name == "schemaVersion":
            continue
        kind = _not_null(field, definitions)
        mark = ", required" if name in of.get("required", ()) else ""
        null = " or null" if mark and kind is not field and "anyOf" in field else ""
        words = _words(kind, definitions) + null + mark
        yield f"| `{within}{name}` | {words} | {field['description']} |"
        if "properties" in kind:
            yield from _rows(kind, definitions, within=f"{name}.")


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema
    if "$ref" in schema:
        found = definitions[schema["$ref"].rpartition("/")[2]]
    return found


def _not_null(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in field.get("anyOf", (field,)) if kind != {"type": "null"}]
    return _resolved(kinds[0], definitions)


def _words(kind: dict[str, Any], definitions: dict[str, Any]) -> str:
    match kind:
        case {"title": "text", "maxLength": most}:
            words = f"text, {most} characters at most"
        case {
            "title": "country"
            | "currency"
            | "dial-out policy"
            | "phone number or withheld" as title
        }:
            words = f"*{title}*"
        case {"enum": names}:
            words = " \\| ".join(f"`{name}`" for name in names)
        case {"type": "array", "minItems": least, "maxItems": most}:
            words = f"list of {least} to {most} objects"
        case {"type": "array", "items": items, "maxItems": most}:
            words = f"list of {_words(_resolved(items, definitions), definitions)}, {most} at most"
        case {"type": "integer", "minimum": least, "maximum": most}:
            words = f"*whole number* from {least:,} to {most:,}"
        case {"type": "string", "title": title}:
            words = f"*{title}*"
        case {"type": "boolean"}:
            words = "`true` \\| `false`"
        case {"type": "object"}:
            words = "object"
        case _:
            msg = f"there are no words for {kind}"
            raise ValueError(msg)
    return words


if __name__ == "__main__":
    sys.stdout.write({"schema": schema_text, "page": page}[sys.argv[1]]())
