"""Re-ratings on DynamoDB; the table's stream tells of them, and of each step they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.rows import ReratingRow
from perminute.adapters.dynamodb.tables import Collided, Failed, Transaction, Written, readable
from perminute.domain.errors import Contended

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.domain.rerating import Rerating


class DynamoDBReratings:
    """`Reratings` on the credit table."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema

    def rerating(self, organization_id: str, rerating_id: str) -> Rerating | None:
        """See `Reratings.rerating`."""
        record = records.rerating_record(rerating_id)
        with readable(f"a re-rating of {organization_id}"):
            row = self._schema.reratings.get(organization_id, record)
            return None if row is None else records.rerating_of(row)

    def proceed(self, rerating: Rerating) -> None:
        """See `Reratings.proceed`."""
        transaction = Transaction(self._schema.connection)
        exists = ReratingRow.organization_id.exists()
        transaction.puts.append(
            self._schema.reratings.replace(records.rerating_row(rerating), exists)
        )
        match transaction.write():
            case Collided(why):
                raise Contended(why)
            case Written() | Failed():
                pass

    def finish(self, rerating: Rerating) -> None:
        """See `Reratings.finish`."""
        record = records.rerating_record(rerating.rerating_id)
        self._schema.reratings.delete(rerating.organization_id, record)
