"""The daily runs of a world: what is lost of them is made up for, and what they say is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.reconciliation.book_sums import NOTHING_PROVEN, BookSums, agrees
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.domain.values.money import format_micros
from perminute_local.simulation.backend import WHOLE_WITHIN_DAYS
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from perminute_local.simulation.backend import Seen

BOOKS = "balance = ledger = lots less debt"
CHECKED = "every night all books are checked"
WHOLE = "all books are read within some days"
PROVEN = "a checkpoint is what the ledger says"
FOUND = "books that differ are found"
SPOILT_MICROS = 10_000


def checked(name: str, seen: Seen, at: datetime) -> Iterator[Broken]:
    """Hold what a night has found against the books, once all of it is done."""
    check = seen.check
    if seen.account.version == 0:
        return
    if check.reading is not None or check.checked_at != at:
        state = "is under way" if check.reading is not None else f"was at {check.checked_at}"
        yield Broken(CHECKED, f"the last check of {name} {state}, and the run was at {at}")
    if check.differences:
        yield Broken(
            BOOKS, f"{name} differs {check.differences} times: {reconcile(seen.statement)}"
        )
    elif check.whole_at is None or (at - check.whole_at).days >= WHOLE_WITHIN_DAYS:
        yield Broken(WHOLE, f"all books of {name} were read at {check.whole_at}, and it is {at}")
    yield from proven(name, seen)


def proven(name: str, seen: Seen) -> Iterator[Broken]:
    """Hold a checkpoint against the entries up to it."""
    point = seen.check.checkpoint
    entries = [one for one in seen.statement.entries if int(one.entry_id) <= point.entries]
    sums = BookSums.begin(NOTHING_PROVEN, point.entries)
    for entry in entries:
        sums.add(entry)
    # What calls cost is none of a checkpoint: only what the entries say.
    for one in sums.ranges.values():
        one.charged_micros = one.called_micros = one.charges = 0
    if not agrees(sums, point):
        stated = f"{point.entries} entries and {format_micros(point.balance_micros)}"
        yield Broken(PROVEN, f"the checkpoint of {name} says {stated}, the ledger does not")


def spoilt(name: str, seen: Seen) -> Iterator[Broken]:
    """Hold what a night has found of books that were spoilt on purpose."""
    if not seen.check.differences:
        yield Broken(FOUND, f"a cent was added to the balance of {name}, and nobody has noticed")
    yield from proven(name, seen)
