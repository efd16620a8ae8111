"""What a person sees before events are sent, and the question whether to send them."""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from perminute.domain.values.printable import one_line
from perminute_local.terminal import remark
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute_local.admin.foreseen import Row

MAX_ROWS = 20
"""More rows are counted instead: what is to be compared must fit a screen."""

NOTHING = "-"


def show(title: str, rows: Sequence[Row], warnings: Sequence[str]) -> None:
    """Write what would change, and what to be careful about, to standard error."""
    shown = rows if len(rows) <= MAX_ROWS else list(_counted(rows))
    remark(title)
    for line in _table(shown[:MAX_ROWS]):
        remark(line)
    if len(shown) > MAX_ROWS:
        remark(f"  and {len(shown) - MAX_ROWS} more changes, all of them with --json")
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
    """Count of how many users the same changes."""
    alike: defaultdict[tuple[str | None, ...], list[Row]] = defaultdict(list)
    for row in rows:
        alike[row[1:]].append(row)
    for first, *others in alike.values():
        yield first._replace(subject=f"{1 + len(others)} users") if others else first


def _table(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "  nothing that is recorded changes"
    # As wide as it is written, or the columns would not stand below each other.
    cells = [[one_line(cell or NOTHING) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        subject, name, before, after = map(str.ljust, row, widths)
        yield f"  {subject}  {name}  {before} → {after}".rstrip()
