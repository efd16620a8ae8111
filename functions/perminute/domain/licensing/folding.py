"""Which facts of a timeline may go, because nothing that they say can matter any more.

A directory that is synchronized every night repeats what it has said before. A repeat matters as
long as a late event may still change what comes before it: with "held" since the 1st and again on
the 3rd, a removal of the 2nd ends on the 3rd. So every fact is kept while such an event may come,
for the re-rating horizon. Older ones fold: what only repeats goes, and each change stays. Calls
are judged by the same values as before at every instant, those before the horizon included.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from perminute.domain.licensing.licensing import POOL_MINUTES_USED
from perminute.domain.licensing.timelines import standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from perminute.domain.licensing.timelines import Fact, FactValue

RERATING_HORIZON = timedelta(days=400)
"""How long before its event was issued a licensing fact may take effect, unless the deployment says
otherwise (`ReratingHorizonDays`). More than a year, so that the same month of last year can still
be put right."""

FOLD_MARGIN = timedelta(days=45)
"""How long after the horizon facts are folded. An accepted event may wait for 4 days in its queue
and 14 in dead letters; and `poolMinutesUsed` holds from the start of its month, up to 31 days
before its `effectiveAt`."""


def fold(facts: Iterable[Fact], before: datetime) -> frozenset[Fact]:
    """Return the facts that must stay if none that takes effect before an instant comes any more.

    Any of the others may go, together or only some of them: no value changes at any instant.
    """
    facts = frozenset(facts)
    stand = standing(facts)
    by_attribute: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in stand:
        by_attribute[fact.attribute].append(fact)
    kept = frozenset(
        fact
        for attribute, of_attribute in by_attribute.items()
        for fact in _kept(attribute, sorted(of_attribute, key=lambda fact: fact.order), before)
    )
    # The earliest copy of an event hides the later ones, so it goes only when they are gone.
    hidden = {(fact.attribute, fact.event_id) for fact in facts - stand}
    return kept | {fact for fact in stand if (fact.attribute, fact.event_id) in hidden}


def _kept(attribute: str, facts: Sequence[Fact], before: datetime) -> Iterator[Fact]:
    """Yield those of one attribute, given in their order."""
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
