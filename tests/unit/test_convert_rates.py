"""What `rates convert` writes, where, and what does not go together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from perminute.domain.rating.calls import LegType
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.cli import main
from perminute_local.rates.convert_rates import ListRequest, convert_rates
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "ISO,Description,Price / min,Origination Prefixes,Destination Prefixes\n"
COLUMNS = {"prefix": "Code", "rate": "Price"}


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    file = tmp_path / "deck.csv"
    file.write_text(f"{HEADER}XE,x,0.1,,999\nXE,y,0.05,1,999\nXE,z,0.1,,999\n")
    return file


def test_the_card_is_written_and_what_is_not_in_it_is_listed_and_counted(
    deck: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert_rates(deck, ListRequest(deck="twilio"), as_json=False) == 0
    shown = capsys.readouterr()
    assert [rate.prefix for rate in read_rate_card(shown.out.encode()).rates] == ["999"]
    assert shown.err.splitlines() == [
        f"{deck}:3: left out: is for calls from 1; not used",
        f"{deck}: 1 rows or prices are left out",
        f"{deck}:4: taken once: prefix 999 has the same price at line 2",
        f"{deck}: 1 prefixes or prices stand more than once and are taken once",
    ]


def test_a_rate_card_stays_as_it_is_but_for_blocking_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "rates.csv"
    card.write_text(
        "leg_type,prefix,country,currency,rate_per_minute,from_second,effective_from\n"
        "dialOut,44,GB,USD,0.01,0,\n"
        "dialOut,44,GB,USD,0.02,60,\n"
        "tollDialIn,4420,GB,USD,0.01,0,2026-11-01T00:00:00Z\n"
    )
    assert convert_rates(card, ListRequest(deck="card", block_premium=True), as_json=False) == 0
    converted = read_rate_card(capsys.readouterr().out.encode()).rates
    of_card = read_rate_card(card.read_bytes()).rates
    assert converted[: len(of_card)] == of_card
    blocking = converted[len(of_card) :]
    assert "44870" in {rate.prefix for rate in blocking}
    assert all(rate.blocked for rate in blocking)


def test_the_faults_of_a_rate_card_are_named_by_its_own_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "rates.csv"
    card.write_text("leg_type,prefix,currency,rate_per_minute\ndialOut,44,USD,0.01\n" * 2)
    assert convert_rates(card, ListRequest(deck="card"), as_json=False) == 1
    assert f"{card}:3: " in capsys.readouterr().err


def test_a_refused_list_has_every_fault_and_no_card(
    deck: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deck.write_text(f"{HEADER}XE,x,free,,999\nXE,y,0.05,,+999\n")
    assert convert_rates(deck, ListRequest(deck="twilio"), as_json=False) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line.split(": ")[0] for line in shown.err.splitlines()] == [
        f"{deck}:2",
        f"{deck}:3",
        str(deck),
    ]


def test_as_json_it_is_one_document_with_all_of_it(
    deck: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert_rates(deck, ListRequest(deck="twilio"), as_json=True) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert shown.err == ""
    assert read_rate_card(document.pop("card").encode()).rates[0].prefix == "999"
    assert document == {
        "valid": True,
        "rates": 1,
        "faults": [],
        "leftOut": [{"line": 3, "message": "is for calls from 1; not used"}],
        "repeated": [{"line": 4, "message": "prefix 999 has the same price at line 2"}],
    }
    deck.write_text(HEADER + "XE,x,free,,999\n" * 21)
    assert convert_rates(deck, ListRequest(deck="twilio"), as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["valid"], document["rates"], document["card"]) == (False, 0, None)
    assert len(document["faults"]) == 21


def test_every_fault_is_shown_however_many_there_are_and_every_row_that_is_left_out(
    deck: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = [f"XE,x,0.1,{caller},998\n" for caller in range(100, 150)]
    priced, faulty = "XE,x,0.2,,998\n", "XE,x,free,,999\n" * 50
    deck.write_text(HEADER + priced + "".join(elsewhere) + faulty)
    assert convert_rates(deck, ListRequest(deck="twilio"), as_json=False) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        *(f"{deck}:{line}" for line in range(3, 53)),
        str(deck),
        *(f"{deck}:{line}" for line in range(53, 103)),
        str(deck),
    ]
    assert lines[-1] == f"{deck}: 50 faults; the list is refused whole"


def test_one_fault_is_one_fault(deck: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deck.write_text(f"{HEADER}XE,x,free,,999\n")
    assert convert_rates(deck, ListRequest(deck="twilio"), as_json=False) == 1
    assert capsys.readouterr().err.endswith(f"{deck}: 1 fault; the list is refused whole\n")


def test_no_mapping_is_saved_for_a_list_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "carrier.json"
    request = ListRequest(columns=COLUMNS, leg_type=LegType.DIAL_OUT, currency="EUR", save_map=file)
    with pytest.raises(FileNotFoundError):
        convert_rates(tmp_path / "gone.csv", request, as_json=False)
    assert not file.exists()


def test_a_mapping_is_saved_and_used_again_and_the_command_line_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deck, file = tmp_path / "deck.csv", tmp_path / "carrier.json"
    deck.write_text("Code;Price\n43-44;0,1\n")
    first = ListRequest(
        columns=COLUMNS,
        leg_type=LegType.DIAL_OUT,
        currency="EUR",
        separator=";",
        decimal=",",
        ranges=True,
        save_map=file,
    )
    assert convert_rates(deck, first, as_json=False) == 0
    shown = capsys.readouterr()
    assert shown.err == f"{file}: the mapping is saved; use it by --map-file\n"
    assert convert_rates(deck, ListRequest(map_file=file), as_json=False) == 0
    assert capsys.readouterr().out == shown.out
    assert convert_rates(deck, ListRequest(map_file=file, currency="CHF"), as_json=False) == 0
    assert capsys.readouterr().out == shown.out.replace("EUR", "CHF")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, "say by one of --from acs|acs-inbound|card|telnyx|twilio, --map FIELD=COLUMN"),
        ({"deck": "acs", "columns": COLUMNS}, "say by one of --from"),
        ({"deck": "acs", "origin": "+14255550100"}, "--origin has no meaning for acs"),
        ({"deck": "card", "decimal": ","}, "--separator, --decimal and --ranges have no meaning"),
        ({"deck": "acs", "currency": "EUR"}, "--currency belongs to --map; the layout of acs"),
        ({"deck": "acs", "leg_type": LegType.DIAL_OUT}, "--leg-type belongs to --map"),
        ({"columns": COLUMNS, "origin": "+14255550100"}, "--origin and --service-numbers belong"),
        ({"columns": COLUMNS}, "--leg-type is needed, or leg_type=COLUMN"),
        ({"columns": {"prefix": "Code", "rate": "Code"}}, "prefix and rate are both the column"),
    ],
)
def test_what_does_not_go_together_is_a_wrong_call(
    deck: Path, said: dict[str, Any], why: str
) -> None:
    with pytest.raises(WrongCall) as refusal:
        convert_rates(deck, ListRequest(**said), as_json=False)
    assert str(refusal.value).startswith(why)


def test_a_mapping_is_not_saved_over_the_list(
    deck: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(deck.parent)
    content = deck.read_bytes()
    layout = ["--map", "prefix=a,rate=b", "--leg-type", "dialOut", "--currency", "EUR"]
    assert main(["rates", "convert", str(deck), *layout, "--save-map", deck.name]) == 2
    assert f"--save-map: {deck} is the price list itself" in capsys.readouterr().err
    assert deck.read_bytes() == content


def test_own_numbers_are_for_the_prices_of_calls_to_them(deck: Path) -> None:
    with pytest.raises(WrongCall, match="--service-numbers has no meaning for twilio"):
        convert_rates(deck, ListRequest(deck="twilio", service_numbers=deck), as_json=False)


def test_the_command_line_says_how_a_list_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deck, file = tmp_path / "deck.csv", tmp_path / "carrier.json"
    deck.write_text("Code\tPrice, net\n43-44\t0,1\n")
    command = ["rates", "convert", "--json", str(deck)]
    layout = ["--map", "prefix=Code,rate=Price, net", "--leg-type", "dialOut", "--currency", "EUR"]
    written = ["--separator", "tab", "--decimal", ",", "--ranges", "--save-map", str(file)]
    assert main([*command, *layout, *written]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rates"] == 2
    assert main([*command, "--map-file", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == document


def test_own_numbers_are_named_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deck, numbers = tmp_path / "deck.csv", tmp_path / "own.csv"
    deck.write_text("country,iso,receive_toll_usd_min,receive_tollfree_usd_min\nGermany,DE,0.01,\n")
    numbers.write_text("number,country,leg_type\n+4930234567,DE,tollDialIn\n")
    command = ["rates", "convert", "--from", "acs-inbound", str(deck)]
    assert main([*command, "--service-numbers", str(numbers)]) == 0
    assert "tollDialIn,4930234567,DE,Germany,USD,0.01" in capsys.readouterr().out
    numbers.write_text("number,country,leg_type\n+81312345678,JP,tollDialIn\n")
    assert main([*command, "--service-numbers", str(numbers)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    why = "the list has no receive_toll_usd_min of JP"
    assert f"{numbers}:2: {why}\n" in shown.err
    assert main([*command, "--service-numbers", str(numbers), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["faults"] == [{"file": str(numbers), "line": 2, "message": why}]


def test_a_mapping_that_cannot_be_read_is_a_wrong_call(
    deck: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rates", "convert", "--map", "code=Code", str(deck)]) == 2
    assert "--map: code is not a field of a rate: there are prefix" in capsys.readouterr().err
