"""Errors that the user of a command can mend; what every command starts with, so nothing slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from perminute.domain.errors import Fault


class WrongCall(Exception):  # noqa: N818 - what the user did, in the user's words
    """The command was called wrongly; the message says how it is called rightly."""

    kind: ClassVar[str] = "usage"
    """What `error` says of it in a JSON document."""


class WrongFile(WrongCall):
    """A file is not what the command reads; the message names the file, and the line if it can."""

    kind = "file"


class FaultyTable(WrongFile):
    """A CSV file is refused, with every fault of it."""

    what: ClassVar[str]

    def __init__(self, path: Path | str, faults: Sequence[Fault]) -> None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{path}: the {self.what} is refused: {count}")
        self.path = path
        self.faults = faults


class FaultyCard(FaultyTable):
    """A rate card is refused."""

    kind, what = "faultyRateCard", "rate card"


class FaultyDirectoryFile(FaultyTable):
    """A directory of call records is refused."""

    kind, what = "faultyDirectory", "directory"


class FaultyFolder(WrongFile):
    """Several files of a folder are not what a replay reads."""

    kind = "faultyFolder"

    def __init__(self, folder: Path, errors: Sequence[WrongFile]) -> None:
        super().__init__(f"{folder}: cannot be replayed: {len(errors)} files are faulty")
        self.errors = errors


class LineFault(NamedTuple):
    """What is wrong with a line of a file: `at` names both."""

    at: str
    message: str


class FaultyLines(WrongFile):
    """Lines of files are refused, and with them all others; `is_cut`: there may be more.

    `outcome` says what therefore did not happen.
    """

    kind = "faultyLines"

    def __init__(self, faults: Sequence[LineFault], outcome: str, *, is_cut: bool = False) -> None:
        count = f"{len(faults)} or more" if is_cut else str(len(faults))
        are = "is" if count == "1" else "are"
        super().__init__(f"{outcome}: {count} of the lines {are} refused")
        self.faults = faults


class AwsFailed(WrongCall):
    """AWS did not do what was asked; the message says why, and what helps."""

    kind = "aws"
