"""What a record states, before the directory adds what it does not; and what a source reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from perminute.sources.outcomes import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime, tzinfo

    from perminute.domain.comparison.record_comparison import OperatorCharge
    from perminute.domain.rating.calls import MeetingType
    from perminute.sources.outcomes import Problem, Skip


class StatedCall(NamedTuple):
    """A call as its record states it; None or empty where the record says nothing.

    Ids are as `values.identifier` returns them, numbers as `numbers.clean_number`.
    """

    call_id: str
    is_dial_out: bool
    service_number: str | None  # dialed by the attendee; of a dial-out the caller ID
    remote_number: str | None  # the attendee's
    answered_at: datetime | None  # None: never answered
    ended_at: datetime
    billable_seconds: int  # as the provider states them, started seconds; 0 if unanswered
    tenant: str | None = None  # the key of a row `tenant` of the directory
    room: str | None = None  # the key of a row `conference`
    users: tuple[str, ...] = ()  # keys of rows `user` that the record has for one person
    # Without a row, the first of `users` is the organizer.
    user_is_organizer: bool = False
    conference_id: str | None = None  # the meeting, if neither record nor room names one
    # What the record itself says, by parameters that were made for us.
    organization_id: str | None = None
    organizer_id: str | None = None
    meeting_id: str | None = None
    meeting_type: MeetingType | None = None


class InputFile(NamedTuple):
    """A file of records: its name, and its bytes, which can be read from any place."""

    name: str
    content: BinaryIO


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What records of a source do not say, and whoever reads them must."""

    tenant: str | None = None  # of records that name none
    timezone: tzinfo | None = None  # of times without an offset
    auth_token: str | None = None  # by which records are signed
    encoded_values: bool = True  # FreeSWITCH: the values of variables are URL-encoded


class Record(NamedTuple):
    """A piece of a file; with a fault if it could not be read as a record at all."""

    at: str
    content: Any
    fault: Skip | Problem | None = None


class Reading(NamedTuple):
    """What a source read from one record."""

    at: str
    record: object
    call: StatedCall | Skip | Problem


class Source(NamedTuple):
    """A source of call records."""

    name: str
    read: Callable[[InputFile, SourceOptions], Iterator[Reading]]
    # What the operator says that a record's call cost, where it says so.
    charge: Callable[[Mapping[str, Any]], OperatorCharge | None] | None = None
    # It knows nothing of licenses and minute pools: its prices are those of a rate card.
    charges_by_rate_card: bool = True


def read_each(records: Iterable[Record], read: Callable[[Any], StatedCall]) -> Iterator[Reading]:
    """Yield what `read` makes of each record; it raises `Rejected` for one that is no call."""
    for at, content, fault in records:
        try:
            call = fault or read(content)
        except Rejected as rejected:
            call = rejected.result
        yield Reading(at, content, call)
