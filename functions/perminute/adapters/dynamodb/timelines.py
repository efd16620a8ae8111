"""Items of the licensing table: facts about an organization or one of its users, in no order.

Facts are appended to the first item of a subject, which lists its further items by number. Each of
these has facts that were moved from the first one. It is written once, under a number that is never
used again, never changed, and deleted when its facts move on. So what a first item lists is either
found as it was when the first item was read, or it is missing: then the timeline was rolled over
meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.json import decode

from perminute.adapters.dynamodb.codec import (
    FLAG,
    FLAG_NUMBER,
    NUMBER,
    PLAIN,
    PLAIN_LIST,
    SHORT_INSTANT,
    TEXT,
    Field,
    Record,
    as_json,
    attribute,
    list_of,
    row,
    sortable,
    to_json,
)
from perminute.domain.errors import Contended
from perminute.domain.licensing.timelines import Fact, Timeline, fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation, Table
    from perminute.adapters.dynamodb.writes import WriteRequest

ORGANIZATION = "organization"
USERS = "user#"
FURTHER = "further#"
"""How the names of further items begin."""

FOLDED_UNTIL = "foldedUntil"
COPY = "isCopy"


class TimelineItem(NamedTuple):
    """A first or a further item of a timeline."""

    organization_id: str
    subject: str
    facts: tuple[str, ...] = ()
    # All that follows is said of a first item only.
    fact_bytes: int = 0
    further: tuple[int, ...] = ()
    """The numbers of the subject's further items."""
    rolled: int = 0
    """How many further items there ever were. It only grows, so it is the version of all that is
    not appended."""
    folded_until: str = ""
    """Before this instant facts are left out, and none is taken any more. Text that sorts as time
    does, for a condition compares it."""
    is_copy: bool = False
    """The copy, under the pseudonym, of a user who is being erased: licenses count only once."""

    @property
    def stated(self) -> frozenset[Fact]:
        return frozenset(map(fact_of, self.facts))


_TIMELINE = Record(
    TimelineItem,
    organization_id=TEXT,
    subject=TEXT,
    facts=Field(attribute("L", list_of(TEXT)), default=None),
    fact_bytes=NUMBER,
    further=as_json(PLAIN_LIST),
    rolled=NUMBER,
    folded_until=TEXT,
    is_copy=Field(FLAG_NUMBER, COPY),
)
_FACT = row(
    Fact,
    attribute=PLAIN,
    value=PLAIN,
    effective_at=SHORT_INSTANT,
    issued_at=SHORT_INSTANT,
    event_id=PLAIN,
    has_change_id=FLAG,
)


timeline_item, timeline_of = _TIMELINE.write, _TIMELINE.read


def subject_key(organization_id: str, subject: str) -> Item:
    return {"organizationId": {"S": organization_id}, "subject": {"S": subject}}


def subject_of(user_id: str | None) -> str:
    return ORGANIZATION if user_id is None else f"{USERS}{user_id}"


def further_subject(subject: str, number: int) -> str:
    """Name a further item of a timeline; no user's id can make a first item of that name.

    With the longest id it has 1,024 bytes, the longest sort key: a number has ten digits at most.
    """
    return f"{FURTHER}{subject}#{number}"


def subject_of_further(name: str) -> str:
    """Return whose facts a further item has, or the name itself if it is a first item's."""
    return name.removeprefix(FURTHER).rpartition("#")[0] if name.startswith(FURTHER) else name


def fact_text(fact: Fact) -> str:
    return to_json(_FACT.write(fact))


def fact_of(text: str) -> Fact:
    fact: Fact = _FACT.read(decode(text))
    return fact


def fact_bytes(texts: Iterable[str]) -> int:
    """Return how many bytes facts take in an item, the overhead of a list element included."""
    return sum(len(text.encode()) + 4 for text in texts)


MAX_FIRST_BYTES = 150_000
"""Facts of a first item to which more may be appended, in bytes. `TransactGetItems` reads 25 first
items at once and 4 MB at most. With ids like real ones a fact takes some 130 bytes, so a timeline
has `MAX_FACTS` facts before."""

MAX_FURTHER_BYTES = 300_000
"""Facts of a further item, in bytes: an item may have 400 KB."""

MAX_FURTHER_AT_ONCE = 10
"""Further items that are read at once, 4 MB at most."""

MAX_ABSORBED = 4
"""Further items whose facts are written again when a timeline is rolled over: with the first item
and with what is deleted that is less than the 4 MB of a request. Others have to wait."""


