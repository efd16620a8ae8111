"""Users as Microsoft Graph writes them: in exports, delta queries and change notifications.

Microsoft Graph docs: user resource, delta query (`@removed`), changeNotification (`changeType`,
`resourceData`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from perminute.domain.errors import Refused
from perminute.domain.licensing.graph_users import AssignedLicense, AssignedPlan, GraphUser
from perminute.domain.values.identifiers import read_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeVar

    T = TypeVar("T")

SELECT = "id,assignedLicenses,assignedPlans,usageLocation"
"""The fields to ask Graph for; it sends `assignedPlans` only if asked."""

DELTA_PLACE = f"/v1.0/users/delta?$select={SELECT},accountEnabled"
"""Where a delta query begins: all users, with the fields of which it then reports changes."""

_USERS = f"/users?$select={SELECT}"
_CALL_RECORDS = (
    "these are call records, not users. Calls are charged by `Call Ended` events "
    f"(docs/events.md); for users ask Graph for {_USERS}"
)
# Fields of Graph's call records, and of the rows of its call logs, that no user has.
_OF_CALL_RECORDS = frozenset({"startDateTime", "callType", "callId", "correlationId"})

_SAYS_SOMETHING = {"assignedLicenses", "assignedPlans", "usageLocation"}

_MISSING = "field required"
_NO_TEXT = "input should be a valid string"
_NO_UNICODE = "input should be a valid string, unable to parse raw data as a unicode string"


def read_users(content: str) -> list[GraphUser]:
    """Read users from what Graph sent: an object, a page, a list, notifications, or JSON lines.

    Raises `Refused` with the place in the file.
    """
    return [_user(place, said) for place, said in _objects(content)]


def read_delta_user(content: bytes) -> GraphUser:
    """Read an item of a page of a delta query, which may name a user of whom it says nothing else.

    Raises `Refused`; its message contains nothing of what was sent.
    """
    try:
        said = json.loads(content)
    # A number of thousands of digits is none for Python.
    except (ValueError, RecursionError) as error:
        raise Refused("user", "is not JSON") from error
    if not isinstance(said, dict):
        raise Refused("user", "must be a JSON object")
    return _read_user("user", said, removed="@removed" in said)


def next_pages(content: str) -> list[str]:
    """Return the links to the next pages in what Graph sent, which must be readable."""
    pages = (document for _, document in _documents(content) if isinstance(document, dict))
    links = (page.get("@odata.nextLink") for page in pages)
    return [link for link in links if isinstance(link, str)]


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
        if len(lines) < 2:  # noqa: PLR2004 - one line that is not JSON is no list of lines
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
    # An export need not say whether accounts are enabled, and its reader does not look at it.
    user = _read_user(place, {**said, "accountEnabled": None}, removed=removed)
    if not removed and not _SAYS_SOMETHING & said.keys():
        field = f"{place} assignedLicenses"
        raise Refused(
            field,
            "is missing, and so are assignedPlans and usageLocation: a notification names the user "
            f"only; ask Graph for /users/{user.id}?$select={SELECT} and give me that",
        )
    return user


def _read_user(place: str, said: Mapping[str, Any], *, removed: bool) -> GraphUser:
    read = _Fields(place)
    return GraphUser(
        id=read.user_id(said),
        assigned_licenses=read.each(said, "assignedLicenses", read.assigned_license),
        assigned_plans=read.each(said, "assignedPlans", read.assigned_plan),
        usage_location=read.location(said),
        account_enabled=read.account_enabled(said),
        removed=removed,
    )


class _Fields:
    """Reads the fields of a user, and refuses one by its place."""

    def __init__(self, place: str) -> None:
        self._place = place

    def user_id(self, said: Mapping[str, Any]) -> str:
        text = self._text(said, "id", "id")
        if not text:
            raise self._refused("id", "string should have at least 1 character")
        try:
            # A half of a surrogate pair, which JSON can say.
            text.encode()
        except UnicodeEncodeError:
            raise self._refused("id", _NO_UNICODE) from None
        try:
            return read_id(text)
        except ValueError as error:
            raise self._refused("id", str(error).lower()) from None

    def each(
        self, said: Mapping[str, Any], name: str, read: Callable[[object, str], T]
    ) -> tuple[T, ...] | None:
        listed = said.get(name)
        if listed is None:
            return None
        if not isinstance(listed, list):
            raise self._refused(name, "input should be a valid tuple")
        return tuple(read(item, f"{name}.{number}") for number, item in enumerate(listed))

    def assigned_license(self, item: object, where: str) -> AssignedLicense:
        fields = self._object(item, where, "assignedlicense")
        sku_id = self._text(fields, "skuId", f"{where}.skuId")
        if "disabledPlans" not in fields:
            return AssignedLicense(sku_id)
        plans, where = fields["disabledPlans"], f"{where}.disabledPlans"
        if not isinstance(plans, list):
            raise self._refused(where, "input should be a valid tuple")
        texts = (self._checked(plan, f"{where}.{number}") for number, plan in enumerate(plans))
        return AssignedLicense(sku_id, tuple(texts))

    def assigned_plan(self, item: object, where: str) -> AssignedPlan:
        fields = self._object(item, where, "assignedplan")
        plan_id = self._text(fields, "servicePlanId", f"{where}.servicePlanId")
        if "capabilityStatus" not in fields:
            return AssignedPlan(plan_id)
        status = self._text(fields, "capabilityStatus", f"{where}.capabilityStatus")
        return AssignedPlan(plan_id, status)

    def location(self, said: Mapping[str, Any]) -> str | None:
        if "usageLocation" not in said:
            return None
        location = said["usageLocation"]
        return "" if location is None else self._checked(location, "usageLocation")

    def account_enabled(self, said: Mapping[str, Any]) -> bool | None:
        enabled = said.get("accountEnabled")
        if enabled is None or isinstance(enabled, bool):
            return enabled
        raise self._refused("accountEnabled", "input should be a valid boolean")

    def _object(self, item: object, where: str, kind: str) -> Mapping[str, Any]:
        if isinstance(item, dict):
            return item
        msg = f"input should be a valid dictionary or instance of {kind}"
        raise self._refused(where, msg)

    def _text(self, fields: Mapping[str, Any], name: str, where: str) -> str:
        if name not in fields:
            raise self._refused(where, _MISSING)
        return self._checked(fields[name], where)

    def _checked(self, value: object, where: str) -> str:
        if not isinstance(value, str):
            raise self._refused(where, _NO_TEXT)
        return value

    def _refused(self, where: str, message: str) -> Refused:
        return Refused(f"{self._place} {where}", message)
