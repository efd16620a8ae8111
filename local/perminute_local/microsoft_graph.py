"""`perminute graph`: users of Microsoft Graph as events for what a stack has not recorded yet.

Graph says what a user has, not what changed. So a user of an export, a delta query or a change
notification is compared with the user's timeline, and the differences become events
(docs/events.md) that take effect when Graph was asked. Once they are applied, comparing the same
user again returns none.

A license of ours is a service plan, which any number of products include: more than a list of them
can name. So `assignedPlans` counts; the products say which of them includes a plan, and count alone
only where no plans were sent.

Microsoft Graph docs: user resource (`assignedLicenses`, `assignedPlans`, `usageLocation`),
assignedLicense (`skuId`, `disabledPlans`), assignedPlan (`servicePlanId`, `capabilityStatus`),
delta query (`@removed`), changeNotification (`changeType`, `resourceData`).
"""

from __future__ import annotations

import json
import sys
import uuid
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import COUNTRY, license_attribute
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.reference.countries import check_country
from perminute.domain.reference.licenses import (
    OUR_NAMES,
    PRODUCTS,
    SERVICE_PLANS,
    product_with_guid,
)
from perminute.domain.values.identifiers import read_id
from perminute.domain.values.times import format_instant
from perminute_local.admin.foresee import read_licensing
from perminute_local.deployment import calling_aws, deployed_tables
from perminute_local.sending import lines_of_not_sent, sender_to
from perminute_local.terminal import remark, write_json
from perminute_local.user_input import read_text
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path


_NAMES = uuid.UUID("4d1f0f8a-7c39-5d8e-8a55-2b9f1c6e0d37")
"""The namespace of the ids of these events: any constant would do, but it must never change."""

SELECT = "id,assignedLicenses,assignedPlans,usageLocation"
"""The fields to ask Graph for; it sends `assignedPlans` only if asked."""

_USERS = f"/users?$select={SELECT}"
_CALL_RECORDS = (
    "these are call records, not users. Calls are charged by `Call Ended` events "
    f"(docs/events.md); for users ask Graph for {_USERS}"
)
# Fields of Graph's call records, and of the rows of its call logs, that no user has.
_OF_CALL_RECORDS = frozenset({"startDateTime", "callType", "callId", "correlationId"})

_SAYS_SOMETHING = {"assigned_licenses", "assigned_plans", "usage_location"}

# A subscription that was not renewed still works in the state `Warning`.
_IN_USE = frozenset({"enabled", "warning"})

# The product of each plan that a user has by an unknown product.
_STANDALONE = {SERVICE_PLANS[product]: product for product in OUR_NAMES.values()}

Event = dict[str, Any]


class _GraphModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


class AssignedLicense(_GraphModel):
    """A product that is assigned to a user, and the service plans in it that are disabled."""

    sku_id: str
    disabled_plans: tuple[str, ...] = ()

    @property
    def product(self) -> str | None:
        """The part number, if the product brings a license and its plan is not disabled."""
        product = product_with_guid(self.sku_id)
        disabled = {plan.lower() for plan in self.disabled_plans}
        return None if product is None or SERVICE_PLANS[product] in disabled else product


class AssignedPlan(_GraphModel):
    """A service plan that a user has, by whichever product."""

    service_plan_id: str
    capability_status: str = "Enabled"

    @property
    def works(self) -> bool:
        """Whether the user may use it."""
        return self.capability_status.lower() in _IN_USE


class GraphUser(_GraphModel):
    """The licenses and country of a user; a part that was not sent stays as it is."""

    # Timelines are found by the spelling in which events store it.
    id: Annotated[str, AfterValidator(read_id)] = Field(min_length=1)
    assigned_licenses: tuple[AssignedLicense, ...] | None = None
    assigned_plans: tuple[AssignedPlan, ...] | None = None
    usage_location: str | None = None
    removed: bool = False

    def products(self, known: frozenset[str] = frozenset()) -> frozenset[str] | None:
        """Return the products that the user holds; None if no licenses were sent.

        The `known` products of the user name a plan's product where Graph does not.
        """
        if self.removed:
            return frozenset()
        assigned = [license_.product for license_ in self.assigned_licenses or ()]
        sold = frozenset(product for product in assigned if product is not None)
        if self.assigned_plans is None:
            return None if self.assigned_licenses is None else sold
        named = known if self.assigned_licenses is None else sold
        works = {plan.service_plan_id.lower() for plan in self.assigned_plans if plan.works}
        held: set[str] = set()
        for plan_id in works & _STANDALONE.keys():
            by_product = {product for product in named if SERVICE_PLANS[product] == plan_id}
            held |= by_product or {_STANDALONE[plan_id]}
        return frozenset(held)


class Compared(NamedTuple):
    """The events for what differs of a user, and what no event can express."""

    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()


def read_users(content: str) -> list[GraphUser]:
    """Read users from what Graph sent: an object, a page, a list, notifications, or JSON lines.

    Raises `Refused` with the place in the file.
    """
    return [_user(place, said) for place, said in _objects(content)]


def next_pages(content: str) -> list[str]:
    """Return the links to the next pages in what Graph sent, which must be readable."""
    pages = (document for _, document in _documents(content) if isinstance(document, dict))
    links = (page.get("@odata.nextLink") for page in pages)
    return [link for link in links if isinstance(link, str)]


