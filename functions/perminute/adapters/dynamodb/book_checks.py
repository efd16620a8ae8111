"""What is known of how books were checked, in a table of its own: who checks changes no books."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.models import Model

from perminute.adapters.check_documents import checkpoint_text, reading_text, with_texts
from perminute.adapters.dynamodb.rows import InstantAttribute, IntegerAttribute
from perminute.adapters.dynamodb.tables import Table, put_alone, readable, unavailable
from perminute.domain.reconciliation.book_checks import BooksCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynamodb.connection import Connection


class BooksCheckRow(Model):
    """BookChecksTable: how the books of an organization were checked, and how far that has come.

    `checkpoint` and `reading` are compressed: a reading of very long books has some 60 KB, as JSON,
    and 28 bytes more for each lot that was ever used.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    step = IntegerAttribute()
    checked_at = InstantAttribute(null=True, attr_name="checkedAt")
    whole_at = InstantAttribute(null=True, attr_name="wholeAt")
    differences = IntegerAttribute(default=0)
    checkpoint = BinaryAttribute(legacy_encoding=False, null=True)
    reading = BinaryAttribute(legacy_encoding=False, null=True)


class DynamoDBBookChecks:
    """`BookChecks` on a table."""

    def __init__(self, connection: Connection, table: str) -> None:
        """Work on this table."""
        self._table = Table(connection, table, BooksCheckRow)

    def check(self, organization_id: str) -> BooksCheck:
        """See `BookChecks.check`."""
        row = self._table.get(organization_id)
        return BooksCheck(organization_id=organization_id) if row is None else _check_of(row)

    def store(self, check: BooksCheck) -> bool:
        """See `BookChecks.store`."""
        row = BooksCheckRow(
            organization_id=check.organization_id,
            step=check.step + 1,
            checked_at=check.checked_at,
            whole_at=check.whole_at,
            differences=check.differences,
            checkpoint=_compressed(checkpoint_text(check)),
            reading=None if check.reading is None else _compressed(reading_text(check.reading)),
        )
        # Nobody writes step 0: the first write finds nothing.
        at_step = "attribute_not_exists(step)" if check.step == 0 else "step = :step"
        values = {"step": check.step} if check.step else {}
        operation = self._table.put_if(row.serialize(), at_step, **values)
        # What stands there instead is not read: put_item knows the option, and it costs nothing.
        return put_alone(self._table.connection, operation)

    def all(self) -> Iterator[BooksCheck]:
        """See `BookChecks.all`: reads the whole table, some 300 bytes an organization."""
        client: Any = self._table.connection.client
        request: dict[str, Any] = {"TableName": self._table.name}
        while True:
            with unavailable(f"reading {self._table.name}"):
                page = client.scan(**request)
            for item in page["Items"]:
                yield _check_of(BooksCheckRow.from_raw_data(item))
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _check_of(row: BooksCheckRow) -> BooksCheck:
    with readable(f"what is known of the books of {row.organization_id}"):
        check = BooksCheck(
            organization_id=row.organization_id,
            step=row.step,
            checked_at=row.checked_at,
            whole_at=row.whole_at,
            differences=row.differences,
        )
        return with_texts(check, _decompressed(row.checkpoint), _decompressed(row.reading))


def _compressed(text: str) -> bytes:
    return zlib.compress(text.encode())


def _decompressed(content: bytes | None) -> str | None:
    return None if content is None else zlib.decompress(content).decode()
