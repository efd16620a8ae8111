"""The in-memory twin of the stores: the same promises, held by one lock.

Good for tests, simulations and whatever wants the real rules without a database.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from perminute.adapters.notification_documents import document_of
from perminute.domain.authorization.reservations import under_way_since
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.chargebacks import BoughtCredit
from perminute.domain.credit.lots import in_order
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    EventIdentity,
    FactsFolded,
    IdentityKind,
    TimelineFull,
)
from perminute.domain.errors import Unavailable
from perminute.domain.licensing.licensing import Licensing, Seats
from perminute.domain.licensing.timelines import MAX_FACTS, Timeline, fold
from perminute.domain.notifications.digests import CallToNotify
from perminute.domain.pools.pools import MinutePool, Month, month_of
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reconciliation.reconciliation import Statement
from perminute.ports import (
    CallList,
    CallPlace,
    CallRecord,
    CallUnderWay,
    ListedCall,
    ListedOrganizations,
    Rejection,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lot, Lots
    from perminute.domain.credit.transaction import Authorized, Causes, ProcessedEvent, Transaction
    from perminute.domain.licensing.licensing import LicensingChange
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.limits.spending import Spending, SpendingChange, SpendingKey
    from perminute.domain.notifications.digests import CallGroup, CountedCalls
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.rerating.rerating import Rerating
    from perminute.ports import Announcement


@dataclass
class InMemoryStore:
    """Accounts, ledgers, usage and licensing timelines: both stores in one, as in a transaction."""

    accounts: dict[str, Account] = field(default_factory=dict)
    entries: list[LedgerEntry] = field(default_factory=list)
    outbox: list[Notification] = field(default_factory=list)
    causes: dict[str, Causes] = field(default_factory=dict)
    """Of the notifications, by their ids."""
    calls_to_count: dict[tuple[str, str], CallRecord] = field(default_factory=dict)
    """Calls that a digest may count, by organization and record."""
    first_calls: dict[tuple[str, CallGroup], str] = field(default_factory=dict)
    """The first call of each group."""
    counted: dict[tuple[str, CallGroup], CountedCalls] = field(default_factory=dict)
    """What is counted of a group, and not sent."""
    listed: set[str] = field(default_factory=set)
    """Organizations whose account has been written, be it by licensing alone."""
    usages: dict[tuple[str, str], Usage] = field(default_factory=dict)
    under_way: dict[tuple[str, str], Reservation] = field(default_factory=dict)
    further: dict[tuple[str, str], Lot] = field(default_factory=dict)
    """Lots that are not in their account, by organization and lot."""
    expired: dict[tuple[str, str], Lot] = field(default_factory=dict)
    chargebacks: dict[tuple[str, str], int] = field(default_factory=dict)
    """What was taken back of purchases, by organization and purchase; micro-units."""
    minute_pools: dict[tuple[str, Month], MinutePool] = field(default_factory=dict)
    spending: dict[tuple[str, SpendingKey], Spending] = field(default_factory=dict)
    corrected: dict[tuple[str, int], Sequence[SpendingChange]] = field(default_factory=dict)
    """What corrections changed for limits, by organization and number."""
    reratings: dict[tuple[str, str], Rerating] = field(default_factory=dict)
    processed_events: dict[EventIdentity, ProcessedEvent] = field(default_factory=dict)
    facts: defaultdict[tuple[str, str | None], set[Fact]] = field(
        default_factory=lambda: defaultdict(set)
    )
    """By organization and user the facts to which more are appended."""
    further_facts: defaultdict[tuple[str, str | None], frozenset[Fact]] = field(
        default_factory=lambda: defaultdict(frozenset)
    )
    """Those that were moved from there when a timeline was full."""
    folded_until: dict[tuple[str, str | None], datetime] = field(default_factory=dict)
    max_facts: int = MAX_FACTS
    _lock: Lock = field(default_factory=Lock)

    def account(self, organization_id: str) -> Account:
        with self._lock:
            return self._account(organization_id)

    def commit(self, transaction: Transaction) -> None:
        organization_id = transaction.before.organization_id
        with self._lock:
            known = AlreadyExists(
                {
                    usage.call.call_id: self.usages[organization_id, usage.call.call_id]
                    for usage in transaction.usages
                    if (organization_id, usage.call.call_id) in self.usages
                },
                self._known_receipts(transaction.processed_events),
                self._unsettled(transaction),
            )
            if known.usages or known.processed_events or known.reservations:
                raise known
            if self._account(organization_id).version != transaction.before.version:
                raise AccountChanged
            if transaction.authorized is not None and not self._holds_against(
                transaction.authorized
            ):
                raise AccountChanged
            if transaction.after is not transaction.before:
                self.accounts[organization_id] = transaction.after
                self.listed.add(organization_id)
            self.entries += transaction.entries
            self.outbox += transaction.notifications
            self.causes |= dict.fromkeys(
                (one.id for one in transaction.notifications), transaction.causes
            )
            self._keep_calls(transaction)
            for usage in (*transaction.usages, *transaction.rerated):
                self.usages[organization_id, usage.call.call_id] = usage
                self.under_way.pop((organization_id, usage.call.call_id), None)
            self._write_lots(transaction)
            for pool in transaction.pools:
                self.minute_pools[organization_id, pool.month] = pool
            for spending in transaction.spendings:
                self.spending[organization_id, spending.key] = spending
            if transaction.corrected:
                self.corrected[organization_id, transaction.after.corrections] = (
                    transaction.corrected
                )
            if transaction.authorized is not None:
                self._authorize(transaction.authorized)
            self._keep(transaction.processed_events)
            self._wait(transaction.reratings)

    def pools(self, organization_id: str, months: Collection[Month]) -> dict[Month, MinutePool]:
        with self._lock:
            return {
                month: self.minute_pools.get(
                    (organization_id, month),
                    MinutePool(organization_id=organization_id, month=month),
                )
                for month in months
            }

    def spendings(
        self, organization_id: str, keys: Collection[SpendingKey]
    ) -> dict[SpendingKey, Spending]:
        with self._lock:
            known = ((key, self.spending.get((organization_id, key))) for key in keys)
            return {key: spending for key, spending in known if spending is not None}

    def spending_changes(
        self, organization_id: str, *, after: int, until: int
    ) -> Mapping[int, Sequence[SpendingChange]]:
        with self._lock:
            return {
                number: changes
                for (name, number), changes in self.corrected.items()
                if name == organization_id and after < number <= until
            }

    def reservations(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation]:
        with self._lock:
            known = ((call, self.under_way.get((organization_id, call))) for call in call_ids)
            return {call: reservation for call, reservation in known if reservation is not None}

    def reported_calls(self, organization_id: str, *, due_by: datetime) -> Iterator[str]:
        with self._lock:
            due = sorted(
                (one.charge_at, call_id)
                for (name, call_id), one in self.under_way.items()
                if name == organization_id and one.charge_at and one.charge_at <= due_by
            )
        return iter([call_id for _, call_id in due])

    def read(self, organization_id: str, call_id: str) -> CallUnderWay:
        with self._lock:
            call = self._call(organization_id, call_id)
            return CallUnderWay(self._account(organization_id), call)

    def keep(self, authorized: Authorized) -> bool:
        with self._lock:
            if not self._holds_against(authorized):
                return False
            self._authorize(authorized)
            return True

    def calls_by_start(
        self, organization_id: str, *, limit: int, after: CallPlace | None = None
    ) -> Iterator[CallPlace]:
        with self._lock:
            places = sorted(
                CallPlace(since, call_id)
                for (name, call_id), one in self.under_way.items()
                if name == organization_id and (since := under_way_since(one)) is not None
            )
        return iter([one for one in places if after is None or one > after][:limit])

    def read_calls(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation | Usage]:
        with self._lock:
            known = ((one, self._call(organization_id, one)) for one in call_ids)
            return {call_id: call for call_id, call in known if call is not None}

    def pool_months(self, organization_id: str, since: Month) -> Sequence[Month]:
        with self._lock:
            return sorted(
                month
                for organization, month in self.minute_pools
                if organization == organization_id and month >= since
            )

    def unsettled_months(self, organization_id: str) -> Sequence[Month]:
        with self._lock:
            return sorted(
                month
                for (name, month), pool in self.minute_pools.items()
                if name == organization_id and pool.unsettled is not None
            )

    def opened_lots(self, organization_id: str, lot_ids: Collection[str]) -> Mapping[str, Lot]:
        with self._lock:
            return {
                entry.opens.lot_id: entry.opens
                for entry in self.entries
                if entry.organization_id == organization_id
                and entry.opens is not None
                and entry.opens.lot_id in lot_ids
            }

    def further_lots(self, organization_id: str) -> Lots:
        with self._lock:
            return self._further(organization_id)

    def expired_lots(self, organization_id: str, *, since: datetime) -> Lots:
        with self._lock:
            lots = [lot for (name, _), lot in self.expired.items() if name == organization_id]
        lots.sort(key=lambda lot: (lot.expires_at, lot.lot_id))
        return tuple(lot for lot in lots if lot.expires_at > since)

    def bought(self, organization_id: str, purchase_id: str) -> BoughtCredit | None:
        key = EventIdentity(IdentityKind.PURCHASE, organization_id, purchase_id)
        with self._lock:
            processed_event = self.processed_events.get(key)
            for entry in self.entries:
                named = (entry.organization_id, entry.entry_id)
                if (
                    processed_event
                    and named == (organization_id, processed_event.entry_id)
                    and entry.opens
                ):
                    lot_id = entry.opens.lot_id
                    return BoughtCredit(
                        purchase_id=purchase_id,
                        lot_id=lot_id,
                        amount_micros=entry.amount_micros,
                        charged_back_micros=self.chargebacks.get((organization_id, purchase_id), 0),
                        forfeited=self.expired.get((organization_id, lot_id)),
                    )
        return None

    def usages_of(self, organization_id: str) -> list[Usage]:
        """Give all that is recorded of an organization's calls."""
        with self._lock:
            return [u for (name, _), u in self.usages.items() if name == organization_id]

    def waiting(self, organization_id: str) -> Sequence[Rerating]:
        with self._lock:
            keys = sorted(self.reratings)
            return [self.reratings[key] for key in keys if key[0] == organization_id]

    def proceed(self, rerating: Rerating) -> bool:
        return self.merge(rerating, ())

    def merge(self, merged: Rerating, absorbed: Sequence[Rerating]) -> bool:
        with self._lock:
            if not all(map(self._is_at, (merged, *absorbed))):
                return False
            for one in absorbed:
                del self.reratings[one.organization_id, one.rerating_id]
            self._wait([replace(merged, steps=merged.steps + 1)])
            return True

    def finish(self, rerating: Rerating) -> bool:
        with self._lock:
            if not self._is_at(rerating):
                return False
            del self.reratings[rerating.organization_id, rerating.rerating_id]
            return True

    def organizations_waiting(self) -> Iterator[str]:
        with self._lock:
            rerated = {name for name, _ in self.reratings}
            pools = self.minute_pools.items()
            unsettled = {name for (name, _), pool in pools if pool.unsettled is not None}
        return iter(sorted(rerated | unsettled))

    def processed_event(self, key: EventIdentity) -> ProcessedEvent | None:
        with self._lock:
            return self.processed_events.get(_identity(key))

    def organizations(self, *, due_by: datetime | None = None) -> Iterator[str]:
        with self._lock:
            accounts = [self.accounts[organization_id] for organization_id in sorted(self.listed)]
        return iter([a.organization_id for a in accounts if _is_listed(a, due_by)])

    def listed_organizations(
        self, *, limit: int, due_by: datetime | None = None, after: str | None = None
    ) -> ListedOrganizations:
        names = [one for one in self.organizations(due_by=due_by) if after is None or one > after]
        page = names[:limit]
        return ListedOrganizations(page, page[-1] if len(names) > limit else None)

    def statement(self, organization_id: str) -> Statement:
        with self._lock:
            charges_micros: Counter[str | None] = Counter()
            pool_minutes: Counter[Month] = Counter()
            for (organization, _), usage in self.usages.items():
                if organization == organization_id:
                    for entry, micros in usage.movements:
                        charges_micros[entry] += micros
                    if usage.pool_minutes:
                        pool_minutes[month_of(usage.call)] += usage.pool_minutes
            pools = self.minute_pools.items()
            return Statement(
                account=self._account(organization_id),
                further=self._further(organization_id),
                entries=tuple(e for e in self.entries if e.organization_id == organization_id),
                charges_micros=charges_micros,
                pools=tuple(pool for (name, _), pool in pools if name == organization_id),
                pool_minutes=pool_minutes,
            )

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        with self._lock:
            return Licensing(
                self._timeline(organization_id, None),
                {user_id: self._timeline(organization_id, user_id) for user_id in user_ids},
            )

    def seats(self, account: Account) -> Seats:
        with self._lock:
            users = [key for key in self.facts if key[0] == account.organization_id and key[1]]
            return Seats([self._timeline(*key) for key in users])

    def record(
        self,
        organization_id: str,
        changes: Sequence[tuple[LicensingChange, ProcessedEvent]],
        rerating: Rerating | None = None,
    ) -> None:
        with self._lock:
            known = self._known_receipts([processed_event for _, processed_event in changes])
            if known:
                raise AlreadyExists(processed_events=known)
            if folded := self._folded(organization_id, changes):
                raise FactsFolded(folded)
            full = self._full(organization_id, changes)
            if full:
                raise TimelineFull(full)
            for change, _ in changes:
                self.facts[organization_id, change.user_id] |= set(change.facts)
            self._keep([processed_event for _, processed_event in changes])
            self._wait([] if rerating is None else [rerating])
            account = self._account(organization_id)
            self.listed.add(organization_id)
            self.accounts[organization_id] = replace(
                account,
                version=account.version + 1,
                licensing_version=account.licensing_version + 1,
                user_facts=account.user_facts
                + sum(len(change.facts) for change, _ in changes if change.user_id is not None),
            )

    def roll_over(
        self, organization_id: str, user_id: str | None, *, fold_before: datetime
    ) -> None:
        key = organization_id, user_id
        with self._lock:
            facts = self.further_facts[key] | self.facts[key]
            kept = fold(facts, fold_before)
            self.further_facts[key] = kept
            self.facts[key] = set()
            left_out = len(facts) - len(kept)
            if left_out:
                self.folded_until[key] = max(fold_before, self.folded_until.get(key, fold_before))
                account = self._account(organization_id)
                self.accounts[organization_id] = replace(
                    account,
                    version=account.version + 1,
                    licensing_version=account.licensing_version + 1,
                    user_facts=account.user_facts - (left_out if user_id is not None else 0),
                )

    def _timeline(self, organization_id: str, user_id: str | None) -> Timeline:
        key = organization_id, user_id
        return Timeline(self.further_facts[key] | self.facts[key])

    def _call(self, organization_id: str, call_id: str) -> Reservation | Usage | None:
        key = (organization_id, call_id)
        return self.usages.get(key) or self.under_way.get(key)

    def _account(self, organization_id: str) -> Account:
        return self.accounts.get(organization_id, Account(organization_id=organization_id))

    def _further(self, organization_id: str) -> Lots:
        return in_order(lot for (name, _), lot in self.further.items() if name == organization_id)

    def _write_lots(self, transaction: Transaction) -> None:
        organization_id, (stored, removed, forfeited) = (
            transaction.before.organization_id,
            transaction.lots,
        )
        for lot in removed:
            self.further.pop((organization_id, lot.lot_id), None)
        self.further |= {(organization_id, lot.lot_id): lot for lot in stored}
        self.expired |= {(organization_id, lot.lot_id): lot for lot in forfeited}
        if transaction.chargeback is not None:
            key = organization_id, transaction.chargeback.purchase_id
            self.chargebacks[key] = transaction.chargeback.amount_micros

    def _keep_calls(self, transaction: Transaction) -> None:
        for some in transaction.outbox:
            if some[0].counted_on is not None:
                key = f"{some[0].counted_on}#{transaction.after.version:012d}#{some[0].id}"
                calls = (CallToNotify(one, transaction.causes.of(one.call_id)) for one in some)
                organization_id = transaction.before.organization_id
                self.calls_to_count[organization_id, key] = CallRecord(key, tuple(calls))

    def _unsettled(self, transaction: Transaction) -> dict[str, Reservation]:
        """Find calls that hold something which the transaction does not give back as it stands."""
        settled = {one.call.call_id: one.sequence for one in transaction.settled if one.held}
        found: dict[str, Reservation] = {}
        for usage in transaction.usages:
            call = usage.call
            reservation = self.under_way.get((call.organization_id, call.call_id))
            if reservation is None:
                continue
            known = settled.get(call.call_id)
            if known != reservation.sequence if known is not None else reservation.held:
                found[call.call_id] = reservation
        return found

    def _holds_against(self, authorized: Authorized) -> bool:
        call = authorized.after.call
        key = (call.organization_id, call.call_id)
        known = self.under_way.get(key)
        if authorized.before is None or known is None:
            return authorized.before is None and known is None and key not in self.usages
        return known.sequence == authorized.before.sequence

    def _authorize(self, authorized: Authorized) -> None:
        call = authorized.after.call
        self.under_way[call.organization_id, call.call_id] = authorized.after

    def _known_receipts(
        self, processed_events: Sequence[ProcessedEvent]
    ) -> dict[EventIdentity, ProcessedEvent]:
        return {
            processed_event.key: self.processed_events[_identity(processed_event.key)]
            for processed_event in processed_events
            if _identity(processed_event.key) in self.processed_events
            and not processed_event.is_earlier_than(
                self.processed_events[_identity(processed_event.key)]
            )
        }

    def _keep(self, processed_events: Sequence[ProcessedEvent]) -> None:
        self.processed_events |= {
            _identity(processed_event.key): processed_event for processed_event in processed_events
        }

    def _wait(self, reratings: Sequence[Rerating]) -> None:
        self.reratings |= {(one.organization_id, one.rerating_id): one for one in reratings}

    def _is_at(self, rerating: Rerating) -> bool:
        known = self.reratings.get((rerating.organization_id, rerating.rerating_id))
        return known is not None and known.steps == rerating.steps

    def _full(
        self, organization_id: str, changes: Sequence[tuple[LicensingChange, ProcessedEvent]]
    ) -> frozenset[str | None]:
        more = Counter[str | None]()
        for change, _ in changes:
            more[change.user_id] += len(change.facts)
        return frozenset(
            user_id
            for user_id, count in more.items()
            if self.facts[organization_id, user_id]
            and len(self.facts[organization_id, user_id]) + count > self.max_facts
        )

    def _folded(
        self, organization_id: str, changes: Sequence[tuple[LicensingChange, ProcessedEvent]]
    ) -> dict[str | None, datetime]:
        return {
            change.user_id: until
            for change, _ in changes
            if (until := self.folded_until.get((organization_id, change.user_id))) is not None
            and any(fact.effective_at < until for fact in change.facts)
        }


