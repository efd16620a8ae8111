"""How files are divided into records: what is damaged costs no other record."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from perminute.sources import json_files
from perminute.sources.csv_files import csv_records
from perminute.sources.json_files import json_documents, json_lines
from perminute.sources.stated_call import InputFile, SourceOptions
from perminute.sources.teams_csv import TEAMS_CSV

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perminute.sources.stated_call import Reading, Record

COLUMNS = ("id", "name", "seconds")


def file(content: str | bytes) -> InputFile:
    return InputFile("f", io.BytesIO(content if isinstance(content, bytes) else content.encode()))


def divided(records: Iterable[Record]) -> list[tuple[str, object]]:
    """Where each record stands, with its content, or with what is wrong with it."""
    return [
        (record.at, record.fault.message if record.fault else record.content) for record in records
    ]


def rows(*lines: str) -> list[tuple[str, object]]:
    found = divided(csv_records(file("\n".join(["id,name,seconds", *lines])), COLUMNS))
    return [
        (at.removeprefix("f:"), tuple(content.values()) if isinstance(content, dict) else content)
        for at, content in found
    ]


def test_rows_are_read_by_the_names_of_their_columns() -> None:
    content = '\ufeffname, id ,more,seconds\r\n"Lee, ""L""",1,x,60\r\n\r\n"two\r\nlines",2,,61\r\n'
    assert divided(csv_records(file(content), COLUMNS)) == [
        ("f:2", {"name": 'Lee, "L"', "id": "1", "more": "x", "seconds": "60"}),
        ("f:4", {"name": "two\r\nlines", "id": "2", "more": "", "seconds": "61"}),
    ]


TAKES_IN = "takes in another row; a quotation mark is opened here and not closed"
OF_COLUMNS = "cells, which is not the number of columns"


@pytest.mark.parametrize(
    ("damaged", "fault"),
    [
        ("9,open", f"has 2 {OF_COLUMNS}"),
        ('9,"open,60', "is not CSV: unexpected end of data"),
        ('9,"o"pen,60', "is not CSV: ',' expected after '\"'"),
        ("9,a,b,c", f"has 4 {OF_COLUMNS}"),
    ],
)
def test_a_damaged_row_is_a_fault_of_its_line_alone(damaged: str, fault: str) -> None:
    sound = ["1,a,60", "2,b,61", "3,c,62"]
    assert rows(sound[0], damaged, *sound[1:]) == [
        ("2", ("1", "a", "60")),
        ("3", fault),
        ("4", ("2", "b", "61")),
        ("5", ("3", "c", "62")),
    ]


def test_a_quotation_mark_that_is_left_open_takes_in_no_other_row() -> None:
    assert rows('1,"left open,60', "2,b,61", '3,"closed",62', "4,d,63") == [
        ("2", "is not CSV: ',' expected after '\"'"),
        ("3", ("2", "b", "61")),
        ("4", ("3", "closed", "62")),
        ("5", ("4", "d", "63")),
    ]
    assert rows('1,"left open,60', "2,b,61", 'closed",3') == [
        ("2", TAKES_IN),
        ("3", ("2", "b", "61")),
        ("4", f"has 2 {OF_COLUMNS}"),
    ]


def test_an_open_quotation_mark_in_a_long_file_takes_in_no_other_row() -> None:
    found = rows('0,"open,60', *(f"{number},x,60" for number in range(1, 200)))
    assert len(found) == 200
    assert all(isinstance(content, tuple) for _, content in found[1:])


def test_without_its_columns_each_row_is_a_fault_so_that_none_vanishes() -> None:
    fault = "the first line of the file has no column seconds"
    assert divided(csv_records(file("id,name\n1,a\n2,b\n"), COLUMNS)) == [
        ("f:2", fault),
        ("f:3", fault),
    ]
    assert divided(csv_records(file("id,name\n"), COLUMNS)) == [("f:1", fault)]
    assert [at for at, _ in divided(csv_records(file(""), COLUMNS))] == ["f:1"]


def test_a_document_is_a_record_or_contains_a_list_of_them() -> None:
    one, two = {"id": 1}, {"id": 2}
    assert divided(json_documents(file(json.dumps(one)), "value")) == [("f", one)]
    assert divided(json_documents(file(json.dumps([one, two])))) == [("f#/0", one), ("f#/1", two)]
    page = json.dumps({"value": [one, 5]}, indent=1)
    assert divided(json_documents(file(page), "value")) == [
        ("f#/value/0", one),
        ("f#/value/1", "must be a JSON object"),
    ]


def test_several_documents_of_a_file_are_named_by_their_lines() -> None:
    pages = json.dumps({"value": [{"id": 1}]}, indent=1) + '\n{"value": [{"id": 2}]}{"id": 3}'
    assert divided(json_documents(file(pages), "value")) == [
        ("f:1#/value/0", {"id": 1}),
        ("f:8#/value/0", {"id": 2}),
        ("f:8", {"id": 3}),
    ]


def test_after_a_damaged_document_reading_goes_on_at_the_next_one() -> None:
    found = divided(json_documents(file('{"id": 1}\n{"id": \n{"id": 3}\n{"id": "cut')))
    assert [(at, content) for at, content in found if isinstance(content, dict)] == [
        ("f:1", {"id": 1}),
        ("f:3", {"id": 3}),
    ]
    assert [at for at, content in found if not isinstance(content, dict)] == ["f:2", "f:4"]


