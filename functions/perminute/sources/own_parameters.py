"""What a record says by parameters that were made for perminute: in a query, or as variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict
from urllib.parse import unquote_plus

from perminute.domain.rating.calls import MeetingType
from perminute.sources import values
from perminute.sources.outcomes import ProblemReason, problem

if TYPE_CHECKING:
    from collections.abc import Mapping


class Names(NamedTuple):
    """What the parameters are called."""

    organization_id: str
    organizer_id: str
    meeting_id: str
    meeting_type: str


IN_QUERY = Names("organizationId", "organizerId", "meetingId", "meetingType")


class OwnParameters(TypedDict):
    """The fields of a `StatedCall` that they say; None where a parameter is absent."""

    organization_id: str | None
    organizer_id: str | None
    meeting_id: str | None
    meeting_type: MeetingType | None


_NOTHING: OwnParameters = {
    "organization_id": None,
    "organizer_id": None,
    "meeting_id": None,
    "meeting_type": None,
}


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Return the names and values of a query or a form, in its order; empty values as well.

    Bytes that are not UTF-8 become halves of surrogate pairs, which no id may have.
    """
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _decoded(text: str) -> str:
    # `parse_qsl` takes twice as long, of which most is for what has nothing to decode.
    if "+" in text or "%" in text:
        return unquote_plus(text, errors="surrogateescape")
    return text


def own_parameters(said: Mapping[str, Any], names: Names = IN_QUERY) -> OwnParameters:
    """Return what they say. Raises `Rejected`."""
    if not said:
        return _NOTHING
    return {
        "organization_id": _organization_id(said, names.organization_id),
        "organizer_id": values.identifier(said, names.organizer_id),
        "meeting_id": values.identifier(said, names.meeting_id),
        "meeting_type": _meeting_type(said, names.meeting_type),
    }


def _organization_id(said: Mapping[str, Any], name: str) -> str | None:
    values.identifier(said, name)  # checks its length
    # Ids of organizations have no second spelling.
    return values.text(said, name)


def _meeting_type(said: Mapping[str, Any], name: str) -> MeetingType | None:
    stated = values.text(said, name)
    try:
        return MeetingType(stated) if stated else None
    except ValueError:
        message = f"{name}: must be {' or '.join(MeetingType)}"
        raise problem(ProblemReason.UNKNOWN_CALL_TYPE, message) from None
