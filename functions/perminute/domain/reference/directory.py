"""The directory: what call records do not say, such as whose number it was (docs/sources.md)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from perminute.domain.values.identifiers import canonical_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from perminute.domain.rating.calls import LegType, MeetingType

SOURCE_FAMILIES: dict[str, str | None] = {
    "graph-pstn": None,
    "teams-csv": None,
    "chime-voice-connector": None,
    "chime-sma": None,
    "twilio-callback": "twilio",
    "twilio-call": "twilio",
    "twilio-event-stream": "twilio",
    "freeswitch-json": "freeswitch",
    "asterisk-csv": "asterisk",
    "asterisk-ami": "asterisk",
    "zoom-telephone": None,
}
"""The sources of call records, each with the name that a row may use for all of its family."""


class EntryKind(StrEnum):
    """What the key of an entry names."""

    TENANT = "tenant"
    NUMBER = "number"
    CONFERENCE = "conference"
    USER = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEntry:
    """One row of the directory; None where it says nothing."""

    kind: EntryKind
    key: str
    source: str | None  # or a family; None: of any source
    organization_id: str | None
    leg_type: LegType | None  # of a number: never None
    organizer_id: str | None
    meeting_id: str | None
    meeting_type: MeetingType | None
    # Half-open; None: open.
    effective_from: datetime | None
    effective_to: datetime | None
    line: int = 0  # of the file

    def is_in_force(self, at: datetime) -> bool:
        """Return whether the entry holds at an instant."""
        return (self.effective_from is None or self.effective_from <= at) and (
            self.effective_to is None or at < self.effective_to
        )


class Listing:
    """The entries of one kind by their keys."""

    def __init__(self, entries: Iterable[DirectoryEntry]) -> None:
        self._by_key: defaultdict[str, list[DirectoryEntry]] = defaultdict(list)
        for entry in entries:
            self._by_key[entry.key].append(entry)

    def find(self, key: str | None, *, source: str, at: datetime) -> DirectoryEntry | None:
        """Return the entry in force at an instant: one of the source, else of its family or any.

        A GUID, or an id with `@`, is found in either case.
        """
        entries = self._by_key.get(canonical_id(key)) if key and self._by_key else None
        if entries is None:
            return None
        for name in (source, SOURCE_FAMILIES[source], None):
            for entry in entries:
                if entry.source == name and entry.is_in_force(at):
                    return entry
        return None


class Directory:
    """All entries of a directory, by their kinds."""

    def __init__(self, entries: Sequence[DirectoryEntry]) -> None:
        self.entries = entries
        self.tenants, self.numbers, self.conferences, self.users = (
            Listing(entry for entry in entries if entry.kind is kind) for kind in EntryKind
        )
