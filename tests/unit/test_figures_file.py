"""`perminute forecast --input FILE`: a forecast of figures that a file states."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from perminute_local.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WEEK = ["20", "24", "24", "22", "18", "2", "0.5"]  # from a Monday on
FIGURES: dict[str, Any] = {
    "firstDay": "2026-08-31",
    "asOf": "2026-09-28",
    "daily": WEEK * 4,
    "lots": [
        {"remaining": "60", "expiresAt": "2026-10-02T12:00:00Z"},
        {"remaining": "500", "expiresAt": "2027-09-01T00:00:00Z"},
    ],
    "monthSpent": "442",
}


@pytest.fixture
def answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any]]]:
    def run(*words: str, **changed: Any) -> tuple[int, dict[str, Any]]:
        file = tmp_path / "figures.json"
        file.write_text(json.dumps({**FIGURES, **changed}), encoding="utf-8")
        code = main(["forecast", "--input", str(file), "--json", *words])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_a_forecast_is_made_of_the_figures_in_a_file(answered: Callable[..., Any]) -> None:
    code, document = answered()
    assert code == 0
    assert document["asOf"] == {"at": "2026-09-28T00:00:00Z", "version": None}
    assert (document["status"], document["confidence"]) == ("ok", "medium")
    assert document["basis"]["days"] == 28
    # A Monday to a Wednesday are left of the month.
    assert 442 + 60 < float(document["month"]["expected"]) < 442 + 70
    assert document["path"][0]["day"] == "2026-09-28"
    assert len(document["path"]) == 90
    assert document["runsOut"]["expected"] == "2026-11-02"


def test_what_is_stated_of_credit_counts(answered: Callable[..., Any]) -> None:
    without = answered()[1]
    recharge = {"triggerAmount": "100", "rechargeAmount": "300", "monthlyLimit": "300"}
    for changed in (
        {"debt": "50"},
        {"spentToday": "21"},
        {"autoRecharge": recharge},
        {"lots": FIGURES["lots"][:1]},
    ):
        assert answered(**changed)[1] != without, changed
    assert answered(autoRecharge={**recharge, "enabled": False})[1] == without
    assert answered(currency="EUR")[1] == {**without, "currency": "EUR"}


def test_a_lot_that_expires_at_noon_pays_half_of_its_day(answered: Callable[..., Any]) -> None:
    noon = {"remaining": "5", "expiresAt": "2026-09-28T12:00:00Z"}
    document = answered(lots=[noon])[1]
    assert document["forfeited"] == {"low": "0", "expected": "0", "high": "0"}
    noon["remaining"] = "50"
    assert 35 < float(answered(lots=[noon])[1]["forfeited"]["expected"]) < 41


def test_how_far_it_looks_ahead_is_an_option_or_a_figure(answered: Callable[..., Any]) -> None:
    assert len(answered(horizonDays=5)[1]["path"]) == 5
    assert len(answered("--horizon-days", "180", horizonDays=5)[1]["path"]) == 180


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"daily": WEEK}, "daily: has 7 days from 2026-08-31 on; the last one must be the day "),
        ({"firstDay": "9999-12-31"}, "daily: has 28 days from 9999-12-31 on; the last one must be"),
        ({"firstDay": "31.8.2026"}, "firstDay: must be a date such as 2026-11-02"),
        ({"asOf": "9999-12-31"}, "asOf: must lie in the year 9990 at the latest"),
        ({"asOf": "today"}, "asOf: must be a date or a time such as 2026-11-02"),
        ({"daily": ["-1", *WEEK[1:]]}, "daily.0: must not be negative"),
        ({"lots": [{"remaining": "5"}]}, "lots.0.expiresAt: is required"),
        ({"lots": [*FIGURES["lots"], 5]}, "lots.2: must be a JSON object"),
        ({"lots": "none"}, "lots: must be a list"),
        ({"horizonDays": 181}, "horizonDays: "),
    ],
)
def test_a_faulty_figure_is_named(
    answered: Callable[..., Any], changed: dict[str, Any], message: str
) -> None:
    code, document = answered(**changed)
    assert (code, document["error"]) == (2, "file")
    assert f"figures.json: {message}" in document["message"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "f.json", "--stack", "s"], "--input FILE states all figures; leave out"),
        (["--input", "f.json", "--organization", "o"], "--input FILE states all figures; leave"),
        (["--stack", "s"], "needs --organization ID, or --input FILE"),
        (["--organization", "o"], "needs either --stack NAME, or --replay DIR"),
    ],
)
def test_figures_come_from_one_place(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forecast", *words]) == 2
    assert capsys.readouterr().err.startswith(f"perminute: {message}")


def test_a_horizon_has_180_days_at_most(answered: Callable[..., Any]) -> None:
    code, document = answered("--horizon-days", "181")
    assert (code, document["message"]) == (2, "--horizon-days: must be at most 180")


def test_the_text_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(FIGURES), encoding="utf-8")
    assert main(["forecast", "--input", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{file}: forecast"
    assert lines[-1] == "As of 2026-09-28 00:00:00 UTC."
