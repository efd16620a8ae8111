"""Recorded calls on DynamoDB: the lists that find them, and the usage table itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.rows import CallListRow
from perminute.adapters.dynamodb.tables import readable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.schema import Schema
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports import CallList


class DynamoDBCalls:
    """`Calls` on the credit and usage tables."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        """See `Calls.lists`."""
        first = records.call_list_record(since)
        for listed in self._lists(organization_id, max(first, after or first)):
            if listed.key != after:
                yield listed

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        """See `Calls.dial_outs`."""
        first = records.call_list_record(since)
        return self._lists(organization_id, first, FilterExpression="attribute_exists(dialOuts)")

    def _lists(self, organization_id: str, first: str, **options: str) -> Iterator[CallList]:
        items = self._schema.call_lists.query(
            "organizationId = :organization AND #record BETWEEN :first AND :last",
            {
                ":organization": organization_id,
                ":first": first,
                ":last": f"{records.CALLS}~",
            },
            ExpressionAttributeNames={"#record": "record"},
            ConsistentRead=True,
            **options,
        )
        for item in items:
            with readable(f"a list of calls of {organization_id}"):
                listed = records.call_list_of(CallListRow.from_raw_data(item))
            yield listed

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        """See `Calls.usages`."""
        keys = [(organization_id, call_id) for call_id in call_ids]
        with readable(f"the usage of {organization_id}"):
            return [records.usage_of(row) for row in self._schema.usages.get_snapshot(keys)]
