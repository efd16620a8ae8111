"""Accounts, ledgers and usage on DynamoDB: one transaction moves the money and writes the usage."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, assert_never

from perminute.adapters.dynamodb import records, under_way
from perminute.adapters.dynamodb.processed_events import (
    insert_processed_event,
    processed_event_of,
    processed_event_record,
    stored_processed_event,
)
from perminute.adapters.dynamodb.rows import (
    AccountRow,
    ChargebackRow,
    CorrectionRow,
    LotRow,
    PoolRow,
    ReservationRow,
    SpendingRow,
)
from perminute.adapters.dynamodb.tables import (
    Collided,
    Failed,
    WriteRequest,
    Written,
    get_together,
    readable,
)
from perminute.domain.authorization.reservations import Reservation
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, entry_id
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    EventIdentity,
    IdentityKind,
    ProcessedEvent,
)
from perminute.domain.pools.pools import MinutePool, Month
from perminute.domain.rating.usage_record import Usage
from perminute.domain.values.times import parse_instant
from perminute.ports import ListedOrganizations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from pynamodb.expressions.condition import Condition

    from perminute.adapters.dynamodb.rows import Item
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.adapters.dynamodb.tables import Operation
    from perminute.domain.credit.chargebacks import BoughtCredit
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lot, Lots
    from perminute.domain.credit.transaction import Authorized, Transaction
    from perminute.domain.limits.spending import Spending, SpendingChange, SpendingKey
    from perminute.domain.reconciliation.reconciliation import Statement


_NEW_CALL = "attribute_not_exists(outcome) AND attribute_not_exists(held)"
"""Nothing is recorded of a call, or only that it was authorized and has nothing reserved."""

_CALL_TO_SETTLE = (
    "attribute_not_exists(outcome) "
    "AND (attribute_not_exists(sequenceNumber) OR sequenceNumber = :n)"
)
"""The same, but what it has reserved is known; if it is forgotten meanwhile, so much the better."""

_CALL_UNDER_WAY = "attribute_not_exists(outcome) AND sequenceNumber = :n"
"""A call is authorized, has not ended, and is where it was."""


class DynamoDBCreditStore:
    """`CreditStore` on the credit, usage and events tables."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema

    def account(self, organization_id: str) -> Account:
        """See `CreditStore.account`."""
        with readable(f"the account of {organization_id}"):
            row = self._schema.accounts.get(organization_id, records.ACCOUNT)
            if row is not None:
                return records.account_of(row)
        return Account(organization_id=organization_id)

    def commit(self, transaction: Transaction) -> None:
        """See `CreditStore.commit`: 2 write units a usage, 2 for the account, 2 a KB of list."""
        request = WriteRequest(self._schema.connection)
        request.puts += [
            *self._usages(transaction),
            *(
                insert_processed_event(self._schema, processed_event)
                for processed_event in transaction.processed_events
            ),
        ]
        self._add_account(request, transaction)
        self._add_calls(request, transaction)
        self._add_lots(request, transaction)
        if transaction.authorized is not None:
            request.puts.append(authorized_put(self._schema, transaction.authorized))
        match request.write():
            case Written():
                return
            case Collided(why):
                raise AccountChanged(why)
            case Failed(items):
                first = len(request.checks) + len(request.deletes)
                raise _why_refused(transaction, items, first=first)
            case never:
                assert_never(never)

    def pools(self, organization_id: str, months: Collection[Month]) -> dict[Month, MinutePool]:
        """See `CreditStore.pools`."""
        keys = [(organization_id, records.pool_record(month)) for month in months]
        with readable(f"a minute pool of {organization_id}"):
            rows = self._schema.pools.get_snapshot(keys)
            found = {pool.month: pool for pool in map(records.pool_of, rows)}
        return {
            month: found.get(month, MinutePool(organization_id=organization_id, month=month))
            for month in months
        }

    def spendings(
        self, organization_id: str, keys: Collection[SpendingKey]
    ) -> dict[SpendingKey, Spending]:
        """See `CreditStore.spendings`."""
        table = self._schema.spendings
        names = [
            {
                "organizationId": {"S": organization_id},
                "record": {"S": under_way.spending_record(key)},
            }
            for key in keys
        ]
        items = get_together(self._schema.connection, {table.name: names})[table.name]
        with readable(f"the spending of {organization_id}"):
            found = [under_way.spending_of(SpendingRow.from_raw_data(item)) for item in items]
        return {spending.key: spending for spending in found}

    def spending_changes(
        self, organization_id: str, *, after: int, until: int
    ) -> Mapping[int, Sequence[SpendingChange]]:
        """See `CreditStore.spending_changes`."""
        items = self._schema.corrections.query(
            "organizationId = :organization AND #record BETWEEN :first AND :last",
            {
                ":organization": organization_id,
                ":first": under_way.correction_record(after + 1),
                ":last": under_way.correction_record(until),
            },
            ExpressionAttributeNames={"#record": "record"},
            ConsistentRead=True,
        )
        with readable(f"the corrections of {organization_id}"):
            return dict(under_way.correction_of(CorrectionRow.from_raw_data(one)) for one in items)

    def reservations(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation]:
        """See `CreditStore.reservations`."""
        table = self._schema.reservations
        keys = [call_key(organization_id, call_id) for call_id in call_ids]
        items = get_together(self._schema.connection, {table.name: keys})[table.name]
        with readable(f"the calls of {organization_id}"):
            return {
                item["callId"]["S"]: under_way.reservation_of(ReservationRow.from_raw_data(item))
                for item in items
                if under_way.OUTCOME not in item
            }

    def reported_calls(self, organization_id: str, *, due_by: datetime) -> Iterator[str]:
        """See `CreditStore.reported_calls`."""
        items = self._schema.reservations.query(
            "organizationId = :organization AND chargeAt <= :due",
            {":organization": organization_id, ":due": records.due_text(due_by)},
            IndexName=under_way.REPORTED_INDEX,
        )
        for item in items:
            yield item["callId"]["S"]

    def pool_months(self, organization_id: str, since: Month) -> Sequence[Month]:
        """See `CreditStore.pool_months`."""
        pools = self._pools(organization_id, records.pool_record(since))
        return [pool.month for pool in pools]

    def unsettled_months(self, organization_id: str) -> Sequence[Month]:
        """See `CreditStore.unsettled_months`."""
        return [pool.month for pool in self._pools(organization_id) if pool.unsettled is not None]

    def _pools(self, organization_id: str, first: str = records.POOL) -> list[MinutePool]:
        items = self._schema.pools.query(
            "organizationId = :organization AND #record BETWEEN :first AND :last",
            {
                ":organization": organization_id,
                ":first": first,
                ":last": f"{records.POOL}~",
            },
            ExpressionAttributeNames={"#record": "record"},
            ConsistentRead=True,
        )
        with readable(f"the minute pools of {organization_id}"):
            return [records.pool_of(PoolRow.from_raw_data(item)) for item in items]

    def opened_lots(self, organization_id: str, lot_ids: Collection[str]) -> Mapping[str, Lot]:
        """See `CreditStore.opened_lots`."""
        lots: dict[str, Lot] = {}
        with readable(f"the ledger of {organization_id}"):
            for lot_id in lot_ids:
                row = self._schema.entries.get(organization_id, records.entry_record(lot_id))
                lot = row and records.entry_of(row).opens
                if lot:
                    lots[lot_id] = lot
        return lots

    def further_lots(self, organization_id: str) -> Lots:
        """See `CreditStore.further_lots`."""
        return self._lots(organization_id, records.FURTHER_LOT, f"{records.FURTHER_LOT}~")

    def expired_lots(self, organization_id: str, *, since: datetime) -> Lots:
        """See `CreditStore.expired_lots`."""
        first, last = records.expired_lots_since(since), f"{records.EXPIRED_LOT}~"
        lots = self._lots(organization_id, first, last)
        return tuple(lot for lot in lots if lot.expires_at > since)

    def _lots(self, organization_id: str, first: str, last: str) -> Lots:
        items = self._schema.lots.query(
            "organizationId = :organization AND #record BETWEEN :first AND :last",
            {":organization": organization_id, ":first": first, ":last": last},
            ExpressionAttributeNames={"#record": "record"},
            ConsistentRead=True,
        )
        with readable(f"the lots of {organization_id}"):
            return tuple(records.lot_of(LotRow.from_raw_data(item)) for item in items)

    def bought(self, organization_id: str, purchase_id: str) -> BoughtCredit | None:
        """See `CreditStore.bought`."""
        # Imported where it is needed: who authorizes calls is waited for, and charges nothing back.
        from perminute.domain.credit.chargebacks import BoughtCredit  # noqa: PLC0415

        processed_event = self.processed_event(
            EventIdentity(IdentityKind.PURCHASE, organization_id, purchase_id)
        )
        if processed_event is None or processed_event.entry_id is None:
            return None
        schema = self._schema
        with readable(f"purchase {purchase_id} of {organization_id}"):
            row = schema.entries.get(
                organization_id, records.entry_record(processed_event.entry_id)
            )
            entry = row and records.entry_of(row)
            if not entry or entry.opens is None:
                return None
            before = schema.chargebacks.get(organization_id, records.chargeback_record(purchase_id))
            expired = schema.lots.get(organization_id, records.expired_lot_record(entry.opens))
            return BoughtCredit(
                purchase_id=purchase_id,
                lot_id=entry.opens.lot_id,
                amount_micros=entry.amount_micros,
                charged_back_micros=before.amount_micros if before else 0,
                forfeited=records.lot_of(expired) if expired else None,
            )

    def processed_event(self, key: EventIdentity) -> ProcessedEvent | None:
        """See `CreditStore.processed_event`."""
        row = self._schema.processed_events.get(key.organization_id, processed_event_record(key))
        return None if row is None else stored_processed_event(key, row)

    def organizations(self, *, due_by: datetime | None = None) -> Iterator[str]:
        """See `CreditStore.organizations`."""
        condition, values = "listedAs = :account", {":account": records.ACCOUNT}
        if due_by is not None:
            condition += " AND dueAt <= :due"
            values[":due"] = records.due_text(due_by)
        rows = self._schema.accounts.query(condition, values, IndexName=records.ACCOUNTS_INDEX)
        for item in rows:
            yield item["organizationId"]["S"]

    def listed_organizations(
        self, *, limit: int, due_by: datetime | None = None, after: str | None = None
    ) -> ListedOrganizations:
        """See `CreditStore.listed_organizations`: `after` is the key at which a page ended."""
        condition, values = "listedAs = :account", {":account": records.ACCOUNT}
        if due_by is not None:
            condition += " AND dueAt <= :due"
            values[":due"] = records.due_text(due_by)
        key = {"ExclusiveStartKey": json.loads(after)} if after is not None else {}
        page = self._schema.accounts.page(
            condition, values, IndexName=records.ACCOUNTS_INDEX, Limit=limit, **key
        )
        return ListedOrganizations(
            [item["organizationId"]["S"] for item in page.items],
            json.dumps(page.last_key) if page.last_key else None,
        )

    def statement(self, organization_id: str) -> Statement:
        """See `CreditStore.statement`: the account first, then no entries but those it counts.

        Pools are read before the calls and after them, and left out if they differ: then they
        were being drawn on.
        """
        # Imported where it is needed: who authorizes calls is waited for, and reconciles nothing.
        from perminute.domain.reconciliation.reconciliation import Statement  # noqa: PLC0415

        account = self.account(organization_id)
        pools = self._pools(organization_id)
        with readable(f"the ledger or usage of {organization_id}"):
            entries = self._entries(organization_id, account.entries)
            charges_micros, pool_minutes = self._summed(organization_id, account.entries)
        again = {pool.month: pool for pool in self._pools(organization_id)}
        return Statement(
            account=account,
            further=self.further_lots(organization_id),
            entries=entries,
            charges_micros=charges_micros,
            pools=tuple(pool for pool in pools if again.get(pool.month) == pool),
            pool_minutes=pool_minutes,
        )

    def _entries(self, organization_id: str, count: int) -> tuple[LedgerEntry, ...]:
        """Read entries up to a number, in order: charges lie with their calls, others alone."""
        entries: list[LedgerEntry] = []
        for prefix in (records.CALLS, records.ENTRY):
            items = self._schema.entries.query(
                "organizationId = :organization AND begins_with(#record, :prefix)",
                {":organization": organization_id, ":prefix": prefix},
                ExpressionAttributeNames={"#record": "record"},
                ConsistentRead=True,
            )
            found = (records.entry_in_item(item) for item in items)
            last = entry_id(count)
            entries += (entry for entry in found if entry and entry.entry_id <= last)
        return tuple(sorted(entries, key=lambda entry: entry.entry_id))

    def _summed(
        self, organization_id: str, entries: int
    ) -> tuple[Counter[str | None], Counter[Month]]:
        """Sum what calls cost by their entries, and the minutes they drew by month.

        Later entries than the account's are left out.
        """
        charges_micros: Counter[str | None] = Counter()
        pool_minutes: Counter[Month] = Counter()
        usages = self._schema.usages.query(
            "organizationId = :organization",
            {":organization": organization_id},
            FilterExpression="attribute_exists(outcome)",
            ProjectionExpression="entryId, chargeMicros, adjustments, poolMinutes, answeredAt",
            ConsistentRead=True,
        )
        for item in usages:
            for entry, micros in records.movements_of(item):
                if entry is None or entry <= entry_id(entries):
                    charges_micros[entry] += micros
            if "poolMinutes" in item:
                answered_at = parse_instant(item["answeredAt"]["S"])
                pool_minutes[Month.of(answered_at)] += int(item["poolMinutes"]["N"])
        return charges_micros, pool_minutes

    def _usages(self, transaction: Transaction) -> Iterator[Operation]:
        """Put usages where no call has been recorded, or what was reserved for it is known."""
        reserved = {one.call.call_id: one for one in transaction.settled if one.held}
        usages = self._schema.usages
        for usage in transaction.usages:
            item, reservation = records.usage_item(usage), reserved.get(usage.call.call_id)
            if reservation is None:
                yield usages.put_if(item, _NEW_CALL)
            else:
                yield usages.put_if(item, _CALL_TO_SETTLE, n=reservation.sequence)

    def _add_account(self, request: WriteRequest, transaction: Transaction) -> None:
        """Write or check the account, then what it explains itself by: entries and the outbox."""
        schema = self._schema
        unchanged = _is_at(transaction.before)
        row = records.account_row(transaction.after)
        if transaction.after is transaction.before:
            request.checks.append(schema.accounts.check(row, unchanged))
        else:
            request.puts.append(schema.accounts.replace(row, unchanged))
        request.puts += (
            schema.entries.insert(records.entry_row(entry).serialize())
            for entry in transaction.entries
            if entry.type is not EntryType.CHARGE or not transaction.usages
        )
        for notifications in transaction.outbox:
            outbox = records.outbox_row(
                notifications, transaction.after.version, transaction.causes
            )
            request.puts.append(schema.outbox.insert(outbox.serialize()))

    def _add_lots(self, request: WriteRequest, transaction: Transaction) -> None:
        """Write lots that are items of their own: the account's version guards them as well."""
        table, organization_id = self._schema.lots, transaction.before.organization_id
        stored, removed, forfeited = transaction.lots
        request.deletes += (
            table.delete_item(organization_id, records.further_lot_record(lot)) for lot in removed
        )
        rows = [
            *(records.further_lot_row(organization_id, lot) for lot in stored),
            *(records.expired_lot_row(organization_id, lot) for lot in forfeited),
        ]
        request.puts += (table.put(row.serialize()) for row in rows)
        if transaction.chargeback is not None:
            row = ChargebackRow(
                organization_id=organization_id,
                record=records.chargeback_record(transaction.chargeback.purchase_id),
                amount_micros=transaction.chargeback.amount_micros,
            )
            request.puts.append(self._schema.chargebacks.put(row.serialize()))

    def _add_calls(self, request: WriteRequest, transaction: Transaction) -> None:
        """Write what calls bring along: their lists, the pools, and what became of older ones.

        Pools, spending and older usages are overwritten without a condition of their own. Whatever
        changes them moves the account as well, whose version is checked.
        """
        schema, organization_id = self._schema, transaction.before.organization_id
        request.puts += [
            *(schema.usages.put(records.usage_item(usage)) for usage in transaction.rerated),
            *(
                schema.pools.put(
                    records.pool_row(pool, transaction.steps.get(pool.month)).serialize()
                )
                for pool in transaction.pools
            ),
            *(
                schema.spendings.put(under_way.spending_row(organization_id, one).serialize())
                for one in transaction.spendings
            ),
            *(
                schema.call_lists.insert(row.serialize())
                for row in records.call_list_rows(transaction.usages, _charge_of(transaction))
            ),
            *(
                schema.call_lists.insert(row.serialize())
                for row in records.call_list_rows(transaction.relisted, suffix=records.RELISTED)
            ),
            *(
                schema.reratings.insert(records.rerating_row(one).serialize())
                for one in transaction.reratings
            ),
        ]
        if transaction.corrected:
            number = transaction.after.corrections
            row = under_way.correction_row(organization_id, number, transaction.corrected)
            request.puts.append(schema.corrections.insert(row.serialize()))


