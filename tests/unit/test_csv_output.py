"""Tables as CSV for spreadsheets: what stands in a cell stays in it, as text or as a number."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perminute.formats.csv_output import BYTE_ORDER_MARK, Cell, csv_text

NASTY = st.text(
    st.one_of(
        st.sampled_from("=+-@\t\r\n\x85\u2028\u202e\u2066\x1b\ud800\uff1d,;'\"0"), st.characters()
    ),
    max_size=20,
)


def read(text: str) -> list[list[str]]:
    assert text.startswith(BYTE_ORDER_MARK)
    return list(csv.reader(io.StringIO(text[1:], newline=""), strict=True))


def test_a_table_is_rfc_4180_with_a_byte_order_mark() -> None:
    rows: list[list[Cell]] = [["a,b", 'say "no"', None], [3, "-1.25", "Zoë"]]
    assert csv_text(["one", "two", "three"], rows) == (
        '\ufeffone,two,three\r\n"a,b","say ""no""",\r\n3,-1.25,Zoë\r\n'
    )
    assert csv_text(["x"], [["ü"]]).encode().startswith(b"\xef\xbb\xbfx")


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'=1+1"),
        ("\r\n=1+1", "'=1+1"),
        ("adele\r\n=1+1", "adele  =1+1"),
        ("adele\u202egpj.exe", "adele\\u202egpj.exe"),
        # Excel in Germany begins a cell after a semicolon.
        ("adele;=1+1", "adele;'=1+1"),
        ('adele; "" @SUM(A1);-2', "adele; \"\" '@SUM(A1);'-2"),
        ("po-1 -2.5; po-2 -1", "po-1 -2.5; po-2 -1"),
        # Numbers and phone numbers compute nothing.
        ("-9.625", "-9.625"),
        ("+498001110550", "+498001110550"),
        ("+49151234****", "+49151234****"),
        ("+49*********", "+49*********"),
    ],
)
def test_no_cell_is_a_formula_or_more_than_a_cell(cell: str, shown: str) -> None:
    assert read(csv_text(["cell"], [[cell]])) == [["cell"], [shown]]


@given(rows=st.lists(st.tuples(NASTY, st.integers(), NASTY), max_size=5))
def test_whatever_is_sent_there_are_as_many_rows_and_cells(
    rows: list[tuple[str, int, str]],
) -> None:
    text = csv_text(["first", "number", "last"], rows)
    cells = read(text)
    assert [len(row) for row in cells] == [3] * (len(rows) + 1)
    assert text.count("\r\n") == text.count("\n") == len(rows) + 1
    for cell in (cell for row in cells for cell in row):
        assert cell.isprintable()
        assert cell[:1] not in "=@" or not cell
    assert text.encode().decode("utf-8-sig") == text[1:]
