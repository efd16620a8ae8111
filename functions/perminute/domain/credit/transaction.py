"""What one database transaction writes for an organization, and why it may write nothing."""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import EntryType, day_listed_with
from perminute.domain.credit.lots import NO_LOT_ITEMS, LotItems
from perminute.domain.errors import Contended, PerminuteError
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.postings import ListedUsage, Posting, RevisedUsage, Revision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
    from datetime import date, datetime

    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.booking import Chargeback
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.limits.spending import SpendChange, SpendCounter
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.pools.pools import MinutePool, Month, PoolStep
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.rerating.rerating import Rerating

MAX_ITEMS_PER_TRANSACTION = 100
"""The limit of DynamoDB (AWS: TransactWriteItems); docs/architecture.md says what uses it."""

MAX_CORRELATION_ID = 64
"""Characters of an id by which logs and notifications of an event are found; longer ones are cut.
Those of EventBridge, Lambda and API Gateway have 36 at most."""

ERASED_CONTENT = '{"erased": true}'
"""Stands for the content of an event that was erased: only that it was processed remains."""


class IdentityKind(StrEnum):
    """What identifies an event permanently (docs/events.md), within its organization."""

    EVENT = "event"  # unique everywhere
    CHANGE = "change"  # a `changeId`, which may read like an event's id
    PURCHASE = "purchase"
    ADJUSTMENT = "adjustment"
    RECHARGE = "recharge"  # a recharge that was paid: by one purchase, whatever its id
    RECHARGE_FAILURE = "rechargeFailure"
    RECORDS_COMPARED = "recordsCompared"  # no event: an operator's records of a day
    STATEMENT_READY = "statementReady"  # no event: the statement of a month


class EventIdentity(NamedTuple):
    """The permanent identity of an event."""

    kind: IdentityKind
    organization_id: str
    id: str


class ProcessedEvent(NamedTuple):
    """The record of an event that was processed: the same event is not processed again."""

    key: EventIdentity
    content: str  # canonical JSON: equal if the event is repeated
    entry_id: str | None = None
    # Only of an event with a `changeId` and no `issuedAt`: the `time` of this copy.
    issued_at: datetime | None = None

    def is_earlier_than(self, recorded: ProcessedEvent) -> bool:
        """Whether this is a copy of the recorded event that was issued earlier."""
        if self.issued_at is None or recorded.issued_at is None:
            return False
        return self.content == recorded.content and self.issued_at < recorded.issued_at


class Causes(NamedTuple):
    """The ids of the events behind a transaction, or of the run if there is no event."""

    event_ids: tuple[str, ...] = ()
    of_calls: Mapping[str, str] = MappingProxyType({})  # call id to the event that reported it

    @property
    def last(self) -> str:
        """The event that completed the transaction; empty if none is known."""
        return self.event_ids[-1] if self.event_ids else ""

    def of(self, call_id: str | None) -> str:
        """Return the event that reported a call; of anything else, the last one."""
        return self.last if call_id is None else self.of_calls.get(call_id, self.last)


NO_CAUSES = Causes()


class Authorized(NamedTuple):
    """A call under way as it is to be recorded, and as it was read; None if it is new."""

    after: Reservation
    before: Reservation | None


class ReplacedUsage(NamedTuple):
    """The record of a call, and the one that replaces it."""

    before: Usage
    after: Usage

    @property
    def is_other_call(self) -> bool:
        """Whether lists contain the call with other times or another organizer, or not at all."""
        before, after = self
        was_free = before.outcome is Outcome.FREE
        return was_free or before.call.listing != after.call.listing

    @property
    def revised(self) -> RevisedUsage:
        """Both as reports show them."""
        return RevisedUsage(ListedUsage.of(self.before), ListedUsage.of(self.after))


class CallsOfDay(NamedTuple):
    """Calls of a transaction that ended on one UTC day, as they are listed together."""

    usages: Sequence[Usage]
    posting: Posting
    entry: LedgerEntry | None = None  # of their charge, if the list contains it
    is_again: bool = False  # they were recorded before, as their bridges had reported
    is_for_reports: bool = True  # else these find them in the list that listed them first