@dataclass
class InMemoryCalls:
    """`Calls` over the twin of the stores: here each call has a list of its own."""

    store: InMemoryStore

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        listed = (
            _listed(usage.call)
            for usage in self.store.usages_of(organization_id)
            if usage.outcome is not Outcome.FREE and usage.call.ended_at >= since
        )
        return iter(sorted(one for one in listed if after is None or one.key > after))

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        lists = self.lists(organization_id, since=since)
        return (one for one in lists if any(call.dial_out for call in one.calls))

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        usages = self.store.usages_of(organization_id)
        return [usage for usage in usages if usage.call.call_id in call_ids]


def _listed(call: Call) -> CallList:
    key = f"{call.ended_at.isoformat(timespec='microseconds')}#{call.call_id}"
    return CallList(key, (ListedCall.of(call),))


@dataclass
class PublishedRateCards:
    """The card in force, and those that were before."""

    card: RateCard
    former: dict[str, RateCard] = field(default_factory=dict)

    def publish(self, card: RateCard) -> None:
        """Have another card in force from now on."""
        self.former[self.card.version] = self.card
        self.card = card

    def current(self) -> RateCard:
        return self.card

    def version(self, version: str) -> RateCard:
        card = self.card if version == self.card.version else self.former.get(version)
        if card is None:
            msg = f"rate card {version} is not known"
            raise Unavailable(msg)
        return card


