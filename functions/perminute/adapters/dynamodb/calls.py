"""Calls on DynamoDB: while they are authorized, as they are recorded, and the lists of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.account_items import ACCOUNT, CALLS, account_of, credit_key
from perminute.adapters.dynamodb.call_items import (
    OUTCOME,
    UNDER_WAY_INDEX,
    call_key,
    call_of,
    reservation_item,
    start_text,
    usage_of,
)
from perminute.adapters.dynamodb.list_items import DIAL_OUTS, call_list_of, call_list_record
from perminute.adapters.dynamodb.tables import get_together, readable
from perminute.adapters.dynamodb.writes import put_alone
from perminute.domain.credit.accounts import Account
from perminute.domain.values.times import parse_instant
from perminute.ports.stores import CallList, CallPlace, CallUnderWay

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.transaction import Authorized
    from perminute.domain.rating.usage_record import Usage

_CALL_UNDER_WAY = "attribute_not_exists(outcome) AND sequenceNumber = :n"
"""A call is authorized, has not ended, and is where it was."""


def authorized_put(tables: Tables, authorized: Authorized) -> Operation:
    item = reservation_item(authorized.after)
    if authorized.before is None:
        return tables.usage.put(item, tables.usage.is_new)
    return tables.usage.put(item, _CALL_UNDER_WAY, n=authorized.before.sequence)


class DynamoDBCallsUnderWay:
    """`CallsUnderWay` on the credit and usage tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def read(self, organization_id: str, call_id: str) -> CallUnderWay:
        credit, usage = self._tables.credit.name, self._tables.usage.name
        keys = {
            credit: [credit_key(organization_id, ACCOUNT)],
            usage: [call_key(organization_id, call_id)],
        }
        items = get_together(self._tables.connection, keys)
        with readable(f"the account of {organization_id}, or its call {call_id},"):
            account = [account_of(item) for item in items[credit]]
            call = [call_of(item) for item in items[usage]]
        return CallUnderWay(
            account[0] if account else Account(organization_id=organization_id),
            call[0] if call else None,
        )

    def store(self, authorized: Authorized) -> bool:
        return put_alone(self._tables.connection, authorized_put(self._tables, authorized))

    def calls_by_start(
        self, organization_id: str, *, limit: int, after: CallPlace | None = None
    ) -> Iterator[CallPlace]:
        options: dict[str, Any] = {"IndexName": UNDER_WAY_INDEX, "Limit": limit}
        if after is not None:
            # DynamoDB continues after these keys whether there is still an item of them or not.
            since = {"S": start_text(after.since)}
            start = {**call_key(organization_id, after.call_id), "underWaySince": since}
            options["ExclusiveStartKey"] = start
        items = self._tables.usage.query(
            "organizationId = :organization", {":organization": organization_id}, **options
        )
        for item in islice(items, limit):
            yield CallPlace(parse_instant(item["underWaySince"]["S"]), item["callId"]["S"])

    def read_calls(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation | Usage]:
        keys = [call_key(organization_id, call_id) for call_id in call_ids]
        items = self._tables.usage.get_together(keys)
        with readable(f"the calls of {organization_id}"):
            return {item["callId"]["S"]: call_of(item) for item in items}


class DynamoDBCalls:
    """`Calls` on the credit and usage tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        first = call_list_record(since)
        for listed in self._lists(organization_id, max(first, after or first)):
            if listed.key != after:
                yield listed

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        has_some = f"attribute_exists({DIAL_OUTS})"
        return self._lists(organization_id, call_list_record(since), FilterExpression=has_some)

    def _lists(self, organization_id: str, first: str, **options: str) -> Iterator[CallList]:
        for item in self._tables.credit.items_of(organization_id, CALLS, first=first, **options):
            with readable(f"a list of calls of {organization_id}"):
                listed = call_list_of(item)
            yield listed

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        keys = [call_key(organization_id, call_id) for call_id in call_ids]
        with readable(f"the usage of {organization_id}"):
            items = self._tables.usage.get_snapshot(keys)
            return [usage_of(item) for item in items if OUTCOME in item]

    def usages_by_id(self, organization_id: str, call_ids: Collection[str]) -> Mapping[str, Usage]:
        keys = [call_key(organization_id, call_id) for call_id in call_ids]
        items = self._tables.usage.get_together(keys)
        with readable(f"the usage of {organization_id}"):
            usages = [usage_of(item) for item in items if OUTCOME in item]
        return {usage.call.call_id: usage for usage in usages}
