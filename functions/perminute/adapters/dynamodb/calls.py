"""Calls on DynamoDB: while they are authorized, as they are recorded, and the lists of them.

Lists are `calls#…` of the credit table, by when the last of their calls ended. They find the calls
of a user or an organization since an instant, by a consistent read. An index of the usage table
would lag behind, and cost a write unit for each call. If the transaction charged something, its
ledger entry is in the list too: an item of its own would cost two more.
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import datetime, timedelta
from itertools import islice
from math import gcd
from typing import TYPE_CHECKING, Any

from msgspec.json import decode, encode

from perminute.adapters.dynamodb.account_items import ACCOUNT, CALLS, CHARGE, account_of, credit_key
from perminute.adapters.dynamodb.call_items import (
    OUTCOME,
    UNDER_WAY_INDEX,
    call_key,
    call_of,
    reservation_item,
    start_text,
    usage_of,
)
from perminute.adapters.dynamodb.codec import EPOCH, MICROSECOND, as_json, sortable
from perminute.adapters.dynamodb.tables import get_together, readable
from perminute.adapters.dynamodb.writes import put_alone
from perminute.domain.credit.accounts import Account
from perminute.domain.values.times import parse_instant
from perminute.ports.stores import CallList, CallPlace, CallUnderWay, ListedCall

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.transaction import Authorized, CallsOfDay
    from perminute.domain.rating.usage_record import Usage

DIAL_OUTS = "dialOuts"
"""How many of the calls are dial-outs, if any: pools are settled by these lists alone."""
RELISTED = "#ended"
"""How the names of lists end whose calls had been listed before, as their bridges reported."""

_CHARGE = as_json(CHARGE)


def call_list_item(organization_id: str, calls: CallsOfDay) -> Item:
    """List calls that ended on one day, with the entry of their charge if it belongs there."""
    listed = [ListedCall.of(usage.call) for usage in calls.usages]
    last = max(call.ended_at for call in listed)
    # A call is listed once under each suffix, so no other list can have this name.
    name = hashlib.sha256(listed[0].call_id.encode()).hexdigest()[:32]
    record = f"{call_list_record(last)}#{name}{RELISTED if calls.is_again else ''}"
    item = {**credit_key(organization_id, record), "calls": {"B": zlib.compress(_listed(listed))}}
    if dial_outs := sum(call.dial_out for call in listed):
        item[DIAL_OUTS] = {"N": str(dial_outs)}
    if calls.entry is not None:
        item["entry"] = _CHARGE.write(calls.entry)
    return item


def call_list_record(ended_at: datetime) -> str:
    """Name a list of calls by its last so that text sorts as time does."""
    return f"{CALLS}{sortable(ended_at)}"


def _listed(calls: Sequence[ListedCall]) -> bytes:
    """Write calls as short as may be: every transaction pays for its list by the kilobyte.

    Column by column, since like beside like is what compression shortens best; and times in the
    largest unit that leaves none of them a fraction, mostly seconds.
    """
    organizers = list(dict.fromkeys(call.organizer_id for call in calls))
    numbers = {organizer_id: number for number, organizer_id in enumerate(organizers)}
    first = min(call.ended_at for call in calls)
    ended = [(call.ended_at - first) // MICROSECOND for call in calls]
    lasted = [(call.ended_at - call.answered_at) // MICROSECOND for call in calls]
    unit = max(gcd(*ended, *lasted), 1)
    columns = [
        organizers,
        (first - EPOCH) // MICROSECOND,
        unit,
        [call.call_id for call in calls],
        [numbers[call.organizer_id] for call in calls],
        [int(call.dial_out) for call in calls],
        [micros // unit for micros in ended],
        [micros // unit for micros in lasted],
    ]
    return encode(columns)


def call_list_of(item: Item) -> CallList:
    organizers, first, unit, *columns = decode(zlib.decompress(item["calls"]["B"]))
    return CallList(
        item["record"]["S"],
        tuple(
            ListedCall(
                call_id=call_id,
                organizer_id=organizers[organizer],
                dial_out=bool(dial_out),
                answered_at=EPOCH + timedelta(microseconds=first + unit * (ended - lasted)),
                ended_at=EPOCH + timedelta(microseconds=first + unit * ended),
            )
            for call_id, organizer, dial_out, ended, lasted in zip(*columns, strict=True)
        ),
    )


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
