"""`perminute license-advice --input FILE`: advice by figures that a file states."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from perminute_local.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIGURES: dict[str, Any] = {
    "priceMicros": 4_000_000,
    "users": {
        "adele": {"holds": "payPerMinute"},
        "alex": {"holds": "subscription", "payPerMinuteAvailable": False},
        "megan": {"holds": "subscription", "contractedUntil": "2027-03-01"},
    },
    "months": [
        {
            "calls": [
                ["adele", "zoneA", 90, 60_000, 20_000],
                ["adele", "toll", 300, 8_500, 0],
                ["alex", "tollFree", 10, 22_000, 0],
                ["megan", "other", 10, 230_000, 0],
            ]
        }
    ],
}

Answered = tuple[int, str, str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answered]:
    def of(*words: str, **changed: Any) -> Answered:
        file = tmp_path / "figures.json"
        file.write_text(json.dumps({**FIGURES, **changed}), encoding="utf-8")
        code = main(["license-advice", "--input", str(file), *words])
        written = capsys.readouterr()
        return code, written.out, written.err

    return of


def test_advice_is_made_of_the_figures_in_a_file(run: Callable[..., Answered]) -> None:
    code, written, _ = run("--json")
    assert code == 0
    assert json.loads(written) == {
        "status": "ok",
        "price": "4",
        "current": "18.49",
        "best": "10.52",
        "saving": "7.97",
        "subscribers": ["adele", "alex"],
        "recommendations": [
            {
                "user": "adele",
                "from": "payPerMinute",
                "to": "subscription",
                "saves": "7.97",
                "monthsAgreeing": 1,
            },
            {
                "user": "megan",
                "from": "subscription",
                "to": "payPerMinute",
                "saves": "4",
                "monthsAgreeing": 1,
            },
        ],
        "pool": [{"minutes": 120, "wanted": 90}],
        "confidence": "low",
        "remarks": [{"remark": "payPerMinuteNotAvailable", "user": "alex"}],
        "isExact": True,
    }


def test_a_price_on_the_command_line_takes_the_place_of_that_in_the_file(
    run: Callable[..., Answered],
) -> None:
    answer = json.loads(run("--json", "--price", "0.5", "--minimum-saving", "0.1")[1])
    assert (answer["price"], answer["current"]) == ("0.5", "11.49")
    assert json.loads(run("--json", "--minimum-saving", "8")[1])["recommendations"] == []


def test_purchases_and_the_minutes_of_a_license_may_be_stated(
    run: Callable[..., Answered],
) -> None:
    answer = json.loads(run("--json", purchased=4, minutesPerLicense=10)[1])
    assert answer["pool"] == [{"minutes": 40, "wanted": 90}]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"months": []}, "months: is empty; state the calls of at least one month"),
        ({"priceMicros": -1}, "priceMicros: must be a whole number from 0"),
        (
            {"users": {"adele": {"holds": "E5"}}},
            'users.adele.holds: must be "payPerMinute", "subscription", "bundle", "both" or "none"',
        ),
        (
            {"months": [{"calls": [["adele", "toll", 1, 1, 0], ["adele", "toll", 1.5, 1, 0]]}]},
            'months.0.calls.1: must be like ["adele", "toll", 12, 8500, 0]: user, kind, minutes, '
            "price of a minute and fee; Expected `int`, got `float`",
        ),
        ({"months": [{"calls": [7]}]}, "months.0.calls.0: must be like"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    run: Callable[..., Answered], changed: dict[str, Any], message: str
) -> None:
    code, written, said = run(**changed)
    assert (code, written) == (2, "")
    assert f"figures.json: {message}" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--months", "2"], "--months: applies to recorded calls only"),
        (
            ["--contracted-until", "2027-01-01"],
            "--contracted-until: applies to recorded calls only",
        ),
        (["--price", "-1"], "--price: '-1' is below 0"),
        (["--price", "4,50"], "--price: must be a decimal string"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    run: Callable[..., Answered], words: list[str], message: str
) -> None:
    code, written, said = run(*words)
    assert (code, written) == (2, "")
    assert message in said


def test_the_table_names_what_saves_most_first(run: Callable[..., Answered]) -> None:
    _, written, _ = run()
    lines = [" ".join(line.split()) for line in written.splitlines()]
    assert lines[4:] == [
        "adele pay-per-minute subscription 7.97 1",
        "megan subscription pay-per-minute 4.00 1",
        "",
        "A month costs 18.49 now, and 10.52 with the best licenses: 7.97 less, confidence low.",
        "alex may not have pay-per-minute, so nothing is changed.",
    ]
