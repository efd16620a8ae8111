"""What is kept of an event to know it again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.ports import Receipt, ReceiptKey, ReceiptKind

if TYPE_CHECKING:
    from perminute.events.fields import Event, IssuedDetail


def receipt_of(event: Event, kind: ReceiptKind, identity: str) -> Receipt:
    """Keep what the event said as canonical JSON: our field order, amounts and times in one form.

    The event's own id and time stay out, and its `changeId`: a producer that sends again may number
    anew. `issuedAt` stays in, since it decides what holds.
    """
    stated = event.model_dump(
        by_alias=True,
        include={"detail_type", "detail"},
        exclude={"detail": {"change_id"}},
        exclude_none=True,
    )
    content = json.dumps({"detail-type": stated["detail-type"], **stated["detail"]})
    return Receipt(ReceiptKey(kind, stated["detail"]["organizationId"], identity), content)


def receipt_of_change(event: Event, detail: IssuedDetail) -> Receipt:
    """Keep what an event said under its `changeId`; or under its event id, if it has none."""
    if detail.change_id is None:
        return receipt_of(event, ReceiptKind.EVENT, event.id)
    receipt = receipt_of(event, ReceiptKind.CHANGE, detail.change_id)
    return replace(receipt, issued_at=event.time) if detail.issued_at is None else receipt
