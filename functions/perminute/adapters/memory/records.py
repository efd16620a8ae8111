"""What the in-memory twins of the stores contain, re-ratings, and the one lock of all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import wraps
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.transaction import EventIdentity, IdentityKind
from perminute.domain.licensing.timelines import MAX_FACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lot
    from perminute.domain.credit.transaction import Causes, ProcessedEvent
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.limits.spending import SpendChange, SpendCounter, SpendKey
    from perminute.domain.notifications.digests import CallGroup, CountedCalls
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.pools.pools import MinutePool, Month
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reporting.postings import Revision, UsageList
    from perminute.domain.rerating.rerating import Rerating
    from perminute.ports.messaging import CallRecord

K = TypeVar("K")
V = TypeVar("V")
S = TypeVar("S", bound="Records")


@dataclass
class Records:
    """The records of all organizations; one transaction writes several kinds of them."""

    accounts: dict[str, Account] = field(default_factory=dict)
    entries: list[LedgerEntry] = field(default_factory=list)
    outbox: list[Notification] = field(default_factory=list)
    causes: dict[str, Causes] = field(default_factory=dict)
    """Of the notifications, by their ids."""
    calls_to_count: dict[tuple[str, str], CallRecord] = field(default_factory=dict)
    """Calls that a digest may count, by organization and record."""
    first_calls: dict[tuple[str, CallGroup], str] = field(default_factory=dict)
    """The first call of each group."""
    counted: dict[tuple[str, CallGroup], CountedCalls] = field(default_factory=dict)
    """What is counted of a group, and not sent."""
    listed: set[str] = field(default_factory=set)
    """Organizations whose account has been written, be it by licensing alone."""
    usages: dict[tuple[str, str], Usage] = field(default_factory=dict)
    lists: dict[tuple[str, str], UsageList] = field(default_factory=dict)
    """Calls as transactions listed them, by organization and key of the list."""
    revisions: dict[tuple[str, int], Revision] = field(default_factory=dict)
    """What transactions changed of them, by organization and version of the account."""
    under_way: dict[tuple[str, str], Reservation] = field(default_factory=dict)
    further: dict[tuple[str, str], Lot] = field(default_factory=dict)
    """Lots that are not in their account, by organization and lot."""
    expired: dict[tuple[str, str], Lot] = field(default_factory=dict)
    chargebacks: dict[tuple[str, str], int] = field(default_factory=dict)
    """What was taken back of purchases, by organization and purchase; micro-units."""
    minute_pools: dict[tuple[str, Month], MinutePool] = field(default_factory=dict)
    spending: dict[tuple[str, SpendKey], SpendCounter] = field(default_factory=dict)
    corrected: dict[tuple[str, int], Sequence[SpendChange]] = field(default_factory=dict)
    """What corrections changed for limits, by organization and number."""
    reratings: dict[tuple[str, str], Rerating] = field(default_factory=dict)
    processed_events: dict[EventIdentity, ProcessedEvent] = field(default_factory=dict)
    facts: defaultdict[tuple[str, str | None], set[Fact]] = field(
        default_factory=lambda: defaultdict(set)
    )
    """By organization and user the facts to which more are appended."""
    further_facts: defaultdict[tuple[str, str | None], frozenset[Fact]] = field(
        default_factory=lambda: defaultdict(frozenset)
    )
    """Those that were moved from there when a timeline was full."""
    folded_until: dict[tuple[str, str | None], datetime] = field(default_factory=dict)
    copies: set[tuple[str, str]] = field(default_factory=set)
    """Pseudonyms with the timeline of a user who is just being erased, by organization."""
    max_facts: int = MAX_FACTS
    _lock: RLock = field(default_factory=RLock)

    def _account(self, organization_id: str) -> Account:
        return self.accounts.get(organization_id, Account(organization_id=organization_id))

    def _wait(self, reratings: Sequence[Rerating]) -> None:
        self.reratings |= {
            (rerating.organization_id, rerating.rerating_id): rerating for rerating in reratings
        }

    def _known_events(
        self, events: Sequence[ProcessedEvent]
    ) -> dict[EventIdentity, ProcessedEvent]:
        recorded = {
            event.key: self.processed_events.get(identity_of(event.key)) for event in events
        }
        return {
            event.key: known
            for event in events
            if (known := recorded[event.key]) is not None and not event.is_earlier_than(known)
        }

    def _record(self, events: Sequence[ProcessedEvent]) -> None:
        self.processed_events |= {identity_of(event.key): event for event in events}


def one_at_a_time(store: type[S]) -> type[S]:
    """Let one thread at a time call a method of a store: each is a transaction."""
    for name in dir(store):
        method = getattr(store, name)
        if callable(method) and not name.startswith("_"):
            setattr(store, name, _locked(method))
    return store


def _locked(method: Callable[..., V]) -> Callable[..., V]:
    @wraps(method)
    def call(store: Records, *args: object, **kwargs: object) -> V:
        with store._lock:  # noqa: SLF001 - the store's own lock
            return method(store, *args, **kwargs)

    return call


def of(organization_id: str, records: Mapping[tuple[str, K], V]) -> dict[K, V]:
    return {key: record for (name, key), record in records.items() if name == organization_id}


def identity_of(key: EventIdentity) -> EventIdentity:
    """An event id stands for itself, whichever organization it speaks of."""
    return key._replace(organization_id="") if key.kind is IdentityKind.EVENT else key


class ReratingRecords(Records):
    """`Reratings` in a dictionary."""

    def waiting(self, organization_id: str) -> Sequence[Rerating]:
        keys = sorted(self.reratings)
        return [self.reratings[key] for key in keys if key[0] == organization_id]

    def proceed(self, rerating: Rerating) -> bool:
        return self.merge(rerating, ())

    def merge(self, merged: Rerating, absorbed: Sequence[Rerating]) -> bool:
        if not all(map(self._is_at, (merged, *absorbed))):
            return False
        for rerating in absorbed:
            del self.reratings[rerating.organization_id, rerating.rerating_id]
        self._wait([replace(merged, steps=merged.steps + 1)])
        return True

    def finish(self, rerating: Rerating) -> bool:
        if not self._is_at(rerating):
            return False
        del self.reratings[rerating.organization_id, rerating.rerating_id]
        return True

    def organizations_waiting(self) -> Iterator[str]:
        rerated = {name for name, _ in self.reratings}
        pools = self.minute_pools.items()
        unsettled = {name for (name, _), pool in pools if pool.unsettled is not None}
        return iter(sorted(rerated | unsettled))

    def _is_at(self, rerating: Rerating) -> bool:
        known = self.reratings.get((rerating.organization_id, rerating.rerating_id))
        return known is not None and known.steps == rerating.steps
