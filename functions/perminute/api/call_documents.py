"""Answers of the charging API about calls, and the cursors by which a list of them is paged."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from perminute.api.messages import CallDocument, CallsDocument
from perminute.domain.authorization.reservations import (
    Answer,
    Decision,
    Operation,
    Reservation,
    state_of,
)
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.values.times import format_instant, instant_text, parse_instant
from perminute.ports.stores import CallPlace

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.look_up_calls import CallsPage
    from perminute.domain.rating.usage_record import Usage

_CHECK_BYTES = 8
_NOTHING_GRANTED = Answer(sequence=0, decision=Decision.DENY, final_unit=True)


def call_document(call: Reservation | Usage, at: datetime) -> CallDocument:
    """Write what is known of a call at an instant, without any phone number.

    Once it has ended, its last request and answer are not known any more.
    """
    request, answer, authorized_at = None, _NOTHING_GRANTED, None
    if isinstance(call, Reservation):
        request, answer, authorized_at = call.last_request, call.answer, call.call.rated_at
        used_seconds = call.used_seconds
    else:
        authorized_at, used_seconds = call.authorized_at, call.call.connected_seconds
    is_report = request is not None and request.operation is not Operation.AUTHORIZE
    return CallDocument(
        call_id=call.call.call_id,
        state=state_of(call, at),
        sequence=request and request.sequence,
        operation=request and request.operation,
        requested_seconds=request and request.requested_seconds,
        used_seconds=request.used_seconds if request and is_report else None,
        total_used_seconds=used_seconds,
        granted_seconds=answer.granted_seconds,
        valid_until=instant_text(answer.valid_until),
        report_before=instant_text(answer.report_before),
        hang_up_after_seconds=answer.hang_up_after_seconds,
        final_unit=answer.final_unit,
        reason=answer.reason,
        limit=answer.limit,
        authorized_at=instant_text(authorized_at),
        organizer_id=call.call.organizer_id,
        leg_type=call.call.leg_type,
    )


def calls_document(organization_id: str, page: CallsPage, at: datetime) -> CallsDocument:
    """Write a page of calls under way."""
    return CallsDocument(
        calls=[call_document(call, at) for call in page.calls],
        next=page.next and cursor_of(organization_id, page.next),
    )


def cursor_of(organization_id: str, place: CallPlace) -> str:
    """Write a place in the list of an organization's calls, so that it survives a URL."""
    text = f"{format_instant(place.since)} {place.call_id}".encode()
    # A cursor that was cut short, or is another organization's, does not match this digest.
    digest = sha256(f"{organization_id}\n".encode() + text).digest()
    return urlsafe_b64encode(digest[:_CHECK_BYTES] + text).decode().rstrip("=")


def read_cursor(organization_id: str, cursor: str) -> CallPlace:
    """Read a place in the list of an organization's calls.

    Raises `Refused` for what this list has not answered with. It finds slips, not forgery: a place
    that somebody makes up is one among the calls of an organization that they may list anyway.
    """
    try:
        # Padding is not asked for: it would have to be escaped in a query.
        raw = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        since, _, call_id = raw[_CHECK_BYTES:].decode().partition(" ")
        place = CallPlace(parse_instant(since), call_id)
    except ValueError:
        place = None
    if (
        place is None
        or cursor != cursor_of(organization_id, place)
        or not 1 <= len(place.call_id) <= MAX_ID_LENGTH
    ):
        raise Refused(
            "cursor",
            "is none that the list of this organization's calls has answered with as next; leave "
            "it out to begin with the first page",
        )
    return place
