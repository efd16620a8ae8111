"""The key conditions that our queries have are answered without the emulator's parser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from perminute_local.quick_queries import quick

ADAPTERS = Path(__file__).parents[2] / "functions" / "perminute" / "adapters" / "dynamodb"
ITEM = {"organizationId": {"S": "contoso"}, "record": {"S": "calls#2"}}
NAMES = {"#record": "record"}
ASKED: list[str] = []


def parse(expression: str, *_: Any) -> bool:
    """What ministack does instead, slowly."""
    ASKED.append(expression)
    return False


@pytest.mark.parametrize(
    ("sort_key", "values", "holds"),
    [
        ("", {}, True),
        (" AND begins_with(#record, :a)", {":a": {"S": "calls#"}}, True),
        (" AND begins_with(record, :a)", {":a": {"S": "entry#"}}, False),
        (" AND #record BETWEEN :a AND :b", {":a": {"S": "calls#2"}, ":b": {"S": "calls#2"}}, True),
        (" AND #record BETWEEN :a AND :b", {":a": {"S": "calls#"}, ":b": {"S": "calls#1"}}, False),
        (" AND #record BETWEEN :a AND :b", {":a": {"S": "calls#3"}, ":b": {"S": "d"}}, False),
    ],
)
def test_usual_key_conditions_hold_as_the_parser_would_say(
    sort_key: str, values: dict[str, Any], *, holds: bool
) -> None:
    ASKED.clear()
    condition = f"organizationId = :organization{sort_key}"
    found = quick(parse)(condition, ITEM, values, NAMES, slot="KeyConditionExpression")
    assert (found, ASKED) == (holds, [])


@pytest.mark.parametrize(
    ("condition", "slot"),
    [
        ("organizationId = :organization", "FilterExpression"),
        ("organizationId = :organization AND dueAt <= :due", "KeyConditionExpression"),
        ("organizationId = :organization OR x = :y", "KeyConditionExpression"),
    ],
)
def test_any_other_condition_is_left_to_the_parser(condition: str, slot: str) -> None:
    ASKED.clear()
    assert not quick(parse)(condition, ITEM, {}, NAMES, slot)
    assert [condition] == ASKED


def test_the_conditions_of_tables_that_grow_with_calls_are_usual_ones() -> None:
    """What is left to the parser reads calls under way and accounts that are due: few of them."""
    code = "".join(path.read_text() for path in ADAPTERS.glob("*.py"))
    conditions = set(re.findall(r'"(organizationId = :organization[^"]*)"', code))
    ASKED.clear()
    names = dict.fromkeys(re.findall(r"#\w+|subject", " ".join(conditions)), "record")
    values = {value: {"S": ""} for value in re.findall(r":\w+", " ".join(conditions))}
    for condition in conditions:
        quick(parse)(condition, ITEM, values, names, "KeyConditionExpression")
    assert ASKED == ["organizationId = :organization AND chargeAt <= :due"]
