"""The bucket of call records, as far as functions write to it: files of records, and states."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class State(NamedTuple):
    """What a function remembers between two runs, and the version of it that was read."""

    content: bytes
    version: str


class RecordsBucket(Protocol):
    """Files of records, which are read like those that others drop, and states, which are not.

    Raises `Unavailable`.
    """

    def keep(self, name: str, content: bytes) -> bool:
        """Store a file of records to be read; False if there is one of this name already."""

    def state(self, name: str) -> State | None:
        """Read a state, such as `graph/<tenant>`; None if there is none."""

    def store_state(self, name: str, content: bytes, *, read: State | None) -> State:
        """Replace the state that was read, and return the new one.

        Raises `Contended` if another one is there by now.
        """
