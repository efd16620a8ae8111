"""Tables that commands print for people, and the lines between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console
from rich.measure import Measurement
from rich.text import Text

from perminute.domain.rating.calls import LegType
from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import JustifyMethod, RenderableType

WIDEST = 20_000
"""Wider than any table: in a pipe or a file no line is folded, so that `grep` finds it whole."""

LEG_NAMES = {
    LegType.TOLL_DIAL_IN: "toll dial-in",
    LegType.TOLL_FREE_DIAL_IN: "toll-free dial-in",
    LegType.DIAL_OUT: "dial-out",
    LegType.APP: "app",
}


class TableStyle(TypedDict):
    """How all our tables look."""

    title_justify: JustifyMethod
    title_style: str
    box: Box


STYLE: TableStyle = {"title_justify": "left", "title_style": "bold", "box": SIMPLE_HEAD}


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
    options = screen.options.update(max_width=WIDEST)
    return Measurement.get(screen, options, table).minimum


def plain(text: str, style: str = "") -> Text:
    """Return text from outside as one line, in which nothing is taken for markup."""
    return Text(one_line(text), style)


def title_line(text: str) -> Text:
    """Return the title of a table, in one line even if the table below it is narrower."""
    line = plain(text)
    line.no_wrap, line.overflow = True, "ignore"
    return line
