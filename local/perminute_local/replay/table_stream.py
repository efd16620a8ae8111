"""The stream of a table, read as the mapping of the template says."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from perminute_local.stack import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute_local.replay.lambda_runtime import LambdaFunction
    from perminute_local.stack import Pattern, StreamTrigger

ATTEMPTS = 3
"""Deliveries of one batch in a replay: what fails there does not get better by trying again."""


class Reader(NamedTuple):
    """A function that is told what its mapping's patterns match."""

    trigger: StreamTrigger
    function: LambdaFunction
    attempts: int = ATTEMPTS

    def wants(self, record: dict[str, Any]) -> bool:
        """Whether the mapping hands it this record."""
        return any(matches(pattern, record) for pattern in self.trigger.patterns)

    def read(self, records: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Deliver records batch by batch; gives those that were given up."""
        size = self.trigger.batch_size
        for start in range(0, len(records), size):
            batch = list(records[start : start + size])
            for _ in range(self.attempts):
                if batch:
                    batch = self.function.invoke_with_records(batch)
            yield from batch


class TableStream:
    """Reads on where it stopped, and tells each of its readers."""

    def __init__(self, arn: str, readers: Sequence[Reader]) -> None:
        """Begin where the stream begins; its shards are those that it has now."""
        self.readers = readers
        self._client = boto3.client("dynamodbstreams")
        shards = self._client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        self._iterators = [
            self._client.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            for shard in shards
        ]

    def pump(self) -> tuple[set[str], list[dict[str, Any]]]:
        """Deliver all that the stream has by now, and what the functions themselves add to it.

        Gives the names of the functions that were told something, and the records given up.
        """
        told, given_up = set[str](), list[dict[str, Any]]()
        while records := list(self._records()):
            for reader in self.readers:
                if wanted := list(filter(reader.wants, records)):
                    told.add(reader.function.name)
                    given_up += reader.read(wanted)
        return told, given_up

    def _records(self) -> Iterator[dict[str, Any]]:
        for number, iterator in enumerate(self._iterators):
            answer = self._client.get_records(ShardIterator=iterator)
            self._iterators[number] = answer["NextShardIterator"]
            # Lambda hands records over as JSON: a time is a number there.
            yield from json.loads(json.dumps(answer["Records"], default=_as_json))


def _as_json(value: datetime | bytes) -> float | str:
    """Write what JSON does not know as Lambda does: a time is a number, bytes are in base 64."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value.timestamp()


def matches(pattern: Pattern, record: dict[str, Any]) -> bool:
    """Apply an event filter as Lambda does: of its operators, equality, prefix and exists."""
    for name, wanted in pattern.items():
        value = record.get(name)
        if isinstance(wanted, dict):
            if not (isinstance(value, dict) and matches(wanted, value)):
                return False
        elif not any(_allows(one, value) for one in wanted):
            return False
    return True


def _allows(wanted: object, value: object) -> bool:
    match wanted:
        case str():
            return value == wanted
        case {"prefix": str(prefix)}:
            return isinstance(value, str) and value.startswith(prefix)
        case {"exists": bool(exists)}:
            return (value is not None) is exists
        case _:
            msg = f"the filter operator {wanted} is not known here"
            raise StackError(msg)
