"""Write calls as lines of an archive, which can be read without the system they are of.

A line is a JSON object. Its fields have the names of events and reports (docs/retention.md).
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

from perminute.domain.rating.call_content import kept_number
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.erased_calls import ERASED
from perminute.domain.values.money import format_micros, money_text
from perminute.domain.values.times import format_instant, instant_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from perminute.domain.rating.usage_record import Usage


def by_month(usages: Iterable[Usage]) -> Iterator[tuple[str, list[Usage]]]:
    """Yield calls by the month in which they ended, such as `2026-11`, in the order of their ends.

    Whatever order they come in, the same calls are written alike.
    """
    in_order = sorted(usages, key=lambda usage: (usage.call.ended_at, usage.call.call_id))
    for month, ended in groupby(in_order, key=lambda usage: f"{usage.call.ended_at:%Y-%m}"):
        yield month, list(ended)


def archived_call(usage: Usage) -> dict[str, Any]:
    """Return what a line says of a call, in the order of its fields."""
    call, price = usage.call, usage.stated_price
    return {
        "organizationId": call.organization_id,
        "callId": call.call_id,
        "organizerId": call.organizer_id,
        "meetingId": call.meeting_id,
        "meetingType": call.meeting_type,
        "legType": call.leg_type,
        "serviceNumber": call.service_number,
        "remoteNumber": call.remote_number,
        "answeredAt": instant_text(call.answered_at),
        "endedAt": format_instant(call.ended_at),
        "billableSeconds": call.billable_seconds,
        "connectedSeconds": call.connected_seconds,
        "authorizedAt": instant_text(usage.authorized_at),
        "outcome": usage.outcome,
        "reason": usage.reason,
        "flags": list(usage.flags),
        "rateCardVersion": price.rate_card_version,
        "prefix": price.prefix,
        "country": price.country,
        "currency": price.currency,
        "connectionFee": money_text(price.connection_fee_micros),
        "initialIncrementSeconds": price.initial_increment_seconds,
        "steps": [
            {
                "fromSecond": step.from_second,
                "ratePerMinute": format_micros(step.rate_micros_per_minute),
                "incrementSeconds": step.increment_seconds,
            }
            for step in price.steps
        ],
        "billedSeconds": price.billed_seconds,
        "retailCost": money_text(price.retail_micros),
        "poolMinutes": usage.pool_minutes,
        "charge": format_micros(usage.charge_micros),
        "lots": [
            {"purchaseId": share.purchase_id, "amount": format_micros(share.amount_micros)}
            for share in usage.lots
        ],
        # As in an explanation: negative if credit paid.
        "movements": [
            {"entryId": moved.entry_id, "amount": format_micros(-moved.amount_micros)}
            for moved in usage.movements
        ],
    }


def erased(line: Mapping[str, Any], pseudonym: str) -> dict[str, Any]:
    """Return a line without organizer, meeting and number, and with all that the call cost."""
    number = kept_number(line["remoteNumber"], LegType(line["legType"]), line["prefix"])
    return {**line, "organizerId": pseudonym, "meetingId": ERASED, "remoteNumber": number}


def write_lines(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """Write lines; whatever an id contains, they are ASCII."""
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


def read_lines(content: bytes) -> list[dict[str, Any]]:
    """Read what `write_lines` wrote. Raises `ValueError`."""
    return list(map(json.loads, content.splitlines()))
