"""Items of the licensing table: the facts about an organization or one of its users, in no order.

Facts are appended to the first item of a subject. What was moved from it is in further items, each
of which is written once, never changed, and deleted when its facts move on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from perminute.adapters.dynamodb.codec import (
    FLAG,
    NUMBER,
    PLAIN,
    SHARED_PLAIN,
    SHORT_INSTANT,
    TEXT,
    Field,
    Record,
    as_json,
    attribute,
    many,
    row,
    to_json,
)
from perminute.domain.licensing.timelines import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perminute.adapters.dynamodb.codec import Item

ORGANIZATION = "organization"
USERS = "user#"
FURTHER = "further#"
"""How the names of further items begin."""

FOLDED_UNTIL = "foldedUntil"


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

    @property
    def stated(self) -> frozenset[Fact]:
        """The facts, read."""
        return frozenset(map(fact_of, self.facts))


_TIMELINE = Record(
    TimelineItem,
    organization_id=TEXT,
    subject=TEXT,
    facts=Field(attribute("L", many(TEXT)), default=None),
    fact_bytes=NUMBER,
    further=as_json(SHARED_PLAIN),
    rolled=NUMBER,
    folded_until=TEXT,
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


def timeline_item(timeline: TimelineItem) -> Item:
    """Write an item of a timeline."""
    return _TIMELINE.write(timeline)


def timeline_of(item: Item) -> TimelineItem:
    """Read an item of a timeline."""
    return _TIMELINE.read(item)


def subject_key(organization_id: str, subject: str) -> Item:
    """Return the key of an item of a timeline."""
    return {"organizationId": {"S": organization_id}, "subject": {"S": subject}}


def subject_of(user_id: str | None) -> str:
    """Name the timeline of a user, or of the organization itself."""
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
    """Write a fact as one line of JSON."""
    return to_json(_FACT.write(fact))


def fact_of(text: str) -> Fact:
    """Read a fact."""
    fact: Fact = _FACT.read(json.loads(text))
    return fact


def fact_bytes(texts: Iterable[str]) -> int:
    """Return how many bytes facts take in an item, the overhead of a list element included."""
    return sum(len(text.encode()) + 4 for text in texts)
