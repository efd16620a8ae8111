"""Values in an order that is not that of their store, and more than fit into memory."""

from __future__ import annotations

import pickle
import sqlite3
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class SortedOnDisk(Generic[T]):
    """Values in the order of their organizations and keys, then in that of their addition.

    They are in a temporary file; one at a time is in memory. Go through them as often as needed.
    """

    def __init__(self) -> None:
        # Without a name it is a temporary file that SQLite removes; 2 MB of it are in memory.
        self._file = sqlite3.connect("")
        self._file.execute("CREATE TABLE stored (organization BLOB, key BLOB, value BLOB)")

    def add(self, organization_id: str, key: str, value: T) -> None:
        """Add a value."""
        row = *_sortable(organization_id, key), pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        self._file.execute("INSERT INTO stored VALUES (?, ?, ?)", row)

    def __len__(self) -> int:
        (count,) = self._file.execute("SELECT count(*) FROM stored").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[T]:
        return self._found("SELECT value FROM stored ORDER BY organization, key, rowid")

    def of(self, organization_id: str, key: str) -> Iterator[T]:
        """Go through the values of one key."""
        query = "SELECT value FROM stored WHERE organization = ? AND key = ? ORDER BY rowid"
        return self._found(query, *_sortable(organization_id, key))

    def _found(self, query: str, *keys: bytes) -> Iterator[T]:
        # Made when the values are there: so they are sorted once, and not with each addition.
        self._file.execute("CREATE INDEX IF NOT EXISTS by_key ON stored (organization, key)")
        for (value,) in self._file.execute(query, keys):
            yield pickle.loads(value)  # noqa: S301 - this process has written it


def _sortable(*texts: str) -> tuple[bytes, ...]:
    # In UTF-8 texts have the order that they have in Python, even halves of surrogate pairs.
    return tuple(text.encode(errors="surrogatepass") for text in texts)