def compare(
    user: GraphUser, held: Timeline, *, organization_id: str, seen_at: datetime
) -> Compared:
    """Compare a user with the timeline at the instant when Graph was asked."""
    said: list[tuple[str, dict[str, str]]] = []
    known = frozenset(
        product
        for product in PRODUCTS
        if held.value_at(license_attribute(product), seen_at) is True
    )
    products = user.products(known)
    if products is not None:
        for product in PRODUCTS:
            if (product in known) != (product in products):
                name = "License Removed" if product in known else "License Assigned"
                said.append((name, {"license": product}))
    problem = None
    country = held.value_at(COUNTRY, seen_at)
    if user.usage_location and user.usage_location != country:
        problem = _not_a_country(user.usage_location)
        if problem is None:
            said.append(("User Changed", {"country": user.usage_location}))
    elif not user.usage_location and "usage_location" in user.model_fields_set and country:
        problem = f"usageLocation is empty, and {country} stays: no event takes a country away"
    events = tuple(_event(name, user, organization_id, seen_at, detail) for name, detail in said)
    return Compared(events, () if problem is None else (f"user {user.id}: {problem}",))


def _event(
    name: str, user: GraphUser, organization_id: str, seen_at: datetime, detail: dict[str, str]
) -> Event:
    at = format_instant(seen_at)
    identity = str(uuid.uuid5(_NAMES, json.dumps([organization_id, user.id, name, detail, at])))
    return {
        "id": identity,
        "source": "perminute.licensing",
        "detail-type": name,
        "time": at,
        "detail": {
            "schemaVersion": "1",
            "organizationId": organization_id,
            # A bus would give the event another id, and a time in whole seconds.
            "issuedAt": at,
            "changeId": identity,
            "userId": user.id,
            **detail,
            "effectiveAt": at,
        },
    }


def _not_a_country(code: str) -> str | None:
    try:
        check_country(code)
    except ValueError as error:
        return f"usageLocation {code!r} {error}"
    return None


def _objects(content: str) -> Iterator[tuple[str, object]]:
    for place, document in _documents(content):
        yield from _items(place, document)


def _documents(content: str) -> Iterator[tuple[str, object]]:
    if not content.strip():
        raise Refused("file", f"is empty; ask Graph for {_USERS}")
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise Refused("file", "is not JSON of users: its lists are too deep") from error
    except json.JSONDecodeError as whole:
        lines = [(n, line) for n, line in enumerate(content.splitlines(), 1) if line.strip()]
        if len(lines) < 2:  # noqa: PLR2004 - one line that is no JSON is no list of lines
            raise Refused("file", f"is not JSON: {whole}") from whole
        for number, line in lines:
            place = f"line {number}"
            try:
                document = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise Refused(place, f"is not JSON: {error}") from error
            yield place, document
    else:
        yield "", document


def _items(place: str, document: object) -> Iterator[tuple[str, object]]:
    if isinstance(document, dict):
        _check_is_of_users(place or "file", document)
        document = document["value"] if isinstance(document.get("value"), list) else document
    if not isinstance(document, list):
        yield place or "user", document
        return
    for number, one in enumerate(document, 1):
        yield f"{place} item {number}".strip(), one


def _check_is_of_users(place: str, document: Mapping[str, object]) -> None:
    if "callRecords" in str(document.get("@odata.context")):
        raise Refused(place, _CALL_RECORDS)
    match document:
        case {"error": {"code": code, "message": message}}:
            raise Refused(place, f"is an error that Graph answered, no users: {code}: {message}")


def _user(place: str, said: object) -> GraphUser:
    if not isinstance(said, dict):
        raise Refused(place, "must be a JSON object: a user, or a change notification")
    if _OF_CALL_RECORDS & said.keys():
        raise Refused(place, _CALL_RECORDS)
    if "detail-type" in said:
        raise Refused(place, f"is an event already, not a user; ask Graph for {_USERS}")
    removed = "@removed" in said
    if "changeType" in said:
        removed = said["changeType"] == "deleted"
        said = said.get("resourceData")
        if not isinstance(said, dict):
            field = f"{place} resourceData"
            raise Refused(field, "must be a JSON object: the user that the notification is about")
    try:
        user = GraphUser.model_validate({**said, "removed": removed})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = " ".join([place, ".".join(str(part) for part in fault["loc"])])
        raise Refused(field, fault["msg"].removeprefix("Value error, ").lower()) from None
    if not removed and not _SAYS_SOMETHING & user.model_fields_set:
        field = f"{place} assignedLicenses"
        raise Refused(
            field,
            "is missing, and so are assignedPlans and usageLocation: a notification names the user "
            f"only; ask Graph for /users/{user.id}?$select={SELECT} and give me that",
        )
    return user


def unknown_skus(users: Sequence[GraphUser]) -> frozenset[str]:
    """Return the unknown products of users, except of those whose plans were sent."""
    by_product = (user for user in users if user.assigned_plans is None)
    sku_ids = (one.sku_id for user in by_product for one in user.assigned_licenses or ())
    return frozenset(sku_id for sku_id in sku_ids if product_with_guid(sku_id) is None)


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
        events = [event for one in compared for event in one.events]
        not_sent: list[str] = []
        if send and stack_name:
            outcomes = sender_to(stack_name)(events)
            not_sent = list(lines_of_not_sent(events, outcomes))
    problems = [*(problem for one in compared for problem in one.problems), *not_sent]
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
    ignored = f"; {len(others)} other products bring no license that we know of" if others else ""
    remark(f"{len(users)} users compared, {events} events {done}{ignored}")
    if others:
        remark(
            "what a product brings is certain only with assignedPlans; ask Graph for "
            f"/users?$select={SELECT}"
        )