@dataclass
class AnnouncedNotifications:
    """A topic that remembers what was published; `refusing` names by id what it will not take."""

    announced: list[Announcement] = field(default_factory=list)
    refusing: Mapping[str, str] = field(default_factory=dict)

    def publish(self, announcements: Sequence[Announcement]) -> Sequence[Rejection]:
        self.announced += (one for one in announcements if one.id not in self.refusing)
        return [
            Rejection(one.id, self.refusing[one.id], json.dumps(document_of(one)))
            for one in announcements
            if one.id in self.refusing
        ]


@dataclass
class InMemoryReratingQueue:
    """Organizations that were to be woken, in that order."""

    woken: list[str] = field(default_factory=list)
    later: list[tuple[str, datetime]] = field(default_factory=list)
    """Those that were to be woken later, and when."""

    def wake(self, organization_ids: Collection[str]) -> None:
        self.woken += organization_ids

    def wake_later(self, instants: Mapping[str, datetime]) -> None:
        self.later += instants.items()


@dataclass
class KeptRejections:
    """Refused deliveries, in the order in which they were refused."""

    kept: list[Rejection] = field(default_factory=list)

    def keep(self, rejections: Sequence[Rejection]) -> None:
        self.kept += rejections


def _is_listed(account: Account, due_by: datetime | None) -> bool:
    listed_from = account.listed_from
    return due_by is None or (listed_from is not None and listed_from <= due_by)


def _identity(key: EventIdentity) -> EventIdentity:
    """An event id stands for itself, whichever organization it speaks of."""
    return replace(key, organization_id="") if key.kind is IdentityKind.EVENT else key
