"""Records what was really written, published and queued, whatever the functions were answered.

Each transaction is checked against the one before it as it takes effect: what is wrong for a
moment is wrong, even if it comes right later.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.dynamodb.account_items import ACCOUNT
from perminute.adapters.dynamodb.counter_items import POOL
from perminute.adapters.notification_documents import document_of
from perminute.domain.authorization.reservations import PaidBy
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType
from perminute_local.simulation.invariants import writes
from perminute_local.simulation.invariants.balance import Recharges, Thresholds
from perminute_local.simulation.invariants.digests import Digests, is_to_be_counted
from perminute_local.simulation.invariants.forecasts import Forecasts
from perminute_local.simulation.invariants.posted import Posted
from perminute_local.simulation.invariants.records import RecordLog
from perminute_local.simulation.redeliveries import RecordedRedeliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.pools.pools import MinutePool
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.messaging import Announcement
    from perminute_local.simulation.invariants.invariant import Broken

RESERVING = frozenset({PaidBy.CREDITS, PaidBy.POOL, PaidBy.POOL_AND_CREDITS})
"""Who pays for a call that has reserved something."""
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

CallKey = tuple[str, str]
"""Organization and call id."""


class Refusal(NamedTuple):
    """A refused message, in a dead-letter queue."""

    queue: str
    reason: str
    body: str


class QueuedWork(NamedTuple):
    """Work of a daily run, in its queue."""

    queue: str
    body: str


@dataclass
class Reports:
    """What a bridge has reported of a call: all totals that are possible, and when it reported.

    A report that was never answered may have been taken or not.
    """

    totals: set[int] = field(default_factory=lambda: {0})
    times: set[datetime] = field(default_factory=set)
    _before: tuple[frozenset[int], frozenset[datetime]] = (frozenset({0}), frozenset())
    _sequence: int = 0
    _tries: set[datetime] = field(default_factory=set)

    def send(
        self, sequence: int, seconds: int, at: datetime, *, answered: bool, is_total: bool
    ) -> None:
        """Record a report that was sent, perhaps again: seconds in all, or since the one before."""
        if sequence != self._sequence:
            self._sequence, self._tries = sequence, set()
            self._before = frozenset(self.totals), frozenset(self.times)
        self._tries.add(at)
        totals, times = self._before
        with_it = {seconds if is_total else total + seconds for total in totals}
        self.totals = with_it if answered else with_it | totals
        self.times = self._tries if answered else self._tries | times


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditWrite:
    """One transaction about an organization's credit."""

    organization_id: str
    account: Account | None = None
    """None if it was only checked."""
    entries: Sequence[LedgerEntry] = ()
    decided: Sequence[Mapping[str, Any]] = ()
    """Notifications."""
    firsts: Sequence[Mapping[str, Any]] = ()
    """Notifications of the first calls of their day."""
    usages: Sequence[Usage] = ()
    """The records of calls, new or changed."""
    new_usages: Sequence[Usage] = ()
    pools: Sequence[MinutePool] = ()

    @property
    def ended_ids(self) -> set[str]:
        """New calls, by a `Call Ended`."""
        return {usage.call.call_id for usage in self.new_usages if not usage.reported_by_bridge}

    @property
    def reported_ids(self) -> set[str]:
        """New calls, by the reports of their bridges."""
        return {usage.call.call_id for usage in self.new_usages if usage.reported_by_bridge}


