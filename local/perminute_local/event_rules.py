"""What the JSON Schema of events says beyond the models: rules that code checks after them.

A test generates values from both sides, so a rule that is missing here is found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from perminute.domain.licensing.dial_out import POLICY_NAMES
from perminute.domain.reference.countries import COUNTRIES, CURRENCIES
from perminute.domain.reference.licenses import GUIDS, OUR_NAMES, PRODUCTS
from perminute_local.json_schema import numbers_by_leg_type

if TYPE_CHECKING:
    from collections.abc import Iterator

UNSAID = (
    "What is valid is taken, but for what no JSON Schema can say: `answeredAt`, `endedAt`, "
    "`purchasedAt` and `issuedAt` lie at most 5 minutes after the event's `time`, and `time` at "
    "most a day after the event arrives; `effectiveAt` lies at most 400 days "
    "(`ReratingHorizonDays`) before the event was issued; `Credit Adjusted` comes after the credit "
    "has a currency, and that of all events is the same; `endedAt` lies not before `answeredAt`, "
    "and at most 24 hours after it; `expiresAt` lies after `purchasedAt`; `rechargeAmount` is at "
    "least `minimumPurchase`; a time of the years 1970 to 9990, or 1 to 9999, still lies in them "
    "in UTC; and what was sent before under the same identity said the same."
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
    """Yield every object in a schema."""
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
