"""Source `freeswitch-json`: the channels of FreeSWITCH, as `mod_json_cdr` posts or writes them.

A body is a document of one channel, plain, URL-encoded or in base64 (`encode`); what could not be
posted is written to a file in the same form (mod_json_cdr.c of signalwire/freeswitch).
"""

from __future__ import annotations

import binascii
import io
from base64 import b64decode
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

from perminute.sources import values
from perminute.sources.json_files import MAX_DOCUMENT_BYTES, json_documents
from perminute.sources.numbers import clean_number
from perminute.sources.outcomes import ProblemReason, SkipReason, problem, skip
from perminute.sources.own_parameters import Names, own_parameters
from perminute.sources.stated_call import InputFile, Source, StatedCall, read_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from perminute.sources.stated_call import Reading, SourceOptions

_OURS = Names(
    organization_id="perminute_organization",
    organizer_id="perminute_organizer",
    meeting_id="perminute_meeting",
    meeting_type="perminute_meeting_type",
)
_SERVICE_NUMBER = "perminute_service_number"
_ROOM, _CONFERENCE = "conference_name", "conference_uuid"
# A channel has one of them from when it enters a conference, or by its dialplan.
_OF_CONFERENCES = (*_OURS, _SERVICE_NUMBER, _ROOM, _CONFERENCE, "conference_member_id")
_DIALED, _ANSWER, _END, _SECONDS = "sip_req_user", "answer_uepoch", "end_uepoch", "billsec"
_ID, _DIRECTION = "uuid", "direction"
_READ = (_ID, _DIRECTION, _DIALED, _ANSWER, _END, _SECONDS, *_OF_CONFERENCES)
_INBOUND, _OUTBOUND = "inbound", "outbound"


def _read(file: InputFile, options: SourceOptions) -> Iterator[Reading]:
    document = _decoded_body(file.content.read(MAX_DOCUMENT_BYTES + 1))
    documents = json_documents(InputFile(file.name, io.BytesIO(document)))
    return read_each(documents, partial(_read_channel, options))


def _decoded_body(body: bytes) -> bytes:
    """Return the JSON in a body; what cannot be decoded as it is, which is not JSON.

    Neither the type of its content nor the name of its file says how it is encoded.
    """
    encoded = body.strip().removeprefix(b"cdr=")
    if encoded[:3].upper() == b"%7B":
        return unquote_to_bytes(encoded)
    if encoded[:1] in {b"{", b"["}:
        return encoded
    # Base64 is not URL-encoded: what parsed it as a form made spaces of its plus signs.
    compact = encoded.translate(None, b"\r\n").replace(b" ", b"+")
    try:
        return b64decode(compact, validate=True)
    except binascii.Error:
        return body


def _read_channel(options: SourceOptions, document: Mapping[str, Any]) -> StatedCall:
    variables = values.nested(document, "variables")
    if options.encoded_values:
        # Of hundreds.
        variables = {name: _decoded(variables[name]) for name in _READ if name in variables}
    call_id = values.required(variables, _ID)
    if not any(values.text(variables, name) for name in _OF_CONFERENCES):
        raise skip(SkipReason.NOT_CONFERENCE)
    caller, called = _numbers(document)
    is_dial_out = _is_dial_out(document, variables)
    if not is_dial_out:
        called = _dialed_number(variables) or called
    own = own_parameters(variables, _OURS)
    ended_at = values.epoch(variables, _END, micros=1)
    billable_seconds = values.seconds(variables, _SECONDS)
    return StatedCall(
        call_id=call_id,
        is_dial_out=is_dial_out,
        service_number=caller if is_dial_out else called,
        remote_number=called if is_dial_out else caller,
        answered_at=_answered_at(variables, billable_seconds),
        ended_at=ended_at,
        billable_seconds=billable_seconds,
        tenant=options.tenant,
        room=values.identifier(variables, _ROOM),
        conference_id=values.identifier(variables, _CONFERENCE),
        **own,
    )


def _decoded(value: object) -> object:
    # Of a form, plus signs would be spaces; here they are those of phone numbers.
    if isinstance(value, str) and "%" in value:
        return unquote(value, errors="surrogateescape")
    return value


def _is_dial_out(document: Mapping[str, Any], variables: Mapping[str, Any]) -> bool:
    direction = values.text(variables, _DIRECTION)
    if direction is None and "channel_data" in document:
        direction = values.text(values.nested(document, "channel_data"), _DIRECTION)
    if direction not in {_INBOUND, _OUTBOUND}:
        message = f"{_DIRECTION}: must be {_INBOUND} or {_OUTBOUND}"
        raise problem(ProblemReason.UNKNOWN_CALL_TYPE, message)
    return direction == _OUTBOUND


def _numbers(document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return who called, and what was dialed: each transfer adds a profile before the others."""
    callflow = document.get("callflow")
    profiles = callflow if isinstance(callflow, list) else []
    oldest = profiles[-1] if profiles else None
    profile = oldest.get("caller_profile") if isinstance(oldest, dict) else None
    if not isinstance(profile, dict):
        return None, None
    return _number(profile, "caller_id_number"), _number(profile, "destination_number")


def _dialed_number(variables: Mapping[str, Any]) -> str | None:
    return _number(variables, _SERVICE_NUMBER) or _number(variables, _DIALED)


def _number(record: Mapping[str, Any], name: str) -> str | None:
    return clean_number(values.text(record, name), zeros_are_plus=True)


def _answered_at(variables: Mapping[str, Any], billable_seconds: int) -> datetime | None:
    # 0 stands for never.
    if values.text(variables, _ANSWER) not in {None, "0"}:
        return values.epoch(variables, _ANSWER, micros=1)
    if billable_seconds:
        message = f"{_ANSWER}: says that the call was not answered, and {_SECONDS} that it was"
        raise problem(ProblemReason.INVALID_TIME, message)
    return None


FREESWITCH_JSON = Source("freeswitch-json", _read)
