"""The stream of the credit table, read as the mapping of the template says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3

from perminute_local.stack import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.replay.lambda_runtime import LoadedFunction
    from perminute_local.stack import Pattern, StreamTrigger

ATTEMPTS = 3
"""Deliveries of one batch; nothing on this machine gets better by waiting longer."""


class OutboxStream:
    """Reads on where it stopped, and hands what matches to the function."""

    def __init__(self, trigger: StreamTrigger, function: LoadedFunction) -> None:
        """Begin where the stream begins."""
        self._trigger = trigger
        self._function = function
        self._client = boto3.client("dynamodbstreams")
        self._iterators: dict[str, str] = {}

    def pump(self) -> Iterator[dict[str, Any]]:
        """Deliver all that the stream has by now; gives the records that were given up."""
        batch: list[dict[str, Any]] = []
        for record in self._records():
            if any(matches(pattern, record) for pattern in self._trigger.patterns):
                batch.append(record)
            if len(batch) == self._trigger.batch_size:
                yield from self._deliver(batch)
                batch = []
        yield from self._deliver(batch)

    def _deliver(self, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for _ in range(ATTEMPTS):
            if batch:
                batch = self._function.invoke_with_records(batch)
        return batch

    def _records(self) -> Iterator[dict[str, Any]]:
        stream = self._client.describe_stream(StreamArn=self._trigger.stream_arn)
        for shard in stream["StreamDescription"]["Shards"]:
            yield from self._records_of(shard["ShardId"])

    def _records_of(self, shard: str) -> Iterator[dict[str, Any]]:
        if shard not in self._iterators:
            self._iterators[shard] = self._client.get_shard_iterator(
                StreamArn=self._trigger.stream_arn,
                ShardId=shard,
                ShardIteratorType="TRIM_HORIZON",
            )["ShardIterator"]
        while True:
            answer = self._client.get_records(ShardIterator=self._iterators[shard])
            # Lambda hands records over as JSON: a time is a number there.
            yield from json.loads(json.dumps(answer["Records"], default=lambda at: at.timestamp()))
            self._iterators[shard] = answer.get("NextShardIterator", "")
            if not answer["Records"] or not self._iterators[shard]:
                return


def matches(pattern: Pattern, record: dict[str, Any]) -> bool:
    """Apply an event filter as Lambda does: of its operators, equality and prefix."""
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
        case _:
            msg = f"the filter operator {wanted} is not known here"
            raise StackError(msg)
