"""What `book_credit` and `apply_licensing` share: events that were processed before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.application.correlation import traceable
from perminute.application.results import Duplicate
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.values.printable import one_line
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from perminute.domain.credit.transaction import ProcessedEvent

_FIELDS = {
    IdentityKind.EVENT: "id",
    IdentityKind.CHANGE: "changeId",
    IdentityKind.PURCHASE: "purchaseId",
    IdentityKind.ADJUSTMENT: "adjustmentId",
    IdentityKind.RECHARGE: "rechargeId",
    IdentityKind.RECHARGE_FAILURE: "rechargeId",
}
_MAX_NAMED = 200
"""Characters of a `changeId` in the name of a re-rating: of four bytes each they leave room in a
sort key for a time. Where two names are the same the second event waits for the first re-rating."""

_FAILS_ONCE = {IdentityKind.RECHARGE, IdentityKind.RECHARGE_FAILURE}


def rerating_id(processed_event: ProcessedEvent) -> str:
    """Name the re-rating that an event calls for; the copies of one event call for one each."""
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
    """Tell a repeated event from one that uses a known identity for something else."""
    if processed_event.content == recorded.content:
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
