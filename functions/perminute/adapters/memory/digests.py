"""The in-memory twin of calls that are notified of once a day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from perminute.domain.credit.transaction import Causes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from perminute.adapters.memory.store import InMemoryStore
    from perminute.domain.notifications.digests import CallGroup, CallToNotify, CountedCalls
    from perminute.ports.messaging import CallRecord


@dataclass
class InMemoryDigests:
    """`Digests` over the twin of the stores."""

    store: InMemoryStore

    def claim(
        self, organization_id: str, calls: Mapping[CallGroup, CallToNotify]
    ) -> Mapping[CallGroup, str]:
        firsts = self.store.first_calls
        for group, call in calls.items():
            if (organization_id, group) not in firsts:
                firsts[organization_id, group] = call.notification.call_id or ""
                self._publish(call)
        return {group: firsts[organization_id, group] for group in calls}

    def first_day(self, organization_id: str) -> date | None:
        days = [
            *(record.calls[0].notification.counted_on for record in self._records(organization_id)),
            *(group.day for name, group in self.store.counted if name == organization_id),
        ]
        return min((day for day in days if day is not None), default=None)

    def records(self, organization_id: str, day: date, *, limit: int) -> Sequence[CallRecord]:
        of_day = (
            record
            for record in self._records(organization_id)
            if record.calls[0].notification.counted_on == day
        )
        return sorted(of_day)[:limit]

    def counted(
        self, organization_id: str, groups: Collection[CallGroup]
    ) -> Mapping[CallGroup, CountedCalls]:
        known = ((group, self.store.counted.get((organization_id, group))) for group in groups)
        return {group: calls for group, calls in known if calls is not None}

    def counted_on(self, organization_id: str, day: date, *, limit: int) -> Sequence[CountedCalls]:
        groups = sorted(
            group
            for name, group in self.store.counted
            if name == organization_id and group.day == day
        )
        return [self.store.counted[organization_id, group] for group in groups[:limit]]

    def count(
        self, organization_id: str, records: Sequence[CallRecord], counted: Sequence[CountedCalls]
    ) -> bool:
        keys = [(organization_id, record.key) for record in records]
        are_there = all(key in self.store.calls_to_count for key in keys)
        if not are_there or not all(self._is_as_read(organization_id, calls) for calls in counted):
            return False
        for key in keys:
            del self.store.calls_to_count[key]
        self.store.counted |= {
            (organization_id, calls.group): replace(calls, step=calls.step + 1) for calls in counted
        }
        return True

    def send(
        self, organization_id: str, counted: Sequence[CountedCalls], sent: Sequence[CallToNotify]
    ) -> bool:
        if not all(self._is_as_read(organization_id, calls) for calls in counted):
            return False
        for calls in counted:
            del self.store.counted[organization_id, calls.group]
        for call in sent:
            self._publish(call)
        return True

    def _records(self, organization_id: str) -> list[CallRecord]:
        known = self.store.calls_to_count.items()
        return [record for (name, _), record in known if name == organization_id]

    def _is_as_read(self, organization_id: str, calls: CountedCalls) -> bool:
        known = self.store.counted.get((organization_id, calls.group))
        if known is None or calls.step == 0:
            return known is None and calls.step == 0
        return (known.step, known.first.notification.id) == (
            calls.step,
            calls.first.notification.id,
        )

    def _publish(self, call: CallToNotify) -> None:
        published = call.notification._replace(counted_on=None)
        self.store.outbox.append(published)
        self.store.causes[published.id] = Causes((call.correlation_id,))
