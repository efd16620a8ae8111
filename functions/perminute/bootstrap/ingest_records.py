"""Build the use case that reads call records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.s3_record_objects import S3RecordObjects
from perminute.application.ingest_records import IngestRecords
from perminute.bootstrap.queues import other_calls_queue, queue_of_function, rejections
from perminute.events.queued_calls import calls_ended_bodies
from perminute.events.records import part_body, records_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.aws import AwsResources
    from perminute.ports.record_objects import ObjectPart
    from perminute.sources.outcomes import Leg


def ingest_records(aws: AwsResources) -> IngestRecords:
    """Return the use case over one connection to AWS."""
    calls, parts = other_calls_queue(aws), queue_of_function(aws)

    def queue_calls(legs: Sequence[Leg]) -> None:
        calls.send(list(calls_ended_bodies(legs)))

    def queue_parts(of_object: Sequence[ObjectPart]) -> None:
        parts.send_messages([part_body(part) for part in of_object])

    return IngestRecords(
        directories=aws.directories(),
        objects=S3RecordObjects(lambda: aws.client("s3")),
        queue_calls=queue_calls,
        queue_parts=queue_parts,
        rejections=rejections(aws),
        body_of=records_body,
    )
