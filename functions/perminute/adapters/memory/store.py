"""The in-memory twin of the stores: the same promises, held by one lock.

Good for tests, simulations and whatever wants the real rules without a database.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from perminute.adapters.memory.calls import CallRecords
from perminute.adapters.memory.licensing import LicensingRecords
from perminute.adapters.memory.postings import PostingRecords
from perminute.adapters.memory.records import ReratingRecords, identity_of, of, one_at_a_time
from perminute.domain.credit.booking import BoughtCredit
from perminute.domain.credit.lots import in_order
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    EventIdentity,
    IdentityKind,
)
from perminute.domain.notifications.digests import CallToNotify
from perminute.domain.pools.pools import MinutePool, Month, month_of
from perminute.domain.reconciliation.reconciliation import Statement
from perminute.ports.messaging import CallRecord
from perminute.ports.stores import ListedOrganizations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lot, Lots
    from perminute.domain.credit.transaction import ProcessedEvent, Transaction
    from perminute.domain.limits.spending import SpendChange, SpendCounter, SpendKey


@one_at_a_time
class InMemoryStore(CallRecords, LicensingRecords, PostingRecords, ReratingRecords):
    """Accounts, ledgers, usage and licensing timelines: all stores in one, as in a transaction."""

    def account(self, organization_id: str) -> Account:
        return self._account(organization_id)

    def commit(self, transaction: Transaction) -> None:
        organization_id = transaction.before.organization_id
        known = AlreadyExists(
            {
                usage.call.call_id: self.usages[organization_id, usage.call.call_id]
                for usage in transaction.usages
                if (organization_id, usage.call.call_id) in self.usages
            },
            self._known_events(transaction.processed_events),
            self._unsettled(transaction),
        )
        if known.usages or known.processed_events or known.reservations:
            raise known
        if self._has_changed(transaction):
            raise AccountChanged
        if transaction.after is not transaction.before:
            self.accounts[organization_id] = transaction.after
            self.listed.add(organization_id)
        self.entries += transaction.entries
        self.outbox += transaction.notifications
        self.causes |= dict.fromkeys(
            (notification.id for notification in transaction.notifications), transaction.causes
        )
        self._keep_calls(transaction)
        self._post(transaction)
        for usage in (*transaction.usages, *transaction.rerated):
            self.usages[organization_id, usage.call.call_id] = usage
            self.under_way.pop((organization_id, usage.call.call_id), None)
        self._write_lots(transaction)
        for pool in transaction.pools:
            self.minute_pools[organization_id, pool.month] = pool
        for spending in transaction.spend_counters:
            self.spending[organization_id, spending.key] = spending
        if transaction.corrected:
            self.corrected[organization_id, transaction.after.corrections] = transaction.corrected
        if transaction.authorized is not None:
            self._authorize(transaction.authorized)
        self._record(transaction.processed_events)
        self._wait(transaction.reratings)

    def pools(self, organization_id: str, months: Collection[Month]) -> dict[Month, MinutePool]:
        known = of(organization_id, self.minute_pools)
        empty = (MinutePool(organization_id=organization_id, month=month) for month in months)
        return {pool.month: known.get(pool.month, pool) for pool in empty}

    def spend_counters(
        self, organization_id: str, keys: Collection[SpendKey]
    ) -> dict[SpendKey, SpendCounter]:
        known = of(organization_id, self.spending)
        return {key: known[key] for key in keys if key in known}

    def spend_changes(
        self, organization_id: str, *, after: int, until: int
    ) -> Mapping[int, Sequence[SpendChange]]:
        corrected = of(organization_id, self.corrected)
        return {number: corrected[number] for number in corrected if after < number <= until}

    def pool_months(self, organization_id: str, since: Month) -> Sequence[Month]:
        months = of(organization_id, self.minute_pools)
        return sorted(month for month in months if month >= since)

    def unsettled_months(self, organization_id: str) -> Sequence[Month]:
        pools = of(organization_id, self.minute_pools)
        return sorted(month for month in pools if pools[month].unsettled is not None)

    def opened_lots(self, organization_id: str, lot_ids: Collection[str]) -> Mapping[str, Lot]:
        opened = (entry.opens for entry in self._entries(organization_id))
        return {lot.lot_id: lot for lot in opened if lot and lot.lot_id in lot_ids}

    def entry(self, organization_id: str, entry_id: str) -> LedgerEntry | None:
        lists = of(organization_id, self.lists).values()
        listed = {listed.entry.entry_id for listed in lists if listed.entry is not None}
        entries = {entry.entry_id: entry for entry in self._entries(organization_id)}
        return None if entry_id in listed else entries.get(entry_id)

    def further_lots(self, organization_id: str) -> Lots:
        return self._further(organization_id)

    def expired_lots(self, organization_id: str, *, since: datetime) -> Lots:
        lots = of(organization_id, self.expired).values()
        lots_since = (lot for lot in lots if lot.expires_at > since)
        return tuple(sorted(lots_since, key=lambda lot: (lot.expires_at, lot.lot_id)))

    def bought(self, organization_id: str, purchase_id: str) -> BoughtCredit | None:
        purchase = EventIdentity(IdentityKind.PURCHASE, organization_id, purchase_id)
        event = self.processed_events.get(purchase)
        for entry in self._entries(organization_id):
            if event and event.entry_id == entry.entry_id and entry.opens:
                return BoughtCredit(
                    purchase_id=purchase_id,
                    lot_id=entry.opens.lot_id,
                    amount_micros=entry.amount_micros,
                    charged_back_micros=self.chargebacks.get((organization_id, purchase_id), 0),
                    forfeited=self.expired.get((organization_id, entry.opens.lot_id)),
                )
        return None

    def processed_event(self, key: EventIdentity) -> ProcessedEvent | None:
        return self.processed_events.get(identity_of(key))

    def organizations(self, *, due_by: datetime | None = None) -> Iterator[str]:
        accounts = [self.accounts[organization_id] for organization_id in sorted(self.listed)]
        return iter([a.organization_id for a in accounts if _is_listed(a, due_by)])

    def listed_organizations(
        self, *, limit: int, due_by: datetime | None = None, after: str | None = None
    ) -> ListedOrganizations:
        names = [
            name for name in self.organizations(due_by=due_by) if after is None or name > after
        ]
        page = names[:limit]
        return ListedOrganizations(page, page[-1] if len(names) > limit else None)

    def statement(self, organization_id: str) -> Statement:
        charges_micros: Counter[str | None] = Counter()
        pool_minutes: Counter[Month] = Counter()
        for usage in of(organization_id, self.usages).values():
            for entry, micros in usage.movements:
                charges_micros[entry] += micros
            if usage.pool_minutes:
                pool_minutes[month_of(usage.call)] += usage.pool_minutes
        return Statement(
            account=self._account(organization_id),
            further=self._further(organization_id),
            entries=tuple(self._entries(organization_id)),
            charges_micros=charges_micros,
            pools=tuple(of(organization_id, self.minute_pools).values()),
            pool_minutes=pool_minutes,
        )

    def _entries(self, organization_id: str) -> list[LedgerEntry]:
        return [entry for entry in self.entries if entry.organization_id == organization_id]

    def _further(self, organization_id: str) -> Lots:
        return in_order(of(organization_id, self.further).values())

    def _write_lots(self, transaction: Transaction) -> None:
        organization_id = transaction.before.organization_id
        stored, removed, forfeited = transaction.lots
        for lot in removed:
            self.further.pop((organization_id, lot.lot_id), None)
        self.further |= {(organization_id, lot.lot_id): lot for lot in stored}
        self.expired |= {(organization_id, lot.lot_id): lot for lot in forfeited}
        if transaction.chargeback is not None:
            key = organization_id, transaction.chargeback.purchase_id
            self.chargebacks[key] = transaction.chargeback.amount_micros

    def _has_changed(self, transaction: Transaction) -> bool:
        version = self._account(transaction.before.organization_id).version
        authorized = transaction.authorized
        return (
            version != transaction.before.version
            or (authorized is not None and not self._holds_against(authorized))
            or any(map(self._content_has_changed, transaction.replaced))
        )

    def _keep_calls(self, transaction: Transaction) -> None:
        for some in transaction.outbox:
            if some[0].counted_on is not None:
                key = f"{some[0].counted_on}#{transaction.after.version:012d}#{some[0].id}"
                calls = (
                    CallToNotify(notification, transaction.causes.of(notification.call_id))
                    for notification in some
                )
                organization_id = transaction.before.organization_id
                self.calls_to_count[organization_id, key] = CallRecord(key, tuple(calls))


def _is_listed(account: Account, due_by: datetime | None) -> bool:
    listed_from = account.listed_from
    return due_by is None or (listed_from is not None and listed_from <= due_by)
