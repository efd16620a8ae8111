"""Re-ratings on DynamoDB; the table's stream tells of them, and of each step they make."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.rows import ReratingRow
from perminute.adapters.dynamodb.tables import WriteRequest, readable
from perminute.domain.credit.ledger import RERATING, Producer
from perminute.domain.rerating.rerating import Rerating
from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pynamodb.expressions.condition import Condition

    from perminute.adapters.dynamodb.schema import Schema


class DynamoDBReratings:
    """`Reratings` on the credit table."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema

    def waiting(self, organization_id: str) -> Sequence[Rerating]:
        """See `Reratings.waiting`."""
        items = self._schema.reratings.query(
            "organizationId = :organization AND begins_with(#record, :rerating)",
            {":organization": organization_id, ":rerating": RERATING},
            ExpressionAttributeNames={"#record": "record"},
            ConsistentRead=True,
        )
        with readable(f"the re-ratings of {organization_id}"):
            return [_rerating_of(ReratingRow.from_raw_data(item)) for item in items]

    def proceed(self, rerating: Rerating) -> bool:
        """See `Reratings.proceed`."""
        return self.merge(rerating, ())

    def merge(self, merged: Rerating, absorbed: Sequence[Rerating]) -> bool:
        """See `Reratings.merge`."""
        request = WriteRequest(self._schema.connection)
        next_step = records.rerating_row(replace(merged, steps=merged.steps + 1))
        request.puts.append(self._schema.reratings.replace(next_step, _is_at(merged)))
        self._delete(request, absorbed)
        return request.succeeds()

    def finish(self, rerating: Rerating) -> bool:
        """See `Reratings.finish`."""
        request = WriteRequest(self._schema.connection)
        self._delete(request, [rerating])
        return request.succeeds()

    def organizations_waiting(self) -> Iterator[str]:
        """See `Reratings.organizations_waiting`."""
        items = self._schema.reratings.query(
            "listedAs = :waiting",
            {":waiting": records.WAITING},
            IndexName=records.ACCOUNTS_INDEX,
        )
        return (item["organizationId"]["S"] for item in items)

    def _delete(self, request: WriteRequest, reratings: Sequence[Rerating]) -> None:
        request.deletes += [
            self._schema.reratings.delete(records.rerating_row(one), _is_at(one))
            for one in reratings
        ]


def _is_at(rerating: Rerating) -> Condition:
    return ReratingRow.steps == rerating.steps


def _rerating_of(row: ReratingRow) -> Rerating:
    """Read what is to be looked at again."""
    return Rerating(
        organization_id=row.organization_id,
        rerating_id=row.record.removeprefix(RERATING),
        at=row.at,
        since={subject: parse_instant(since) for subject, since in row.since},
        pools_since=row.pools_since,
        seats_since=row.seats_since,
        after=row.after,
        steps=row.steps,
        others=row.others,
        producer=Producer(*row.producer) if row.producer else None,
    )
