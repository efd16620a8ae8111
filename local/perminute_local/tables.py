"""Tables on a terminal, in a pipe and in a file: names and ids are never cut or broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

WIDEST = 20_000
"""Wider than any table: in a pipe or a file no line is folded, so that `grep` finds it whole."""


def write_tables(tables: Iterable[RenderableType], console: Console | None = None) -> None:
    """Write tables and lines to standard output, or to the console of a test.

    A terminal folds long sentences. One that is too narrow for a column of ids gets lines that
    are wider than it is, since what is cut off an id cannot be copied.
    """
    screen, shown = console or Console(), list(tables)
    needed = max((_narrowest(screen, one) for one in shown), default=0)
    screen.width = max(screen.width, needed) if screen.is_terminal else WIDEST
    screen.print(*shown, sep="\n")


def _narrowest(screen: Console, table: RenderableType) -> int:
    """Return the width below which a column that must not be folded would be."""
    options = screen.options.update(max_width=WIDEST)
    return Measurement.get(screen, options, table).minimum
