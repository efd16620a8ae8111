"""Calls while they are authorized: an account and a call in one request, on DynamoDB."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb import records, under_way
from perminute.adapters.dynamodb.credit_store import authorized_put, call_key
from perminute.adapters.dynamodb.rows import AccountRow
from perminute.adapters.dynamodb.tables import get_together, put_alone, readable
from perminute.domain.credit.accounts import Account
from perminute.domain.values.times import parse_instant
from perminute.ports import CallPlace, CallUnderWay

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from perminute.adapters.dynamodb.schema import Schema
    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.transaction import Authorized
    from perminute.domain.rating.usage_record import Usage


class DynamoDBCallsUnderWay:
    """`CallsUnderWay` on the credit and usage tables."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self.schema = schema

    def read(self, organization_id: str, call_id: str) -> CallUnderWay:
        """See `CallsUnderWay.read`."""
        accounts, calls = self.schema.accounts.name, self.schema.usages.name
        account_key = {
            "organizationId": {"S": organization_id},
            "record": {"S": records.ACCOUNT},
        }
        keys = {accounts: [account_key], calls: [call_key(organization_id, call_id)]}
        items = get_together(self.schema.connection, keys)
        with readable(f"the account of {organization_id}, or its call {call_id},"):
            account = [records.account_of(AccountRow.from_raw_data(i)) for i in items[accounts]]
            call = [under_way.call_of(item) for item in items[calls]]
        return CallUnderWay(
            account[0] if account else Account(organization_id=organization_id),
            call[0] if call else None,
        )

    def keep(self, authorized: Authorized) -> bool:
        """See `CallsUnderWay.keep`."""
        return put_alone(self.schema.connection, authorized_put(self.schema, authorized))

    def calls_by_start(
        self, organization_id: str, *, limit: int, after: CallPlace | None = None
    ) -> Iterator[CallPlace]:
        """See `CallsUnderWay.calls_by_start`."""
        options: dict[str, Any] = {"IndexName": under_way.UNDER_WAY_INDEX, "Limit": limit}
        if after is not None:
            # DynamoDB goes on after these keys whether there is still an item of them or not.
            since = {"S": under_way.start_text(after.since)}
            start = {**call_key(organization_id, after.call_id), "underWaySince": since}
            options["ExclusiveStartKey"] = start
        items = self.schema.reservations.query(
            "organizationId = :organization", {":organization": organization_id}, **options
        )
        for item in islice(items, limit):
            yield CallPlace(parse_instant(item["underWaySince"]["S"]), item["callId"]["S"])

    def read_calls(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation | Usage]:
        """See `CallsUnderWay.read_calls`."""
        table = self.schema.usages.name
        keys = [call_key(organization_id, call_id) for call_id in call_ids]
        items = get_together(self.schema.connection, {table: keys})[table]
        with readable(f"the calls of {organization_id}"):
            return {item["callId"]["S"]: under_way.call_of(item) for item in items}
