"""Timelines of more facts than one item holds: how they are read, and how room is made.

The first item of a subject lists its further items by number. Each of these is written once, under
a number that is never used again, and never changed. So what a first item lists is either found as
it was when the first item was read, or it is missing: then the timeline was rolled over meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.adapters.dynamodb.codec import sortable
from perminute.adapters.dynamodb.licensing_items import (
    TimelineItem,
    fact_bytes,
    fact_text,
    further_subject,
    subject_key,
    timeline_item,
    timeline_of,
)
from perminute.domain.errors import Contended
from perminute.domain.licensing.timelines import Timeline, fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.tables import Operation, Table
    from perminute.adapters.dynamodb.writes import WriteRequest
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


class FurtherItem(NamedTuple):
    """A further item: its number, and its facts."""

    number: int
    facts: frozenset[Fact]


def read_timelines(table: Table, firsts: Sequence[TimelineItem]) -> dict[str, Timeline]:
    """Return by subject the timelines of which these are the first items.

    Raises `Contended` if one was rolled over after its first item was read.
    """
    further = _read_further(table, firsts)
    return {
        first.subject: Timeline(first.stated.union(*(one.facts for one in further[first.subject])))
        for first in firsts
    }


def _read_further(table: Table, firsts: Sequence[TimelineItem]) -> dict[str, list[FurtherItem]]:
    names = {
        further_subject(first.subject, number): (first.subject, number)
        for first in firsts
        for number in first.further
    }
    further: dict[str, list[FurtherItem]] = {first.subject: [] for first in firsts}
    keys = [subject_key(first.organization_id, name) for first in firsts[:1] for name in names]
    for start in range(0, len(keys), MAX_FURTHER_AT_ONCE):
        some = keys[start : start + MAX_FURTHER_AT_ONCE]
        items = list(map(timeline_of, table.get_snapshot(some)))
        if len(items) < len(some):
            msg = f"reading {table.name}: a timeline is just being rolled over"
            raise Contended(msg)
        for item in items:
            subject, number = names[item.subject]
            further[subject].append(FurtherItem(number, item.stated))
    return further


class RollOver(NamedTuple):
    """A first item as it is to be, its further items that come and go, and how many facts go."""

    first: TimelineItem
    before: TimelineItem
    added: list[TimelineItem]
    absorbed: list[FurtherItem]
    left_out: int

    def write_to(self, request: WriteRequest, table: Table) -> None:
        """Add what is to be written, under the condition that the first item is as it was."""
        organization_id, subject = self.first.organization_id, self.first.subject
        request.deletes += [
            table.delete(subject_key(organization_id, further_subject(subject, one.number)))
            for one in self.absorbed
        ]
        request.puts += [table.put(timeline_item(one), table.is_new) for one in self.added]
        request.puts.append(_put_unchanged(table, self.first, self.before))


def _put_unchanged(table: Table, first: TimelineItem, before: TimelineItem) -> Operation:
    """Put a first item in place of the one that was read.

    Facts are appended, or all of them are moved and `rolled` grows: so as many facts since the same
    roll-over are the same facts.
    """
    item, facts = timeline_item(first), len(before.facts)
    if before.rolled:
        as_read = "rolled = :rolled AND size(facts) = :facts"
        return table.put(item, as_read, rolled=before.rolled, facts=facts)
    return table.put(item, "attribute_not_exists(rolled) AND size(facts) = :facts", facts=facts)


def plan_roll_over(table: Table, first: TimelineItem, fold_before: datetime) -> RollOver:
    """Decide what is written to make room on a full timeline.

    What is left out is decided by all its facts, and done where they are written anew.
    """
    further = _read_further(table, [first])[first.subject]
    moved = first.stated
    kept = fold(moved.union(*(one.facts for one in further)), fold_before)
    absorbed = [one for one in further if not one.facts <= kept][:MAX_ABSORBED]
    moved = moved.union(*(one.facts for one in absorbed))
    staying = moved & kept
    added = [
        TimelineItem(first.organization_id, further_subject(first.subject, number), tuple(texts))
        for number, texts in enumerate(_packed(map(fact_text, staying)), first.rolled + 1)
    ]
    gone = {one.number for one in absorbed}
    remaining = sorted(one.number for one in further if one.number not in gone)
    new = range(first.rolled + 1, first.rolled + 1 + len(added))
    folded_until = sortable(fold_before) if len(staying) < len(moved) else ""
    emptied = TimelineItem(
        organization_id=first.organization_id,
        subject=first.subject,
        further=(*remaining, *new),
        # It grows even if nothing is left to be moved: the facts are others from now on.
        rolled=first.rolled + max(len(added), 1),
        folded_until=max(first.folded_until, folded_until),
    )
    return RollOver(emptied, first, added, absorbed, len(moved) - len(staying))


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
