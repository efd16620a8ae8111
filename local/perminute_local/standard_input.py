"""Standard input in place of a file: what `-` means on the command line."""

from __future__ import annotations

import io
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Path = Path
else:
    # Python 3.11 cannot inherit from Path itself, which does not know its own system.
    _Path = type(Path())


class StandardInput(_Path):
    """A path whose content is standard input, so that what reads files reads it as well.

    It is read once, and then as often as somebody opens it. Messages call it `standard input`.
    """

    @cached_property
    def _content(self) -> bytes:
        return sys.stdin.buffer.read()

    def read_bytes(self) -> bytes:
        """Return all of standard input."""
        return self._content

    def open(self, mode: str = "r", *_: Any, **__: Any) -> Any:  # noqa: ANN401 - as of Path
        """Open it for reading bytes, the only way in which files of users are read."""
        if mode != "rb":
            msg = f"standard input is read as bytes, not in mode {mode}"
            raise ValueError(msg)
        return io.BufferedReader(io.BytesIO(self._content))
