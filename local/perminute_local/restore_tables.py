"""`perminute restore`: write restored copies of tables back to a stack.

DynamoDB restores to new tables. A stack keeps its own tables, with their streams, so only items
that differ are written: those that have changed or are gone are put, and those that came later are
deleted. So the stream contains little more than these, and no notification is published again.
How far books were checked is forgotten: the next night reads them from their beginning.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from perminute_local.deployment import calling_aws, deployed_tables, output
from perminute_local.terminal import remark, write_json, write_lines
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from perminute.settings import TableNames

SEGMENTS = 8
"""Parts of a table that are read side by side."""
READ_TOGETHER = 100  # AWS: BatchGetItem
WRITTEN_TOGETHER = 25  # AWS: BatchWriteItem

CHECKS = "checks"
"""How far books have been checked: nothing of it holds for books of another second."""

Item = dict[str, Any]


class TableDifference(NamedTuple):
    """How many items of a table differ from its restored copy."""

    table: str
    put: int = 0  # changed since, or deleted
    deleted: int = 0  # written since


def run_restore(stack_name: str, restored: Mapping[str, str], *, write: bool, as_json: bool) -> int:
    """Count the items that differ from the restored tables, and write them back if `write`."""
    with calling_aws(f"the tables of {stack_name} cannot be restored"):
        names, client = deployed_tables(stack_name), boto3.client("dynamodb")
        _check(client, names, restored)
        done = [
            _restore(client, kind, getattr(names, kind), copy, write=write)
            for kind, copy in restored.items()
        ]
        checks = output(stack_name, "BookChecksTableName")
        done.append(_restore(client, CHECKS, checks, None, write=write))
    if as_json:
        write_json({"written": write, "tables": [table._asdict() for table in done]})
    else:
        write_lines(
            f"{table.table:<10} {table.put:>9} to put {table.deleted:>9} to delete"
            for table in done
        )
    if not write:
        remark("nothing is written; the same command with --yes writes it")
    return 0


def _check(client: DynamoDBClient, names: TableNames, restored: Mapping[str, str]) -> None:
    # All of them, before any is restored.
    for kind, copy in restored.items():
        option, table = f"--{kind}-copy", getattr(names, kind)
        if copy in names:
            msg = f"{option}: {copy} is a table of the stack itself"
            raise WrongCall(msg)
        with calling_aws(f"{option}: {copy} cannot be read"):
            copied = _keys(client, copy)
        if copied != _keys(client, table):
            msg = f"{option}: {copy} has other keys than {table}"
            raise WrongCall(msg)


def _keys(client: DynamoDBClient, table: str) -> list[str]:
    key_schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
    return [key["AttributeName"] for key in key_schema]


def _restore(
    client: Any,  # noqa: ANN401 - botocore's
    kind: str,
    table: str,
    copy: str | None,
    *,
    write: bool,
) -> TableDifference:
    restorer = _Restorer(client, table, copy, _keys(client, table), write=write)
    with ThreadPoolExecutor(SEGMENTS) as threads:
        # What is put first cannot be deleted after: it is in the copy.
        put = sum(threads.map(restorer.put_segment, range(SEGMENTS)))
        deleted = sum(threads.map(restorer.delete_segment, range(SEGMENTS)))
    return TableDifference(kind, put, deleted)


class _Restorer:
    def __init__(
        self,
        client: Any,  # noqa: ANN401 - botocore's
        table: str,
        copy: str | None,  # None: nothing remains
        keys: Sequence[str],
        *,
        write: bool,
    ) -> None:
        self._client, self._table, self._copy = client, table, copy
        self._keys, self._write = keys, write

    def put_segment(self, segment: int) -> int:
        found = 0
        copied = self._scan(self._copy, segment) if self._copy is not None else ()
        for items in _parts(copied, READ_TOGETHER):
            there = self._read(self._table, items)
            lost = [item for item in items if there.get(self._name(item)) != item]
            self._write_all([{"PutRequest": {"Item": item}} for item in lost])
            found += len(lost)
        return found

    def delete_segment(self, segment: int) -> int:
        found = 0
        for items in _parts(self._scan(self._table, segment), READ_TOGETHER):
            known = self._read(self._copy, items) if self._copy is not None else {}
            later = [item for item in items if self._name(item) not in known]
            self._write_all([{"DeleteRequest": {"Key": self._key(item)}} for item in later])
            found += len(later)
        return found

    def _scan(self, table: str, segment: int) -> Iterator[Item]:
        pages = self._client.get_paginator("scan").paginate(
            TableName=table, Segment=segment, TotalSegments=SEGMENTS, ConsistentRead=True
        )
        for page in pages:
            yield from page["Items"]

    def _read(self, table: str, items: Sequence[Item]) -> dict[tuple[str, ...], Item]:
        found: dict[tuple[str, ...], Item] = {}
        keys = {"Keys": [self._key(item) for item in items], "ConsistentRead": True}
        left = {table: keys}
        while left:
            answer = self._client.batch_get_item(RequestItems=left)
            found |= {self._name(item): item for item in answer["Responses"].get(table, ())}
            left = answer.get("UnprocessedKeys") or {}
        return found

    def _write_all(self, requests: Sequence[Item]) -> None:
        for some in _parts(requests, WRITTEN_TOGETHER):
            left = {self._table: some} if self._write else {}
            while left:
                answer = self._client.batch_write_item(RequestItems=left)
                left = answer.get("UnprocessedItems") or {}

    def _key(self, item: Item) -> Item:
        return {name: item[name] for name in self._keys}

    def _name(self, item: Item) -> tuple[str, ...]:
        return tuple(item[name]["S"] for name in self._keys)


def _parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