def _charge_of(transaction: Transaction) -> LedgerEntry | None:
    """Find the entry that is written with the calls that it charges, for they explain it."""
    return next((entry for entry in transaction.entries if entry.type is EntryType.CHARGE), None)


def _is_at(account: Account) -> Condition:
    if account.version == 0:
        return AccountRow.organization_id.does_not_exist()
    return AccountRow.version == account.version


def _why_refused(
    transaction: Transaction, items: dict[int, Item], *, first: int
) -> AlreadyExists | AccountChanged:
    usages: dict[str, Usage] = {}
    reservations: dict[str, Reservation] = {}
    processed_events: dict[EventIdentity, ProcessedEvent] = {}
    for position, usage in enumerate(transaction.usages, first):
        match under_way.call_of(items[position]) if position in items else None:
            case Usage() as recorded:
                usages[usage.call.call_id] = recorded
            case Reservation() as reservation:
                reservations[usage.call.call_id] = reservation
            case None:
                pass
    for position, processed_event in enumerate(
        transaction.processed_events, first + len(transaction.usages)
    ):
        if position in items:
            processed_events[processed_event.key] = processed_event_of(
                processed_event.key, items[position]
            )
    if usages or processed_events or reservations:
        return AlreadyExists(usages, processed_events, reservations)
    return AccountChanged()


def call_key(organization_id: str, call_id: str) -> Item:
    """Name the item of a call, whether it is under way or has ended."""
    return {"organizationId": {"S": organization_id}, "callId": {"S": call_id}}


def authorized_put(schema: Schema, authorized: Authorized) -> Operation:
    """Put a call under way in the place of what it was."""
    item = under_way.reservation_row(authorized.after).serialize()
    if authorized.before is None:
        return schema.reservations.insert(item)
    return schema.reservations.put_if(item, _CALL_UNDER_WAY, n=authorized.before.sequence)
