"""The clock that an emulator stamps messages and requests with: it stops until it is set.

The functions take every time from AWS: when a message was sent, when a request
came. With this clock that is the time of the events, however long ago they were.
"""

from __future__ import annotations

import mmap
import struct
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = "<q"
"""Microseconds since 1970, as `clocked_emulator.py` reads them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EmulatorClock:
    """A page of a file that an emulator on this machine reads the time from."""

    def __init__(self, file: Path, page: mmap.mmap) -> None:
        self.file = file
        self._page = page

    def set(self, at: datetime) -> None:
        """Set the time."""
        microseconds = (at - _EPOCH) // timedelta(microseconds=1)
        self._page[:] = struct.pack(FORMAT, microseconds)

    def now(self) -> datetime:
        """Return the time."""
        (microseconds,) = struct.unpack(FORMAT, self._page[:])
        return _EPOCH + timedelta(microseconds=microseconds)

    def let_pass(self, time: timedelta) -> None:
        """Advance the time."""
        self.set(self.now() + time)


@contextmanager
def emulator_clock(file: Path, now: datetime) -> Iterator[EmulatorClock]:
    """Make a clock in a file, which exists as long as the context does."""
    file.write_bytes(bytes(struct.calcsize(FORMAT)))
    try:
        with file.open("r+b") as content, mmap.mmap(content.fileno(), 0) as page:
            clock = EmulatorClock(file, page)
            clock.set(now)
            yield clock
    finally:
        file.unlink()
