"""What a person sees before events are sent, and the question whether to send them."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from perminute.domain.printable import one_line
from perminute_local.admin.foreseen import Row
from perminute_local.terminal import remark
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_ROWS = 20
"""More rows are counted instead: what is to be compared must fit a screen."""

NOTHING = "-"


def show(title: str, rows: Sequence[Row], warnings: Sequence[str]) -> None:
    """Write what would change, and what to be careful about, to standard error."""
    remark(title)
    for line in _table(rows if len(rows) <= MAX_ROWS else list(_counted(rows))):
        remark(line)
    for warning in warnings[:MAX_ROWS]:
        remark(f"warning: {warning}")
    if len(warnings) > MAX_ROWS:
        remark(f"warning: and {len(warnings) - MAX_ROWS} more, all of them with --json")


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask on the terminal unless `yes`; raises `WrongCall` if there is no terminal to ask on."""
    if yes:
        return True
    if not sys.stdin.isatty():
        msg = "nothing was sent: there is no terminal to ask on; add --yes to send without asking"
        raise WrongCall(msg)
    sys.stderr.write(f"{one_line(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _counted(rows: Sequence[Row]) -> Iterator[Row]:
    """Count how often the same changes."""
    for (name, before, after), times in Counter(row[1:] for row in rows).items():
        yield Row(f"{times} users", name, before, after)


def _table(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "  nothing that is recorded changes"
    # As wide as it is written, or the columns would not stand below each other.
    cells = [[one_line(cell or NOTHING) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        subject, name, before, after = map(str.ljust, row, widths)
        yield f"  {subject}  {name}  {before} → {after}".rstrip()
