"""What `book_credit` and `apply_licensing` share: settling events against their receipts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.application.correlation import traceable
from perminute.application.verdicts import Repeated
from perminute.domain.errors import Refused
from perminute.domain.printable import one_line
from perminute.domain.times import format_instant
from perminute.ports import ReceiptKind

if TYPE_CHECKING:
    from perminute.ports import Receipt

_FIELDS = {
    ReceiptKind.EVENT: "id",
    ReceiptKind.CHANGE: "changeId",
    ReceiptKind.PURCHASE: "purchaseId",
    ReceiptKind.ADJUSTMENT: "adjustmentId",
    ReceiptKind.RECHARGE: "rechargeId",
    ReceiptKind.RECHARGE_FAILURE: "rechargeId",
}
_MAX_NAMED = 200
"""Characters of a `changeId` in the name of a re-rating: of four bytes each they leave room in a
sort key for a time. Where two names are the same the second event waits for the first re-rating."""

_FAILS_ONCE = {ReceiptKind.RECHARGE, ReceiptKind.RECHARGE_FAILURE}


def rerating_id(receipt: Receipt) -> str:
    """Name the re-rating that an event calls for; the copies of one event call for one each."""
    key = receipt.key
    if receipt.issued_at is None:
        return f"{key.kind}#{key.id}"
    return f"{key.kind}#{key.id[:_MAX_NAMED]}#{format_instant(receipt.issued_at)}"


def names_in_log(event_id: str, receipt: Receipt) -> dict[str, str]:
    """Return the ids by which an event is found in the log: its own, and its identity."""
    key = receipt.key
    identity = {} if key.kind is ReceiptKind.EVENT else {_FIELDS[key.kind]: one_line(key.id)}
    return {"eventId": traceable(event_id), **identity}


def against_receipt(receipt: Receipt, recorded: Receipt) -> Repeated | Refused:
    """Tell a repeated event from one that uses a known identity for something else."""
    if receipt.content == recorded.content:
        return Repeated()
    ours, theirs = json.loads(receipt.content), json.loads(recorded.content)
    differing = ", ".join(
        sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    )
    remedy = (
        "a recharge has one outcome"
        if receipt.key.kind in _FAILS_ONCE
        else "send the new facts under an identity of their own"
    )
    return Refused(
        _FIELDS[receipt.key.kind],
        f"conflict: {receipt.key.id} is recorded with another {differing}; the record stands, "
        f"{remedy}",
    )
