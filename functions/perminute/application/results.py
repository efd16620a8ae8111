"""The result of processing an event: a failure is not raised, but returned for its delivery."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from perminute.application.correlation import traceable
from perminute.domain.credit.transaction import ERASED_CONTENT, IdentityKind, ProcessedEvent
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.rating.call_content import differing_content
from perminute.domain.values.printable import one_line
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.privacy import ContentKeys

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Accepted(Generic[T]):
    """The event took effect, with this result."""

    result: T


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The event had taken effect before; nothing changed."""


# A `Refused` event will never be processed; after `Unavailable` it is delivered again.
Result = Accepted[T] | Duplicate | Refused | Unavailable

_FIELDS = {
    IdentityKind.EVENT: "id",
    IdentityKind.CHANGE: "changeId",
    IdentityKind.PURCHASE: "purchaseId",
    IdentityKind.ADJUSTMENT: "adjustmentId",
    IdentityKind.RECHARGE: "rechargeId",
    IdentityKind.RECHARGE_FAILURE: "rechargeId",
    IdentityKind.RECORDS_COMPARED: "day",
    IdentityKind.STATEMENT_READY: "month",
}
# Characters of a `changeId` in the name of a re-rating: of four bytes each they leave room in a
# sort key for a time. Where two names are the same the second event waits for the first re-rating.
_MAX_NAMED = 200

_FAILS_ONCE = {IdentityKind.RECHARGE, IdentityKind.RECHARGE_FAILURE}


def rerating_id(processed_event: ProcessedEvent) -> str:
    """Return the id of the re-rating that an event requires: each copy of an event has its own."""
    key = processed_event.key
    if processed_event.issued_at is None:
        return f"{key.kind}#{key.id}"
    return f"{key.kind}#{key.id[:_MAX_NAMED]}#{format_instant(processed_event.issued_at)}"


def names_in_log(event_id: str, processed_event: ProcessedEvent) -> dict[str, str]:
    """Return the ids by which an event is found in the log: its own, and its identity."""
    key = processed_event.key
    identity = {} if key.kind is IdentityKind.EVENT else {_FIELDS[key.kind]: one_line(key.id)}
    return {"eventId": traceable(event_id), **identity}


def against_processed_event(
    processed_event: ProcessedEvent, recorded: ProcessedEvent
) -> Duplicate | Refused:
    """Return `Duplicate` if the recorded event is the same, and else the conflict."""
    if recorded.content in (processed_event.content, ERASED_CONTENT):
        return Duplicate()
    ours, theirs = json.loads(processed_event.content), json.loads(recorded.content)
    differing = ", ".join(
        sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    )
    remedy = (
        "a recharge has one outcome"
        if processed_event.key.kind in _FAILS_ONCE
        else "send the new facts under an identity of their own"
    )
    return Refused(
        _FIELDS[processed_event.key.kind],
        f"conflict: {processed_event.key.id} is recorded with another "
        f"{differing}; the record stands, {remedy}",
    )


def against_recorded_call(
    call: Call, recorded: Usage, keys: ContentKeys | None = None
) -> Duplicate | Refused | Unavailable:
    """Return `Duplicate` if the recorded call is the same, and else the conflict.

    A call whose number is masked is compared by the key of its organization; without `keys`, as far
    as it is not masked.
    """
    is_masked = recorded.content_digest is not None and not recorded.is_erased
    try:
        key = keys.find(call.organization_id) if keys is not None and is_masked else None
    except Unavailable as error:
        return error
    names = differing_content(call, recorded, key)
    if not names:
        return Duplicate()
    differing = ", ".join(map(_camel, names))
    return Refused(
        "callId",
        f"conflict: call {call.call_id} of {call.organization_id} is recorded with another "
        f"{differing}; the record stands, send a correction as a credit adjustment",
    )


def _camel(name: str) -> str:
    # What telephony calls the field; the digits below the microsecond have none of their own.
    if name == "exact_seconds":
        return "time below the microsecond"
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
