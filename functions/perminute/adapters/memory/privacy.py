"""The in-memory twins of the ports of masking and erasing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import TYPE_CHECKING

from perminute.domain.rating.call_content import KEY_BYTES
from perminute.domain.rating.erased_calls import erased_usage
from perminute.formats.archived_calls import by_month
from perminute.ports.privacy import RecordedPage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.adapters.memory.calls import CallRecords
    from perminute.domain.rating.usage_record import Usage

PAGE = 25


@dataclass
class InMemoryContentKeys:
    """`ContentKeys` in a dictionary."""

    keys: dict[str, bytes] = field(default_factory=dict)

    def find(self, organization_id: str) -> bytes | None:
        return self.keys.get(organization_id)

    def get_or_make(self, organization_id: str) -> bytes:
        return self.keys.setdefault(organization_id, token_bytes(KEY_BYTES))

    def destroy(self, organization_id: str) -> None:
        self.keys.pop(organization_id, None)


@dataclass
class InMemoryUsageArchive:
    """`UsageArchive` and `ArchivedCalls` in dictionaries: the calls of each file."""

    files: defaultdict[str, dict[tuple[Usage, ...], None]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def keep(self, organization_id: str, usages: Sequence[Usage]) -> None:
        for _, ended in by_month(usages):
            self.files[organization_id][tuple(ended)] = None

    def calls(self, organization_id: str) -> list[Usage]:
        """Return what is stored, which only those who read the archive need."""
        return [usage for file in self.files[organization_id] for usage in file]

    def erase(
        self, organization_id: str, names: Mapping[str, str], *, everything: bool, write: bool
    ) -> int:
        files = self.files[organization_id]
        found = [
            file for file in files if everything or any(u.call.organizer_id in names for u in file)
        ]
        for file in found if write else ():
            del files[file]
            if not everything:
                files[tuple(_renamed(usage, names) for usage in file)] = None
        return len(found)


def _renamed(usage: Usage, names: Mapping[str, str]) -> Usage:
    pseudonym = names.get(usage.call.organizer_id)
    return usage if pseudonym is None else erased_usage(usage, pseudonym, b"")


@dataclass
class InMemoryRecordedContent:
    """`RecordedContent` over the records of the twin."""

    store: CallRecords

    def pages(
        self,
        organization_id: str,
        *,
        answered_before: datetime | None = None,
        masked: bool = False,
        after: str | None = None,
    ) -> Iterator[RecordedPage]:
        def is_asked_for(usage: Usage) -> bool:
            answered_at = usage.call.answered_at
            is_early = answered_before is None or not answered_at or answered_at < answered_before
            return is_early and not usage.is_erased and (masked or usage.content_digest is None)

        recorded = sorted(self.store.usages_of(organization_id), key=lambda one: one.call.call_id)
        rest = [one for one in recorded if after is None or one.call.call_id > after]
        for start in range(0, len(rest), PAGE):
            page = rest[start : start + PAGE]
            yield RecordedPage(list(filter(is_asked_for, page)), page[-1].call.call_id)

    def replace(self, before: Usage, after: Usage) -> bool:
        return self.store.replace_content(before, after)
