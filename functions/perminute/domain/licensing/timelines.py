"""What was true when: facts in any order of arrival, read at an instant.

Licensing events arrive late and out of order, and what counts is what was in force when a call
was answered (docs/domain.md §3.5). So no fact overwrites another: a timeline is a set of facts,
each with the instant from which it holds. An attribute's value at an instant is that of the latest
fact not after it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.licensing.attributes import POOL_MINUTES_USED, FactValue, caution

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

# Facts to which more may be appended; then the timeline is rolled over: its old facts fold.
MAX_FACTS = 1_000
# How long before its event was issued a licensing fact may take effect, unless the deployment says
# otherwise (`ReratingHorizonDays`). More than a year, so that the same month of last year can still
# be corrected.
RERATING_HORIZON = timedelta(days=400)
# How long after the horizon facts are folded. An accepted event may wait for 4 days in its queue
# and 14 in the dead-letter queue; and `poolMinutesUsed` holds from the start of its month, up to 31
# days before its `effectiveAt`.
FOLD_MARGIN = timedelta(days=45)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """From `effective_at` on, `attribute` has this value, until a later fact says otherwise."""

    attribute: str
    value: FactValue
    effective_at: datetime
    issued_at: datetime
    # The `changeId` of the event if it has one: a copy under another event id is the same fact.
    event_id: str
    has_change_id: bool = False

    @property
    def order(self) -> tuple[datetime, datetime, int, str, bool]:
        """The place of the fact among those of its attribute, of which the last one is in force."""
        # The order of arrival has no part in it, and no two different facts have one place.
        cautious = caution(self.attribute, self.value)
        return self.effective_at, self.issued_at, cautious, self.event_id, self.has_change_id

    def ties_with(self, other: Fact) -> bool:
        """Whether only caution or the identity decides which of two facts holds, and it matters."""
        return self.value != other.value and (
            (self.attribute, self.effective_at, self.issued_at)
            == (other.attribute, other.effective_at, other.issued_at)
        )


class Tie(NamedTuple):
    """Two statements of which neither was issued later, and which of them holds."""

    organization_id: str
    what: str  # the attribute, or the settings of the credit
    issued_at: datetime
    holds: str  # the id or `changeId` of the event
    yields: str
    user_id: str | None = None


class InForce(NamedTuple):
    """The value of an attribute at an instant, and where it comes from."""

    value: FactValue
    since: datetime  # it has held without a break, however often it was repeated
    # When this was first stated, and the id or `changeId` of the event that stated it.
    issued_at: datetime
    event_id: str


def without_later_copies(facts: Iterable[Fact]) -> frozenset[Fact]:
    """Return the facts, and of those with one `changeId` only the copy that was issued first."""
    # An event with a `changeId` that does not say when it was issued has another time with each
    # copy on a bus. Each copy may be recorded; the earliest counts, whichever arrives first.
    facts = frozenset(facts)
    issued: dict[tuple[str, str], datetime] = {}
    for fact in facts:
        if fact.has_change_id:
            name = fact.attribute, fact.event_id
            issued[name] = min(issued.get(name, fact.issued_at), fact.issued_at)
    if not issued:  # as nearly always: a thousand facts need not be hashed once more
        return facts
    return frozenset(
        fact
        for fact in facts
        if not fact.has_change_id or fact.issued_at == issued[fact.attribute, fact.event_id]
    )


def _by_attribute(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    by_attribute: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in sorted(without_later_copies(facts), key=lambda fact: fact.order):
        by_attribute[fact.attribute].append(fact)
    return by_attribute


class Timeline:
    """The facts of one subject: an organization, or one of its users."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self.facts = frozenset(facts)
        self._history = {
            attribute: ([fact.effective_at for fact in facts], [fact.value for fact in facts])
            for attribute, facts in _by_attribute(self.facts).items()
        }

    @property
    def attributes(self) -> Collection[str]:
        """The attributes of which anything is known, at whatever time."""
        return self._history.keys()

    def value_at(self, attribute: str, at: datetime) -> FactValue | None:
        """Return the value at `at`, with what takes effect then (docs/domain.md §5.5)."""
        history = self._history.get(attribute)
        if history is None:
            return None
        instants, values = history
        position = bisect_right(instants, at)
        return values[position - 1] if position else None

    def in_force(self, attribute: str, at: datetime) -> InForce | None:
        """Return the value that `value_at` returns, since when it has held, and by which event."""
        unbroken: list[Fact] = []
        facts = _by_attribute(self.facts).get(attribute, ())
        for effective_at, at_once in groupby(facts, key=lambda fact: fact.effective_at):
            if effective_at > at:
                break
            *_, last = at_once
            if unbroken and unbroken[-1].value != last.value:
                unbroken.clear()
            unbroken.append(last)
        if not unbroken:
            return None
        first = min(unbroken, key=lambda fact: fact.issued_at)
        since = unbroken[0].effective_at
        return InForce(first.value, since, first.issued_at, first.event_id)

    def changes_of(self, attribute: str) -> Iterator[tuple[datetime, FactValue]]:
        """Yield each instant for which an attribute is stated, and its value, in order."""
        return zip(*self._history.get(attribute, ((), ())), strict=True)

    def changes_between(
        self, since: datetime, until: datetime, attributes: Iterable[str] | None = None
    ) -> Iterator[datetime]:
        """Yield the instants after `since`, up to `until`, at which attributes may change."""
        for attribute in self._history if attributes is None else attributes:
            instants = self._history.get(attribute, ((), ()))[0]
            yield from instants[bisect_right(instants, since) : bisect_right(instants, until)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timeline) and self.facts == other.facts

    def __hash__(self) -> int:
        return hash(self.facts)


def fold(facts: Iterable[Fact], before: datetime) -> frozenset[Fact]:
    """Return the facts that must stay if no fact from before an instant comes any more."""
    # A directory that is synchronized every night repeats itself. A repeat matters as long as a
    # late event may change what comes before it: with "held" since the 1st and again on the 3rd, a
    # removal of the 2nd ends on the 3rd. After that it goes, and each change stays: no value
    # changes at any instant, whether all of the others go or only some.
    facts = frozenset(facts)
    by_attribute = _by_attribute(facts)
    counted = frozenset(fact for of_attribute in by_attribute.values() for fact in of_attribute)
    kept = frozenset(
        fact
        for attribute, of_attribute in by_attribute.items()
        for fact in _without_repeats(attribute, of_attribute, before)
    )
    # The earliest copy of an event hides the later ones, so it goes only when they are gone.
    hidden = {(fact.attribute, fact.event_id) for fact in facts - counted}
    return kept | {fact for fact in counted if (fact.attribute, fact.event_id) in hidden}


def _without_repeats(attribute: str, facts: Sequence[Fact], before: datetime) -> Iterator[Fact]:
    value: FactValue | None = None
    for effective_at, at_once in groupby(facts, key=lambda fact: fact.effective_at):
        if effective_at >= before:
            yield from at_once
            continue
        *others, last = at_once
        # A repeat hides the others of its instant, so it goes only when they are gone. And what
        # was used of a month's pool holds for that month alone: there it repeats nothing.
        if last.value != value or others or attribute == POOL_MINUTES_USED:
            yield last
        value = last.value
