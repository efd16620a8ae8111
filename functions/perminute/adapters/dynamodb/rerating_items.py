"""Items of calls that are to be rated again: `rerating#…` of the credit table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.codec import (
    ALWAYS,
    INSTANT,
    NUMBER,
    SHORT_INSTANT,
    TEXT,
    Field,
    Format,
    Record,
    after,
    as_json,
    attribute,
    mapping,
    whole_seconds,
)
from perminute.adapters.dynamodb.counter_items import WAITING
from perminute.adapters.dynamodb.ledger_items import PRODUCER
from perminute.domain.credit.ledger import RERATING
from perminute.domain.rerating.rerating import EVERYBODY, Rerating

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.codec import Item

# A user's id is never empty, and JSON has no other name for nobody in particular.
_SUBJECT = Format(lambda subject: subject or "", lambda text: text or EVERYBODY)
_RERATING = Record(
    Rerating,
    organization_id=TEXT,
    rerating_id=Field(attribute("S", after(RERATING)), "record"),
    at=INSTANT,
    since=as_json(mapping(_SUBJECT, SHORT_INSTANT)),
    pools_since=INSTANT,
    seats_since=INSTANT,
    after=TEXT,
    steps=Field(NUMBER, default=ALWAYS),
    others=NUMBER,
    producer=PRODUCER,
)


def rerating_item(rerating: Rerating) -> Item:
    """Write what is to be rated again; the index finds what nobody was woken for."""
    listed = {"listedAs": {"S": WAITING}, "dueAt": {"S": whole_seconds(rerating.at)}}
    return {**_RERATING.write(rerating), **listed}


def rerating_of(item: Item) -> Rerating:
    """Read what is to be rated again."""
    return _RERATING.read(item)