def test_a_list_that_is_cut_is_damaged_once_and_not_at_each_comma() -> None:
    rows = ",\n".join(f'{{"id": {number}}}' for number in range(4))
    for begin in ("[\n", '{"value":[\n'):
        found = divided(json_documents(file(f'{begin}{rows},\n{{"id": "cu'), "value"))
        assert [content for _, content in found[1:-1]] == [{"id": number} for number in range(4)]
        assert [at for at, _ in found] == [f"f:{line}" for line in range(1, 7)]
    # What closes the list was no record either.
    found = divided(json_documents(file(f'[\n{{"id": "cu,\n{rows}\n]}}\n'), "value"))
    assert [at for at, _ in found] == [f"f:{line}" for line in range(1, 7)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_named_as_that(encoding: str) -> None:
    content = ('\ufeff[{"id": 1}]').encode(encoding)
    assert divided(json_documents(file(content))) == [("f", "is UTF-16; save it as UTF-8")]
    table = "\ufeffid,name,seconds\r\n1,a,60\r\n".encode(encoding)
    for _, message in divided(csv_records(file(table), COLUMNS)):
        assert str(message).startswith("the first line of the file contains NUL characters; is it")


def test_damage_in_a_large_file_is_named_by_its_line_in_it() -> None:
    [*_, (at, message)] = divided(json_documents(file("{'id': 1}\n" * 20_000)))
    assert at == "f:20000"
    assert str(message).endswith("line 20000 column 2 (char 199991)")


@pytest.mark.parametrize("content", ["", " \n", "\ufeff"])
def test_an_empty_file_is_told(content: str) -> None:
    assert divided(json_documents(file(content))) == [("f", "is empty")]


def test_what_only_a_field_that_nobody_reads_contains_costs_nothing() -> None:
    (found,) = divided(
        json_documents(file('{"id": 1, "name": "\\ud800", "more": 1e99999999999999999999}'))
    )
    assert found[0] == "f"
    assert isinstance(found[1], dict)


def test_a_document_that_is_too_large_or_too_deep_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert divided(json_documents(file("[" * 100_000)))[0] == (
        "f",
        "is not JSON: is nested too deeply",
    )
    monkeypatch.setattr(json_files, "MAX_DOCUMENT_BYTES", 10)
    assert divided(json_documents(file("[" + " " * 20 + "]"))) == [
        ("f", "is larger than 0 MB; divide it")
    ]


def test_levels_that_are_too_deep_are_passed_many_at_once() -> None:
    text = "\n[" * 20_000 + '\n{"id": 1}'
    records = list(json_documents(file(text)))
    assert records[-1].content == {"id": 1}
    pieces = [record.content for record in records[:-1]]
    assert len(pieces) < 2_000
    assert "".join(map(str, pieces)).count("[") == 20_000


def test_records_before_levels_that_are_too_deep_are_read() -> None:
    text = '[{"id": 1},\n{"id": 2},\n{"id": 3},\n' + "[" * 20_000
    read = [record.content for record in json_documents(file(text))]
    assert {"id": 2} in read
    assert {"id": 3} in read


def test_lines_are_records_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "MAX_LINE_BYTES", 40)
    lines = ['{"id": 1}', "", "{cut", '{"id": "' + "x" * 100 + '"}', "[1]", '{"id": 2}', "[" * 39]
    found = divided(json_lines(file("\n".join(lines))))
    assert [at for at, _ in found] == ["f:1", "f:3", "f:4", "f:5", "f:6", "f:7"]
    assert [content for _, content in found if isinstance(content, dict)] == [{"id": 1}, {"id": 2}]


HEADER = "UsageId,Call Type,Destination Number,Start Time,End Time,Duration Seconds"
ROW = "1,user_in,+12065550100,2026-11-03T09:00:00Z,2026-11-03T09:01:00Z,60"


def zipped(**members: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def read(content: bytes) -> list[Reading]:
    return list(TEAMS_CSV.read(file(content), SourceOptions()))


def test_of_a_zip_the_report_is_read_and_nothing_else() -> None:
    report = f"{HEADER}\n{ROW}\n"
    names = ["DirectRouting.csv", "parameters.json", "export/PSTN.calls.2026-11-05.csv"]
    readings = read(zipped(**dict.fromkeys(names, report)))
    assert [reading.at for reading in readings] == ["f/export/PSTN.calls.2026-11-05.csv:2"]


def test_a_zip_that_is_damaged_or_has_no_report_is_told() -> None:
    (missing,) = read(zipped(**{"parameters.json": "{}"}))
    assert missing.call[1] == "contains no PSTN.calls.*.csv"
    whole = zipped(**{"PSTN.calls.2026-11-05.csv": f"{HEADER}\n{ROW}\n" * 50})
    for damaged in (whole[:100], whole[:60] + b"damaged!" + whole[68:]):
        assert "cannot be unpacked" in str(read(damaged)[-1].call[1])


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1}\n{"a": 2}\n',
        b'\xef\xbb\xbf\n{"a": 1}\r\n\n [2, {"a": 3.5}]\n',
        b'{"a": 1}\n{"a": "\\ud800"}\n{"a": 3}',
        b'{"a": 1}{"a": 2}\n{"a":\n3}\n{"a": cut\n{"a": 5}\n',
        b'{"a": 1}\n{"a": "\xff"}\nnull\n',
    ],
)
def test_documents_of_one_line_each_are_read_as_any_others_are(content: bytes) -> None:
    read = json_files._documents(content)  # noqa: SLF001 - the faster way and the other one
    assert read == list(json_files._each_document(json_files._text(content)))  # noqa: SLF001
    assert len(read) > 1
