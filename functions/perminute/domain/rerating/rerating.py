"""Which calls are rated again after a late change (docs/domain.md §3.5).

A licensing event may take effect in the past, and credits may turn out to have been set up
earlier. Then a `Rerating` says which calls are to be rated again: those of the users concerned, or
of everybody, that were answered since. Each is rated by all that is known by then, and what differs
is booked. So doing it twice, in pieces, or together with another one changes nothing more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from perminute.domain.credit.ledger import RERATING, Producer
from perminute.domain.licensing.attributes import CALL_ATTRIBUTES, POOL_ATTRIBUTES, SEAT_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.licensing.timelines import Fact

# What an instant takes beside the name of a user in the record of a re-rating, at most.
_INSTANT_BYTES = 40
EVERYBODY = None  # the subject of a re-rating that concerns all calls of the organization


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerating:
    """Calls of an organization that are to be rated again, and how far that has come."""

    organization_id: str
    rerating_id: str
    at: datetime  # what differs is booked at this instant or later
    # For each user, or for everybody, from which answer on.
    since: Mapping[str | None, datetime] = field(default_factory=dict)
    pools_since: datetime | None = None  # when the minutes of the pools change
    seats_since: datetime | None = None  # when they change if the pools count assigned licenses
    after: str | None = None  # the key of the list of calls that was done last
    # How often the record was written: a write holds only against the count that was read.
    steps: int = 0
    others: int = 0  # how many re-ratings it has replaced
    # Who sent the event about credit that calls for it, if one event alone does.
    producer: Producer | None = None

    @property
    def cause(self) -> str:
        """The cause that its ledger entries name."""
        more = f" and {self.others} more" if self.others else ""
        return f"{RERATING}{self.rerating_id}{more}"

    def merged_with(self, others: Sequence[Rerating]) -> Rerating:
        """Return one that rates all the calls that any of them rates; none may have begun."""
        since = dict(self.since)
        for other in others:
            for subject, instant in other.since.items():
                since[subject] = min(since.get(subject, instant), instant)
        merged = (self, *others)
        return replace(
            self,
            at=max(rerating.at for rerating in merged),
            since=since,
            pools_since=earliest(rerating.pools_since for rerating in merged),
            seats_since=earliest(rerating.seats_since for rerating in merged),
            others=self.others + sum(other.others + 1 for other in others),
            producer=None,
        )

    @property
    def subject_bytes(self) -> int:
        """How many bytes the users take that it names, each with its instant; in UTF-8, as JSON."""
        names = json.dumps(list(self.since), ensure_ascii=False)
        return len(names.encode()) + _INSTANT_BYTES * len(self.since)

    def concerns(self, organizer_id: str, answered_at: datetime) -> bool:
        """Whether a call is to be rated again."""
        instants = (self.since.get(subject) for subject in (organizer_id, EVERYBODY))
        return any(since is not None and since <= answered_at for since in instants)


def earliest(instants: Iterable[datetime | None]) -> datetime | None:
    """Return the earliest of the instants that are known."""
    return min((at for at in instants if at is not None), default=None)


def rerating_for(
    organization_id: str, rerating_id: str, facts: Iterable[tuple[str | None, Fact]], at: datetime
) -> Rerating | None:
    """Return the re-rating that these facts call for; None if they can change no call."""
    # Each fact comes with its user, or with None if it is a fact of the organization.
    since: dict[str | None, datetime] = {}
    pools: list[datetime] = []
    seats: list[datetime] = []
    for subject, fact in facts:
        if fact.attribute in POOL_ATTRIBUTES:
            pools.append(fact.effective_at)
        elif fact.attribute in CALL_ATTRIBUTES:
            since[subject] = min(since.get(subject, fact.effective_at), fact.effective_at)
        if subject is not None and fact.attribute in SEAT_ATTRIBUTES:
            seats.append(fact.effective_at)
    if not (since or pools):
        return None
    return Rerating(
        organization_id=organization_id,
        rerating_id=rerating_id,
        at=at,
        since=since,
        pools_since=earliest(pools),
        seats_since=earliest(seats),
    )
