"""Operations that are written together or not at all, or alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from perminute.adapters.dynamodb.tables import PASSING, codes_of, passing_refusal, unavailable
from perminute.domain.errors import Unavailable, Unwritable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pynamodb.connection import Connection

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation

_UNWRITABLE = frozenset(
    {"ItemCollectionSizeLimitExceeded", "ValidationError", "ValidationException"}
)


@dataclass(slots=True)
class WriteRequest:
    """Operations of one transaction; each is known by its position.

    Positions count checks first, then deletes, puts and updates.
    """

    connection: Connection
    checks: list[Operation] = field(default_factory=list)
    deletes: list[Operation] = field(default_factory=list)
    puts: list[Operation] = field(default_factory=list)
    updates: list[Operation] = field(default_factory=list)

    @property
    def first_put(self) -> int:
        return len(self.checks) + len(self.deletes)

    def write(self) -> dict[int, Item]:
        """Send it; if conditions failed, nothing is written and their operations are returned.

        With the item that is stored there, by position. Raises `Contended` if another transaction
        was in the way, `Throttled`, and `Unwritable` if no repetition can succeed.
        """
        client: Any = self.connection.client
        operations = [
            *({"ConditionCheck": check} for check in self.checks),
            *({"Delete": delete} for delete in self.deletes),
            *({"Put": put} for put in self.puts),
            *({"Update": update} for update in self.updates),
        ]
        with unavailable("writing a transaction"):
            try:
                client.transact_write_items(TransactItems=operations)
            except ClientError as error:
                return _failed(error)
        return {}

    def succeeds(self) -> bool:
        return not self.write()


def _failed(error: ClientError) -> dict[int, Item]:
    """Read the reasons of a canceled transaction, which are in the order of its operations.

    A failed condition outweighs a collision beside it: it will not go away by trying again.
    """
    answer: Mapping[str, Any] = error.response
    failed: dict[int, Item] = {
        position: reason.get("Item", {})
        for position, reason in enumerate(answer.get("CancellationReasons", ()))
        if reason["Code"] == "ConditionalCheckFailed"
    }
    if failed:
        return failed
    codes = codes_of(error)
    if refusal := passing_refusal(codes):
        raise refusal(", ".join(sorted(codes & PASSING))) from error
    msg = f"writing a transaction: {error} {sorted(codes)}"
    raise (Unwritable(msg) if codes & _UNWRITABLE else Unavailable(msg)) from error


def put_alone(connection: Connection, operation: Operation) -> bool:
    """Put one item under its condition, outside of a transaction; returns whether it held.

    Raises `Contended` if a transaction is just writing the item, and `Throttled`.
    """
    return _alone(connection, "put_item", operation)


def update_alone(connection: Connection, operation: Operation) -> bool:
    """Change one item under its condition, as `put_alone` puts one."""
    return _alone(connection, "update_item", operation)


def delete_alone(connection: Connection, operation: Operation) -> bool:
    """Delete one item under its condition, as `put_alone` puts one."""
    return _alone(connection, "delete_item", operation)


def _alone(connection: Connection, method: str, operation: Operation) -> bool:
    client: Any = connection.client
    with unavailable(f"writing {operation['TableName']}"):
        try:
            getattr(client, method)(**operation)
        except ClientError as error:
            codes = codes_of(error)
            if "ConditionalCheckFailedException" in codes:
                return False
            if refusal := passing_refusal(codes):
                msg = f"writing {operation['TableName']}: {error}"
                raise refusal(msg) from error
            raise
    return True
