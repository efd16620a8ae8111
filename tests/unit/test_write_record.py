"""What is kept of one record, byte by byte."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest

from perminute.sources.csv_files import csv_records
from perminute.sources.json_files import json_documents, json_lines
from perminute.sources.outcomes import Skip
from perminute.sources.stated_call import InputFile
from perminute.sources.write_record import write_record

RECORD = {
    "value": [{"id": "of no page"}],
    "exact": Decimal("0.1000000000000000000000001"),
    "beyond": Decimal("Infinity"),
    "half": "\ud800 and \udcff",
    "nested": {"of": [1, None, True, "\x1b"]},
}


def test_an_object_with_a_list_under_the_name_of_pages_stays_one_record() -> None:
    file = InputFile("kept", io.BytesIO(write_record("graph-pstn", RECORD)))
    (record,) = json_documents(file, "value")
    assert (record.content, record.fault) == (RECORD, None)


def test_a_line_of_json_is_written_with_all_its_digits() -> None:
    content = write_record("twilio-callback", RECORD)
    assert b"0.1000000000000000000000001" in content
    (record,) = json_lines(InputFile("kept", io.BytesIO(content)))
    assert (record.content, record.fault) == (RECORD, None)


@pytest.mark.parametrize(
    "source", ["graph-pstn", "twilio-callback", "freeswitch-json", "asterisk-csv"]
)
def test_what_is_damaged_is_kept_as_it_was(source: str) -> None:
    content = b'{"cut": "\xff\n'
    assert write_record(source, content.decode("utf-8", "surrogateescape")) == content


@pytest.mark.parametrize("text", ["\ud800", '{"id": "of a call"}'])
@pytest.mark.parametrize("source", ["graph-pstn", "twilio-callback"])
def test_a_text_in_the_place_of_a_record_stays_none(source: str, text: str) -> None:
    read = json_lines if source == "twilio-callback" else json_documents
    (record,) = read(InputFile("file", io.BytesIO(json.dumps(text).encode())))
    (again,) = read(InputFile("kept", io.BytesIO(write_record(source, record.content))))
    assert again.fault == record.fault is not None


@pytest.mark.parametrize("cells", [1, 6, 10, 20])
def test_a_damaged_line_of_a_csv_file_stays_none(cells: int) -> None:
    content = write_record("teams-csv", ",".join(["x"] * cells) + "\r\n")
    (record,) = csv_records(InputFile("kept", io.BytesIO(content)), ["UsageId", "Call Type"])
    assert isinstance(record.fault, Skip)
    assert record.fault.is_damaged


def test_a_last_row_without_an_end_has_none() -> None:
    assert write_record("asterisk-csv", ['"a"', "b"]) == b'"""a""","b"'
