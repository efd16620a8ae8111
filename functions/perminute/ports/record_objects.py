"""Objects with call records, as they were when the message about them was written."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class StoredObject(NamedTuple):
    """One content of an object: another one under the same key is another object."""

    bucket: str
    key: str
    size: int  # in bytes
    etag: str
    version_id: str | None = None  # None: the bucket keeps no versions


class ObjectPart(NamedTuple):
    """Bytes of an object, from one up to another; records begin and end there."""

    object: StoredObject
    begin: int
    end: int


class RecordObjects(Protocol):
    """Objects with call records. Raises `Unavailable`."""

    def read(self, stored: StoredObject, begin: int, end: int) -> bytes:
        """Read bytes of an object from one up to another, or fewer if it ends before.

        Raises `Refused`, which names the object, if it has vanished or another one took its place.
        """
