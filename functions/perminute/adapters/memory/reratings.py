"""The in-memory twin of re-ratings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.adapters.memory.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.domain.rerating.rerating import Rerating


class ReratingRecords(Records):
    """`Reratings` in a dictionary."""

    def waiting(self, organization_id: str) -> Sequence[Rerating]:
        with self._lock:
            keys = sorted(self.reratings)
            return [self.reratings[key] for key in keys if key[0] == organization_id]

    def proceed(self, rerating: Rerating) -> bool:
        return self.merge(rerating, ())

    def merge(self, merged: Rerating, absorbed: Sequence[Rerating]) -> bool:
        with self._lock:
            if not all(map(self._is_at, (merged, *absorbed))):
                return False
            for one in absorbed:
                del self.reratings[one.organization_id, one.rerating_id]
            self._wait([replace(merged, steps=merged.steps + 1)])
            return True

    def finish(self, rerating: Rerating) -> bool:
        with self._lock:
            if not self._is_at(rerating):
                return False
            del self.reratings[rerating.organization_id, rerating.rerating_id]
            return True

    def organizations_waiting(self) -> Iterator[str]:
        with self._lock:
            rerated = {name for name, _ in self.reratings}
            pools = self.minute_pools.items()
            unsettled = {name for (name, _), pool in pools if pool.unsettled is not None}
        return iter(sorted(rerated | unsettled))

    def _is_at(self, rerating: Rerating) -> bool:
        known = self.reratings.get((rerating.organization_id, rerating.rerating_id))
        return known is not None and known.steps == rerating.steps
