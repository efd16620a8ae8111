"""Messages of a daily run to itself: a page of organizations to list, or one to do."""

from __future__ import annotations

import json

from perminute.domain.errors import Refused
from perminute.domain.values.printable import one_line
from perminute.domain.values.times import parse_instant
from perminute.ports import RunOrganization, RunPage


def work_of(body: str) -> RunPage | RunOrganization:
    """Read a message of `SQSWork`; `Refused` if it is none."""
    try:
        message = json.loads(body)
        at, organization_id = parse_instant(message["at"]), message.get("organizationId")
        days_until = parse_instant(message["daysUntil"]) if "daysUntil" in message else None
        if organization_id is None:
            after, listed = message["after"], int(message["listed"])
            return RunPage(at, after if after is None else str(after), listed, days_until)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused("at", f"the message cannot be read: {error!r}") from error
    if not isinstance(organization_id, str) or not organization_id:
        raise Refused("organizationId", "must be the name of an organization")
    return RunOrganization(at, organization_id, days_until)


def names_of(work: RunPage | RunOrganization) -> dict[str, str]:
    """Return what a piece of work is found by in the log."""
    match work:
        case RunPage():
            return {} if work.after is None else {"after": one_line(work.after)}
        case RunOrganization():
            return {"organizationId": one_line(work.organization_id)}
