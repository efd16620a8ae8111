"""Who sent the events behind a ledger: each entry says so of its own, and of no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.application.book_credit import CreditEvent
from perminute.domain.credit.ledger import RERATING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perminute.domain.credit.ledger import LedgerEntry

PRODUCER = "an entry names who sent its event"


def unlike_their_events(taken: Iterable[object], entries: Sequence[LedgerEntry]) -> Iterator[str]:
    """Say which entries do not name the producer of the event that is their cause."""
    sent = {
        f"{because}{event.processed_event.key.kind}#{event.processed_event.key.id}": event.producer
        for event in taken
        if isinstance(event, CreditEvent)
        for because in ("", RERATING)
    }
    for entry in entries:
        producer = sent.get(entry.cause or "")
        if entry.producer != producer:
            yield f"entry {entry.entry_id} ({entry.cause}) names {entry.producer}, not {producer}"
