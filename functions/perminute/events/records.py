"""Messages of the queue of call records: an object, a part of one, or records themselves.

An object comes as the event of S3, as EventBridge sends it (docs.aws.amazon.com/AmazonS3/latest/
userguide/ev-events.html). A part of a large object is a message of ours, and so are records that
were posted to a webhook, or that could not be charged and wait in the dead letters.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, field

from perminute.application.record_messages import RecordsMessage, SentRecords
from perminute.domain.errors import Refused
from perminute.fields import Id, Message, about
from perminute.parsing import is_text, parse_json, read_message
from perminute.ports.record_objects import ObjectPart, StoredObject
from perminute.sources.object_keys import read_timezone
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import SourceOptions

if TYPE_CHECKING:
    from perminute.sqs import Received

_MAX_BYTES = 2**50  # of an object: far more than S3 takes
_Bytes = Annotated[int, Meta(ge=0, le=_MAX_BYTES)]
_Text = Annotated[str, Meta(min_length=1)]


class _Bucket(Message, frozen=True, kw_only=True):
    name: _Text


class _Object(Message, frozen=True, kw_only=True):
    key: _Text
    size: _Bytes
    etag: _Text
    version_id: str | None = field(name="version-id", default=None)


class _Created(Message, frozen=True, kw_only=True):
    bucket: _Bucket
    object: _Object


class _ObjectCreated(Message, frozen=True, kw_only=True):
    source: Literal["aws.s3"]
    detail_type: Literal["Object Created"] = field(name="detail-type")
    detail: _Created


class _Part(Message, frozen=True, kw_only=True):
    bucket: _Text
    key: _Text
    size: _Bytes
    etag: _Text
    version_id: str | None = None
    begin: _Bytes
    end: _Bytes


class _Records(Message, frozen=True, kw_only=True):
    source: str
    at: Annotated[_Text, about("where they came from, for whoever looks for them")]
    tenant: Id | None = None
    timezone: str | None = None
    encoded_values: bool = True
    content: str
    base64: bool = False


def parse_records_message(body: str, received: Received) -> RecordsMessage:
    """Parse a message. Raises `Refused`, which names the field."""
    sent = parse_json(body, called="message")
    if isinstance(sent, dict) and "part" in sent:
        part = read_message(sent["part"], _Part, called="part")
        if part.end <= part.begin:
            raise Refused("part.end", "must be greater than begin")
        stored = StoredObject(part.bucket, part.key, part.size, part.etag, part.version_id)
        return RecordsMessage(body, ObjectPart(stored, part.begin, part.end), received.latest)
    if isinstance(sent, dict) and "records" in sent:
        return RecordsMessage(body, _sent_records(sent["records"]), received.latest)
    event = read_message(sent, _ObjectCreated, called="message")
    created = event.detail.object
    stored = StoredObject(
        event.detail.bucket.name, created.key, created.size, created.etag, created.version_id
    )
    return RecordsMessage(body, stored, received.latest)


def part_body(part: ObjectPart) -> str:
    """Write the message of a part of an object."""
    stored = part.object
    said = {
        "bucket": stored.bucket,
        "key": stored.key,
        "size": stored.size,
        "etag": stored.etag,
        "begin": part.begin,
        "end": part.end,
    }
    if stored.version_id is not None:
        said["versionId"] = stored.version_id
    # By its id a message is named in the dead letters.
    event_id = f"{stored.key} bytes {part.begin}-{part.end}"
    return json.dumps({"id": event_id, "part": said})


def records_body(source: str, at: str, content: bytes, options: SourceOptions) -> str:
    """Write a message with records: what a file of their source may contain.

    `at` says where they came from. A token by which records are signed is in no message: whoever
    sends one has checked the signatures.
    """
    said: dict[str, object] = {"source": source, "at": at, **_as_text(content)}
    if options.tenant is not None:
        said["tenant"] = options.tenant
    if options.timezone is not None:
        said["timezone"] = str(options.timezone)
    if not options.encoded_values:
        said["encodedValues"] = False
    return json.dumps({"id": at, "records": said}, separators=(",", ":"))


def _as_text(content: bytes) -> dict[str, object]:
    encoded = b64encode(content).decode()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return {"content": encoded, "base64": True}
    # What is escaped much, such as JSON in a form, is shorter in base64.
    if len(json.dumps(text)) > len(encoded) + 2:
        return {"content": encoded, "base64": True}
    return {"content": text}


def _sent_records(sent: object) -> SentRecords:
    records = read_message(sent, _Records, called="records")
    if records.source not in SOURCES:
        raise Refused("records.source", f"must be one of {', '.join(SOURCES)}")
    timezone = records.timezone
    options = SourceOptions(
        tenant=records.tenant,
        timezone=None if timezone is None else read_timezone(timezone, "records.timezone"),
        encoded_values=records.encoded_values,
    )
    return SentRecords(records.source, records.at, _content(records), options)


def _content(records: _Records) -> bytes:
    if not records.base64:
        if not is_text(records.content):
            raise Refused("records.content", "is not Unicode text: send it with base64 true")
        return records.content.encode()
    try:
        return b64decode(records.content, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("records.content", "must be base64, as base64 says") from None
