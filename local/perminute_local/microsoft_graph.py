"""`perminute graph`: users of Microsoft Graph as events for what a stack has not recorded yet.

Graph says what a user has, not what changed. So a user of an export, a delta query or a change
notification is compared with the user's timeline, and the differences become events
(docs/events.md) that take effect when Graph was asked. Once they are applied, comparing the same
user again returns none.

The function that pulls the users of a tenant reads and compares by the same code
(`domain.licensing.graph_users`).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import COUNTRY, license_attribute
from perminute.domain.licensing.graph_users import (
    GraphUser,
    country_change,
    country_problem,
    license_changes,
    unknown_skus,
)
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.reference.licenses import PRODUCTS
from perminute.domain.values.printable import counted
from perminute.formats.graph_users import SELECT, next_pages, read_users
from perminute.formats.licensing_events import licensing_event_of
from perminute_local.admin.foresee import read_licensing
from perminute_local.deployment import calling_aws, deployed_tables
from perminute_local.sending import lines_of_not_sent, sender_to
from perminute_local.terminal import remark, write_json
from perminute_local.user_input import read_text
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

__all__ = [
    "Compared",
    "GraphUser",
    "compare",
    "next_pages",
    "read_users",
    "run_graph",
    "unknown_skus",
]

Event = dict[str, Any]


class Compared(NamedTuple):
    """The events for what differs of a user, and what no event can express."""

    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()


def compare(
    user: GraphUser, held: Timeline, *, organization_id: str, seen_at: datetime
) -> Compared:
    """Compare a user with the timeline at the instant when Graph was asked."""
    known = frozenset(
        product
        for product in PRODUCTS
        if held.value_at(license_attribute(product), seen_at) is True
    )
    products = user.products(known)
    changes = [] if products is None else list(license_changes(user.id, known, products))
    recorded = held.value_at(COUNTRY, seen_at)
    country = recorded if isinstance(recorded, str) else None
    problem = country_problem(user, country)
    if problem is None and user.usage_location and user.usage_location != country:
        changes.append(country_change(user.id, user.usage_location))
    events = tuple(licensing_event_of(change, organization_id, seen_at) for change in changes)
    return Compared(events, () if problem is None else (problem,))


def run_graph(  # noqa: PLR0913 - what the command has options for
    file: Path,
    *,
    organization_id: str,
    stack_name: str | None,
    seen_at: datetime,
    send: bool,
    as_json: bool = False,
) -> int:
    """Write the events, one a line, or send them to the stack's bus.

    Without a stack nothing is held: then everything that Graph says is news. Returns 1 if something
    cannot be said by an event, or was not sent.
    """
    try:
        content = read_text(file)
        users = read_users(content)
    except Refused as error:
        msg = f"{file}: {error.message if error.field == 'file' else error}"
        raise WrongFile(msg) from error
    with calling_aws(stack_name or "AWS"):
        held = _held(stack_name, organization_id, users) if stack_name else {}
        compared = [
            compare(
                user,
                held.get(user.id, Timeline()),
                organization_id=organization_id,
                seen_at=seen_at,
            )
            for user in users
        ]
        events = [event for comparison in compared for event in comparison.events]
        not_sent: list[str] = []
        if send and stack_name:
            outcomes = sender_to(stack_name)(events)
            not_sent = list(lines_of_not_sent(events, outcomes))
    problems = [*(problem for comparison in compared for problem in comparison.problems), *not_sent]
    if as_json:
        document = {"events": events, "problems": problems, "nextPages": next_pages(content)}
        write_json({"users": len(users), "sent": send and not not_sent, **document})
    elif not send:
        sys.stdout.writelines(json.dumps(event) + "\n" for event in events)
    for problem in problems:
        remark(problem)
    _tell(users, len(events) - len(not_sent), sent=send)
    for link in next_pages(content):
        remark(f"{file}: the page has a next one, which was not compared: {link}")
    return 1 if problems else 0


def _held(
    stack_name: str, organization_id: str, users: Sequence[GraphUser]
) -> Mapping[str, Timeline]:
    store = DynamoDBLicensingStore(Tables.bind(connect(), deployed_tables(stack_name)))
    return read_licensing(store, organization_id, [user.id for user in users]).users


def _tell(users: Sequence[GraphUser], events: int, *, sent: bool) -> None:
    others = unknown_skus(users)
    done = "sent" if sent else "written"
    products = counted(len(others), "other product brings", "other products bring")
    ignored = f"; {products} no license that we know of" if others else ""
    remark(f"{counted(len(users), 'user')} compared, {counted(events, 'event')} {done}{ignored}")
    if others:
        remark(
            "what a product brings is certain only with assignedPlans; ask Graph for "
            f"/users?$select={SELECT}"
        )
