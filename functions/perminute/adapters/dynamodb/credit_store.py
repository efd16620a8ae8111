"""Accounts, ledgers and usage on DynamoDB: one transaction moves the money and writes the usage."""

from __future__ import annotations

import json
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb import account_items, call_items, counter_items
from perminute.adapters.dynamodb.account_items import (
    chargeback_key,
    credit_key,
    entry_in,
    entry_key,
    event_key,
    event_of,
)
from perminute.adapters.dynamodb.codec import sortable, whole_seconds
from perminute.adapters.dynamodb.tables import readable
from perminute.adapters.dynamodb.transactions import request_of, why_refused
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import LedgerEntry, entry_id
from perminute.domain.credit.transaction import (
    AccountChanged,
    EventIdentity,
    IdentityKind,
    ProcessedEvent,
)
from perminute.domain.errors import Contended
from perminute.domain.pools.pools import MinutePool, Month
from perminute.ports.stores import ListedOrganizations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.adapters.dynamodb.tables import Tables
    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.booking import BoughtCredit
    from perminute.domain.credit.lots import Lot, Lots
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.limits.spending import SpendChange, SpendCounter, SpendKey
    from perminute.domain.reconciliation.reconciliation import Statement


class DynamoDBCreditStore:
    """`CreditStore` on the credit, usage and events tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def account(self, organization_id: str) -> Account:
        with readable(f"the account of {organization_id}"):
            item = self._tables.credit.get(credit_key(organization_id, account_items.ACCOUNT))
            if item is not None:
                return account_items.account_of(item)
        return Account(organization_id=organization_id)

    def commit(self, transaction: Transaction) -> None:
        """Write a transaction: 2 write units a usage, 2 for the account, 2 a KB of list."""
        request = request_of(self._tables, transaction)
        try:
            failed = request.write()
        except Contended as error:
            raise AccountChanged(str(error)) from error
        if failed:
            raise why_refused(transaction, failed, first=request.first_put)

    def pools(self, organization_id: str, months: Collection[Month]) -> dict[Month, MinutePool]:
        keys = [credit_key(organization_id, counter_items.pool_record(month)) for month in months]
        with readable(f"a minute pool of {organization_id}"):
            pools = map(counter_items.pool_of, self._tables.credit.get_snapshot(keys))
            found = {pool.month: pool for pool in pools}
        return {
            month: found.get(month, MinutePool(organization_id=organization_id, month=month))
            for month in months
        }

    def spend_counters(
        self, organization_id: str, keys: Collection[SpendKey]
    ) -> dict[SpendKey, SpendCounter]:
        records = map(counter_items.spending_record, keys)
        items = self._tables.credit.get_together(
            [credit_key(organization_id, record) for record in records]
        )
        with readable(f"the spending of {organization_id}"):
            return {counter.key: counter for counter in map(counter_items.spending_of, items)}

    def spend_changes(
        self, organization_id: str, *, after: int, until: int
    ) -> Mapping[int, Sequence[SpendChange]]:
        items = self._tables.credit.items_of(
            organization_id,
            first=counter_items.correction_record(after + 1),
            last=counter_items.correction_record(until),
        )
        with readable(f"the corrections of {organization_id}"):
            return dict(map(counter_items.correction_of, items))

    def reservations(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation]:
        keys = [call_items.call_key(organization_id, call_id) for call_id in call_ids]
        items = self._tables.usage.get_together(keys)
        with readable(f"the calls of {organization_id}"):
            return {
                item["callId"]["S"]: call_items.reservation_of(item)
                for item in items
                if call_items.OUTCOME not in item
            }

    def reported_calls(self, organization_id: str, *, due_by: datetime) -> Iterator[str]:
        items = self._tables.usage.query(
            "organizationId = :organization AND chargeAt <= :due",
            {":organization": organization_id, ":due": whole_seconds(due_by)},
            IndexName=call_items.REPORTED_INDEX,
        )
        for item in items:
            yield item["callId"]["S"]

    def pool_months(self, organization_id: str, since: Month) -> Sequence[Month]:
        first = counter_items.pool_record(since)
        return [pool.month for pool in self._pools(organization_id, first)]

    def unsettled_months(self, organization_id: str) -> Sequence[Month]:
        return [pool.month for pool in self._pools(organization_id) if pool.unsettled is not None]

    def _pools(self, organization_id: str, first: str = "") -> list[MinutePool]:
        items = self._tables.credit.items_of(organization_id, counter_items.POOL, first=first)
        with readable(f"the minute pools of {organization_id}"):
            return list(map(counter_items.pool_of, items))

    def opened_lots(self, organization_id: str, lot_ids: Collection[str]) -> Mapping[str, Lot]:
        entries = {lot_id: self.entry(organization_id, lot_id) for lot_id in lot_ids}
        return {lot_id: entry.opens for lot_id, entry in entries.items() if entry and entry.opens}

    def entry(self, organization_id: str, entry_id: str) -> LedgerEntry | None:
        with readable(f"the ledger of {organization_id}"):
            item = self._tables.credit.get(entry_key(organization_id, entry_id))
            return entry_in(item) if item else None

    def further_lots(self, organization_id: str) -> Lots:
        return self._lots(organization_id, account_items.FURTHER_LOT)

    def expired_lots(self, organization_id: str, *, since: datetime) -> Lots:
        prefix = account_items.EXPIRED_LOT
        lots = self._lots(organization_id, prefix, first=f"{prefix}{sortable(since)}")
        return tuple(lot for lot in lots if lot.expires_at > since)

    def _lots(self, organization_id: str, prefix: str, *, first: str = "") -> Lots:
        items = self._tables.credit.items_of(organization_id, prefix, first=first)
        with readable(f"the lots of {organization_id}"):
            return tuple(map(account_items.lot_of, items))

    def bought(self, organization_id: str, purchase_id: str) -> BoughtCredit | None:
        # Imported where it is needed: bridges wait for authorizations, which charge nothing back.
        from perminute.domain.credit.booking import BoughtCredit  # noqa: PLC0415

        identity = EventIdentity(IdentityKind.PURCHASE, organization_id, purchase_id)
        event = self.processed_event(identity)
        entry = event and event.entry_id and self.entry(organization_id, event.entry_id)
        if not entry or entry.opens is None:
            return None
        credit = self._tables.credit
        with readable(f"purchase {purchase_id} of {organization_id}"):
            before = credit.get(chargeback_key(organization_id, purchase_id))
            record = account_items.expired_lot_record(entry.opens)
            expired = credit.get(credit_key(organization_id, record))
            return BoughtCredit(
                purchase_id=purchase_id,
                lot_id=entry.opens.lot_id,
                amount_micros=entry.amount_micros,
                charged_back_micros=int(before["amountMicros"]["N"]) if before else 0,
                forfeited=account_items.lot_of(expired) if expired else None,
            )

    def processed_event(self, key: EventIdentity) -> ProcessedEvent | None:
        item = self._tables.credit.get(event_key(key))
        return None if item is None else event_of(key, item)

    def organizations(self, *, due_by: datetime | None = None) -> Iterator[str]:
        items = self._tables.credit.query(*_listed(due_by), IndexName=account_items.ACCOUNTS_INDEX)
        for item in items:
            yield item["organizationId"]["S"]

    def listed_organizations(
        self, *, limit: int, due_by: datetime | None = None, after: str | None = None
    ) -> ListedOrganizations:
        """List a page: `after` is the key of the index at which the one before ended."""
        start = {"ExclusiveStartKey": json.loads(after)} if after is not None else {}
        page = self._tables.credit.page(
            *_listed(due_by), IndexName=account_items.ACCOUNTS_INDEX, Limit=limit, **start
        )
        return ListedOrganizations(
            [item["organizationId"]["S"] for item in page.items],
            json.dumps(page.last_key) if page.last_key else None,
        )

    def statement(self, organization_id: str) -> Statement:
        """Read the account first, then no entries but those it counts.

        Pools are read before the calls and after them, and left out if they differ: then they
        were being drawn on.
        """
        # Imported where it is needed: bridges wait for authorizations, which reconcile nothing.
        from perminute.adapters.dynamodb.books import DynamoDBBooks  # noqa: PLC0415
        from perminute.domain.reconciliation.reconciliation import Statement  # noqa: PLC0415

        account = self.account(organization_id)
        last = entry_id(account.entries)
        pools = self._pools(organization_id)
        entries: list[LedgerEntry] = []
        charges_micros: Counter[str | None] = Counter()
        pool_minutes: Counter[Month] = Counter()
        for _, part in DynamoDBBooks(self._tables).parts(organization_id):
            if isinstance(part, LedgerEntry):
                entries += [part] if part.entry_id <= last else []
                continue
            for entry, micros in part.movements:
                if entry is None or entry <= last:
                    charges_micros[entry] += micros
            if part.month is not None:
                pool_minutes[part.month] += part.pool_minutes
        again = {pool.month: pool for pool in self._pools(organization_id)}
        return Statement(
            account=account,
            further=self.further_lots(organization_id),
            entries=tuple(sorted(entries, key=attrgetter("entry_id"))),
            charges_micros=charges_micros,
            pools=tuple(pool for pool in pools if again.get(pool.month) == pool),
            pool_minutes=pool_minutes,
        )


def _listed(due_by: datetime | None) -> tuple[str, dict[str, str]]:
    if due_by is None:
        return "listedAs = :account", {":account": account_items.ACCOUNT}
    return (
        "listedAs = :account AND dueAt <= :due",
        {":account": account_items.ACCOUNT, ":due": whole_seconds(due_by)},
    )