@dataclass
class WriteRecorder:
    """All that took effect until now, and what the simulator has not handled yet."""

    clock: Callable[[], datetime] = lambda: _LONG_AGO
    on_published: Callable[[Sequence[Mapping[str, Any]]], None] = lambda _: None
    broken: list[Broken] = field(default_factory=list)

    # What the simulator takes and delivers.
    stream: list[dict[str, Any]] = field(default_factory=list)
    rerating_requests: list[tuple[str, datetime | None]] = field(default_factory=list)
    """Organizations, and not before when, if that was requested."""
    queued: list[QueuedWork] = field(default_factory=list)
    redeliveries: RecordedRedeliveries = field(default_factory=RecordedRedeliveries)
    changed: set[str] = field(default_factory=set)
    """Organizations whose books were not checked since."""

    posted: Posted = field(default_factory=Posted)
    records: RecordLog = field(default_factory=RecordLog)

    # Credit.
    accounts: dict[str, Account] = field(default_factory=dict)
    due_at: datetime | None = None
    """When time alone next changes an account."""
    authorizing: set[str] = field(default_factory=set)
    """Organizations all of whose calls are authorized: they stay above zero, unless excused."""
    excused: set[str] = field(default_factory=set)
    expired_at: dict[str, datetime] = field(default_factory=dict)
    """When credit of an organization expired last."""

    # Calls that were authorized.
    reserved_until: dict[CallKey, datetime] = field(default_factory=dict)
    """When the end of a call must have arrived for its organization to stay above zero."""
    fully_reported: set[CallKey] = field(default_factory=set)
    """Calls whose end may arrive as late as it likes, unless credit has expired since."""
    by_reports: dict[CallKey, bool] = field(default_factory=dict)
    """Whether a call is charged by what its bridge reported, since no end has arrived yet."""
    reports: defaultdict[CallKey, Reports] = field(default_factory=lambda: defaultdict(Reports))
    versions: list[str] = field(default_factory=list)
    """Of rate cards that were put in force."""
    cards_of: dict[CallKey, frozenset[str]] = field(default_factory=dict)
    """By which versions a call may be priced that has reserved something."""

    # Notifications.
    refused: list[Refusal] = field(default_factory=list)
    decided: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    published: Counter[str] = field(default_factory=Counter)
    recorded_with: list[tuple[Mapping[str, Any], Usage]] = field(default_factory=list)
    """Notifications of calls, each with the record that was written with it."""
    names: defaultdict[str, list[str | None]] = field(default_factory=lambda: defaultdict(list))
    """Of organizations, in the order in which notifications were published with them."""
    of_new_calls: set[str] = field(default_factory=set)
    """Notifications that were decided with the charge of their call."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    recharges: Recharges = field(default_factory=Recharges)
    forecasts: Forecasts = field(default_factory=Forecasts)
    digests: Digests = field(default_factory=Digests)

    _sequence: int = 0
    _unsettled: set[tuple[str, str]] = field(default_factory=set)
    _watchers: list[tuple[str, list[Account]]] = field(default_factory=list)

    @contextmanager
    def watched(self, organization_id: str) -> Iterator[list[Account]]:
        """Yield what an organization's account is, to which all is added that it becomes."""
        accounts = [self._account(organization_id)]
        self._watchers.append((organization_id, accounts))
        yield accounts
        self._watchers.pop()

    def _account(self, organization_id: str) -> Account:
        return self.accounts.get(organization_id) or Account(organization_id=organization_id)

    def authorize(self, key: CallKey, paid_by: str) -> None:
        """Record that a call was authorized by a rate card of now or before."""
        if paid_by in RESERVING:
            self.cards_of[key] = frozenset(self.versions)

    # ── Transactions ─────────────────────────────────────────────────────────────────────────

    def write(self, write: CreditWrite) -> None:
        """Record a transaction that took effect."""
        who = write.organization_id
        self.changed.add(who)
        self.posted.add(write)
        self.broken += writes.by_our_clock(self, write)
        if any(entry.type is EntryType.EXPIRY for entry in write.entries):
            self.expired_at[who] = self.clock()
        ends = [usage for usage in write.usages if self._is_end(usage, write)]
        if any(self._comes_too_late(usage, write) for usage in ends):
            self.excused.add(who)
        self.by_reports |= {(who, one.call.call_id): one.reported_by_bridge for one in write.usages}
        self.broken += writes.priced_by_its_card(self, write)
        before = self._account(who)
        after = write.account or before
        if write.account is not None:
            self._write_account(before, write.account, write.entries)
        self.broken += self.thresholds.record(before, after, write)
        self.broken += self.forecasts.record(after, write.decided)
        self.recharges.configure(before, after)
        for document in write.decided:
            self.broken += self.recharges.notify(before, after, document)
        self._decide(write)

    def _write_account(
        self, before: Account, after: Account, entries: Sequence[LedgerEntry]
    ) -> None:
        self.accounts[after.organization_id] = after
        for name, accounts in self._watchers:
            if name == after.organization_id:
                accounts.append(after)
        due = (
            at
            for account in self.accounts.values()
            for at in (account.due_at, account.digests_due_at)
            if at is not None
        )
        self.due_at = min(due, default=None)
        self.broken += writes.books_agree(before, after, entries)
        if after.organization_id not in self.excused:
            self.broken += writes.stays_above_zero(after, self.authorizing)

    def _decide(self, write: CreditWrite) -> None:
        at = self.clock()
        self.digests.record(write.usages, at)
        for document in filter(is_to_be_counted, write.decided):
            self.digests.decide(document)
        decided = [document for document in write.decided if not is_to_be_counted(document)]
        for documents, is_first in ((write.firsts, True), (decided, False)):
            for document in documents:
                self.broken += self.digests.notify(document, at, is_first=is_first)
                self.broken += writes.decided_once(document, self.decided)
                self.decided[document["id"]] = document
        usages, ended_ids = {u.call.call_id: u for u in write.usages}, write.ended_ids
        for document in write.decided:
            call_id = document.get("callId")
            if call_id in usages:
                self.recorded_with.append((document, usages[call_id]))
            if call_id in ended_ids:
                self.of_new_calls.add(document["id"])

    def _is_end(self, usage: Usage, write: CreditWrite) -> bool:
        """Return whether a call is charged, or its end corrects what its bridge reported."""
        key = usage.call.organization_id, usage.call.call_id
        corrects = self.by_reports.get(key, False) and not usage.reported_by_bridge
        return corrects or any(usage.call.call_id == new.call.call_id for new in write.new_usages)

    def _comes_too_late(self, usage: Usage, write: CreditWrite) -> bool:
        """Return whether a call is charged when what it may cost need not be there any more."""
        key = usage.call.organization_id, usage.call.call_id
        until = self.reserved_until.get(key)
        if until is None or self.clock() <= until:
            return False
        is_reported = key in self.fully_reported or usage.reported_by_bridge
        expired_at = self.expired_at.get(write.organization_id)
        return not is_reported or (expired_at is not None and expired_at > until)

    # ── The stream, and what is published ────────────────────────────────────────────────────

    def put(self, item: Item, *, is_new: bool) -> None:
        """Record an item of the credit table that was put: its stream delivers it."""
        if item["record"]["S"] == ACCOUNT:
            return
        if item["record"]["S"].startswith(POOL):
            self._put_pool(item)
        self._sequence += 1
        self.stream.append(
            {
                "eventID": str(self._sequence),
                "eventName": "INSERT" if is_new else "MODIFY",
                "eventSource": "aws:dynamodb",
                "dynamodb": {
                    "Keys": {name: item[name] for name in ("organizationId", "record")},
                    "NewImage": item,
                    "ApproximateCreationDateTime": self.clock().timestamp() // 1,
                    "SequenceNumber": str(self._sequence),
                },
            }
        )

    def _put_pool(self, item: Item) -> None:
        pool = item["organizationId"]["S"], item["record"]["S"]
        if "unsettled" not in item:
            self._unsettled.discard(pool)
        elif pool not in self._unsettled:
            self._unsettled.add(pool)
            self.broken += writes.settled_soon(pool, item)

    def publish(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Record notifications that were published."""
        self.published.update(document["id"] for document in documents)
        for document in documents:
            shown = json.loads(document["document"])
            self.broken += writes.decided(document, shown, self.decided)
            self.names[shown["organizationId"]].append(shown.get("organizationName"))
            self.broken += writes.printable(shown)
        self.on_published(documents)


def documents_of(announcements: Sequence[Announcement]) -> list[Mapping[str, Any]]:
    """Return announcements as they are recorded when they are published."""
    return [
        {
            "id": announcement.id,
            "type": announcement.notification.type,
            "document": json.dumps(document_of(announcement)),
        }
        for announcement in announcements
    ]
