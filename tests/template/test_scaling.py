"""The figures of docs/scaling.md are those of `make cost`, of the sizes that the page states."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perminute_local.cost.calls import Arrival, call_costs
from perminute_local.cost.prices import price

if TYPE_CHECKING:
    from perminute_local.stack import Template

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scaling.md").read_text()


def figures(row: str) -> list[Decimal]:
    """Return the three figures of the row that begins like this: small, large, huge."""
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {row} "))
    return [Decimal(cell.strip().replace(",", "")) for cell in line.split("|")[2:5]]


def sizes() -> list[list[Decimal]]:
    rows = re.findall(r"^\| \*\*\w+\*\* \|(.*)\|$", PAGE, re.MULTILINE)
    return [[Decimal(cell.replace(",", "")) for cell in row.split("|")] for row in rows]


def test_the_busiest_hour_has_an_eighth_of_the_calls_of_a_day() -> None:
    for _, calls, busiest in sizes():
        assert round(calls / 8 / 3600) == busiest


@pytest.mark.parametrize(
    ("row", "together"), [("DynamoDB writes a second,", 0), ("…, ten of an organization", 1)]
)
def test_the_writes_are_those_that_a_million_calls_are_billed_for(
    template: Template, all_arrivals: list[list[Arrival]], row: str, together: int
) -> None:
    (dollars,) = (
        cost.dollars
        for cost in call_costs(template, all_arrivals[0][together])
        if cost.kind == "DynamoDB writes"
    )
    units = dollars / price("dynamodb", "million_write_units")
    for stated, (_, _, busiest) in zip(figures(row), sizes(), strict=True):
        assert abs(stated - units * busiest) <= max(Decimal(1), stated / 100)


def test_the_dollars_of_a_day_are_those_of_calls_ended(
    template: Template, all_arrivals: list[list[Arrival]]
) -> None:
    dollars = sum(cost.dollars for cost in call_costs(template, all_arrivals[1][1]))
    for stated, (_, calls, _) in zip(figures("dollars a day,"), sizes(), strict=True):
        # CPU is measured, and differs from run to run.
        apart = max(Decimal("0.01"), stated / 10)
        assert abs(stated - dollars * calls / 1_000_000) <= apart


def test_the_parameters_that_the_page_names_exist(template: Template) -> None:
    named = set(re.findall(r"`([A-Z]\w+)(?:=\d+)?`", PAGE))
    parts = {*template["Parameters"], *template["Outputs"], *template["Resources"]}
    index = {
        index["IndexName"]
        for index in template["Resources"]["CreditTable"]["Properties"]["GlobalSecondaryIndexes"]
    }
    assert named <= parts | index
