"""What is known of an organization's books, as text: the DynamoDB store and its twin write it."""

from __future__ import annotations

import json
from dataclasses import astuple, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from perminute.domain.pools.pools import Month
from perminute.domain.reconciliation.book_checks import BooksCursor, BooksReading
from perminute.domain.reconciliation.book_sums import (
    NOTHING_PROVEN,
    BookSums,
    PoolUse,
    RangeSums,
)
from perminute.domain.reconciliation.reconciliation import AccountTotals
from perminute.domain.values.times import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute.domain.reconciliation.book_checks import BooksCheck

FORMAT = 1
"""Count up with any change of what is written: a checkpoint or a reading in another format is
forgotten, and all books are read again."""


def checkpoint_text(check: BooksCheck) -> str:
    """Write the checkpoint."""
    return _text({"checkpoint": check.checkpoint})


def reading_text(reading: BooksReading) -> str:
    """Write how far a reading has come."""
    sums = _fields(reading.sums) | {
        "ranges": {place: astuple(range_) for place, range_ in reading.sums.ranges.items()},
        "minutes": _by_name(reading.sums.minutes),
    }
    return _text(_fields(reading) | {"pools": _by_name(reading.pools), "sums": sums})


def with_texts(check: BooksCheck, checkpoint: str | None, reading: str | None) -> BooksCheck:
    """Add what the texts say; what was written in another format is not known."""
    proven = checkpoint and _document(checkpoint)
    begun = reading and _document(reading)
    return replace(
        check,
        whole_at=check.whole_at if proven else None,
        checkpoint=AccountTotals(*proven["checkpoint"]) if proven else NOTHING_PROVEN,
        reading=_reading_of(begun) if begun else None,
    )


def _text(document: dict[str, Any]) -> str:
    return json.dumps({"format": FORMAT, **document}, default=_plain, separators=(",", ":"))


def _plain(value: object) -> object:
    return format_instant(value) if isinstance(value, datetime) else dict(value)  # type: ignore[call-overload] # a mapping


def _fields(record: BooksReading | BookSums) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _by_name(months: Mapping[Month, object]) -> dict[str, object]:
    return {str(month): value for month, value in months.items()}


def _document(text: str) -> dict[str, Any] | None:
    document: dict[str, Any] = json.loads(text)
    return document if document.pop("format", None) == FORMAT else None


def _reading_of(document: dict[str, Any]) -> BooksReading:
    sums, cursor = document["sums"], document["cursor"]
    sums |= {
        "since": AccountTotals(*sums["since"]),
        "ranges": {int(place): RangeSums(*stored) for place, stored in sums["ranges"].items()},
        "minutes": {Month.parse(month): used for month, used in sums["minutes"].items()},
    }
    document |= {
        "at": parse_instant(document["at"]),
        "account": AccountTotals(*document["account"]),
        "pools": {Month.parse(month): PoolUse(*use) for month, use in document["pools"].items()},
        "sums": BookSums(**sums),
        "cursor": cursor and BooksCursor(*cursor),
    }
    return BooksReading(**document)
