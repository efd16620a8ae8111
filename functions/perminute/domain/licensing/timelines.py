"""What was true when: facts in any order of arrival, asked at an instant.

Licensing events arrive late and out of order, and what counts is what was in force when a call
was answered (docs/domain.md §3.5). So nothing is ever overwritten: a timeline is a set of facts,
each with the instant from which it holds, and an attribute's value at an instant is that of the
latest fact not after it. A set has no order of arrival, and a fact that comes twice is still one
fact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.domain.licensing.ties import caution

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

FactValue = str | bool | int

MAX_FACTS = 1_000
"""Facts to which more may be appended; then they are rolled over, see `folding`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """From `effective_at` on, `attribute` has this value, until a later fact says otherwise.

    Of two facts for one instant the one issued later holds. Of two that were issued at one instant
    the more cautious one holds (`ties`), and then the one with the greater identity: every order
    of arrival has one result. `event_id` is the `changeId` of the event if it `has_change_id`:
    a copy under another event id is the same fact.
    """

    attribute: str
    value: FactValue
    effective_at: datetime
    issued_at: datetime
    event_id: str
    has_change_id: bool = False

    @property
    def order(self) -> tuple[datetime, datetime, int, str, bool]:
        """The place of the fact among those of its attribute: of two, the later one holds."""
        cautious = caution(self.attribute, self.value)
        return self.effective_at, self.issued_at, cautious, self.event_id, self.has_change_id

    def ties_with(self, other: Fact) -> bool:
        """Whether only `ties` decides which of two facts holds, and it matters which."""
        return self.value != other.value and (
            (self.attribute, self.effective_at, self.issued_at)
            == (other.attribute, other.effective_at, other.issued_at)
        )


def standing(facts: Iterable[Fact]) -> frozenset[Fact]:
    """Return the facts without those of which a copy of the same event says an earlier time.

    An event with a `changeId` that does not say when it was issued has another time with each copy
    on a bus. Each of them may be recorded; the earliest counts, whichever arrives first.
    """
    facts = frozenset(facts)
    issued: dict[tuple[str, str], datetime] = {}
    for fact in facts:
        if fact.has_change_id:
            name = fact.attribute, fact.event_id
            issued[name] = min(issued.get(name, fact.issued_at), fact.issued_at)
    return frozenset(
        fact
        for fact in facts
        if not fact.has_change_id or fact.issued_at == issued[fact.attribute, fact.event_id]
    )


class Timeline:
    """The facts of one subject: an organization, or one of its users."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        """Sort the facts of each attribute by when they hold."""
        self.facts = frozenset(facts)
        by_attribute: defaultdict[str, list[Fact]] = defaultdict(list)
        ordered = sorted(standing(self.facts), key=lambda fact: fact.order)
        for fact in ordered:
            by_attribute[fact.attribute].append(fact)
        self._instants = [fact.effective_at for fact in ordered]
        self._history = {
            attribute: ([fact.effective_at for fact in facts], [fact.value for fact in facts])
            for attribute, facts in by_attribute.items()
        }

    def value_at(self, attribute: str, at: datetime) -> FactValue | None:
        """Return the value at `at`, with what takes effect then (docs/domain.md §5.5)."""
        history = self._history.get(attribute)
        if history is None:
            return None
        instants, values = history
        position = bisect_right(instants, at)
        return values[position - 1] if position else None

    def changes_of(self, attribute: str) -> Iterator[tuple[datetime, FactValue]]:
        """Give each instant at which something is said of an attribute, and what, in order."""
        return zip(*self._history.get(attribute, ((), ())), strict=True)

    def changes_between(
        self, attributes: Collection[str], since: datetime, until: datetime
    ) -> Iterator[datetime]:
        """Give the instants after `since` and before `until` at which one of these changes."""
        for attribute in attributes:
            yield from (at for at, _ in self.changes_of(attribute) if since < at < until)

    def any_change_between(self, since: datetime, until: datetime) -> Sequence[datetime]:
        """Return the instants after `since`, up to `until`, at which any attribute changes."""
        first, end = bisect_right(self._instants, since), bisect_right(self._instants, until)
        return self._instants[first:end]

    def __eq__(self, other: object) -> bool:
        """Two timelines are equal when they hold the same facts, however these arrived."""
        return isinstance(other, Timeline) and self.facts == other.facts

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(self.facts)
