"""What is known of an organization's books, as text: the DynamoDB store and its twin write it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from perminute.domain.pools.pools import Month
from perminute.domain.reconciliation.book_checks import BooksCheck, Place, Reading
from perminute.domain.reconciliation.book_sums import (
    NOTHING_PROVEN,
    Checkpoint,
    PoolUse,
    RangeSums,
    Standing,
    Sums,
)
from perminute.domain.values.times import format_instant, parse_instant

if TYPE_CHECKING:
    from datetime import datetime

FORMAT = 1
"""Count up with any change of what is written: a checkpoint or a reading in another format is
forgotten, and all books are read again."""


def checkpoint_text(check: BooksCheck) -> str:
    """Write the checkpoint."""
    return _text(_checkpoint_document(check.checkpoint))


def reading_text(reading: Reading) -> str:
    """Write how far a reading has come."""
    standing, sums = reading.standing, reading.sums
    return _text(
        {
            "at": format_instant(reading.at),
            "again": reading.again,
            "place": reading.place,
            "pools": {str(month): list(pool) for month, pool in reading.pools.items()},
            "standing": [
                standing.entries,
                standing.balance_micros,
                standing.debt_micros,
                dict(standing.lots),
                standing.stated_micros,
                standing.further_micros,
            ],
            "sums": {
                "since": _checkpoint_document(sums.since),
                "until": sums.until,
                "ranges": {place: _range_document(one) for place, one in sums.ranges.items()},
                "lots": dict(sums.lots),
                "minutes": {str(month): minutes for month, minutes in sums.minutes.items()},
                "others": [
                    sums.amount_micros,
                    sums.debt_micros,
                    sums.unnamed_micros,
                    sums.strange,
                    sums.entries,
                    sums.calls,
                ],
            },
        }
    )


def check_of(  # noqa: PLR0913 - as many as are stored
    organization_id: str,
    *,
    step: int,
    checked_at: datetime | None,
    whole_at: datetime | None,
    differences: int,
    checkpoint: str | None,
    reading: str | None,
) -> BooksCheck:
    """Read what is known; of what was written in another format nothing is."""
    proven = checkpoint and _document(checkpoint)
    begun = reading and _document(reading)
    return BooksCheck(
        organization_id=organization_id,
        step=step,
        checked_at=checked_at,
        whole_at=whole_at if proven else None,
        differences=differences,
        checkpoint=_checkpoint_of(proven) if proven else NOTHING_PROVEN,
        reading=_reading_of(begun) if begun else None,
    )


def _text(document: dict[str, Any]) -> str:
    return json.dumps({"format": FORMAT, **document}, separators=(",", ":"))


def _document(text: str) -> dict[str, Any] | None:
    document: dict[str, Any] = json.loads(text)
    return document if document.get("format") == FORMAT else None


def _checkpoint_document(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "entries": checkpoint.entries,
        "balance": checkpoint.balance_micros,
        "debt": checkpoint.debt_micros,
        "lots": dict(checkpoint.lots),
    }


def _checkpoint_of(document: dict[str, Any]) -> Checkpoint:
    return Checkpoint(
        entries=document["entries"],
        balance_micros=document["balance"],
        debt_micros=document["debt"],
        lots=document["lots"],
    )


def _range_document(one: RangeSums) -> list[int]:
    return [one.entries, one.charged_micros, one.called_micros, one.chain, one.charges]


def _reading_of(document: dict[str, Any]) -> Reading:
    place = document["place"]
    entries, balance_micros, debt_micros, lots, stated_micros, further_micros = document["standing"]
    return Reading(
        at=parse_instant(document["at"]),
        again=document["again"],
        place=None if place is None else Place(*place),
        pools={Month.parse(month): PoolUse(*pool) for month, pool in document["pools"].items()},
        standing=Standing(
            entries=entries,
            balance_micros=balance_micros,
            debt_micros=debt_micros,
            lots=lots,
            stated_micros=stated_micros,
            further_micros=further_micros,
        ),
        sums=_sums_of(document["sums"]),
    )


def _sums_of(document: dict[str, Any]) -> Sums:
    amount_micros, debt_micros, unnamed_micros, strange, entries, calls = document["others"]
    return Sums(
        since=_checkpoint_of(document["since"]),
        until=document["until"],
        ranges={int(place): RangeSums(*one) for place, one in document["ranges"].items()},
        amount_micros=amount_micros,
        debt_micros=debt_micros,
        lots=Counter(document["lots"]),
        unnamed_micros=unnamed_micros,
        strange=strange,
        minutes=Counter({Month.parse(m): n for m, n in document["minutes"].items()}),
        entries=entries,
        calls=calls,
    )
