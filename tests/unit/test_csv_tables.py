"""Each row of a CSV file is taken, or named with its line; figures and names are made up."""

from __future__ import annotations

import pytest

from perminute.domain.errors import Fault
from perminute.formats.csv_tables import Columns, read_rows

COLUMNS = Columns(("prefix", "rate"), ("country", "description"))
UTF_16 = "is UTF-16, not UTF-8; save the file as UTF-8"


def read(content: bytes, separator: str = ",") -> tuple[list[dict[str, str]], list[Fault]]:
    faults: list[Fault] = []
    rows = [row.by_column for row in read_rows(content, COLUMNS, faults, separator=separator)]
    return rows, faults


def refused(content: bytes, separator: str = ",") -> list[tuple[int, str]]:
    _, faults = read(content, separator)
    return [(fault.line, fault.message) for fault in faults]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "prefix;rate\n49;0,1",
            "is separated by ;, must be ,: save the file with that separator",
        ),
        (
            "prefix\trate\n49\t0.1",
            "is separated by tab, must be ,: save the file with that separator",
        ),
        ("RATE|PREFIX", "is separated by |, must be ,: save the file with that separator"),
    ],
)
def test_another_separator_is_named(text: str, fault: str) -> None:
    assert refused(text.encode()) == [(1, fault)]


def test_a_separator_that_was_said_is_the_one_that_must_be_there() -> None:
    assert read(b"prefix;rate\n49;0,1", ";") == ([{"prefix": "49", "rate": "0,1"}], [])
    assert refused(b"prefix,rate\n49,0.1", ";") == [
        (1, "is separated by ,, must be ;: save the file with that separator")
    ]


def test_a_row_with_another_separator_than_the_header_is_named() -> None:
    assert refused(b"prefix,rate\n49,0.1\n43;0.1") == [(3, "is separated by ;, must be ,")]


def test_a_sep_line_is_named_and_the_rest_is_read() -> None:
    rows, faults = read(b"sep=,\nprefix,rate\n49,0.1\n43")
    assert rows == [{"prefix": "49", "rate": "0.1"}]
    assert faults == [
        Fault(1, "first line is sep=: delete it"),
        Fault(4, "has 1 cells; the header has 2: write a separator for each cell that is empty"),
    ]


def test_a_column_in_another_spelling_is_named_and_read() -> None:
    rows, faults = read(b"PREFIX,Rate,contry,supplier\n49,0.1,DE,x")
    assert rows == [{"prefix": "49", "rate": "0.1", "country": "DE", "supplier": "x"}]
    assert faults == [
        Fault(1, "column PREFIX: write it prefix"),
        Fault(1, "column Rate: write it rate"),
        Fault(1, "column contry: write it country"),
    ]


def test_columns_that_are_missing_are_named_with_those_that_are_there() -> None:
    assert refused(b"dial code,price\n49,0.1") == [
        (1, "column prefix is missing; there are: dial code, price"),
        (1, "column rate is missing; there are: dial code, price"),
    ]


def test_columns_that_are_there_are_named_as_the_file_names_them() -> None:
    assert refused(b"Prefix,price\n49,0.1") == [
        (1, "column Prefix: write it prefix"),
        (1, "column rate is missing; there are: Prefix, price"),
    ]


def test_a_cell_in_a_column_without_a_name_is_refused_and_an_empty_one_is_not() -> None:
    rows, faults = read(b"prefix,rate,\n49,0,32\n43,0.1,\n44,0.2, \n")
    assert [row["prefix"] for row in rows] == ["43", "44"]
    assert faults == [
        Fault(
            2,
            "cell 3 stands in a column without a name: name it in the header; if the cell is a "
            "part of the one before it, such as decimals, put both in quotation marks",
        )
    ]


@pytest.mark.parametrize("header", [b"prefix,rate,rate", b"prefix,Rate,RATE", b"prefix,RATE,rate"])
def test_a_column_that_stands_twice_is_refused(header: bytes) -> None:
    assert (1, "column rate stands more than once") in refused(header + b"\n49,0.1,0.2")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-be"])
def test_utf_16_is_named_with_and_without_a_byte_order_mark(encoding: str) -> None:
    assert refused("prefix,rate\n49,0.1".encode(encoding)) == [(1, UTF_16)]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"PK\x03\x04\x14\0", "is a workbook, not CSV; save its sheet as CSV UTF-8"),
        (b"\x1f\x8b\x08\0", "is compressed; unpack it first"),
        (b"", "is empty; the header must name prefix, rate"),
        (b"\n\nprefix,rate", "is empty; the header must name prefix, rate"),
        (b"prefix,r\xe4te\n", "is not UTF-8; save the file as UTF-8"),
        (
            b'"prefix,rate"\n"49,0.1"\n',
            "stands in quotation marks as a whole; save the file with each cell by itself",
        ),
    ],
)
def test_what_is_no_table_is_named_for_what_it_is(content: bytes, fault: str) -> None:
    assert refused(content) == [(1, fault)]


def test_each_row_that_cannot_be_taken_is_named_and_the_others_are_read() -> None:
    content = b'prefix,rate\n49,0,1\n\n43,0.2\n,\n1\0,0.3\n"44"x,1\n33,\xe4\n39,0.4\n'
    rows, faults = read(content)
    assert [row["prefix"] for row in rows] == ["43", "39"]
    assert faults == [
        Fault(
            2,
            "has 3 cells; the header has 2: put a cell that holds , in quotation marks, and write "
            "decimals with a point",
        ),
        Fault(6, "prefix: holds a NUL character, so the file is damaged or is not text"),
        Fault(7, "is not CSV: ',' expected after '\"'"),
        Fault(8, "rate: is not UTF-8; save the file as UTF-8"),
    ]


def test_lines_are_counted_through_line_breaks_in_cells() -> None:
    content = b'description,prefix,rate\n"a\nb\r\nc",49,0.1\nd,x\n"e\n",43,0.1,\n'
    rows, faults = read(content)
    assert [row["description"] for row in rows] == ["a\nb\r\nc"]
    assert [fault.line for fault in faults] == [5, 6]


def test_rows_between_two_open_quotation_marks_are_named_and_not_swallowed() -> None:
    content = b'prefix,description,rate\n49,"Germany,0.1\n43,Austria",0.2\n33,France,0.3'
    assert read(content) == (
        [{"prefix": "33", "description": "France", "rate": "0.3"}],
        [Fault(2, "description: holds another row; close the quotation mark that is opened here")],
    )


def test_a_quotation_mark_that_is_never_closed_names_what_was_not_read() -> None:
    assert refused(b'prefix,rate\n49,0.1\n43,"0.2\n33,0.3\n') == [
        (
            3,
            "is not CSV: unexpected end of data; lines 3 to 4 are one row, since a quotation mark "
            "is opened there and not closed",
        )
    ]


def test_a_cell_that_never_ends_ends_the_reading() -> None:
    ((line, message),) = refused(b'prefix,rate\n49,"' + b"x\n" * 200_000)
    assert line == 2
    assert message.startswith("is not CSV: field larger than field limit")
