from __future__ import annotations

import pytest

from perminute.domain.values.money import format_micros, parse_micros, round_half_up


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0.026", 26_000),
        ("50", 50_000_000),
        ("50.00", 50_000_000),
        ("-1.25", -1_250_000),
        ("0.000001", 1),
        ("1000000000000000", 10**21),
    ],
)
def test_a_decimal_string_is_read_exactly(text: str, micros: int) -> None:
    assert parse_micros(text) == micros


@pytest.mark.parametrize(
    "text",
    ["", "NaN", "Infinity", "1e3", "0.0000001", "1,5", " 1", "+1", ".5", "1.", "٣", "--1"],
)
def test_what_is_no_decimal_string_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a decimal string"):
        parse_micros(text)


def test_an_absurd_amount_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must not be larger than 1000000000000000$"):
        parse_micros("1000000000000000.000001")


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0"), (26_000, "0.026"), (-1_250_000, "-1.25"), (-1, "-0.000001"), (10**7, "10")],
)
def test_micros_are_written_as_the_shortest_decimal_string(micros: int, text: str) -> None:
    assert format_micros(micros) == text


@pytest.mark.parametrize(
    ("numerator", "expected"), [(0, 0), (29, 0), (30, 1), (31, 1), (89, 1), (90, 2)]
)
def test_a_half_is_rounded_up(numerator: int, expected: int) -> None:
    assert round_half_up(numerator, 60) == expected