def read_timelines(table: Table, firsts: Sequence[TimelineItem]) -> dict[str, Timeline]:
    """Return by subject the timelines of which these are the first items.

    Raises `Contended` if one was rolled over after its first item was read.
    """
    further = _read_further(table, firsts)
    return {
        first.subject: Timeline(first.stated.union(*further[first.subject].values()))
        for first in firsts
    }


def _read_further(
    table: Table, firsts: Sequence[TimelineItem]
) -> dict[str, dict[int, frozenset[Fact]]]:
    # By subject, then by number.
    names = {
        further_subject(first.subject, number): (first.subject, number)
        for first in firsts
        for number in first.further
    }
    further: dict[str, dict[int, frozenset[Fact]]] = {first.subject: {} for first in firsts}
    keys = [subject_key(first.organization_id, name) for first in firsts[:1] for name in names]
    for start in range(0, len(keys), MAX_FURTHER_AT_ONCE):
        some = keys[start : start + MAX_FURTHER_AT_ONCE]
        items = list(map(timeline_of, table.get_snapshot(some)))
        if len(items) < len(some):
            msg = f"reading {table.name}: a timeline is just being rolled over"
            raise Contended(msg)
        for item in items:
            subject, number = names[item.subject]
            further[subject][number] = item.stated
    return further


def roll_over(
    request: WriteRequest, table: Table, first: TimelineItem, fold_before: datetime
) -> int:
    """Write what makes room on a full timeline; return how many facts are left out.

    What is left out is decided by all its facts, and done where they are written again.
    """
    organization_id, subject = first.organization_id, first.subject
    further = _read_further(table, [first])[subject]
    unfolded = fold(first.stated.union(*further.values()), fold_before)
    absorbed = [number for number in further if not further[number] <= unfolded][:MAX_ABSORBED]
    moved = first.stated.union(*(further[number] for number in absorbed))
    texts = _packed(map(fact_text, moved & unfolded))
    added = dict(enumerate(texts, first.rolled + 1))
    left_out = len(moved - unfolded)
    emptied = TimelineItem(
        organization_id=organization_id,
        subject=subject,
        further=(*sorted(further.keys() - set(absorbed)), *added),
        # It grows even if nothing is left to be moved: the facts are others from now on.
        rolled=first.rolled + max(len(added), 1),
        folded_until=max(first.folded_until, sortable(fold_before) if left_out else ""),
    )
    request.deletes += [
        table.delete(subject_key(organization_id, further_subject(subject, number)))
        for number in absorbed
    ]
    for number, facts in added.items():
        item = TimelineItem(organization_id, further_subject(subject, number), tuple(facts))
        request.puts.append(table.put(timeline_item(item), table.is_new))
    as_read, values = _as_read(first)
    request.puts.append(table.put(timeline_item(emptied), as_read, **values))
    return left_out


def _as_read(first: TimelineItem) -> tuple[str, dict[str, int]]:
    # Facts are appended, or all of them are moved and `rolled` grows: so as many facts since the
    # same roll-over are the same facts.
    if not first.rolled:
        return "attribute_not_exists(rolled) AND size(facts) = :facts", {"facts": len(first.facts)}
    values = {"facts": len(first.facts), "rolled": first.rolled}
    return "rolled = :rolled AND size(facts) = :facts", values


def copy_timeline(table: Table, first: TimelineItem, subject: str) -> Iterator[Operation]:
    """Yield the writes that copy a timeline to another subject; its first item comes last."""
    organization_id = first.organization_id
    keys = {
        number: subject_key(organization_id, further_subject(first.subject, number))
        for number in first.further
    }
    for number, key in keys.items():
        item = table.get(key)
        if item is None:
            msg = f"reading {table.name}: a timeline is just being rolled over"
            raise Contended(msg)
        further = timeline_of(item)._replace(subject=further_subject(subject, number))
        yield table.put(timeline_item(further))
    yield table.put(timeline_item(first._replace(subject=subject, is_copy=True)))


def move_timeline(
    request: WriteRequest, table: Table, first: TimelineItem, copied: TimelineItem
) -> None:
    """Replace a timeline by its copy, unless either has changed."""
    condition, values = _as_read(first)
    request.deletes.append(table.delete(timeline_item(first), condition, **values))
    moved = copied._replace(is_copy=False)
    request.puts.append(table.put(timeline_item(moved), f"attribute_exists({COPY})"))


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
