"""Re-ratings on DynamoDB; the table's stream shows them, and each step they make."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import ACCOUNTS_INDEX
from perminute.adapters.dynamodb.counter_items import WAITING
from perminute.adapters.dynamodb.rerating_items import rerating_item, rerating_of
from perminute.adapters.dynamodb.tables import readable
from perminute.adapters.dynamodb.writes import WriteRequest
from perminute.domain.credit.ledger import RERATING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.domain.rerating.rerating import Rerating

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
