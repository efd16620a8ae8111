from __future__ import annotations

from datetime import UTC, datetime

import pytest

from perminute.domain.times import format_instant, parse_instant


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
        ("2026-11-02 09:00:00Z", "must be an RFC 3339 time"),
        ("2026-11-02", "must be an RFC 3339 time"),
        ("20261102T090000Z", "must be an RFC 3339 time"),
        ("2026-02-30T09:00:00Z", "is no time of any calendar"),
        ("0001-01-01T00:00:00+01:00", "is no time of any calendar"),
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
