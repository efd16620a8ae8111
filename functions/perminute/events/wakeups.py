"""Messages between our own functions: whose calls are to be looked at again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.application.rerate_calls import Wakeup
from perminute.domain.errors import Refused
from perminute.domain.times import parse_instant

if TYPE_CHECKING:
    from datetime import datetime


def wakeup_of(body: str, sent_at: datetime | None) -> Wakeup:
    """Read a message of `SQSWakeups`, and when it was sent, if known; `Refused` if it is none."""
    try:
        message = json.loads(body)
        organization_id, at = message["organizationId"], message.get("at")
        heard_at = sent_at if at is None else parse_instant(at)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused("organizationId", f"cannot be read: {error!r}") from error
    if not isinstance(organization_id, str) or not organization_id:
        raise Refused("organizationId", "must be the name of an organization")
    return Wakeup(organization_id, heard_at)
