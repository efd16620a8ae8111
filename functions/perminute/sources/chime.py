"""Sources `chime-voice-connector` and `chime-sma`: call detail records of the Amazon Chime SDK.

One JSON object for each call, in S3 under a key that says what it is:
docs.aws.amazon.com/chime-sdk/latest/ag/manage-global.html and
docs.aws.amazon.com/chime-sdk/latest/dg/attributes.html.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from perminute.sources import values
from perminute.sources.json_files import json_documents
from perminute.sources.numbers import clean_number
from perminute.sources.outcomes import (
    ProblemReason,
    Rejected,
    SkipReason,
    damaged,
    problem,
    skip,
)
from perminute.sources.stated_call import Source, StatedCall, read_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.sources.stated_call import InputFile, Reading, SourceOptions

_CALLS_FOLDER = "Amazon-Chime-Voice-Connector-CDRs/"
_STREAMING_FOLDER = "Amazon-Chime-Voice-Connector-SDRs/"
# Of Amazon Chime, the service that has ended: its records name meetings, but no connector.
_ENDED_FOLDER = "Amazon-Chime-Business-Calling-CDRs/"


def _read_connector_file(file: InputFile, _: SourceOptions) -> Iterator[Reading]:
    return read_each(json_documents(file), partial(_read_connector_call, file.name))


def _read_connector_call(file: str, record: Mapping[str, Any]) -> StatedCall:
    _check_folder(file)
    call_id = values.required(record, "TransactionId")
    connector = values.required(record, "VoiceConnectorId")
    _check_is_call(file, record)
    service_number, remote_number, is_dial_out = _numbers(record, digits_are_e164=False)
    start = values.epoch(record, "StartTimeEpochSeconds")
    end = values.epoch(record, "EndTimeEpochSeconds")
    billable_seconds = _billable_seconds(record)
    return StatedCall(
        call_id=call_id,
        is_dial_out=is_dial_out,
        service_number=service_number,
        remote_number=remote_number,
        answered_at=start if billable_seconds else None,
        ended_at=end,
        billable_seconds=billable_seconds,
        tenant=connector,
    )


def _check_folder(file: str) -> None:
    if _ENDED_FOLDER in file:
        raise skip(SkipReason.NOT_A_CALL_RECORD, "is a record of Amazon Chime, which has ended")


def _check_is_call(file: str, record: Mapping[str, Any]) -> None:
    # A streaming record has its call's transaction and seconds: it would be charged once more.
    has_direction = values.text(record, "Direction") is not None
    if not has_direction and _CALLS_FOLDER in file:
        raise Rejected(damaged("Direction: is missing"))
    if _STREAMING_FOLDER in file or not has_direction:
        raise skip(SkipReason.STREAMING_RECORD)
    if record.get("IsProxyCall") in (True, "true", "True"):
        raise skip(SkipReason.PROXY_CALL)


def _read_application_file(file: InputFile, _: SourceOptions) -> Iterator[Reading]:
    return read_each(json_documents(file), partial(_read_application_call, file.name))


def _read_application_call(file: str, record: Mapping[str, Any]) -> StatedCall:
    _check_folder(file)
    call_id = values.required(record, "CallId")
    application = values.required(record, "SipApplicationId")
    transaction = values.identifier(record, "TransactionId")
    service_number, remote_number, is_dial_out = _numbers(record, digits_are_e164=True)
    start = values.epoch(record, "TimeStampEpochSeconds")
    billable_seconds = _billable_seconds(record)
    return StatedCall(
        call_id=call_id,
        is_dial_out=is_dial_out,
        service_number=service_number,
        remote_number=remote_number,
        answered_at=start if billable_seconds else None,
        # The record has no end.
        ended_at=start + timedelta(seconds=billable_seconds),
        billable_seconds=billable_seconds,
        tenant=application,
        # The legs of one meeting have it in common.
        conference_id=transaction,
    )


def _numbers(
    record: Mapping[str, Any], *, digits_are_e164: bool
) -> tuple[str | None, str | None, bool]:
    """Return our number, the attendee's, and whether it is a dial-out."""
    source, destination = (
        clean_number(values.text(record, name), digits_are_e164=digits_are_e164)
        for name in ("SourcePhoneNumber", "DestinationPhoneNumber")
    )
    match (values.text(record, "Direction") or "").casefold():
        case "inbound":
            return destination, source, False
        case "outbound":
            return source, destination, True
    message = "Direction: must be Inbound or Outbound"
    raise problem(ProblemReason.UNKNOWN_CALL_TYPE, message)


def _billable_seconds(record: Mapping[str, Any]) -> int:
    stated = values.seconds(record, "BillableDurationSeconds")
    status = values.text(record, "Status")
    if stated and status is None:
        # It would be free of charge, as of a call that failed.
        raise Rejected(damaged("Status: is missing"))
    return stated if status and status.casefold() == "completed" else 0


CHIME_VOICE_CONNECTOR = Source("chime-voice-connector", _read_connector_file)
CHIME_SMA = Source("chime-sma", _read_application_file)
