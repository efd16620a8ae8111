"""Messages between our own functions: whose calls are to be looked at again."""

from __future__ import annotations

import json

from perminute.domain.errors import Refused


def organization_to_wake(body: str) -> str:
    """Read a message of `SQSWakeups`; `Refused` if it is none."""
    try:
        organization_id = json.loads(body)["organizationId"]
    except (ValueError, TypeError, KeyError) as error:
        raise Refused("organizationId", f"cannot be read: {error!r}") from error
    if not isinstance(organization_id, str) or not organization_id:
        raise Refused("organizationId", "must be the name of an organization")
    return organization_id
