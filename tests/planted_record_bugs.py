"""Bugs in what receives and reads call records, each of which loses, doubles or guesses some."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from perminute.api.webhooks.serving import Webhooks
from perminute.application.ingest_records import _Reading
from perminute.domain.errors import Unavailable
from perminute.domain.reference.directory import Listing
from perminute.sources.outcomes import Skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from perminute.domain.reference.directory import DirectoryEntry
    from perminute.sources.outcomes import Outcome

_TODAY = datetime(2026, 11, 1, tzinfo=UTC)


@contextmanager
def forgetting_calls_of_records_that_were_not_queued() -> Iterator[None]:
    """Records are done with even if their calls could not be queued."""
    queue_calls = _Reading._queue_calls  # noqa: SLF001

    def anyway(reading: _Reading) -> None:
        with suppress(Unavailable):
            queue_calls(reading)

    with patch.object(_Reading, "_queue_calls", anyway):
        yield


@contextmanager
def confirming_records_before_they_are_queued() -> Iterator[None]:
    """A sender is answered that its record was taken, whatever the queue says."""
    queue = Webhooks._queue  # noqa: SLF001

    def anyway(webhooks: Webhooks, event: Mapping[str, Any]) -> None:
        with suppress(Unavailable):
            queue(webhooks, event)

    with patch.object(Webhooks, "_queue", anyway):
        yield


@contextmanager
def keeping_no_damaged_records() -> Iterator[None]:
    """What cannot be read is left out like a call outside of meetings."""
    keep = _Reading._keep  # noqa: SLF001

    def readable(reading: _Reading, outcome: Outcome, result: Any) -> None:
        if not isinstance(result, Skip):
            keep(reading, outcome, result)

    with patch.object(_Reading, "_keep", readable):
        yield


@contextmanager
def asking_the_directory_as_of_today() -> Iterator[None]:
    """A tenant that has moved since is taken for the one of whoever has it now."""
    find = Listing.find

    def today(listing: Listing, key: str, *, source: str, at: datetime) -> DirectoryEntry | None:
        return find(listing, key, source=source, at=max(at, _TODAY))

    with patch.object(Listing, "find", today):
        yield


@contextmanager
def skipping_records_unseen() -> Iterator[None]:
    """What is skipped by design is not counted."""
    take = _Reading.take

    def silently(reading: _Reading, outcome: Outcome) -> None:
        take(reading, outcome)
        reading.skipped.clear()

    with patch.object(_Reading, "take", silently):
        yield


KEPT = "no call record is lost, doubled or guessed"

RECORD_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    forgetting_calls_of_records_that_were_not_queued: KEPT,
    confirming_records_before_they_are_queued: KEPT,
    keeping_no_damaged_records: KEPT,
    asking_the_directory_as_of_today: KEPT,
    skipping_records_unseen: "what is reported of call records adds up to those that there are",
}
"""Each bug with the promise that it breaks."""
