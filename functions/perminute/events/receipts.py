"""What is kept of an event to know it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.ports import Receipt, ReceiptKey

if TYPE_CHECKING:
    from perminute.events.fields import Event
    from perminute.ports import ReceiptKind


def receipt_of(event: Event, kind: ReceiptKind, identity: str) -> Receipt:
    """Keep what the event said as canonical JSON: our field order, amounts and times in one form.

    The event's own id and time stay out: a producer that sends again may number anew.
    """
    stated = event.model_dump(by_alias=True, include={"detail_type", "detail"}, exclude_none=True)
    content = json.dumps({"detail-type": stated["detail-type"], **stated["detail"]})
    return Receipt(ReceiptKey(kind, stated["detail"]["organizationId"], identity), content)
