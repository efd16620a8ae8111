"""What comes in with call records: an object, a part of one, or records themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.application.correlation import traceable
from perminute.ports.record_objects import ObjectPart, StoredObject

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.sources.stated_call import SourceOptions


class SentRecords(NamedTuple):
    """Records in a message: what a file of their source may contain."""

    source: str
    at: str  # where they came from
    content: bytes
    options: SourceOptions


class RecordsMessage(NamedTuple):
    """What a message says, and its body: that is stored if it cannot be processed."""

    body: str
    content: StoredObject | ObjectPart | SentRecords
    now: datetime

    @property
    def place(self) -> str:
        """Where the records are, or came from."""
        match self.content:
            case SentRecords(at=at):
                return at
            case ObjectPart(object=stored, begin=begin, end=end):
                return f"s3://{stored.bucket}/{stored.key} bytes {begin}-{end}"
            case StoredObject() as stored:
                return f"s3://{stored.bucket}/{stored.key}"

    @property
    def names(self) -> dict[str, str]:
        """What the log calls it."""
        return {"records": traceable(self.place)}
