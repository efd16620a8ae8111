from __future__ import annotations

import pytest
from builders import card

from perminute.domain.errors import Fault, FaultyRateCard
from perminute.formats.rate_card_csv import read_rate_card, write_rate_card

HEADER = "leg_type,prefix,currency,rate_per_minute"
PERIODS = f"{HEADER},effective_from,effective_to"
STEPS = f"{HEADER},connection_fee,increment_seconds,from_second,blocked"


def faults(header: str, *rows: str) -> list[tuple[int, str]]:
    with pytest.raises(FaultyRateCard) as refusal:
        read_rate_card("\n".join([header, *rows]).encode())
    return [(fault.line, fault.message) for fault in refusal.value.faults]


def test_every_fault_is_listed_by_its_line() -> None:
    header = (
        "leg_type,prefix,country,currency,rate_per_minute,connection_fee,"
        "initial_increment_seconds,increment_seconds,from_second,effective_from,effective_to,blocked"
    )
    assert faults(
        header,
        "dialOut,49,DE,USD,0.1,,,,,,,",
        "carrierPigeon,+49,UK,dollar,-1,x,0,1.5,-1,2026-01-01,2026-01-01T00:00:00,maybe",
        "",
        "dialOut,,DE,USD,,,,,,,,",
        "dialOut,43,AT,USD,0.0000001,,,,,2026-02-01T00:00:00Z,2026-01-01T00:00:00Z,",
    ) == [
        (3, "blocked: must be true, false or empty"),
        (3, "connection_fee: must be a decimal string with at most 6 decimals, such as 0.026"),
        (3, "country: must be an ISO 3166-1 alpha-2 code such as DE, or empty: write GB"),
        (3, "currency: must be an ISO 4217 code such as USD"),
        (3, "effective_from: must be an RFC 3339 time such as 2026-11-02T09:00:00Z"),
        (3, "effective_to: has no offset; times are UTC, such as 2026-11-02T09:00:00Z"),
        (3, "from_second: must be a whole number of seconds from 0 to 86400"),
        (3, "increment_seconds: must be a whole number of seconds from 1 to 86400"),
        (3, "initial_increment_seconds: must be a whole number of seconds from 1 to 86400"),
        (3, "leg_type: must be one of tollDialIn, tollFreeDialIn, dialOut"),
        (3, "prefix: must be the digits of an E.164 prefix, without +: write 49"),
        (3, "rate_per_minute: must not be negative"),
        (5, "prefix: must not be empty"),
        (5, "rate_per_minute: must not be empty"),
        (6, "effective_to: must lie after effective_from"),
        (
            6,
            "rate_per_minute: must be a decimal string with at most 6 decimals, such as 0.026; "
            "0.0000001 has more: round it yourself, to 0.000001",
        ),
    ]


def test_a_duplicate_key_is_a_fault_of_the_later_line() -> None:
    assert faults(HEADER, "dialOut,49,USD,0.1", "dialOut,43,USD,0.1", "dialOut,49,USD,0.2") == [
        (4, "is a duplicate of line 2")
    ]


def test_mixed_currencies_within_a_key_are_a_fault_in_whatever_period() -> None:
    assert faults(
        PERIODS,
        "dialOut,49,USD,0.1,,2026-01-01T00:00:00Z",
        "dialOut,49,EUR,0.1,2026-01-01T00:00:00Z,",
    ) == [(3, "currency: is EUR, but USD at line 2")]


def test_currencies_may_differ_between_keys() -> None:
    assert len(card("dialOut,49,DE,USD,0.1,,", "dialOut,43,AT,EUR,0.1,,").rates) == 2


def test_overlapping_periods_are_a_fault_wherever_they_stand() -> None:
    assert faults(
        PERIODS,
        "dialOut,49,USD,0.1,2026-06-01T00:00:00Z,",
        "dialOut,49,USD,0.1,,2026-06-01T00:00:00Z",
        "dialOut,49,USD,0.1,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z",
    ) == [(4, "its effective period overlaps that of line 3")]


def test_a_long_period_is_held_against_every_one_that_it_overlaps() -> None:
    assert faults(
        PERIODS,
        "dialOut,49,USD,0.1,2026-01-01T00:00:00Z,2026-10-01T00:00:00Z",
        "dialOut,49,USD,0.1,2026-02-01T00:00:00Z,2026-03-01T00:00:00Z",
        "dialOut,49,USD,0.1,2026-04-01T00:00:00Z,2026-05-01T00:00:00Z",
        "dialOut,49,USD,0.1,2026-10-01T00:00:00Z,",
    ) == [
        (3, "its effective period overlaps that of line 2"),
        (4, "its effective period overlaps that of line 2"),
    ]


def test_steps_need_a_step_0_of_the_same_period_and_one_fee_and_one_block() -> None:
    assert faults(
        STEPS,
        "dialOut,49,USD,0.1,,60,30,",
        "dialOut,43,USD,0.1,0.05,60,0,",
        "dialOut,43,USD,0.1,0.06,60,60,",
        "dialOut,43,USD,0.1,0.05,60,120,true",
    ) == [
        (2, "from_second: there is no step 0 with the same effective period"),
        (4, "connection_fee: is charged once; it belongs to line 3"),
        (5, "blocked: must be as at line 3"),
    ]


def test_a_row_must_have_as_many_cells_as_the_header() -> None:
    assert faults(HEADER, "dialOut,49,USD", "dialOut,43,USD,0.1,5") == [
        (2, "has 3 cells; the header has 4: write a separator for each cell that is empty"),
        (
            3,
            "has 5 cells; the header has 4: put a cell that holds , in quotation marks, and write "
            "decimals with a point",
        ),
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            b"",
            Fault(1, "is empty; the header must name leg_type, prefix, currency, rate_per_minute"),
        ),
        (b"leg_type,prefix,currency,rate_per_minute\n", Fault(1, "the card has no rates")),
        (
            b"leg_type,prefix,prefix,currency,rate_per_minute\n",
            Fault(1, "column prefix stands more than once"),
        ),
        (
            b"leg_type,prefix,currency,rate_per_minute\ndialOut,49,USD,0.1\ndialOut,\xff",
            Fault(3, "prefix: is not UTF-8; save the file as UTF-8"),
        ),
        (
            b'leg_type,prefix,currency,rate_per_minute\ndialOut,"49"x,USD,0.1\n',
            Fault(2, "is not CSV: ',' expected after '\"'"),
        ),
    ],
)
def test_what_is_no_card_at_all_is_refused(content: bytes, fault: Fault) -> None:
    with pytest.raises(FaultyRateCard) as refusal:
        read_rate_card(content)
    assert refusal.value.faults[0] == fault


def test_a_byte_order_mark_unknown_columns_and_spaces_do_no_harm() -> None:
    content = f"\ufeff{HEADER},supplier\r\n dialOut , 49 , USD , 0.1 ,x\r\n".encode()
    assert [rate.prefix for rate in read_rate_card(content).rates] == ["49"]


def test_a_card_that_is_written_and_read_is_the_same_card() -> None:
    rates = card(
        "dialOut,49,USD,0.1,2026-01-01T00:00:00Z,,0.05,30,0,",
        "dialOut,49,USD,0.08,2026-01-01T00:00:00Z,,0.05,1,600,",
        "dialOut,449,USD,,,2027-01-01T00:00:00Z,,,,true",
        header=f"{PERIODS},connection_fee,increment_seconds,from_second,blocked",
    ).rates
    assert read_rate_card(write_rate_card(rates).encode()).rates == rates
