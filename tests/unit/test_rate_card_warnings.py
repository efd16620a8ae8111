from __future__ import annotations

import pytest

from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.rates.rate_card_warnings import card_warnings

HEADER = (
    "leg_type,prefix,country,currency,rate_per_minute,initial_increment_seconds,"
    "increment_seconds,from_second,effective_from,effective_to,blocked"
)
BLOCK = (
    "block them (perminute rates convert --from card --block-premium), "
    "or add rows with their prices"
)
CANNOT = (
    "ordinary numbers begin with the same digits, so no row can block them alone: ask the carrier "
    "what they cost"
)
HOLE = (
    "this row prices no call that is answered then. effective_to is the first instant that a row "
    "does not hold for, so write the same instant in both"
)


def warnings(*rows: str) -> list[tuple[int, str]]:
    content = "\n".join([HEADER, *rows]).encode()
    return [
        (one.line, one.message) for one in card_warnings(content, read_rate_card(content).rates)
    ]


def test_a_column_that_a_card_does_not_have_is_named() -> None:
    content = b"leg_type,prefix,currency,rate_per_minute,block\ntollDialIn,999,USD,0.1,true\n"
    (warning,) = card_warnings(content, read_rate_card(content).rates)
    assert warning.line == 1
    assert warning.message.startswith("column block: is not read; the columns are leg_type, ")


def test_a_dial_out_without_a_country_is_named_unless_it_is_blocked() -> None:
    assert warnings(
        "dialOut,999,XA,USD,0.1,,,,,,",
        "dialOut,9991,,USD,0.1,,,,,,",
        "dialOut,9992,,USD,,,,,,,true",
        "tollDialIn,999,,USD,0.1,,,,,,",
    ) == [
        (
            3,
            "country: is empty, so these calls never draw on a minute pool, and organizers who "
            "may call their own country or Zone A only may not make them: write the country's ISO "
            "3166-1 code",
        )
    ]


def test_ranges_that_a_row_prices_are_named_by_region_and_kind_with_a_way_out() -> None:
    assert warnings("dialOut,999,XA,USD,0.1,,,,,,", "dialOut,61,AU,USD,0.1,,,,,,") == [
        (3, f"prefix: 61 prices pager numbers of AU as ordinary ones: 61163; {BLOCK}"),
        (
            3,
            "prefix: 61 prices premium-rate numbers of AU, CC, CX as ordinary ones: 611900-611902, "
            f"611906; {BLOCK}",
        ),
        (3, f"prefix: 61 prices shared-cost numbers of AU, CC, CX as ordinary ones: 6113; {BLOCK}"),
        (
            3,
            "prefix: 61 prices toll-free numbers of AU, CC, CX as ordinary ones: 611800, 611802; "
            f"{BLOCK}",
        ),
    ]


def test_a_range_that_cannot_be_blocked_has_another_way_out() -> None:
    assert warnings("dialOut,601,MY,USD,0.1,,,,,,") == [
        (2, f"prefix: 601 prices premium-rate numbers of MY as ordinary ones: 601600; {CANNOT}"),
        (
            2,
            "prefix: 601 prices toll-free numbers of MY as ordinary ones: 601300, 601700, 601800; "
            f"{BLOCK}",
        ),
    ]


def test_a_warning_lists_thirty_ranges_and_counts_the_others() -> None:
    (warning,) = (
        message for _, message in warnings("dialOut,86,CN,USD,0.1,,,,,,") if "96," in message
    )
    assert ", and " in warning
    assert warning.partition(" more; ")[0].count(", ") == 30


@pytest.mark.parametrize("until", ["2026-11-14T23:59:59Z", "2026-11-14T00:00:01Z"])
def test_a_hole_of_less_than_a_day_is_named_with_both_instants(until: str) -> None:
    assert warnings(
        "tollDialIn,999,XA,USD,0.2,,,,2026-11-15T00:00:00Z,,",
        "tollDialIn,9991,XA,USD,0.2,,,,2026-11-15T00:00:00Z,,",
        f"tollDialIn,999,XA,USD,0.1,,,,,{until},",
    ) == [
        (
            2,
            f"effective_from: there is a hole from {until} (effective_to of line 4) to "
            f"2026-11-15T00:00:00Z: {HOLE}",
        )
    ]


@pytest.mark.parametrize("until", ["2026-11-14T00:00:00Z", "2026-11-15T00:00:00Z"])
def test_a_day_without_a_price_may_be_meant_and_no_time_at_all_is_no_hole(until: str) -> None:
    assert (
        warnings(
            f"tollDialIn,999,XA,USD,0.1,,,,,{until},",
            "tollDialIn,999,XA,USD,0.2,,,,2026-11-15T00:00:00Z,,",
        )
        == []
    )


def test_holes_lie_between_neighbors_in_time_whatever_the_order_of_the_rows() -> None:
    rows = [
        "tollDialIn,999,XA,USD,0.3,,,,2026-03-01T00:00:00Z,,",
        "tollDialIn,999,XA,USD,0.1,,,,,2026-01-31T23:00:00Z,",
        "tollDialIn,999,XA,USD,0.2,,,,2026-02-01T00:00:00Z,2026-03-01T00:00:00Z,",
    ]
    assert [line for line, _ in warnings(*rows)] == [4]


def test_more_than_a_minute_at_once_is_named_by_column_and_line_of_its_step() -> None:
    advice = (
        "so more than a minute is billed at once: write 60 or less, unless the carrier bills so"
    )
    assert warnings(
        "tollDialIn,999,XA,USD,0.1,600,60,0,,,",
        "tollDialIn,999,XA,USD,0.1,600,61,600,,,",
        "tollDialIn,998,XA,USD,0.1,60,60,,,,",
        "tollDialIn,997,XA,USD,,600,600,,,,true",
    ) == [
        (2, f"initial_increment_seconds: is 600, {advice}"),
        (3, f"increment_seconds: is 61, {advice}"),
    ]
