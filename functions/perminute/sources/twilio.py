"""Sources `twilio-callback`, `twilio-call`, `twilio-event-stream`: the calls of Twilio.

Status callbacks as they were posted (www.twilio.com/docs/voice/twiml, status callback parameters),
pages of the Call resource, and events of Event Streams, which contain status callbacks.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.sources import values
from perminute.sources.json_files import json_documents, json_lines
from perminute.sources.numbers import clean_number
from perminute.sources.outcomes import ProblemReason, SkipReason, problem, skip
from perminute.sources.own_parameters import own_parameters, query_pairs
from perminute.sources.stated_call import Source, StatedCall, read_each
from perminute.sources.twilio_signature import is_signed, query_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from perminute.sources.stated_call import InputFile, Reading, SourceOptions


class _Fields(NamedTuple):
    call_id: str
    account: str
    caller: str
    called: str
    direction: str
    status: str
    ended_at: tuple[str, ...]  # the first that is not empty
    seconds: str


class _EndedLeg(NamedTuple):
    call_id: str
    direction: str
    caller: str | None
    called: str | None
    is_completed: bool


_OF_CALLBACK = _Fields(
    call_id="CallSid",
    account="AccountSid",
    caller="From",
    called="To",
    direction="Direction",
    status="CallStatus",
    ended_at=("Timestamp",),
    # Not `Duration`, which is the number of started minutes.
    seconds="CallDuration",
)
_OF_RESOURCE = _Fields(
    call_id="sid",
    account="account_sid",
    caller="from",
    called="to",
    direction="direction",
    status="status",
    ended_at=("end_time", "date_updated"),
    seconds="duration",
)
_COMPLETED = "completed"
_ENDED = frozenset({_COMPLETED, "busy", "failed", "no-answer", "canceled"})
_INBOUND, _OUTBOUND = "inbound", "outbound-api"
_OF_CALLS = ".status-callback.call."
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RFC_2822 = re.compile(
    rf"(?:[A-Z][a-z]{{2}}, )?([0-9]{{1,2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}}) "
    r"([0-9]{2}:[0-9]{2}:[0-9]{2}) ([+-][0-9]{2})([0-9]{2})",
    re.ASCII,
)


def _read_requests(file: InputFile, options: SourceOptions) -> Iterator[Reading]:
    return read_each(json_lines(file), partial(_read_request, options))


def _read_request(options: SourceOptions, request: Mapping[str, Any]) -> StatedCall:
    url, body = values.text(request, "url") or "", values.text(request, "body") or ""
    query = query_of(url)
    is_get = (values.text(request, "method") or "").casefold() == "get"
    form = query if is_get else dict(query_pairs(body))
    leg = _ended_leg(_OF_CALLBACK, form)
    if options.auth_token is not None:
        _check_signature(options.auth_token, request, url, body.encode())
    return _stated_call(_OF_CALLBACK, options, form, leg, query)


def _check_signature(auth_token: str, request: Mapping[str, Any], url: str, body: bytes) -> None:
    sent = request.get("headers")
    headers = {name.casefold(): sent[name] for name in sent} if isinstance(sent, dict) else {}
    signature = values.text(headers, "x-twilio-signature") or ""
    if not is_signed(signature, auth_token, url, body):
        message = (
            "X-Twilio-Signature is not that of the request: check the auth token of the account, "
            "and that `url` is the one that Twilio called"
        )
        raise problem(ProblemReason.INVALID_SIGNATURE, message)


def _read_events(file: InputFile, options: SourceOptions) -> Iterator[Reading]:
    return read_each(json_documents(file), partial(_read_event, options))


def _read_event(options: SourceOptions, event: Mapping[str, Any]) -> StatedCall:
    if _OF_CALLS not in values.required(event, "type"):
        raise skip(SkipReason.NOT_A_CALL_RECORD, "type: is not a status callback of a call")
    request = values.nested(values.nested(event, "data"), "request")
    form = values.nested(request, "parameters")
    leg = _ended_leg(_OF_CALLBACK, form)
    query = query_of(values.text(request, "url") or "")
    return _stated_call(_OF_CALLBACK, options, form, leg, query)


def _read_page(file: InputFile, options: SourceOptions) -> Iterator[Reading]:
    return read_each(json_documents(file, "calls"), partial(_read_resource, options))


def _read_resource(options: SourceOptions, call: Mapping[str, Any]) -> StatedCall:
    leg = _ended_leg(_OF_RESOURCE, call)
    # The resource has nothing of the callback's query.
    return _stated_call(_OF_RESOURCE, options, call, leg, {})


def _ended_leg(fields: _Fields, call: Mapping[str, Any]) -> _EndedLeg:
    """Return what a record is of. Raises `Rejected` for what is skipped by design."""
    call_id = values.required(call, fields.call_id)
    # What happens in a conference, and answering machine detection, name calls without a status.
    status = values.required(call, fields.status).casefold()
    direction = (values.text(call, fields.direction) or "").casefold()
    if direction == "outbound-dial":
        # <Dial> connects two phones. Participants of a conference are outbound-api.
        raise skip(SkipReason.NOT_CONFERENCE)
    if direction.startswith("trunking-"):
        raise skip(SkipReason.TRUNK_LEG)
    caller = clean_number(values.text(call, fields.caller))
    called = clean_number(values.text(call, fields.called))
    if status not in _ENDED:
        raise skip(SkipReason.NOT_ENDED)
    return _EndedLeg(call_id, direction, caller, called, status == _COMPLETED)


def _stated_call(
    fields: _Fields,
    options: SourceOptions,
    call: Mapping[str, Any],
    leg: _EndedLeg,
    query: Mapping[str, str],
) -> StatedCall:
    if leg.direction not in {_INBOUND, _OUTBOUND}:
        message = f"{fields.direction}: must be {_INBOUND} or {_OUTBOUND}"
        raise problem(ProblemReason.UNKNOWN_CALL_TYPE, message)
    is_dial_out = leg.direction == _OUTBOUND
    own = own_parameters(query)
    ended_at = _ended_at(fields, call)
    seconds = values.seconds(call, fields.seconds) if leg.is_completed else 0
    return StatedCall(
        call_id=leg.call_id,
        is_dial_out=is_dial_out,
        service_number=leg.caller if is_dial_out else leg.called,
        remote_number=leg.called if is_dial_out else leg.caller,
        # The start of a call may be that of its ringing.
        answered_at=ended_at - timedelta(seconds=seconds) if seconds else None,
        ended_at=ended_at,
        billable_seconds=seconds,
        tenant=values.identifier(call, fields.account) or options.tenant,
        **own,
    )


def _ended_at(fields: _Fields, call: Mapping[str, Any]) -> datetime:
    *others, last = fields.ended_at
    name = next((name for name in others if values.text(call, name)), last)
    match = _RFC_2822.fullmatch(values.text(call, name) or "")
    if match is None:
        return values.instant(call, name)
    day, month, year, time, hours, minutes = match.groups()
    date = f"{year}-{_MONTHS.index(month) + 1:02}-{day:0>2}"
    return values.instant({name: f"{date}T{time}{hours}:{minutes}"}, name)


TWILIO_CALLBACK = Source("twilio-callback", _read_requests)
TWILIO_CALL = Source(
    "twilio-call", _read_page, partial(values.charge, name="price", currency_name="price_unit")
)
TWILIO_EVENT_STREAM = Source("twilio-event-stream", _read_events)
