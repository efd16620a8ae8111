"""Re-ratings on DynamoDB; the stream of the credit table shows them, and each of their steps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import ACCOUNTS_INDEX, PRODUCER
from perminute.adapters.dynamodb.codec import (
    ALWAYS_WRITTEN,
    INSTANT,
    NUMBER,
    SHORT_INSTANT,
    TEXT,
    Field,
    Format,
    Record,
    as_json,
    attribute,
    mapping,
    prefixed,
    whole_seconds,
)
from perminute.adapters.dynamodb.counter_items import WAITING
from perminute.adapters.dynamodb.tables import readable
from perminute.adapters.dynamodb.writes import WriteRequest
from perminute.domain.credit.ledger import RERATING
from perminute.domain.rerating.rerating import EVERYBODY, Rerating

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation, Tables

# A user's id is never empty, and JSON has no other name for all users.
_SUBJECT = Format(lambda subject: subject or "", lambda text: text or EVERYBODY)
_RERATING = Record(
    Rerating,
    organization_id=TEXT,
    rerating_id=Field(attribute("S", prefixed(RERATING)), "record"),
    at=INSTANT,
    since=as_json(mapping(_SUBJECT, SHORT_INSTANT)),
    pools_since=INSTANT,
    seats_since=INSTANT,
    after=TEXT,
    steps=Field(NUMBER, default=ALWAYS_WRITTEN),
    others=NUMBER,
    producer=PRODUCER,
)


def rerating_item(rerating: Rerating) -> Item:
    """Write what is to be rated again; the index finds it if its message was lost."""
    listed = {"listedAs": {"S": WAITING}, "dueAt": {"S": whole_seconds(rerating.at)}}
    return {**_RERATING.write(rerating), **listed}


rerating_of = _RERATING.read


_IS_AS_READ = "steps = :read"


class DynamoDBReratings:
    """`Reratings` on the credit table."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def waiting(self, organization_id: str) -> Sequence[Rerating]:
        items = self._tables.credit.items_of(organization_id, RERATING)
        with readable(f"the re-ratings of {organization_id}"):
            return list(map(rerating_of, items))

    def proceed(self, rerating: Rerating) -> bool:
        return self.merge(rerating, ())

    def merge(self, merged: Rerating, absorbed: Sequence[Rerating]) -> bool:
        next_step = rerating_item(replace(merged, steps=merged.steps + 1))
        request = WriteRequest(self._tables.connection)
        request.puts.append(self._tables.credit.put(next_step, _IS_AS_READ, read=merged.steps))
        request.deletes += map(self._delete, absorbed)
        return request.succeeds()

    def finish(self, rerating: Rerating) -> bool:
        request = WriteRequest(self._tables.connection)
        request.deletes.append(self._delete(rerating))
        return request.succeeds()

    def organizations_waiting(self) -> Iterator[str]:
        items = self._tables.credit.query(
            "listedAs = :waiting", {":waiting": WAITING}, IndexName=ACCOUNTS_INDEX
        )
        return (item["organizationId"]["S"] for item in items)

    def _delete(self, rerating: Rerating) -> Operation:
        return self._tables.credit.delete(rerating_item(rerating), _IS_AS_READ, read=rerating.steps)
