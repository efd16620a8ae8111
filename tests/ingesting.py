"""The use case that reads call records, over objects and queues in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from record_examples import DIRECTORY

from perminute.application.ingest_records import IngestedRecords, IngestRecords
from perminute.application.results import Accepted
from perminute.application.retry import NEVER
from perminute.domain.errors import Refused
from perminute.events.queued_calls import calls_ended_bodies
from perminute.events.records import parse_records_message, part_body, records_body
from perminute.sqs import Received

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.application.results import Result
    from perminute.domain.reference.directory import Directory
    from perminute.ports.messaging import Rejection
    from perminute.ports.record_objects import ObjectPart, StoredObject
    from perminute.sources.outcomes import Leg

NOW = datetime(2026, 11, 6, 9, tzinfo=UTC)
BUCKET = "records"


@dataclass
class Objects:
    """`RecordObjects` in memory; an etag is the number of the object."""

    contents: dict[str, bytes] = field(default_factory=dict)
    reads: list[tuple[int, int]] = field(default_factory=list)

    def read(self, stored: StoredObject, begin: int, end: int) -> bytes:
        content = self.contents.get(stored.key)
        if content is None:
            raise Refused("object", "vanished")
        if stored.etag != etag(content):
            raise Refused("object", "replaced")
        self.reads.append((begin, end))
        return content[begin:end]


def etag(content: bytes) -> str:
    return f"{hash(content) & 0xFFFF:x}"


@dataclass
class Directories:
    directory: Directory = DIRECTORY
    asked: int = 0

    def current(self) -> Directory:
        self.asked += 1
        return self.directory


@dataclass
class Desk:
    """What goes in and comes out."""

    objects: Objects = field(default_factory=Objects)
    directories: Directories = field(default_factory=Directories)
    legs: list[Leg] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    parts: list[ObjectPart] = field(default_factory=list)
    kept: list[Rejection] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)  # of what is asked first

    def use_case(self) -> IngestRecords:
        return IngestRecords(
            directories=self.directories,
            objects=self.objects,
            queue_calls=self.queue_calls,
            queue_parts=self.parts.extend,
            rejections=self,
            body_of=records_body,
        )

    def queue_calls(self, legs: Sequence[Leg]) -> None:
        self.legs += legs
        self.bodies += calls_ended_bodies(legs)
        if self.fails:
            raise self.fails.pop(0)

    def store(self, rejections: Sequence[Rejection]) -> None:
        self.kept += rejections

    def ingest(self, *bodies: str, deadline: Any = NEVER) -> Sequence[Result[IngestedRecords]]:
        received = Received(None, NOW)
        messages = [parse_records_message(body, received) for body in bodies]
        return self.use_case()(messages, deadline)

    def done(self, body: str) -> IngestedRecords:
        """Ingest a message that can be processed."""
        (result,) = self.ingest(body)
        assert isinstance(result, Accepted), result
        return result.result

    def drop(self, key: str, content: bytes, **changed: Any) -> str:
        """Put an object; gives the event of it."""
        self.objects.contents[key] = content
        return created(key, content, **changed)

    def parts_done(self) -> list[IngestedRecords]:
        """Ingest the parts that were queued."""
        parts, self.parts = self.parts, []
        return [self.done(part_body(part)) for part in parts]

    def with_directory(self, directory: Directory) -> Desk:
        return replace(self, directories=Directories(directory), kept=[], legs=[], bodies=[])


def created(key: str, content: bytes, **changed: Any) -> str:
    return json.dumps(
        {
            "id": "17793124-05d4-b198-2fde-7ededc63b103",
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {
                "bucket": {"name": BUCKET},
                "object": {"key": key, "size": len(content), "etag": etag(content), **changed},
            },
        }
    )
