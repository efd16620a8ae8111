from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.values.times import (
    ExactInstant,
    digits_below_microsecond,
    format_instant,
    parse_instant,
    started_seconds,
)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-02T09:00:00Z", datetime(2026, 11, 2, 9, tzinfo=UTC)),
        ("2026-11-02t09:00:00z", datetime(2026, 11, 2, 9, tzinfo=UTC)),
        ("2026-11-02T10:30:00+01:30", datetime(2026, 11, 2, 9, tzinfo=UTC)),
        ("2026-11-02T09:00:00.1234567Z", datetime(2026, 11, 2, 9, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_an_rfc_3339_time_is_read_as_utc(text: str, instant: datetime) -> None:
    assert parse_instant(text) == instant
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-11-02T09:00:00", "has no offset"),
        ("2026-11-02T09:00:00+05:60", "must be an RFC 3339 time"),
        ("2026-11-02 09:00:00Z", "must be an RFC 3339 time"),
        ("2026-11-02", "must be an RFC 3339 time"),
        ("20261102T090000Z", "must be an RFC 3339 time"),
        ("2026-02-30T09:00:00Z", "is not a time of any calendar"),
        ("0001-01-01T00:00:00+01:00", "is not a time of any calendar"),
        ("1762074000", "must be an RFC 3339 time"),
    ],
)
def test_any_other_time_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_instant(text)


def test_a_time_is_written_with_a_fraction_only_where_it_has_one() -> None:
    assert format_instant(datetime(2026, 11, 2, 9, tzinfo=UTC)) == "2026-11-02T09:00:00Z"
    assert (
        format_instant(datetime(2026, 11, 2, 9, 0, 0, 5000, tzinfo=UTC))
        == "2026-11-02T09:00:00.005000Z"
    )


@pytest.mark.parametrize(
    ("fraction", "below"),
    [
        ("", ""),
        (".5", ""),
        (".123456", ""),
        (".1234560", ""),
        (".1234567", "7"),
        (".0000000102", "0102"),
    ],
)
def test_digits_below_the_microsecond_are_read_without_zeros_at_the_end(
    fraction: str, below: str
) -> None:
    assert digits_below_microsecond(f"2026-11-02T09:00:00{fraction}+01:00") == below


def test_any_number_of_digits_is_read() -> None:
    assert len(digits_below_microsecond(f"2026-11-02T09:00:00.{'9' * 10_000}Z")) == 9_994


DIGITS = st.text("0123456789", max_size=9)
START = datetime(2026, 11, 2, 9, tzinfo=UTC)


def written(second: int, digits: str) -> str:
    at = format_instant(START + timedelta(seconds=second)).removesuffix("Z")
    return f"{at}.{digits}Z" if digits else f"{at}Z"


def exact(text: str) -> ExactInstant:
    return ExactInstant(parse_instant(text), digits_below_microsecond(text))


@given(DIGITS, DIGITS, st.integers(0, 2))
def test_started_seconds_are_those_of_the_exact_difference(
    first: str, second: str, seconds: int
) -> None:
    start, end = exact(written(0, first)), exact(written(seconds, second))
    elapsed = seconds + Fraction(f"0.{second or 0}") - Fraction(f"0.{first or 0}")
    assert (end < start) is (elapsed < 0)
    if elapsed >= 0:
        assert started_seconds(start, end) == ceil(elapsed)


@given(DIGITS)
def test_an_exact_instant_is_written_as_it_was_stated(digits: str) -> None:
    instant = exact(written(0, digits))
    assert exact(str(instant)) == instant
