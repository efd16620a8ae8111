"""Texts, numbers, seconds and instants of records."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from perminute.domain.values.times import format_instant
from perminute.sources import values
from perminute.sources.numbers import clean_number
from perminute.sources.outcomes import Rejected

BERLIN = ZoneInfo("Europe/Berlin")


def reason(function: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(Rejected) as rejection:
        function(*arguments, **options)
    return rejection.value.result.reason


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("+1 (206) 555-0100", "+12065550100"),
        ("+1\u00a0206\u2011555 0100", "+12065550100"),
        ("+123 456789***", "+123456789***"),
        ("anonymous", "anonymous"),
        ("0012065550100", "0012065550100"),
        ("12065550100", "12065550100"),
        (" - ", None),
        (None, None),
    ],
)
def test_a_number_is_what_is_left_without_what_stands_between_its_digits(
    written: str | None, read: str | None
) -> None:
    assert clean_number(written) == read


def test_a_plus_is_added_only_where_the_source_documents_it() -> None:
    assert clean_number("4930901820", digits_are_e164=True) == "+4930901820"
    assert clean_number("0301820", digits_are_e164=True) == "0301820"
    assert clean_number("004930901820", zeros_are_plus=True) == "+4930901820"


@pytest.mark.parametrize("address", ["sip:desk@example.com", "SIPS:x", "client:a", "whatsapp:+1"])
def test_an_address_that_is_no_phone_number_is_skipped(address: str) -> None:
    assert reason(clean_number, address) == "notPhone"


@pytest.mark.parametrize(
    ("stated", "read"),
    [
        (60, 60),
        ("60", 60),
        ("60.0", 60),
        (".4", 1),
        (Decimal("6E+1"), 60),
        (Decimal("60.001"), 61),
        (0, 0),
        (" 24 ", 24),
    ],
)
def test_a_part_of_a_second_counts_as_one(stated: object, read: int) -> None:
    assert values.seconds({"s": stated}, "s") == read


@pytest.mark.parametrize("stated", [None, "", "-1", -1, "1e3", "\u0661", True, [], "nan", ".", 1.5])
def test_what_is_no_number_of_seconds_is_a_problem(stated: object) -> None:
    assert reason(values.seconds, {"s": stated}, "s") == "invalidDuration"


def test_more_than_a_day_is_too_long() -> None:
    assert values.seconds({"s": 86400}, "s") == 86400
    assert reason(values.seconds, {"s": Decimal("86400.1")}, "s") == "tooLong"


@pytest.mark.parametrize(
    ("stated", "read"),
    [
        ("2026-11-03T08:00:00.1234567Z", "2026-11-03T08:00:00.123456Z"),
        ("2026-11-03 08:00:00.1234567 +00:00", "2026-11-03T08:00:00.123456Z"),
        ("2026-11-03T09:00:00+01:00", "2026-11-03T08:00:00Z"),
    ],
)
def test_an_instant_is_read_in_utc_and_cut_to_microseconds(stated: str, read: str) -> None:
    assert format_instant(values.instant({"t": stated}, "t")) == read


@pytest.mark.parametrize(
    "stated",
    [None, "", "2026-11-03T08:00:00", "2026-13-03T08:00:00Z", "0001-01-01T00:00:00Z", "soon", 5],
)
def test_a_time_that_is_none_or_has_no_offset_is_a_problem(stated: object) -> None:
    assert reason(values.instant, {"t": stated}, "t") == "invalidTime"


def test_a_time_without_offset_is_one_of_the_declared_zone() -> None:
    local = {"t": "2026-11-03T09:00:00.5"}
    assert values.instant(local, "t", BERLIN) == datetime(2026, 11, 3, 8, 0, 0, 500000, tzinfo=UTC)


@pytest.mark.parametrize("stated", ["2026-10-25T02:30:00", "2026-03-29T02:30:00"])
def test_a_time_that_the_clocks_of_a_zone_show_twice_or_never_is_a_problem(stated: str) -> None:
    assert reason(values.instant, {"t": stated}, "t", BERLIN) == "invalidTime"


def test_the_instants_of_a_local_time_are_in_their_order() -> None:
    twice = values.instants_of(datetime(2026, 10, 25, 2, 30), BERLIN)  # noqa: DTZ001 - local
    assert [at.hour for at in twice] == [0, 1]
    assert list(values.instants_of(datetime(1, 1, 1), BERLIN)) == []  # noqa: DTZ001 - local


@pytest.mark.parametrize(
    ("stated", "micros", "read"),
    [
        (1793696400, 10**6, "2026-11-03T09:00:00Z"),
        ("1793696400.1234567", 10**6, "2026-11-03T09:00:00.123456Z"),
        ("1793696400954373", 1, "2026-11-03T09:00:00.954373Z"),
    ],
)
def test_an_epoch_is_read_in_its_unit(stated: object, micros: int, read: str) -> None:
    assert format_instant(values.epoch({"t": stated}, "t", micros=micros)) == read


@pytest.mark.parametrize(
    "stated",
    [None, "", "-1", "9" * 12, "9" * 400, 10**400, Decimal("9E+999999"), {}],
)
def test_an_epoch_that_is_no_time_is_a_problem(stated: object) -> None:
    assert reason(values.epoch, {"t": stated}, "t") == "invalidTime"


def test_ids_have_one_spelling_and_fit_a_key() -> None:
    guid = "0F6F2B0E-5A67-4A3E-9D0C-0C8F5B7F9A10"
    assert values.identifier({"id": f" {guid} "}, "id") == guid.lower()
    assert values.identifier({"id": 91234567890}, "id") == "91234567890"
    assert values.identifier({"id": "  "}, "id") is None
    for wrong in ("x" * 251, "\ud800", True, ["x"]):
        assert reason(values.identifier, {"id": wrong}, "id") == "notACallRecord"
    assert reason(values.required, {}, "id") == "notACallRecord"
