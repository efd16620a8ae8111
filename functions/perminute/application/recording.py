"""What `book_credit` and `apply_licensing` share: settling events against their receipts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.application.verdicts import Repeated
from perminute.domain.errors import Refused
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
_FAILS_ONCE = {ReceiptKind.RECHARGE, ReceiptKind.RECHARGE_FAILURE}


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
