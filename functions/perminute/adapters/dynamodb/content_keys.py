"""The keys of content digests, in a table of their own.

That table has no backups to restore from: a key that is destroyed is gone.
"""

from __future__ import annotations

from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.tables import Table, unavailable
from perminute.adapters.dynamodb.writes import put_alone
from perminute.domain.errors import Unavailable
from perminute.domain.rating.call_content import KEY_BYTES

if TYPE_CHECKING:
    from pynamodb.connection import Connection

    from perminute.adapters.dynamodb.codec import Item

_KEY = "contentKey"


class DynamoDBContentKeys:
    """`ContentKeys` on a table."""

    def __init__(self, connection: Connection, table: str) -> None:
        self._table = Table(connection, table, "organizationId")

    def find(self, organization_id: str) -> bytes | None:
        item = self._table.get(_key_of(organization_id))
        return None if item is None else bytes(item[_KEY]["B"])

    def get_or_make(self, organization_id: str) -> bytes:
        key = self.find(organization_id)
        if key is not None:
            return key
        made: Any = {"B": token_bytes(KEY_BYTES)}
        item = {**_key_of(organization_id), _KEY: made}
        put_alone(self._table.connection, self._table.put(item, self._table.is_new))
        # Another writer may have been faster: all use the key that is stored.
        key = self.find(organization_id)
        if key is None:
            msg = f"the key of {organization_id} was just destroyed"
            raise Unavailable(msg)
        return key

    def destroy(self, organization_id: str) -> None:
        client: Any = self._table.connection.client
        with unavailable(f"writing {self._table.name}"):
            client.delete_item(**self._table.delete(_key_of(organization_id)))


def _key_of(organization_id: str) -> Item:
    return {"organizationId": {"S": organization_id}}
