"""Items that count what calls of a period have used: minute pools, and what limits allow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import HOLDS, MONTH, credit_key
from perminute.adapters.dynamodb.codec import (
    DAY,
    FLAG,
    NUMBER,
    PLAIN,
    SHORT_INSTANT,
    TEXT,
    Field,
    Format,
    Record,
    as_json,
    attribute,
    list_of,
    mapping,
    prefixed,
    row,
    whole_seconds,
)
from perminute.domain.limits.spending import (
    PartOfDay,
    SpendChange,
    SpendCounter,
    SpendKey,
    SpendKind,
)
from perminute.domain.pools.pools import DrawPosition, MinutePool, SettlementCursor, SettlementScope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.domain.pools.pools import Month, PoolStep

WAITING = "waiting"
"""How the index of accounts lists what is to be done again: unsettled pools and re-ratings."""

POOL = "pool#"
SPENDING = "spent#"
_CORRECTION = "corrected#"

# ── Minute pools ─────────────────────────────────────────────────────────────────────────────

_MINUTES_BY_DAY = as_json(mapping(DAY, PLAIN))
_POSITION = row(DrawPosition, ended_at=SHORT_INSTANT, call_id=PLAIN)
_POOL = Record(
    MinutePool,
    organization_id=TEXT,
    month=Field(attribute("S", prefixed(POOL, MONTH)), "record"),
    used_by_day=Field(_MINUTES_BY_DAY, "used"),
    reserved_by_day=Field(_MINUTES_BY_DAY, "reserved"),
    held=as_json(HOLDS),
    drawn_until=as_json(_POSITION),
    unsettled=as_json(
        row(SettlementCursor, position=_POSITION, minutes_of_day=PLAIN, reserved_of_day=PLAIN)
    ),
    drawn_from=as_json(_POSITION),
    scope=as_json(row(SettlementScope, until=_POSITION, more=PLAIN, drawn_until=_POSITION)),
    step_count=NUMBER,
    notified_percent=NUMBER,
)


def pool_record(month: Month) -> str:
    return f"{POOL}{month}"


def pool_item(pool: MinutePool, step: PoolStep | None = None) -> Item:
    """Write a minute pool, and which step of settling that asks for, if any.

    The stream is filtered by `step`: what calls draw meanwhile asks nobody again. The index finds
    an unsettled pool whose message was lost.
    """
    item = _POOL.write(pool)
    if step is not None:
        item["step"] = {"S": step.value}
    if pool.unsettled is not None:
        item |= {"listedAs": {"S": WAITING}, "dueAt": {"S": whole_seconds(pool.month.start)}}
    return item


pool_of = _POOL.read


# ── What was spent of limits ─────────────────────────────────────────────────────────────────


def _written_key(counted: SpendKey) -> str:
    """Write it in few letters: with a user's name of 250 it must fit into a key."""
    return f"{counted.kind[0]}#{counted.since:%Y%m%dT%H}#{counted.subject}"


def _read_key(text: str) -> SpendKey:
    letter, since, subject = text.split("#", 2)
    kind = next(kind for kind in SpendKind if kind[0] == letter)
    return SpendKey(kind, subject, datetime.strptime(since, "%Y%m%dT%H").replace(tzinfo=UTC))


_KEY = Format(_written_key, _read_key)
_SPENDING = Record(
    SpendCounter,
    key=Field(attribute("S", prefixed(SPENDING, _KEY)), "record"),
    spent_micros=NUMBER,
    corrections=NUMBER,
    held=as_json(HOLDS),
    notified_micros=NUMBER,
    counted_before=attribute("S", DAY),
    part=as_json(row(PartOfDay, after=PLAIN, entries=PLAIN, micros=PLAIN)),
)
_CHANGES = as_json(list_of(row(SpendChange, key=_KEY, ended_on=DAY, micros=PLAIN, moved=FLAG)))


def spending_record(counted: SpendKey) -> str:
    return f"{SPENDING}{_written_key(counted)}"


def spending_item(organization_id: str, spending: SpendCounter) -> Item:
    return {"organizationId": {"S": organization_id}, **_SPENDING.write(spending)}


spending_of = _SPENDING.read


def correction_record(number: int) -> str:
    """Name the item of a correction so that text sorts as numbers do."""
    return f"{_CORRECTION}{number:012d}"


def correction_item(organization_id: str, number: int, changes: Sequence[SpendChange]) -> Item:
    """Write what a correction changed for limits, under the number that the account has of it."""
    return {
        **credit_key(organization_id, correction_record(number)),
        "changes": _CHANGES.write(changes),
    }


def correction_of(item: Item) -> tuple[int, Sequence[SpendChange]]:
    return int(item["record"]["S"].removeprefix(_CORRECTION)), _CHANGES.read(item["changes"])
