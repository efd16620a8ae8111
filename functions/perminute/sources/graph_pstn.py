"""Source `graph-pstn`: pages of Microsoft Graph's `getPstnCalls`, as they were saved.

The rows are `pstnCallLogRow` (learn.microsoft.com/graph/api/callrecords-callrecord-getpstncalls).
The admin center's export has the same records under other names: `teams_csv`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.sources import values
from perminute.sources.json_files import json_documents
from perminute.sources.numbers import clean_number
from perminute.sources.outcomes import ProblemReason, Rejected, SkipReason, problem, skip
from perminute.sources.stated_call import Source, StatedCall, read_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.sources.stated_call import InputFile, Reading, SourceOptions


class Columns(NamedTuple):
    """The names of a row's fields."""

    call_id: str
    call_type: str
    user_id: str
    user_name: str
    caller: str
    called: str
    start: str
    end: str
    duration: str
    conference_id: str


_COLUMNS = Columns(
    # Not `callId`, which is not unique.
    call_id="id",
    call_type="callType",
    user_id="userId",
    user_name="userPrincipalName",
    caller="callerNumber",
    called="calleeNumber",
    start="startDateTime",
    end="endDateTime",
    duration="duration",
    conference_id="conferenceId",
)
_INCOMING, _OUTGOING = "conf_in", "conf_out"
_SKIPPED = {
    "user_in": SkipReason.USER_CALL,
    "user_out": SkipReason.USER_CALL,
    "user_out_conf": SkipReason.USER_CALL,
    "user_out_transfer": SkipReason.USER_CALL,
    "user_out_forwarding": SkipReason.USER_CALL,
    "ucap_in": SkipReason.BOT_CALL,
    "ucap_out": SkipReason.BOT_CALL,
}
_DIRECT_ROUTING = "dr_"  # calls over the customer's own trunk are in another report


def _read(file: InputFile, options: SourceOptions) -> Iterator[Reading]:
    return read_each(json_documents(file, "value"), partial(read_row, _COLUMNS, options))


def read_row(columns: Columns, options: SourceOptions, row: Mapping[str, Any]) -> StatedCall:
    """Return what a row states. Raises `Rejected`."""
    call_id = values.required(row, columns.call_id)
    is_dial_out = _is_dial_out(row, columns.call_type)
    caller = clean_number(values.text(row, columns.caller))
    called = clean_number(values.text(row, columns.called))
    user_id = values.identifier(row, columns.user_id)
    user_name = values.identifier(row, columns.user_name)
    conference_id = values.identifier(row, columns.conference_id)
    if is_dial_out is None:
        known = f"must be {_INCOMING} or {_OUTGOING}, or a type of calls outside of conferences"
        raise problem(ProblemReason.UNKNOWN_CALL_TYPE, f"{columns.call_type}: {known}")
    start = values.instant(row, columns.start, options.timezone)
    end = values.instant(row, columns.end, options.timezone)
    duration = values.seconds(row, columns.duration)
    return StatedCall(
        call_id=call_id,
        is_dial_out=is_dial_out,
        service_number=caller if is_dial_out else called,
        remote_number=called if is_dial_out else caller,
        # The start is that of the connection, so of a call that never connected it is no answer.
        answered_at=start if duration else None,
        ended_at=end,
        billable_seconds=duration,
        tenant=options.tenant,
        users=tuple(filter(None, (user_id, user_name))),
        user_is_organizer=user_id is not None,
        conference_id=conference_id,
    )


def call_id_of(row: object) -> str | None:
    """Return the id of a row's call, also of one that is a problem; None if it has none."""
    if not isinstance(row, dict):
        return None
    try:
        return values.identifier(row, _COLUMNS.call_id)
    except Rejected:
        return None


def _is_dial_out(row: Mapping[str, Any], name: str) -> bool | None:
    """Return whether it is one of a conference; None of an unknown type. Raises `Rejected`."""
    call_type = (values.text(row, name) or "").casefold()
    if call_type in {_INCOMING, _OUTGOING}:
        return call_type == _OUTGOING
    reason = SkipReason.USER_CALL if call_type.startswith(_DIRECT_ROUTING) else None
    reason = reason or _SKIPPED.get(call_type)
    if reason is None:
        return None
    raise skip(reason)


GRAPH_PSTN = Source(
    "graph-pstn",
    _read,
    partial(values.charge, name="charge", currency_name="currency"),
    charges_by_rate_card=False,
)
