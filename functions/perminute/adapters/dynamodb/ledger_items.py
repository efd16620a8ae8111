"""Items that say what moved a balance: ledger entries, and what was taken back of purchases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.account_items import LOT, key
from perminute.adapters.dynamodb.codec import (
    FLAG,
    INSTANT,
    NUMBER,
    PLAIN,
    SHARED_PLAIN,
    SHORT_INSTANT,
    TEXT,
    Field,
    Record,
    after,
    as_json,
    attribute,
    many,
    one_of,
    row,
)
from perminute.domain.credit.ledger import EntryType, LedgerEntry, Producer
from perminute.domain.credit.lots import LotShare

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.codec import Item
    from perminute.domain.credit.booking import Chargeback

ENTRY = "entry#"
CALLS = "calls#"
"""How the items begin that list calls, and store the entry that charges these."""

SHARES = many(row(LotShare, lot_id=PLAIN, purchase_id=PLAIN, amount_micros=PLAIN, late=FLAG))
PRODUCER = as_json(row(Producer, account=PLAIN, source=PLAIN))
CHARGE = row(
    LedgerEntry,
    entry_id=PLAIN,
    amount_micros=PLAIN,
    balance_after_micros=PLAIN,
    at=SHORT_INSTANT,
    lots=SHARES,
)
"""The entry of a charge as the list of its calls stores it."""

_ENTRY = Record(
    LedgerEntry,
    organization_id=TEXT,
    entry_id=Field(attribute("S", after(ENTRY)), "record"),
    type=attribute("S", one_of(EntryType)),
    amount_micros=NUMBER,
    balance_after_micros=NUMBER,
    at=INSTANT,
    lots=as_json(SHARES),
    cause=TEXT,
    opens=as_json(LOT),
    call_ids=Field(as_json(SHARED_PLAIN), "calls"),
    producer=PRODUCER,
)
_CHARGEBACK = "chargeback#"


def entry_item(entry: LedgerEntry) -> Item:
    """Write a ledger entry that is no charge."""
    return _ENTRY.write(entry)


def entry_in(item: Item) -> LedgerEntry | None:
    """Read the ledger entry that an item of the credit table is or contains, if it does."""
    record = item["record"]["S"]
    if record.startswith(ENTRY):
        return _ENTRY.read(item)
    if not record.startswith(CALLS) or "entry" not in item:
        return None
    more: dict[str, Any] = {
        "organization_id": item["organizationId"]["S"],
        "type": EntryType.CHARGE,
    }
    entry: LedgerEntry = CHARGE.read(json.loads(item["entry"]["S"]), **more)
    return entry


def entry_key(organization_id: str, entry_id: str) -> Item:
    """Return the key of an entry."""
    return key(organization_id, f"{ENTRY}{entry_id}")


def chargeback_key(organization_id: str, purchase_id: str) -> Item:
    """Return the key of what was taken back of a purchase."""
    return key(organization_id, f"{_CHARGEBACK}{purchase_id}")


def chargeback_item(organization_id: str, chargeback: Chargeback) -> Item:
    """Write how much of a purchase was taken back."""
    return {
        **chargeback_key(organization_id, chargeback.purchase_id),
        "amountMicros": NUMBER.write(chargeback.amount_micros),
    }