class Transaction(NamedTuple):
    """All that is written for an organization at once, unless its account has changed since."""

    before: Account
    after: Account  # `before` itself if nothing changes: then only its version is checked
    entries: tuple[LedgerEntry, ...] = ()
    notifications: tuple[Notification, ...] = ()  # published from the outbox after the commit
    usages: tuple[Usage, ...] = ()  # of calls that are new
    replaced: tuple[ReplacedUsage, ...] = ()  # of calls that are recorded
    pools: tuple[MinutePool, ...] = ()
    steps: Mapping[Month, PoolStep] = MappingProxyType({})  # pools to settle further
    spend_counters: tuple[SpendCounter, ...] = ()
    # What `replaced` changes in records of limits, under the number `after.corrections`.
    corrected: tuple[SpendChange, ...] = ()
    settled: tuple[Reservation, ...] = ()  # as they were read; `usages` replace them
    authorized: Authorized | None = None
    processed_events: tuple[ProcessedEvent, ...] = ()
    reratings: tuple[Rerating, ...] = ()  # carried out after the commit
    lots: LotItems = NO_LOT_ITEMS
    chargeback: Chargeback | None = None
    causes: Causes = NO_CAUSES  # named by the notifications

    @property
    def items(self) -> int:
        """How many items are written: the account, and everything beside it."""
        lists = list(self.lists)
        parts: tuple[Sized, ...] = (
            *(self.usages, self.replaced, lists, self.pools, self.spend_counters),
            *(self.processed_events, self.reratings, *self.lots, self.entries),
        )
        single = (self.authorized, self.chargeback, self.corrected, self.revision)
        beside = sum(map(len, parts)) + sum(map(bool, single))
        return 1 + beside - any(day.entry for day in lists) + len(self.outbox)

    @property
    def rerated(self) -> tuple[Usage, ...]:
        """The usages that replace recorded ones."""
        return tuple(replaced.after for replaced in self.replaced)

    @property
    def lists(self) -> Iterator[CallsOfDay]:
        """The calls that are listed, by the day on which they ended; none that are free."""
        if self.usages:
            yield from self._charged()
        if self.replaced:
            yield from self._listed_again()

    def _charged(self) -> Iterator[CallsOfDay]:
        by_day = _by_day(self.usages)
        charge = next((entry for entry in self.entries if entry.type is EntryType.CHARGE), None)
        listed_with = charge and day_listed_with(charge.at, charge.was_posted_at, by_day)
        for day, usages in by_day.items():
            entry = charge if day == listed_with else None
            yield CallsOfDay(usages, self._posting(charge), entry)

    def _listed_again(self) -> Iterator[CallsOfDay]:
        others = [replaced for replaced in self.replaced if replaced.is_other_call]
        for is_moved in (True, False):
            moved = (other for other in others if other.revised.is_moved is is_moved)
            for usages in _by_day(replaced.after for replaced in moved).values():
                posting = self._posting(self._correction)
                yield CallsOfDay(usages, posting, is_again=True, is_for_reports=is_moved)

    @property
    def revision(self) -> Revision | None:
        """What it changes of recorded calls, as reports show these; None if nothing."""
        if not self.replaced:
            return None
        both = (replaced.revised for replaced in self.replaced)
        revised = tuple(usage for usage in both if usage.before != usage.after)
        return Revision(self._posting(self._correction), revised) if revised else None

    @property
    def _correction(self) -> LedgerEntry | None:
        corrections = (e for e in self.entries if e.of_calls and e.type is not EntryType.CHARGE)
        return next(corrections, None)

    def _posting(self, entry: LedgerEntry | None) -> Posting:
        version, posted_at = self.after.version, self.after.as_of
        if posted_at is None:
            msg = f"nothing was ever booked for {self.after.organization_id}: it lists no calls"
            raise ValueError(msg)
        if entry is None:
            return Posting(version, posted_at)
        return Posting(version, posted_at, entry.entry_id, entry.at)

    @property
    def outbox(self) -> Sequence[tuple[Notification, ...]]:
        """The notifications, divided into the items of the outbox."""
        if not self.notifications:
            return ()
        # Few of the calls that are authorized notify anybody, so they need not import this.
        from perminute.domain.notifications.notifications import in_records  # noqa: PLC0415

        return in_records(self.notifications)


def _by_day(usages: Iterable[Usage]) -> Mapping[date, Sequence[Usage]]:
    by_day: defaultdict[date, list[Usage]] = defaultdict(list)
    for usage in usages:
        if usage.outcome is not Outcome.FREE:
            by_day[usage.call.ended_at.date()].append(usage)
    return by_day


class AccountChanged(Contended):
    """Nothing was written, since the account has changed: read it again and decide again."""

    def __init__(self, why: str = "the account kept changing") -> None:
        super().__init__(why)


class AlreadyExists(PerminuteError):  # noqa: N818 - an outcome of a commit, not a malfunction
    """Nothing was written, since some of the records exist: commit the others without them.

    `usages` and `reservations` are by call id; the charge did not release these `reservations`.
    """

    def __init__(
        self,
        usages: Mapping[str, Usage] | None = None,
        processed_events: Mapping[EventIdentity, ProcessedEvent] | None = None,
        reservations: Mapping[str, Reservation] | None = None,
    ) -> None:
        self.usages = usages or {}
        self.processed_events = processed_events or {}
        self.reservations = reservations or {}
        super().__init__([*self.usages, *self.processed_events, *self.reservations])


class TimelineFull(PerminuteError):  # noqa: N818 - an outcome of a commit, not a malfunction
    """Nothing was written: the timelines of these users (None: the organization) are full."""

    def __init__(self, subjects: frozenset[str | None]) -> None:
        super().__init__(subjects)
        self.subjects = subjects


class FactsFolded(PerminuteError):  # noqa: N818 - an outcome of a commit, not a malfunction
    """Nothing was written: facts from before these instants are folded, by user id."""

    def __init__(self, until: Mapping[str | None, datetime]) -> None:
        super().__init__(until)
        self.until = until
