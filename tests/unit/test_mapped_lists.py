"""Any list by a mapping of its columns; figures are made up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from perminute.domain.rating.calls import LegType
from perminute_local.carrier_price_lists.mapped import (
    ColumnMapping,
    SavedMapping,
    load_mapping,
    read_columns,
    read_mapped,
    save_mapping,
)
from perminute_local.carrier_price_lists.price_list import DeckOptions
from perminute_local.wrong_call import WrongCall, WrongFile

if TYPE_CHECKING:
    from pathlib import Path

    from perminute_local.carrier_price_lists.price_list import PriceList

COLUMNS = {"prefix": "Code", "rate": "Price / min"}
LIST = "Code;Price / min;Land\n43;0,026;AT\n4366-4368;0,1;AT\n49, 4930;0,0150000;DE\n"


def read(text: str, columns: dict[str, str] = COLUMNS, **options: Any) -> PriceList:
    mapping = ColumnMapping(
        columns=columns,
        leg_type=None if "leg_type" in columns else LegType.DIAL_OUT,
        currency=None if "currency" in columns else "EUR",
    )
    return read_mapped(text.encode(), DeckOptions(**options), mapping)


def faults(prices: PriceList) -> list[tuple[int, str]]:
    prices.rates()
    return [(fault.line, fault.message) for fault in sorted(prices.faults)]


def test_ranges_and_lists_are_expanded_if_they_are_named() -> None:
    prices = read(LIST, separator=";", decimal=",", ranges=True)
    assert [(rate.prefix, rate.rate_micros_per_minute) for rate in prices.rates()] == [
        ("43", 26_000),
        ("4366", 100_000),
        ("4367", 100_000),
        ("4368", 100_000),
        ("49", 15_000),
        ("4930", 15_000),
    ]
    assert prices.faults == []
    assert faults(read(LIST, separator=";", decimal=",")) == [
        (
            3,
            "Code: must be the digits of an E.164 prefix, without +: 4366-4368 is a range; write a "
            "row for each prefix, or say --ranges",
        ),
        (
            4,
            "Code: must be the digits of an E.164 prefix, without +: 49, 4930 is a list; write a "
            "row for each prefix, or say --ranges",
        ),
    ]


def test_what_to_write_instead_of_a_price_has_the_lists_decimal_mark() -> None:
    text = "Code;Price / min\n43;0,026 EUR\n44;0,0260001\n"
    what = "Price / min: must be a decimal string with at most 6 decimals, such as 0,026"
    assert faults(read(text, separator=";", decimal=",")) == [
        (2, f"{what}: write 0,026, without the currency"),
        (3, f"{what}; 0,0260001 has more: round it yourself, to 0,026"),
    ]


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("45-43", "45-43 is not a range: write both ends with as many digits, the lower one first"),
        ("43-4369", "43-4369 is not a range: write both ends with as many digits, the lower one"),
        ("43000-53000", "43000-53000 stands for more than 10000 prefixes"),
        ("43;49 151", "must be the digits of an E.164 prefix, without +: write 49151"),
        ("+43-+45", "must be the digits of an E.164 prefix"),
        ("/;", "holds separators, and nothing between them"),
    ],
)
def test_a_range_that_is_none_is_a_fault(cell: str, why: str) -> None:
    ((line, message),) = faults(read(f'Code,Price / min\n"{cell}",1\n', ranges=True))
    assert (line, message.startswith(f"Code: {why}")) == (2, True)


def test_each_field_of_a_rate_may_have_a_column() -> None:
    header = "Code,Price,Iso,Name,Setup,First,Next,From,Until,Kind,Money"
    names = header.split(",")
    fields = (
        "prefix",
        "rate",
        "country",
        "description",
        "connection_fee",
        "initial_increment_seconds",
        "increment_seconds",
        "effective_from",
        "effective_to",
        "leg_type",
        "currency",
    )
    row = "49,0.1,DE,Germany,0.05,30,6,2026-11-01,2027-01-01T00:00:00Z,dialOut,EUR"
    (rate,) = read(f"{header}\n{row}\n", dict(zip(fields, names, strict=True))).rates()
    assert (rate.prefix, rate.country, rate.description) == ("49", "DE", "Germany")
    assert (rate.rate_micros_per_minute, rate.connection_fee_micros) == (100_000, 50_000)
    assert (rate.initial_increment_seconds, rate.steps[0].increment_seconds) == (30, 6)
    assert rate.effective_from == datetime(2026, 11, 1, tzinfo=UTC)
    assert rate.effective_to == datetime(2027, 1, 1, tzinfo=UTC)
    assert (rate.leg_type, rate.currency) == (LegType.DIAL_OUT, "EUR")


def test_periods_that_contradict_each_other_are_named_by_the_lists_lines() -> None:
    columns = {**COLUMNS, "effective_from": "From", "effective_to": "Until"}
    text = (
        'Code,Price / min,From,Until,Note\n49,0.1,,2026-12-01T00:00:00Z,"two\nlines"\n'
        "49,0.2,2026-11-01,,\n43,0.1,2026-11-02,2026-11-01T00:00:00Z,\n"
        "31,0.1,,2026-12-31,\n"
    )
    assert faults(read(text, columns)) == [
        (4, "its effective period overlaps that of line 2"),
        (5, "Until: must lie after effective_from"),
        (6, "Until: must be an RFC 3339 time such as 2026-11-02T09:00:00Z"),
    ]


def test_a_column_that_is_not_there_is_answered_with_those_that_are() -> None:
    assert faults(read("Dial code,Price / min\n49,1\n")) == [
        (1, "column Code is missing; there are: Dial code, Price / min")
    ]
    assert faults(read("CODE,Price / min\n49,1\n")) == [
        (1, "column CODE: write it Code, or name it so in the mapping")
    ]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("prefix=Code,rate=Price / min", {"prefix": "Code", "rate": "Price / min"}),
        ("rate=Price, net , prefix=Code", {"rate": "Price, net", "prefix": "Code"}),
    ],
)
def test_a_mapping_is_fields_and_columns(text: str, columns: dict[str, str]) -> None:
    assert read_columns(text) == columns


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Code", "must be FIELD=COLUMN, such as prefix=Code,rate=Price"),
        ("x,prefix=Code", "must be FIELD=COLUMN, such as prefix=Code,rate=Price"),
        ("Prefix=Code", "Prefix is not a field of a rate: write prefix"),
        ("zone=Z", "zone is not a field of a rate: there are prefix, rate, country, description"),
        ("prefix=A,prefix=B", "names prefix twice"),
        ("prefix=,rate=B", "names no column for prefix"),
    ],
)
def test_a_mapping_that_is_none_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"is|must|names") as refusal:
        read_columns(text)
    assert str(refusal.value).startswith(why)


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        (ColumnMapping(columns={"rate": "P"}), "the mapping names no column of prefix: prefix=COL"),
        (ColumnMapping(columns=COLUMNS, currency="EUR"), "--leg-type is needed, or leg_type=COL"),
        (
            ColumnMapping(
                columns={**COLUMNS, "currency": "M"}, currency="EUR", leg_type=LegType.DIAL_OUT
            ),
            "--currency and the column M: only one can be the currency",
        ),
    ],
)
def test_a_mapping_gives_each_row_what_a_rate_needs(mapping: ColumnMapping, why: str) -> None:
    with pytest.raises(WrongCall) as refusal:
        mapping.check()
    assert str(refusal.value).startswith(why)


def test_a_mapping_that_is_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "carrier.json"
    saved = SavedMapping(
        columns=COLUMNS, leg_type=LegType.DIAL_OUT, currency="EUR", separator="\t", decimal=",",
        ranges=True,
    )  # fmt: skip
    save_mapping(file, saved)
    assert load_mapping(file) == saved
    assert json.loads(file.read_text())["separator"] == "tab"
    save_mapping(file, SavedMapping(columns=COLUMNS))
    assert load_mapping(file) == SavedMapping(columns=COLUMNS)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is not JSON: "),
        ("[]", 'must be an object such as {"columns": '),
        ('{"columns": []}', 'must be an object such as {"columns": '),
        ('{"columns": {"prefx": "A"}}', "columns: prefx is not a field of a rate: write prefix"),
        ('{"columns": {"prefix": 1}}', "columns: prefix must be the name of a column"),
        (
            '{"columns": {}, "Separator": ";"}',
            "Separator is not a part of a mapping: write separator",
        ),
        ('{"columns": {}, "separator": "x"}', "separator: must be one of , ; tab |"),
        ('{"columns": {}, "decimal": [","]}', "decimal: must be one of . ,"),
        ('{"columns": {}, "ranges": "yes"}', "ranges: must be true or false"),
        ('{"columns": {}, "legType": "DialOut"}', "legType: must be one of tollDialIn"),
        ('{"columns": {}, "currency": 5}', "currency: must be a string"),
    ],
)
def test_a_faulty_mapping_file_is_named_with_what_is_wrong(
    tmp_path: Path, content: str, why: str
) -> None:
    file = tmp_path / "carrier.json"
    file.write_text(content)
    with pytest.raises(WrongFile) as refusal:
        load_mapping(file)
    assert str(refusal.value).startswith(f"{file}: {why}")
