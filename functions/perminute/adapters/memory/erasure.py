"""The in-memory twin of what names users beside the records of their calls."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from perminute.adapters.memory.records import of
from perminute.adapters.notification_documents import facts_of
from perminute.domain.credit.transaction import ERASED_CONTENT, IdentityKind
from perminute.domain.licensing.attributes import NAME
from perminute.domain.limits.spending import SpendKind
from perminute.domain.rating.erased_calls import names_any
from perminute.domain.reporting.postings import RevisedUsage
from perminute.ports.privacy import OtherRecords

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from perminute.adapters.memory.store import InMemoryStore
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.limits.spending import SpendChange, SpendKey
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.reporting.postings import ListedUsage

_EMPTIED = (IdentityKind.EVENT, IdentityKind.CHANGE)
"""What events about users are known by; those about credit name none."""


class _Timeline(NamedTuple):
    # What is stored of a user's facts.
    facts: frozenset[Fact]
    further: frozenset[Fact]
    folded_until: datetime | None


@dataclass
class InMemoryErasure:
    """`Erasure` over the twin of the stores."""

    store: InMemoryStore

    def users(self, organization_id: str) -> set[str]:
        known = {user for name, user in self.store.facts if name == organization_id and user}
        posted = self.store.postings_of(organization_id)
        listed = chain.from_iterable(one.usages for one in posted.lists)
        revised = chain.from_iterable(both for one in posted.revisions for both in one.usages)
        return {
            *(user for user in known if self.has_timeline(organization_id, user)),
            *(usage.organizer_id for usage in chain(listed, revised)),
        }

    # ── Timelines ────────────────────────────────────────────────────────────────────────────

    def has_timeline(self, organization_id: str, user_id: str | None) -> bool:
        return any(self._timeline(organization_id, user_id))

    def is_taken(self, organization_id: str, pseudonym: str) -> bool:
        is_copy = (organization_id, pseudonym) in self.store.copies
        return not is_copy and self.has_timeline(organization_id, pseudonym)

    def copy_timeline(self, organization_id: str, user_id: str, pseudonym: str) -> None:
        if not self.has_timeline(organization_id, user_id):
            return
        key, copied = (organization_id, pseudonym), self._timeline(organization_id, user_id)
        self.store.facts[key] = set(copied.facts)
        self.store.further_facts[key] = copied.further
        if copied.folded_until is not None:
            self.store.folded_until[key] = copied.folded_until
        self.store.copies.add(key)

    def move_timeline(self, organization_id: str, user_id: str, pseudonym: str) -> bool:
        if not self.has_timeline(organization_id, user_id):
            return True
        read = self._timeline(organization_id, user_id)
        if read != self._timeline(organization_id, pseudonym):
            return False
        key = organization_id, user_id
        del self.store.facts[key], self.store.further_facts[key]
        self.store.folded_until.pop(key, None)
        self.store.copies.discard((organization_id, pseudonym))
        # Whoever decides by licenses that he has read decides again.
        self.store.next_version(organization_id, 0)
        return True

    def forget_name(self, organization_id: str) -> None:
        key = organization_id, None
        facts, further, _ = self._timeline(*key)
        self.store.facts[key] = {fact for fact in facts if fact.attribute != NAME}
        self.store.further_facts[key] = frozenset(
            fact for fact in further if fact.attribute != NAME
        )

    def _timeline(self, organization_id: str, user_id: str | None) -> _Timeline:
        key, store = (organization_id, user_id), self.store
        facts = frozenset(store.facts[key])
        return _Timeline(facts, store.further_facts[key], store.folded_until.get(key))

    # ── Lists, counters, notifications and events ────────────────────────────────────────────

    def erase_others(
        self,
        organization_id: str,
        names: Mapping[str, str],
        *,
        before: datetime,
        everything: bool,
        write: bool,
    ) -> OtherRecords:
        eraser = _Eraser(self.store, organization_id, names, before, everything, write)
        eraser.erase()
        return OtherRecords(**eraser.found)


@dataclass
class _Eraser:
    # Goes through one kind of records after the other.

    store: InMemoryStore
    organization_id: str
    names: Mapping[str, str]
    before: datetime
    everything: bool
    write: bool
    found: Counter[str] = field(default_factory=Counter)

    def erase(self) -> None:
        self._rename_calls()
        self._rename_changes()
        self._delete_counters()
        self._delete_notifications()
        self._count_recent()
        self._forget_reservations()
        self._empty_events()

    def _rename_calls(self) -> None:
        organization_id, store = self.organization_id, self.store
        for key, listed in of(organization_id, store.lists).items():
            if self._is_found("lists", self._organize(listed.usages)):
                usages = tuple(map(self._renamed, listed.usages))
                store.lists[organization_id, key] = listed._replace(usages=usages)
        for version, revision in of(organization_id, store.revisions).items():
            if self._is_found("lists", self._organize(chain(*revision.usages))):
                revised = tuple(map(self._both_renamed, revision.usages))
                store.revisions[organization_id, version] = revision._replace(usages=revised)

    def _organize(self, usages: Iterable[ListedUsage]) -> bool:
        return any(usage.organizer_id in self.names for usage in usages)

    def _renamed(self, usage: ListedUsage) -> ListedUsage:
        organizer_id = self.names.get(usage.organizer_id, usage.organizer_id)
        return usage._replace(organizer_id=organizer_id)

    def _both_renamed(self, revised: RevisedUsage) -> RevisedUsage:
        return RevisedUsage(*map(self._renamed, revised))

    def _rename_changes(self) -> None:
        for number, changes in of(self.organization_id, self.store.corrected).items():
            if self._is_found("counters", any(self._is_of_user(one.key) for one in changes)):
                renamed = tuple(map(self._changed, changes))
                self.store.corrected[self.organization_id, number] = renamed

    def _changed(self, change: SpendChange) -> SpendChange:
        key = change.key
        if not self._is_of_user(key):
            return change
        return change._replace(key=key._replace(subject=self.names[key.subject]))

    def _is_of_user(self, key: SpendKey) -> bool:
        return key.kind is SpendKind.USER and key.subject in self.names

    def _delete_counters(self) -> None:
        for key in of(self.organization_id, self.store.spending):
            if self._is_found("counters", self._is_of_user(key)):
                del self.store.spending[self.organization_id, key]

    def _delete_notifications(self) -> None:
        organization_id, kept = self.organization_id, []
        waiting = of(organization_id, self.store.calls_to_count).values()
        to_count = {call.notification.id for record in waiting for call in record.calls}
        for decided in self.store.outbox:
            is_ours = decided.organization_id == organization_id and self._is_notified(decided)
            if decided.counted_on:
                # It is stored as a call that waits for a digest, and gone when that has counted it.
                is_gone = is_ours and self.write and decided.id not in to_count
            else:
                is_recent = decided.at >= self.before
                self.found["recent"] += is_ours and is_recent
                is_gone = self._is_found("notifications", is_ours and not is_recent)
            if not is_gone:
                kept.append(decided)
        self.store.outbox[:] = kept
        self._forget_first_calls({one.call_id for one in kept if not one.counted_on})

    def _forget_first_calls(self, published: set[str | None]) -> None:
        # The notification is the record of it.
        for group, call_id in of(self.organization_id, self.store.first_calls).items():
            is_named = self.everything or group.organizer_id in self.names
            if is_named and self.write and call_id not in published:
                del self.store.first_calls[self.organization_id, group]

    def _count_recent(self) -> None:
        organization_id, store = self.organization_id, self.store
        waiting = of(organization_id, store.calls_to_count).values()
        counted = of(organization_id, store.counted).values()
        self.found["recent"] += sum(
            any(self._is_notified(call.notification) for call in calls)
            for calls in (*(record.calls for record in waiting), *((one.first,) for one in counted))
        )
        rerated = (one.since.keys() for one in store.waiting(organization_id))
        self.found["recent"] += sum(
            self.everything or not self.names.keys().isdisjoint(users) for users in rerated
        )

    def _forget_reservations(self) -> None:
        for call_id, reservation in of(self.organization_id, self.store.under_way).items():
            is_named = self.everything or reservation.call.organizer_id in self.names
            is_to_be_charged = bool(reservation.held or reservation.charge_at)
            self.found["recent"] += is_named and is_to_be_charged
            if self._is_found("not_ended", is_named and not is_to_be_charged):
                del self.store.under_way[self.organization_id, call_id]

    def _empty_events(self) -> None:
        for identity, event in list(self.store.processed_events.items()):
            is_ours = event.key.organization_id == self.organization_id
            is_emptied = event.key.kind in _EMPTIED and event.content != ERASED_CONTENT
            is_named = is_ours and is_emptied and self._is_named(json.loads(event.content))
            if self._is_found("events", is_named):
                self.store.processed_events[identity] = event._replace(content=ERASED_CONTENT)

    def _is_notified(self, notification: Notification) -> bool:
        return self._is_named(facts_of(notification))

    def _is_named(self, document: object) -> bool:
        return self.everything or names_any(document, self.names.keys())

    def _is_found(self, kind: str, is_named: bool) -> bool:  # noqa: FBT001 - counts what is
        """Count a record if it names a user; return whether it is to be written."""
        self.found[kind] += is_named
        return is_named and self.write
