"""Run ministack with requests that stay quick as a table grows: `python -P quick_queries.py`.

It runs in ministack's own environment and imports nothing of ours. For each page of a query or scan
ministack sorts all that could be on any page, and evaluates the key condition for each of them: at
100,000 calls of one organization a page took longer than our clients wait. Here it is shown only
what may be on the page, and does the rest as ever. Conditions, which it parses anew for each
request, are parsed once.
"""

from __future__ import annotations

import importlib
import re
import runpy
from bisect import bisect_left, bisect_right
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Evaluate = Callable[..., bool]
    Handle = Callable[[dict[str, Any]], Any]
    Item = Mapping[str, Mapping[str, Any]]
    Partition = Mapping[str, Item]

_PARTITION = r"[#\w]+ = (?P<partition>:\w+)"
_PREFIX = r"begins_with\((?P<named>[#\w]+), (?P<prefix>:\w+)\)"
_RANGE = r"(?P<name>[#\w]+) BETWEEN (?P<first>:\w+) AND (?P<last>:\w+)"
_USUAL = re.compile(rf"{_PARTITION}(?: AND (?:{_PREFIX}|{_RANGE}))?")

PAGE_BYTES = 1_048_576
"""AWS: "Paginating table query results"."""
FEW = 100
"""Items of which it makes no difference."""


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
        name = usual["named"] or usual["name"]
        return name is None or _is_in_range(usual, values, item[names.get(name, name)]["S"])

    return answer


def _is_in_range(usual: re.Match[str], values: Item, sort_key: str) -> bool:
    match usual.groupdict():
        case {"prefix": str(prefix)}:
            return sort_key.startswith(values[prefix]["S"])
        case {"first": str(first), "last": str(last)}:
            return bool(values[first]["S"] <= sort_key <= values[last]["S"])
        case _:
            return True


def paged_query(query: Handle, tables: Mapping[str, Any]) -> Handle:
    """Return a `_query` that is shown only the items that may be on the page."""
    keys_of = _SortedKeys()

    def answer(data: dict[str, Any]) -> Any:  # noqa: ANN401 - what ministack returns
        usual = _USUAL.fullmatch(data.get("KeyConditionExpression", ""))
        table = tables.get(data["TableName"])
        if usual is None or table is None or "IndexName" in data:
            return query(data)
        values = data["ExpressionAttributeValues"]
        organization = values[usual["partition"]]["S"]
        partition = table["items"].get(organization, {})
        if len(partition) <= FEW:
            return query(data)
        start = _sort_key_of(data, table)
        keys = keys_of(partition)
        if data.get("ScanIndexForward", True):
            rest = keys if start is None else keys[bisect_right(keys, start) :]
        else:
            rest = keys[: len(keys) if start is None else bisect_left(keys, start)][::-1]
        wanted = (key for key in rest if _is_in_range(usual, values, key))
        page = _page((organization, key, partition[key]) for key in wanted)
        return _shown(page, table, query, data)

    return answer


def paged_scan(scan: Handle, tables: Mapping[str, Any]) -> Handle:
    """Return a `_scan` that is shown only the items that may be on the page."""
    keys_of = _SortedKeys()

    def remaining(data: Mapping[str, Any], table: Any) -> Iterator[tuple[str, str, Item]]:  # noqa: ANN401 - ministack's
        start, first = _sort_key_of(data, table), None
        if start is not None:
            first = data["ExclusiveStartKey"][table["pk_name"]]["S"]
        partitions = table["items"]
        for organization in sorted(
            partition for partition in partitions if first is None or partition >= first
        ):
            keys = keys_of(partitions[organization])
            begin = bisect_right(keys, start) if start and organization == first else 0
            for key in keys[begin:]:
                yield organization, key, partitions[organization][key]

    def answer(data: dict[str, Any]) -> Any:  # noqa: ANN401 - what ministack returns
        table = tables.get(data["TableName"])
        if table is None or not table["sk_name"] or data.keys() & {"IndexName", "Segment"}:
            return scan(data)
        return _shown(_page(remaining(data, table)), table, scan, data)

    return answer


class _SortedKeys:
    """The keys of the partition that was read last, sorted: its pages are read one by one."""

    def __init__(self) -> None:
        self._keys: Sequence[str] = ()

    def __call__(self, partition: Partition) -> Sequence[str]:
        # As many keys, and each of them is there: no other is.
        if len(partition) != len(self._keys) or not all(map(partition.__contains__, self._keys)):
            self._keys = sorted(partition)
        return self._keys


def _sort_key_of(data: Mapping[str, Any], table: Mapping[str, Any]) -> str | None:
    start: Item = data.get("ExclusiveStartKey") or {}
    key: str | None = start[table["sk_name"]]["S"] if start else None
    return key


def _page(items: Iterable[tuple[str, str, Item]]) -> defaultdict[str, dict[str, Item]]:
    """Return the first items, more than fit on a page: ministack decides where it ends."""
    page: defaultdict[str, dict[str, Item]] = defaultdict(dict)
    size = 0
    for organization, key, item in items:
        page[organization][key] = item
        # Their texts alone: each item is at least as large.
        size += sum(len(value["S"]) for value in item.values() if "S" in value)
        if size > PAGE_BYTES:
            break
    return page


def _shown(items: object, table: Any, handle: Handle, data: dict[str, Any]) -> Any:  # noqa: ANN401 - ministack's
    # ministack handles one request after the other, each in one piece.
    table["items"], everything = items, table["items"]
    try:
        return handle(data)
    finally:
        table["items"] = everything


def install() -> None:
    """Replace the slow parts of the emulator."""
    dynamodb = vars(importlib.import_module("ministack.services.dynamodb"))
    tables, tokens = dynamodb["_tables"], lru_cache(dynamodb["_tokenize"])
    dynamodb["_evaluate_condition"] = quick(dynamodb["_evaluate_condition"])
    dynamodb["_query"] = paged_query(dynamodb["_query"], tables)
    dynamodb["_scan"] = paged_scan(dynamodb["_scan"], tables)
    # What depends on the text of a condition alone.
    dynamodb["_condition_syntax_error"] = lru_cache(dynamodb["_condition_syntax_error"])
    dynamodb["_tokenize"] = lambda expression: list(tokens(expression))


if __name__ == "__main__":
    install()
    runpy.run_module("ministack", run_name="__main__")
