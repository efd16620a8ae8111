"""Call detail records of the Amazon Chime SDK that lack what decides what becomes of them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from stated_calls import directory

from perminute.sources.convert import convert
from perminute.sources.outcomes import Leg, Result, Skip, SkipReason
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile, SourceOptions

DIRECTORY = directory(
    "tenant,connector-1,contoso,,,,",
    "tenant,application-1,contoso,,,,",
    "number,+12065550130,,tollDialIn,adele,,",
)
CALLS = "Amazon-Chime-Voice-Connector-CDRs/json/connector-1/2026/11/03/09.00.00.000_t-1"
STREAMS = CALLS.replace("CDRs", "SDRs")
CONNECTOR: dict[str, Any] = {
    "TransactionId": "t-1",
    "VoiceConnectorId": "connector-1",
    "Status": "Completed",
    "BillableDurationSeconds": 66,
    "SourcePhoneNumber": "+4930901820",
    "DestinationPhoneNumber": "+12065550130",
    "Direction": "Inbound",
    "StartTimeEpochSeconds": 1793696400,
    "EndTimeEpochSeconds": 1793696463,
}
APPLICATION: dict[str, Any] = {
    "CallId": "c-1",
    "SipApplicationId": "application-1",
    "Status": "Completed",
    "BillableDurationSeconds": 66,
    "SourcePhoneNumber": "4930901820",
    "DestinationPhoneNumber": "12065550130",
    "Direction": "Inbound",
    "TimeStampEpochSeconds": 1793696400,
}


def result_of(source: str, record: dict[str, Any], name: str = "file") -> Result:
    file = InputFile(name, io.BytesIO(json.dumps(record).encode()))
    [outcome] = convert(SOURCES[source], [file], DIRECTORY, SourceOptions())
    return outcome.result


@pytest.mark.parametrize(
    ("source", "record"), [("chime-voice-connector", CONNECTOR), ("chime-sma", APPLICATION)]
)
def test_seconds_without_a_status_are_damaged_and_not_free(
    source: str, record: dict[str, Any]
) -> None:
    whole = result_of(source, record)
    assert isinstance(whole, Leg)
    assert whole.billable_seconds == 66
    for status in (None, "", " "):
        result = result_of(source, record | {"Status": status})
        assert result == Skip(SkipReason.NOT_A_CALL_RECORD, "Status: is missing", is_damaged=True)
    unanswered = result_of(source, record | {"Status": None, "BillableDurationSeconds": 0})
    assert isinstance(unanswered, Leg)
    assert unanswered.answered_at is None


def test_a_record_among_calls_without_a_direction_is_damaged_and_no_stream() -> None:
    record = CONNECTOR | {"Direction": None}
    damaged = Skip(SkipReason.NOT_A_CALL_RECORD, "Direction: is missing", is_damaged=True)
    assert result_of("chime-voice-connector", record, CALLS) == damaged
    # Where no folder says what it is, this is what tells the two apart.
    for name in (STREAMS, "file"):
        streaming = result_of("chime-voice-connector", record, name)
        assert streaming == Skip(SkipReason.STREAMING_RECORD)
