"""Reports as tables: what adds up is aligned, and what is not in the figures is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from report_stack import AS_OF

from perminute_local.reports.layout import amounts, days_in_words, period
from perminute_local.reports.show import TABLES
from perminute_local.reports.source import Question
from perminute_local.tables import write_tables

if TYPE_CHECKING:
    from collections.abc import Callable

Shown = list[str]
Show = "Callable[..., Shown]"
NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[..., Shown]:
    def show(report: str, answer: dict[str, Any], **parameters: Any) -> Shown:
        question = Question(report, "contoso", parameters)
        write_tables(TABLES[report](question, answer))
        return [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]

    return show


def figures(calls: int, seconds: int, charge: str, retail: str | None) -> dict[str, Any]:
    return {
        "calls": calls,
        "connectedSeconds": seconds,
        "billedSeconds": seconds,
        "poolMinutes": 0,
        "charge": charge,
        "retailCost": retail,
    }


def test_usage_is_a_line_for_each_group_and_a_total(shown: Callable[..., Shown]) -> None:
    answer = {
        "asOf": AS_OF,
        "currency": "USD",
        "groupBy": ["organizerId", "legType"],
        "rows": [
            {"organizerId": "adele", "legType": "dialOut", **figures(1200, 72_030, "1234.5", "2")},
            {"organizerId": "\x1b[1m", "legType": "tollDialIn", **figures(1, 0, "0", None)},
        ],
        "total": figures(1201, 72_030, "1234.5", "1500.0625"),
        "mayChange": ["2026-11-01", "2026-11-02", "2026-11-04"],
        "omits": ["free"],
    }
    assert shown("usage", answer, **NOVEMBER) == [
        "contoso: usage of 2026-11-01 to 2026-11-30",
        "  organizer   call           calls   billed min:s   pool min   charged USD   retail USD",
        " " + "─" * 87,
        "  adele       dial-out       1,200       1,200:30          0      1,234.50       2.0000",
        "  \\x1b[1m     toll dial-in       1           0:00          0          0.00            -",
        "  total                      1,201       1,200:30          0      1,234.50   1,500.0625",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
        "Left out: free calls (by app, not answered, in ad-hoc meetings).",
        "May still change: 2026-11-01 to 2026-11-02, 2026-11-04.",
    ]


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([], []),
        (["1", None, "-1234567.5"], ["1.00", "-", "-1,234,567.50"]),
        (["0.000001", "10"], ["0.000001", "10.000000"]),
        (["-0.005"], ["-0.005"]),
    ],
)
def test_amounts_below_each_other_have_the_same_decimals(
    values: list[str | None], written: list[str]
) -> None:
    assert amounts(values) == written


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"month": "2026-11"}, "of 2026-11"),
        ({"from": "2026-11-02", "to": "2026-11-03"}, "of 2026-11-02"),
        (
            {"from": "2026-11-02T08:00:00Z", "to": "2026-11-03"},
            "from 2026-11-02T08:00:00Z until 2026-11-03",
        ),
    ],
)
def test_a_period_is_named_by_the_days_that_are_in_it(
    parameters: dict[str, str], words: str
) -> None:
    assert period(parameters) == words


def test_days_that_follow_one_another_are_a_period() -> None:
    days = ["2026-10-31", "2026-11-01", "2026-11-03"]
    assert days_in_words(days) == "2026-10-31 to 2026-11-01, 2026-11-03"
    assert days_in_words([]) == ""
