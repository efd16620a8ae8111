"""Timelines of more facts than one item holds: how they are read, and how room is made.

The first item of a subject lists its further items by number. Each of these is written once, under
a number that is never used again, and never changed. So what a first item lists is either found as
it was when the first item was read, or it is missing: then the timeline was rolled over meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pynamodb.expressions.condition import size

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.rows import TimelineRow
from perminute.domain.errors import Contended
from perminute.domain.licensing.timelines import Timeline, fold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.tables import Operation, Table, WriteRequest
    from perminute.domain.licensing.timelines import Fact

MAX_FIRST_BYTES = 150_000
"""Facts of a first item to which more may be appended, in bytes. `TransactGetItems` reads 25 first
items at once and 4 MB at most. With ids like real ones a fact takes some 130 bytes, so a timeline
has `MAX_FACTS` facts before."""

MAX_FURTHER_BYTES = 300_000
"""Facts of a further item, in bytes: an item may have 400 KB."""

MAX_FURTHER_AT_ONCE = 10
"""Further items that are read at once, 4 MB at most."""

MAX_ABSORBED = 4
"""Further items whose facts are written anew when a timeline is rolled over: with the first item
and with what is deleted that is less than the 4 MB of a request. Others have to wait."""


class Further(NamedTuple):
    """A further item: its number, and its facts."""

    number: int
    facts: frozenset[Fact]


def read_timelines(table: Table[TimelineRow], firsts: Sequence[TimelineRow]) -> dict[str, Timeline]:
    """Return by subject the timelines of which these are the first items.

    Raises `Contended` if one was rolled over after its first item was read.
    """
    further = _read_further(table, firsts)
    return {
        row.subject: Timeline(
            records.facts_of(row).union(*(one.facts for one in further[row.subject]))
        )
        for row in firsts
    }


def _read_further(
    table: Table[TimelineRow], firsts: Sequence[TimelineRow]
) -> dict[str, list[Further]]:
    names = {
        records.further_subject(row.subject, number): (row.subject, number)
        for row in firsts
        for number in row.further or ()
    }
    further: dict[str, list[Further]] = {row.subject: [] for row in firsts}
    keys = [(row.organization_id, name) for row in firsts[:1] for name in names]
    for start in range(0, len(keys), MAX_FURTHER_AT_ONCE):
        some = keys[start : start + MAX_FURTHER_AT_ONCE]
        rows = table.get_snapshot(some)
        if len(rows) < len(some):
            msg = f"reading {table.name}: a timeline is just being rolled over"
            raise Contended(msg)
        for row in rows:
            subject, number = names[row.subject]
            further[subject].append(Further(number, records.facts_of(row)))
    return further


class RollOver(NamedTuple):
    """A first item as it is to be, its further items that come and go, and how many facts go."""

    first: TimelineRow
    before: TimelineRow
    added: list[TimelineRow]
    absorbed: list[Further]
    left_out: int

    def write_to(self, request: WriteRequest, table: Table[TimelineRow]) -> None:
        """Add what is to be written, under the condition that the first item is as it was."""
        organization_id, subject = self.first.organization_id, self.first.subject
        request.deletes += [
            table.delete_item(organization_id, records.further_subject(subject, one.number))
            for one in self.absorbed
        ]
        request.puts += [table.insert(row.serialize()) for row in self.added]
        request.puts.append(_unchanged(table, self.first, self.before))


def _unchanged(table: Table[TimelineRow], row: TimelineRow, before: TimelineRow) -> Operation:
    """Put a first item in place of the one that was read.

    Facts are appended, or all of them are moved and `rolled` grows: so as many facts since the same
    roll-over are the same facts.
    """
    rolled = TimelineRow.rolled
    is_same = rolled == before.rolled if before.rolled else rolled.does_not_exist()
    return table.replace(row, is_same & (size("facts") == len(before.facts)))  # type: ignore[no-untyped-call]


def plan_roll_over(
    table: Table[TimelineRow], first: TimelineRow, fold_before: datetime
) -> RollOver:
    """Decide what is written to make room on a full timeline.

    What is left out is decided by all its facts, and done where they are written anew.
    """
    further = _read_further(table, [first])[first.subject]
    moved = records.facts_of(first)
    kept = fold(moved.union(*(one.facts for one in further)), fold_before)
    absorbed = [one for one in further if not one.facts <= kept][:MAX_ABSORBED]
    moved = moved.union(*(one.facts for one in absorbed))
    staying = moved & kept
    rolled = first.rolled or 0
    added = [
        TimelineRow(
            organization_id=first.organization_id,
            subject=records.further_subject(first.subject, number),
            facts=texts,
        )
        for number, texts in enumerate(_packed(map(records.fact_text, staying)), rolled + 1)
    ]
    gone = {one.number for one in absorbed}
    return RollOver(
        first=_emptied(
            first,
            further=[one.number for one in further if one.number not in gone],
            added=len(added),
            folded=fold_before if len(staying) < len(moved) else None,
        ),
        before=first,
        added=added,
        absorbed=absorbed,
        left_out=len(moved) - len(staying),
    )


def _emptied(
    first: TimelineRow, *, further: Collection[int], added: int, folded: datetime | None
) -> TimelineRow:
    rolled = first.rolled or 0
    until = {first.folded_until or "", records.folded_text(folded) if folded else ""}
    return TimelineRow(
        organization_id=first.organization_id,
        subject=first.subject,
        facts=[],
        fact_bytes=0,
        further=[*sorted(further), *range(rolled + 1, rolled + 1 + added)],
        # It grows even if nothing is left to be moved: the facts are others from now on.
        rolled=rolled + max(added, 1),
        folded_until=max(until) or None,
    )


def _packed(texts: Iterable[str]) -> Iterator[list[str]]:
    """Divide facts so that each further item has as many bytes as it may."""
    packed: list[str] = []
    room = MAX_FURTHER_BYTES
    for text in sorted(texts):
        size = fact_bytes([text])
        if packed and size > room:
            yield packed
            packed, room = [], MAX_FURTHER_BYTES
        packed.append(text)
        room -= size
    if packed:
        yield packed


def fact_bytes(texts: Iterable[str]) -> int:
    """Return how many bytes facts take in an item, the overhead of a list element included."""
    return sum(len(text.encode()) + 4 for text in texts)
