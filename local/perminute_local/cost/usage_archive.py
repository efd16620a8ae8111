"""Dollars for a million calls in the archive on S3, which `UsageArchiveDays` makes."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any

from perminute.adapters.usage_archive import S3UsageArchive
from perminute.application.mask_numbers import CALLS_AT_ONCE
from perminute.domain.credit.lots import LotShare
from perminute.domain.rating.usage_record import Outcome, Price, Usage
from perminute_local.bench.builders import ORGANIZATION, ORGANIZERS, SINCE, ended_call
from perminute_local.cost.idle import Cost
from perminute_local.cost.prices import DAYS, MILLION, of_a_million, price

ARCHIVED_DAYS = 3_650
_GIGABYTE = 1_000_000_000
_CARD = "2026-10-01T00:00:00Z"

FILES = {"one call, alone": 1, f"{CALLS_AT_ONCE} calls, in one file": CALLS_AT_ONCE}
"""How many calls of an organization are masked, and so archived, together."""


def usage_archive_costs(way: str) -> list[Cost]:
    """Return what it costs to write a million calls, and to keep them for ten years."""
    calls = FILES[way]
    files = Decimal(MILLION) / calls
    gigabytes = files * _bytes_of(calls) / _GIGABYTE
    kept = gigabytes * price("s3", "gigabyte_month") * ARCHIVED_DAYS / DAYS
    return [
        Cost("files", of_a_million("s3", "million_puts", files), f"{files:.0f} files are written"),
        Cost("ten years", kept, f"{gigabytes:.2f} GB, kept for {ARCHIVED_DAYS} days"),
    ]


def _bytes_of(calls: int) -> int:
    """Return the bytes of a file, as the function writes it."""
    written: dict[str, Any] = {}
    client: Any = SimpleNamespace(put_object=written.update)
    # What compresses well in real calls is alike here, and the rest is by chance.
    rng = Random(1)  # noqa: S311 - the same calls each time
    S3UsageArchive(lambda: client, "archive").keep(
        ORGANIZATION, [_usage(rng) for _ in range(calls)]
    )
    return len(written["Body"])


def _usage(rng: Random) -> Usage:
    identity = f"{uuid.UUID(int=rng.getrandbits(128))}"
    answered = SINCE + timedelta(milliseconds=rng.randrange(DAYS * 86_400_000 // 2))
    seconds, paid = rng.randrange(30, 3_600), rng.randrange(1, 900) * 1_000
    call = ended_call(ORGANIZATION, identity, rng.choice(ORGANIZERS), answered, seconds).call
    number = f"+4930{rng.randrange(10**8):08}"
    return Usage(
        call=replace(call, remote_number=number, meeting_id=f"19:meeting_{rng.getrandbits(128):x}"),
        outcome=Outcome.CHARGED,
        reason=None,
        price=Price(
            rate_card_version=_CARD,
            billed_seconds=-(-seconds // 60) * 60,
            prefix="49",
            country="DE",
            rate_micros_per_minute=15_000,
            connection_fee_micros=0,
            retail_micros=paid,
            currency="USD",
        ),
        charge_micros=paid,
        entry_id=f"{rng.randrange(10**6):012}",
        lots=(LotShare("lot-1001", "po-1001", -paid),),
    )
