"""Changes of users as events of licensing (docs/events.md)."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.licensing.graph_users import UserChange

_NAMES = uuid.UUID("4d1f0f8a-7c39-5d8e-8a55-2b9f1c6e0d37")
"""The namespace of the ids of these events: any constant would do, but it must never change."""


def licensing_event_of(change: UserChange, organization_id: str, at: datetime) -> dict[str, Any]:
    """Write a change that takes effect, and was found, at an instant; the same one has one id."""
    detail, found_at = {change.field: change.value}, format_instant(at)
    said = [organization_id, change.user_id, change.name, detail, found_at]
    identity = str(uuid.uuid5(_NAMES, json.dumps(said)))
    return {
        "id": identity,
        "source": "perminute.licensing",
        "detail-type": change.name,
        "time": found_at,
        "detail": {
            "schemaVersion": "1",
            "organizationId": organization_id,
            # A bus would give the event another id, and a time in whole seconds.
            "issuedAt": found_at,
            "changeId": identity,
            "userId": change.user_id,
            **detail,
            "effectiveAt": found_at,
        },
    }
