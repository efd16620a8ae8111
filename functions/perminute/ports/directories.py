"""The directory of call records that is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from perminute.domain.reference.directory import Directory


class Directories(Protocol):
    """The directory as it was published. Raises `Unavailable`."""

    def current(self) -> Directory:
        """Return the directory that is in force."""
