"""Source `zoom-telephone`: Zoom's report of audio conferencing, `GET /v2/report/telephone`."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from perminute.sources import values
from perminute.sources.json_files import json_documents
from perminute.sources.numbers import clean_number
from perminute.sources.outcomes import ProblemReason, problem
from perminute.sources.stated_call import Source, StatedCall, read_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.sources.stated_call import InputFile, Reading, SourceOptions

_CALL_OUT = "call-out"
_DIAL_INS = frozenset(
    {
        "call-in",
        "global toll-number",
        "premium",
        "premium call-in",
        "toll",
        "toll-free",
        "us toll-number",
    }
)
# A row has no id. These do not change, and no two legs have all of them in common.
_IDENTITY = ("uuid", "type", "phone_number", "signaled_number", "start_time", "end_time")


def _read(file: InputFile, options: SourceOptions) -> Iterator[Reading]:
    return read_each(json_documents(file, "telephony_usage"), partial(_read_row, options))


def _read_row(options: SourceOptions, row: Mapping[str, Any]) -> StatedCall:
    values.required(row, "uuid")
    phone_number, signaled_number = (
        clean_number(values.text(row, name), digits_are_e164=True)
        for name in ("phone_number", "signaled_number")
    )
    host_ids = values.identifier(row, "host_id"), values.identifier(row, "host_email")
    meeting_id = values.identifier(row, "meeting_id")
    is_dial_out = _is_dial_out(row)
    start = values.instant(row, "start_time", options.timezone)
    end = values.instant(row, "end_time", options.timezone)
    return StatedCall(
        call_id=f"zoom-{_digest(row)}",
        is_dial_out=is_dial_out,
        service_number=signaled_number if is_dial_out else phone_number,
        remote_number=phone_number if is_dial_out else signaled_number,
        answered_at=start if start != end else None,
        ended_at=end,
        # `duration` has whole minutes.
        billable_seconds=values.seconds_between(start, end),
        tenant=options.tenant,
        users=tuple(filter(None, host_ids)),
        conference_id=meeting_id,
    )


def _is_dial_out(row: Mapping[str, Any]) -> bool:
    kind = (values.text(row, "type") or "").casefold()
    if kind != _CALL_OUT and kind not in _DIAL_INS:
        message = f"type: must be {_CALL_OUT}, or one of {', '.join(sorted(_DIAL_INS))}"
        raise problem(ProblemReason.UNKNOWN_CALL_TYPE, message)
    return kind == _CALL_OUT


def _digest(row: Mapping[str, Any]) -> str:
    parts = ("" if row.get(name) is None else str(row[name]) for name in _IDENTITY)
    return sha256("|".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


ZOOM_TELEPHONE = Source("zoom-telephone", _read, partial(values.charge, name="total"))
