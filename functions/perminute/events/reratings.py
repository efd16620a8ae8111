"""Messages between our own functions: which organization has something waiting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.application.rerate_calls import ReratingRequest
from perminute.domain.errors import Refused
from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from datetime import datetime


def rerating_request_of(body: str, sent_at: datetime | None) -> ReratingRequest:
    """Read a message of `SQSReratingQueue`. Raises `Refused`."""
    try:
        message = json.loads(body)
        organization_id, at = message["organizationId"], message.get("at")
        heard_at = sent_at if at is None else parse_instant(at)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused("organizationId", f"cannot be read: {error!r}") from error
    if not isinstance(organization_id, str) or not organization_id:
        raise Refused("organizationId", "must be the name of an organization")
    return ReratingRequest(organization_id, heard_at)
