"""What is kept of an event to know it again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent

if TYPE_CHECKING:
    from perminute.events.fields import Event, IssuedDetail


def processed_event_of(event: Event, kind: IdentityKind, identity: str) -> ProcessedEvent:
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
    return ProcessedEvent(
        EventIdentity(kind, stated["detail"]["organizationId"], identity), content
    )


def processed_change_of(event: Event, detail: IssuedDetail) -> ProcessedEvent:
    """Keep what an event said under its `changeId`; or under its event id, if it has none."""
    if detail.change_id is None:
        return processed_event_of(event, IdentityKind.EVENT, event.id)
    processed_event = processed_event_of(event, IdentityKind.CHANGE, detail.change_id)
    return (
        replace(processed_event, issued_at=event.time)
        if detail.issued_at is None
        else processed_event
    )
