"""Run ministack with queries that stay quick as a table grows: `python -P quick_queries.py`.

It runs in ministack's own environment and imports nothing of ours. ministack evaluates the key
condition of a query anew for each item of the partition, at 50 µs an item, and so for each page of
the answer: at 100,000 calls of one organization a page took longer than our clients wait.
"""

from __future__ import annotations

import importlib
import re
import runpy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Evaluate = Callable[..., bool]
    Item = Mapping[str, Mapping[str, Any]]

_PARTITION = r"[#\w]+ = :\w+"
_PREFIX = r"begins_with\((?P<named>[#\w]+), (?P<prefix>:\w+)\)"
_RANGE = r"(?P<name>[#\w]+) BETWEEN (?P<first>:\w+) AND (?P<last>:\w+)"
_USUAL = re.compile(rf"{_PARTITION}(?: AND (?:{_PREFIX}|{_RANGE}))?")


def quick(evaluate: Evaluate) -> Evaluate:
    """Return an `_evaluate_condition` that answers the usual key conditions without parsing them.

    ministack has found the partition when it evaluates them, so a condition on the partition alone
    holds; what is left is the sort key, which is text in all our tables. Any other condition goes
    to `evaluate`.
    """

    def answer(
        expression: str,
        item: Item,
        values: Item,
        names: Mapping[str, str],
        slot: str = "ConditionExpression",
    ) -> bool:
        usual = _USUAL.fullmatch(expression) if slot == "KeyConditionExpression" else None
        if usual is None:
            return evaluate(expression, item, values, names, slot)
        match usual.groupdict():
            case {"named": str(name), "prefix": prefix}:
                return _text(item, names, name).startswith(values[prefix]["S"])
            case {"name": str(name), "first": first, "last": last}:
                return bool(values[first]["S"] <= _text(item, names, name) <= values[last]["S"])
            case _:
                return True

    return answer


def _text(item: Item, names: Mapping[str, str], name: str) -> str:
    text: str = item[names.get(name, name)]["S"]
    return text


def main() -> None:
    """Replace the evaluation, then run the emulator."""
    dynamodb = vars(importlib.import_module("ministack.services.dynamodb"))
    dynamodb["_evaluate_condition"] = quick(dynamodb["_evaluate_condition"])
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    main()
