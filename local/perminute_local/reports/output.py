"""Where a report is written."""

from __future__ import annotations

from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING

from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def writing_to(path: Path | None) -> Iterator[None]:
    """Write to a file what goes to standard output; with None, leave it as it is.

    The file is replaced as a whole: after a failure, the file that was there before is unchanged.
    Raises `WrongFile`.
    """
    if path is None:
        yield
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream, redirect_stdout(stream):
            yield
        part.replace(path)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror}"
        raise WrongFile(msg) from error
    finally:
        with suppress(OSError):
            part.unlink()
