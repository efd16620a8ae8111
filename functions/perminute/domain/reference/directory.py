"""The directory: what call records do not say, such as whose number it was (docs/sources.md)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from perminute.domain.values.identifiers import canonical_id

if TYPE_CHECKING:
    from collections.abc import Iterable
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


class Directory:
    """All entries, found by what a record names; GUIDs and ids with `@` in either case."""

    def __init__(self, entries: Iterable[DirectoryEntry]) -> None:
        self._entries: defaultdict[tuple[str, str], list[DirectoryEntry]] = defaultdict(list)
        for entry in entries:
            self._entries[entry.kind, entry.key].append(entry)

    def __len__(self) -> int:
        """Return the number of entries."""
        return sum(map(len, self._entries.values()))

    def find(
        self, kind: EntryKind, key: str | None, *, source: str, at: datetime
    ) -> DirectoryEntry | None:
        """Return the entry in force at an instant: one of the source, else of its family or any."""
        entries = self._entries.get((kind, canonical_id(key))) if key else None
        if not entries:
            return None
        for name in (source, SOURCE_FAMILIES[source], None):
            for entry in entries:
                if entry.source == name and entry.is_in_force(at):
                    return entry
        return None
