"""Progress of a command on standard error: seen on a terminal only, and gone at the end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import ProgressColumn


@contextmanager
def texts_shown(beginning: str) -> Iterator[Callable[[str], None]]:
    """Show a text, and the time that has passed; the caller replaces the text."""
    # Without markup: an organization may be called "[/]".
    with transient(TextColumn("{task.description}", markup=False), TimeElapsedColumn()) as bar:
        task = bar.add_task(beginning, total=None)
        yield lambda text: bar.update(task, description=one_line(text))


@contextmanager
def count_shown(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of all are done; the caller says how many more."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with transient(*columns, hidden=not total) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def transient(*columns: ProgressColumn, hidden: bool = False) -> Progress:
    """Return a bar with these columns."""
    screen = Console(stderr=True)
    hidden = hidden or not screen.is_terminal
    return Progress(*columns, console=screen, transient=True, disable=hidden)
