"""The events that come in, as a JSON Schema and as a page to read, made from what reads them.

`make documents` writes both; a test holds those in docs/ against them.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.json import schema_components

from perminute.domain.licensing.attributes import CAUTIOUS_VALUES
from perminute.domain.licensing.dial_out import PREDEFINED, DialOutMode
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.reference.licenses import OUR_NAMES, PRODUCTS
from perminute.domain.values.times import MAX_CLOCK_AHEAD
from perminute.events.billing import BILLING
from perminute.events.event import Event
from perminute.events.licensing import LICENSING
from perminute.events.telephony import TELEPHONY
from perminute_local.event_rules import add_rules
from perminute_local.json_schema import schema_of_text, without_references

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def _names(of: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in of)


def _holding() -> str:
    """Write which of two statements of one instant holds, a line for each kind."""
    first = [
        (f"`{name}`", f"the first of {_names(values)}")
        for name, values in CAUTIOUS_VALUES.items()
        if isinstance(values, tuple)
    ]
    settings = (
        "the one without auto-recharge, then the one with the lower `dailySpendLimit`, "
        "`prefixHourlySpendLimit`, `maxConcurrentCalls`, `rechargeAmount`, in this order; "
        "what is absent is higher than any"
    )
    rows = [
        ("licenses assigned and removed, `tollFreeDialInAllowed`", "removed, `false`"),
        *first,
        ("`quantity`, `poolMinutesPerLicense`, `monthlySpendLimit`", "the smaller"),
        ("`poolMinutesUsed`", "the larger, which leaves the smaller pool"),
        ("`Credits Configured`", settings),
        (
            "anything else, and where all of that is equal",
            "the one with the greater identity, as text: its `changeId`, or its event id",
        ),
    ]
    return "\n".join(f"| {of} | {holds} |" for of, holds in rows)


_INTRODUCTION = f"""\
# Events

Written by `make documents`, from the code that reads events.
[events.schema.json](events.schema.json) is the same as a JSON Schema, for those who check what they
send; its description names the few rules that no schema can express.

Put events on the bus that the stack's output `EventBusName` names, with `detail` as JSON. They may
arrive late, in any order and more than once. Each has a permanent identity. An event with a known
identity changes nothing if its content is the same, and is refused if it is another. An event that
is refused waits in a dead-letter queue with the field and the reason. Fields that are not known are
ignored.

[events/](../events/README.md) has a sample of each, in an order that ends in a charged call, and in
the forms that `aws events put-events` and `sam local invoke` take.

- A *time* is RFC 3339 with an offset, such as `2026-11-02T09:00:00Z`, with any number of decimals.
  Times are kept to the microsecond, but how long a call lasted is computed from all decimals: a
  call of 60.0000002 s has 61 connected seconds.
- An *amount* is a decimal string with at most 6 decimals, such as `"0.026"`, never a number.
- An *id* is text of 1 to {MAX_ID_LENGTH} characters, without surrounding spaces. GUIDs, and ids
  with `@`, are stored, compared and returned in lower case. Any other id is exact, and so is every
  *organization id*.
- A *phone number* is E.164 with `+`, of 7 to 15 digits; up to four digits at its end may be masked
  by `*`. *Withheld* is anything else, such as `"anonymous"`, a SIP URI, an empty text or what is no
  text, and the same as null: two spellings of it are the same content. Only a number that sets the
  price must be one.
- A *whole number* may be written with a fraction of zero, as `61.0`; it is no string.
- A *country* is ISO 3166-1 alpha-2, a *currency* ISO 4217.
- A *license* is {_names(OUR_NAMES)}; the part number of a SKU ({_names(PRODUCTS)}); or its GUID.
- A *dial-out policy* is {_names(DialOutMode)}; or one of Teams' own: {_names(PREDEFINED)}.

What is not marked *required* may be absent. `schemaVersion` is `"1"` in every detail, and `"1"`
if it is absent.

## Who may send them

Those whom `BillingProducers`, `LicensingProducers` and `TelephonyProducers` name: by default
everybody in the account of the stack whose policy allows it ([access](access.md)). The bus denies
all others, and any other `source` or `detail-type`. A ledger entry of an event about credit keeps
its `producer`: the `account` that the bus says, null if it says none, and the `source`. So do the
adjustments of calls that are rated anew because that event sets the credits up earlier. What time
or several events bring has none; its `cause` says what it is.

## Which of two holds

An event that is sent again gets a new id from EventBridge, and its `time` has whole seconds only.
Neither shows that two events are the same, or which of two was decided first. So producers of
events about licenses or credit should send two more fields:

- `issuedAt`: when it was decided, to the microsecond. Of two statements about one instant the one
  issued later holds, whichever arrives first. `Credits Configured` holds from its `issuedAt`, and
  the one issued last is in force. Without it the event's `time` counts. It may lie any time before
  that, and at most {MAX_CLOCK_AHEAD // timedelta(minutes=1)} minutes after it, else the event is
  refused.
- `changeId`: the identity of the event in its organization, in place of the event id. Then the same
  event may be put on a bus again, as by a replay of the bus's archive, and changes nothing. Send
  `issuedAt` with it: an event that is put on a bus anew has a later `time`. Without `issuedAt` the
  copy with the earliest `time` says when it was issued, whichever arrives first. Of `Credits
  Configured` that is so with one exception: settings that were superseded by a later copy, before
  the earliest one arrived, stay superseded, although they were issued after it. One
  `changeId` belongs to one event, whatever its `detail-type`: with other content, of which
  `issuedAt` is a part, it is refused. `Credit Purchased`, `Credit Adjusted` and `Recharge Failed`
  have an identity of their own, and keep it.

Two statements may be issued at one instant all the same. Then the more cautious one holds, so that
nothing is spent that an admin has not decided:

| two statements about | which one holds |
|---|---|
{_holding()}

If the settings that do not hold arrive first, they may cause a `RechargeRequested` before the
others are known. That request stays open. Such a tie is logged, and counted as `TiesDecided`
([runbook](runbook.md#two-statements-of-one-instant)).
"""


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
    """Write what people read."""
    return "\n".join([_INTRODUCTION, *_sections(schema())])


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
    yield f"{said[1]}. Its identity: {identity}. A sample: [{sample}](../{sample}).\n"
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
