"""The streams of tables, whose records Lambda's mappings hand to functions batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore.parsers import JSONParser, ResponseParserFactory

from perminute_local.conditions import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from botocore.parsers import ResponseParser

    from perminute_local.replay.lambda_runtime import LambdaFunction
    from perminute_local.stack import Pattern, StreamTrigger

ATTEMPTS = 3
"""Deliveries of one batch in a replay: what fails there does not get better by trying again."""


class Reader(NamedTuple):
    """A function that reads the records which its mapping's patterns match."""

    trigger: StreamTrigger
    function: LambdaFunction
    attempts: int = ATTEMPTS

    def wants(self, record: dict[str, Any]) -> bool:
        """Whether the mapping hands it this record."""
        return any(matches(pattern, record) for pattern in self.trigger.patterns)

    def read(self, records: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Deliver records batch by batch; yield those that were given up."""
        size = self.trigger.batch_size
        for start in range(0, len(records), size):
            batch = list(records[start : start + size])
            for _ in range(self.attempts):
                if batch:
                    batch = self.function.invoke_with_records(batch)
            yield from batch


class TableStream:
    """Continues to read where it stopped, for each of its readers."""

    def __init__(self, arn: str, readers: Sequence[Reader]) -> None:
        self.readers = readers
        self._client = boto3.client("dynamodbstreams")
        self._client._endpoint._response_parser_factory = _AsTheyCome()  # noqa: SLF001 - see there
        shards = self._client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        self._iterators = [
            self._client.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            for shard in shards
        ]

    def pump(self) -> tuple[set[str], list[dict[str, Any]]]:
        """Deliver all that the stream has by now, and what the functions themselves add to it.

        Return the names of the functions that were invoked, and the records given up.
        """
        invoked, given_up = set[str](), list[dict[str, Any]]()
        while records := list(self._records()):
            for reader in self.readers:
                if wanted := list(filter(reader.wants, records)):
                    invoked.add(reader.function.name)
                    given_up += reader.read(wanted)
        return invoked, given_up

    def _records(self) -> Iterator[dict[str, Any]]:
        for number, iterator in enumerate(self._iterators):
            answer = self._client.get_records(ShardIterator=iterator)
            self._iterators[number] = answer["NextShardIterator"]
            yield from answer["Records"]


class _AsTheyCome(ResponseParserFactory):
    """Leaves records as they come, which is as Lambda hands them over.

    botocore would read times and bytes along its model, and both would have to be written again.
    """

    def create_parser(self, protocol_name: str) -> ResponseParser:  # noqa: ARG002 - always JSON
        return _Parser()


class _Parser(JSONParser):
    def _handle_json_body(self, raw_body: bytes, shape: Any) -> Any:  # noqa: ANN401 - botocore's
        if shape.name == "GetRecordsOutput":
            return self._parse_body_as_json(raw_body)  # type: ignore[attr-defined] # not in stubs
        return super()._handle_json_body(raw_body, shape)  # type: ignore[misc] # not in stubs


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
