"""Text that people save by hand, and what their editors and shells make of it."""

from __future__ import annotations

import codecs
from contextlib import contextmanager
from typing import TYPE_CHECKING

from perminute.domain.errors import FaultyRateCard
from perminute_local.wrong_call import FaultyCard, WrongFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    """Raises `WrongFile` if a file is UTF-16, which Windows PowerShell writes by `>`."""
    with path.open("rb") as content:
        check_start(path, content.read(2))


def check_start(path: Path, start: bytes) -> None:
    """Raises `WrongFile` if a file that begins with these two bytes is UTF-16."""
    if start in _UTF_16 or b"\0" in start:
        msg = f"{path}: is UTF-16, not UTF-8; save the file as UTF-8"
        raise WrongFile(msg)


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Raise `FaultyCard`, which names the file, for a faulty rate card that is read from it."""
    try:
        yield
    except FaultyRateCard as error:
        raise FaultyCard(path, error.faults) from error


def string_of(value: object) -> str:
    """Return what JSON says if it is a string; raises ValueError for anything else."""
    if not isinstance(value, str):
        msg = "must be a string"
        raise ValueError(msg)  # noqa: TRY004 - readers of cells and fields raise ValueError
    return value
