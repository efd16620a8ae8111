"""Text from outside as one printable line, and as text in a spreadsheet."""

from __future__ import annotations

import pytest

from perminute.domain.values.printable import (
    MAX_CHARACTERS,
    counted,
    one_line,
    spreadsheet_text,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Karte abgelaufen, 5 €", "Karte abgelaufen, 5 €"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("one\r\ntwo\tthree", "one  two three"),
        ("one\u2028two\u2029three\x85four", "one two three four"),
        ("abc\u202etxt.exe\u2066", "abc\\u202etxt.exe\\u2066"),
        ("a\u200bdele", "a\\u200bdele"),
        ("half \ud83d of it", "half \\ud83d of it"),
        ("no\xa0break", "no break"),
        ("\U000e0041", "\\U000e0041"),
        ("", ""),
    ],
)
def test_text_is_one_line_that_can_be_printed(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_a_line_has_an_end() -> None:
    assert one_line("x" * 5, at_most=5) == "xxxxx"
    assert one_line("x" * 6, at_most=5) == "xxxx…"
    assert one_line("\x1b" * 3, at_most=5) == "\\x1b…"
    assert len(one_line("x" * (MAX_CHARACTERS + 1))) == MAX_CHARACTERS


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("Germany, landline", "Germany, landline"),
        ('=HYPERLINK("https://evil.example")', '\'=HYPERLINK("https://evil.example")'),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'=1+1"),
        ("\r-2+3", "'-2+3"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("\uff1d1+1", "'\uff1d1+1"),
        # What is already text stays as it is, so a card may be written again and again.
        ("'=1+1", "'=1+1"),
        ("+493023125042", "+493023125042"),
        ("+49151234****", "+49151234****"),
        ("-12.50", "-12.50"),
        ("-", "'-"),
    ],
)
def test_a_spreadsheet_computes_nothing_and_numbers_stay_numbers(text: str, cell: str) -> None:
    assert spreadsheet_text(text) == cell


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 calls"), (1, "1 call"), (2, "2 calls"), (1_000, "1000 calls")]
)
def test_one_of_something_is_not_several(count: int, words: str) -> None:
    assert counted(count, "call") == words


def test_a_plural_may_be_another_word() -> None:
    words = ("row is", "rows are")
    assert [counted(count, *words) for count in (1, 2)] == ["1 row is", "2 rows are"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("noCreditsLicense", "no credits license"),
        ("charged", "charged"),
        ("", ""),
    ],
)
def test_a_code_is_written_as_words(code: str, words: str) -> None:
    assert words_of(code) == words
