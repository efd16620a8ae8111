"""What users write by hand: text files, standard input, dates and names."""

from __future__ import annotations

import codecs
import io
import re
import sys
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perminute.domain.errors import FaultyDirectory, FaultyRateCard
from perminute.domain.values.times import parse_instant
from perminute_local.wrong_call import FaultyCard, FaultyDirectoryFile, WrongFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime


_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path) -> str:
    """Return the text of a file, without the byte order mark that Windows programs begin it with.

    Raises `WrongFile` if it is not UTF-8.
    """
    content = path.read_bytes()
    check_encoding(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        msg = f"{path}: line {line} is not UTF-8; save the file as UTF-8"
        raise WrongFile(msg) from error


def check_encoding(path: Path) -> None:
    """Raise `WrongFile` if a file is UTF-16, which Windows PowerShell writes by `>`."""
    with path.open("rb") as content:
        check_start(path, content.read(2))


def check_start(path: Path, start: bytes) -> None:
    """Raise `WrongFile` if a file that begins with these two bytes is UTF-16."""
    if start in _UTF_16 or b"\0" in start:
        msg = f"{path}: is UTF-16, not UTF-8; save the file as UTF-8"
        raise WrongFile(msg)


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Name the file: raise `FaultyCard` and `FaultyDirectoryFile` for what is read from it."""
    try:
        yield
    except FaultyRateCard as error:
        raise FaultyCard(path, error.faults) from error
    except FaultyDirectory as error:
        raise FaultyDirectoryFile(path, error.faults) from error


def string_of(value: object) -> str:
    """Return what JSON says if it is a string; raises ValueError for anything else."""
    if not isinstance(value, str):
        msg = "must be a string"
        raise ValueError(msg)  # noqa: TRY004 - readers of cells and fields raise ValueError
    return value


if TYPE_CHECKING:
    _Path = Path
else:
    # Python 3.11 cannot inherit from Path itself, which does not know its own system.
    _Path = type(Path())


class StandardInput(_Path):
    """A path whose content is standard input, so that what reads files reads it as well.

    It is read once, and then as often as it is opened. Messages call it `standard input`.
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


def date_or_instant(text: str) -> datetime:
    """Read an instant, or a date as its first instant, UTC; raises ValueError."""
    is_date = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII)
    return parse_instant(f"{text}T00:00:00Z" if is_date else text)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean …?` for the name that is closest, whatever its case; else nothing."""
    # Imported only after a name was misspelled: every other call starts without it.
    from perminute.formats.csv_tables import suggest  # noqa: PLC0415

    known, folded = list(map(str, names)), name.casefold()
    begun = [
        known_name for known_name in known if folded and known_name.casefold().startswith(folded)
    ]
    close = begun[0] if begun else suggest(name, known, cutoff=0.6)
    return f" Did you mean {close!r}?" if close else ""
