"""What was really written, published and sent, whatever the functions were told of it.

Each transaction is held against the one before it as it is made: what is wrong for a moment is
wrong, even if it comes right later.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.dynamodb.account_items import ACCOUNT
from perminute.adapters.dynamodb.counter_items import POOL
from perminute.adapters.notification_documents import document_of
from perminute.domain.authorization.reservations import PaidBy
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType
from perminute.domain.pools.pools import PoolStep, Position, month_of
from perminute.domain.values.money import format_micros
from perminute_local.simulation.digests import NotifiedCalls, is_to_be_counted
from perminute_local.simulation.recharges import Recharges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.pools.pools import MinutePool, Month
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports import Announcement


_OF_THE_BALANCE = {"LowBalance", "BalanceExhausted", "RechargeRequested"}
_OF_THE_OUTCOME = {"CallNotEntitled", "CallNotRated"}
RESERVING = frozenset({PaidBy.CREDITS, PaidBy.POOL, PaidBy.POOL_AND_CREDITS})
"""Who pays for a call that has reserved something."""
WOKEN = "who has an unsettled pool is woken"
OWN_CARD = "a call is priced by the card that it was authorized by"
OUR_CLOCK = "time is advanced by no clock but ours"
FOR_PEOPLE = {"organizationName", "subject", "text"}
"""What is added to the facts of a notification when it is published."""
READABLE = "what people are told is one line that can be printed"
_MINUTE, _QUARTER = timedelta(minutes=1), timedelta(minutes=15)


class Broken(NamedTuple):
    """A promise that does not hold, and how one sees it."""

    promise: str
    message: str


class Waits(NamedTuple):
    """Since when pools are unsettled, and from which balance a fall counts once they are settled.

    That is the one before, or a higher one after something was paid in; None once nothing waits.
    """

    since: datetime
    micros: int | None


class Kept(NamedTuple):
    """A refused delivery in a queue of dead letters."""

    queue: str
    reason: str
    body: str


class Sent(NamedTuple):
    """Work of a daily run in a queue."""

    queue: str
    body: str


@dataclass
class Reports:
    """What a bridge has reported of a call: all that it can add up to, and when the last one was.

    A report that was never answered may have been taken or not.
    """

    totals: set[int] = field(default_factory=lambda: {0})
    times: set[datetime] = field(default_factory=set)
    _before: tuple[frozenset[int], frozenset[datetime]] = (frozenset({0}), frozenset())
    _sequence: int = 0
    _tries: set[datetime] = field(default_factory=set)

    def send(
        self, sequence: int, seconds: int, at: datetime, *, answered: bool, in_all: bool = False
    ) -> None:
        """Take note of a report that was sent, perhaps once more.

        The seconds are those since the report before, or `in_all`.
        """
        if sequence != self._sequence:
            self._sequence, self._tries = sequence, set()
            self._before = frozenset(self.totals), frozenset(self.times)
        self._tries.add(at)
        totals, times = self._before
        with_it = {seconds if in_all else total + seconds for total in totals}
        self.totals = with_it if answered else with_it | totals
        self.times = self._tries if answered else self._tries | times


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One transaction about an organization's credit; no account if that was only checked."""

    organization_id: str
    account: Account | None = None
    entries: Sequence[LedgerEntry] = ()
    told: Sequence[Mapping[str, Any]] = ()
    firsts: Sequence[Mapping[str, Any]] = ()
    """What is told of the first calls of their day."""
    call_ids: Sequence[str] = ()
    """Of calls that have ended, and were recorded."""
    reported_ids: Sequence[str] = ()
    """Of calls that were recorded as their bridges reported them."""
    usages: Sequence[Usage] = ()
    """The records of calls as they were written, new or changed."""
    pools: Sequence[MinutePool] = ()


def _in_the_beginning() -> datetime:
    """Tell the time of a world that has not begun."""
    return datetime(2020, 1, 1, tzinfo=UTC)


def _unheard(_: Sequence[Mapping[str, Any]]) -> None:
    """Tell nobody."""


@dataclass
class Effects:
    """All that was done until now, and what the world has not taken note of yet.

    `promised` says until when the end of an authorized call must have reached us for its
    organization to stay above zero; an organization that is `excused` may fall below. Of calls that
    are `covered` all that they cost is reported: their end may be as late as it likes, unless
    credit has expired since.
    """

    stream: list[dict[str, Any]] = field(default_factory=list)
    woken: list[tuple[str, datetime | None]] = field(default_factory=list)
    """Organizations that were woken, and not before when, if that was said."""
    sent: list[Sent] = field(default_factory=list)
    """What daily runs have queued."""
    kept: list[Kept] = field(default_factory=list)
    announced: Counter[str] = field(default_factory=Counter)
    told: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    recorded_with: list[tuple[Mapping[str, Any], Usage]] = field(default_factory=list)
    """What was decided to be said of a call, and the record that was written with it."""
    names: defaultdict[str, list[str | None]] = field(default_factory=lambda: defaultdict(list))
    """What organizations were called in the notifications that were published, in this order."""
    of_new_calls: set[str] = field(default_factory=set)
    """The ids of those that are of a call and were decided with its charge."""
    crossings: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    accounts: dict[str, Account] = field(default_factory=dict)
    authorized: set[str] = field(default_factory=set)
    excused: set[str] = field(default_factory=set)
    promised: dict[tuple[str, str], datetime] = field(default_factory=dict)
    reports: defaultdict[tuple[str, str], Reports] = field(
        default_factory=lambda: defaultdict(Reports)
    )
    covered: set[tuple[str, str]] = field(default_factory=set)
    expired_at: dict[str, datetime] = field(default_factory=dict)
    """When credit of an organization expired last."""
    versions: list[str] = field(default_factory=list)
    """Of rate cards that were put in force until now."""
    priced: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """By which versions a call may be priced that was granted something for money or minutes."""
    broken: list[Broken] = field(default_factory=list)
    clock: Callable[[], datetime] = _in_the_beginning
    on_published: Callable[[Sequence[Mapping[str, Any]]], None] = _unheard
    unsettled: dict[tuple[str, Month], MinutePool] = field(default_factory=dict)
    waits_from: dict[str, Waits] = field(default_factory=dict)
    """Organizations of which some pool is unsettled: what they had when the first became so, or
    later if that was more."""
    changed: set[str] = field(default_factory=set)
    """Organizations whose books nobody has looked at since."""
    recharges: Recharges = field(default_factory=Recharges)
    calls: NotifiedCalls = field(default_factory=NotifiedCalls)
    due_at: datetime | None = None
    """When time alone next changes an account."""
    _sequence: int = 0
    _unsettled: set[tuple[str, str]] = field(default_factory=set)
    _watchers: list[tuple[str, list[Account]]] = field(default_factory=list)

    @contextmanager
    def watched(self, organization_id: str) -> Iterator[list[Account]]:
        """Yield what an organization's account is, to which all is added that it becomes."""
        unknown = Account(organization_id=organization_id)
        accounts = [self.accounts.get(organization_id, unknown)]
        self._watchers.append((organization_id, accounts))
        yield accounts
        self._watchers.pop()

    def posted(self, posted: Posted) -> None:
        """Take note of a transaction that took effect."""
        organization_id = posted.organization_id
        self.changed.add(organization_id)
        self.broken += self._ahead_of_time(posted)
        for entry in posted.entries:
            if entry.type is EntryType.EXPIRY:
                self.expired_at[organization_id] = self.clock()
        for call_id in (*posted.call_ids, *posted.reported_ids):
            if self._comes_too_late(organization_id, call_id, posted):
                self.excused.add(organization_id)
        self.broken += self._priced_otherwise(posted)
        before = self.accounts.get(organization_id, Account(organization_id=organization_id))
        if posted.account is not None:
            self.accounts[organization_id] = posted.account
            for name, accounts in self._watchers:
                if name == organization_id:
                    accounts.append(posted.account)
            self.due_at = min(
                (
                    at
                    for one in self.accounts.values()
                    for at in (one.due_at, one.digests_due_at)
                    if at is not None
                ),
                default=None,
            )
            self.broken += self._unsound(before, posted.account, posted.entries)
        self._cross(before, posted)
        self._request(before, posted)
        self.broken += self._told_too_early(posted)
        self._tell(posted)

    def _tell(self, posted: Posted) -> None:
        """Take note of what is decided to be published, or of a call to be counted."""
        self.calls.record(posted.usages, self.clock())
        for document in filter(is_to_be_counted, posted.told):
            self.calls.decide(document)
        told = [one for one in posted.told if not is_to_be_counted(one)]
        for document, is_first in (
            *((one, True) for one in posted.firsts),
            *((one, False) for one in told),
        ):
            for promise, why in self.calls.notify(document, self.clock(), is_first=is_first):
                self.broken.append(Broken(promise, why))
            if document["id"] in self.told:
                why = (
                    f"{document['type']} {document['id']} of {posted.organization_id} was decided "
                    "twice"
                )
                self.broken.append(Broken("one id for each crossing", why))
            self.told[document["id"]] = document
        self.recorded_with += _recorded_with(posted)
        called = (one for one in posted.told if one.get("callId") in posted.call_ids)
        self.of_new_calls.update(document["id"] for document in called)

    def _ahead_of_time(self, posted: Posted) -> Iterator[Broken]:
        """Find what is booked at an instant that has not come yet.

        A function that was overtaken may find what was booked a minute later than it began.
        """
        instants = [entry.at for entry in posted.entries]
        if posted.account is not None and posted.account.as_of is not None:
            instants.append(posted.account.as_of)
        if instants and max(instants) > self.clock() + _MINUTE:
            why = f"{posted.organization_id} is booked at {max(instants)}: it is {self.clock()}"
            yield Broken(OUR_CLOCK, why)

    def _comes_too_late(self, organization_id: str, call_id: str, posted: Posted) -> bool:
        """Return whether a call is charged when what it may cost need not be there any more."""
        until = self.promised.get((organization_id, call_id))
        if until is None or self.clock() <= until:
            return False
        is_covered = (organization_id, call_id) in self.covered or call_id in posted.reported_ids
        expired_at = self.expired_at.get(organization_id)
        return not is_covered or (expired_at is not None and expired_at > until)

    def authorized_by(self, key: tuple[str, str], paid_by: str) -> None:
        """Take note that a call was authorized by a rate card of now or before."""
        if paid_by in RESERVING:
            self.priced[key] = frozenset(self.versions)

    def _priced_otherwise(self, posted: Posted) -> Iterator[Broken]:
        """Find calls that were authorized by another rate card than they are priced by.

        Once what was granted has lapsed that is allowed, but not if what was reported is charged.
        """
        for usage in posted.usages:
            call, version = usage.call, usage.price.rate_card_version
            key = call.organization_id, call.call_id
            in_time = self.clock() <= self.promised.get(key, _in_the_beginning())
            if (
                key in self.priced
                and call.call_id in (posted.call_ids if in_time else posted.reported_ids)
                and call.connected_seconds
                and version not in self.priced[key]
            ):
                why = f"{call.call_id} is priced by {version}, which came after it had begun"
                yield Broken(OWN_CARD, why)

    def put(self, item: Item, *, is_new: bool) -> None:
        """Take note of an item of the credit table that was put: its stream tells of it."""
        if item["record"]["S"] == ACCOUNT:
            return
        if item["record"]["S"].startswith(POOL):
            self._pool_written(item)
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

    def _pool_written(self, item: Item) -> None:
        """A pool that becomes unsettled has its organization woken: the night may be long."""
        pool = item["organizationId"]["S"], item["record"]["S"]
        if "unsettled" not in item:
            self._unsettled.discard(pool)
        elif pool not in self._unsettled:
            self._unsettled.add(pool)
            if item.get("step") != {"S": PoolStep.FIRST.value}:
                why = f"{pool[1]} of {pool[0]} became unsettled, and nobody is woken to settle it"
                self.broken.append(Broken(WOKEN, why))

    def published(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Take note of notifications that were published."""
        self.announced.update(document["id"] for document in documents)
        for document in documents:
            shown = json.loads(document["document"])
            facts = {name: shown[name] for name in shown if name not in FOR_PEOPLE}
            if facts != self.told.get(document["id"]):
                why = f"{document['type']} {document['id']} was published and never decided so"
                self.broken.append(Broken("only what was committed is told", why))
            self.names[shown["organizationId"]].append(shown.get("organizationName"))
            self.broken += _unreadable(shown)
        self.on_published(documents)

    def _unsound(
        self, before: Account, after: Account, entries: Sequence[LedgerEntry]
    ) -> Iterator[Broken]:
        """Hold an account against what it was before, and against what its lots and debt make."""
        who = after.organization_id
        made_micros = before.balance_micros + sum(entry.amount_micros for entry in entries)
        if after.balance_micros != made_micros:
            yield _differs(who, after.balance_micros, "its entries make", made_micros)
        held_micros = after.lots_micros - after.debt_micros
        if after.balance_micros != held_micros:
            yield _differs(who, after.balance_micros, "lots less debt are", held_micros)
        numbers = [int(entry.entry_id) for entry in entries]
        if numbers != list(range(before.entries + 1, before.entries + len(entries) + 1)):
            why = f"{who} has {before.entries} entries, and the next are {numbers}"
            yield Broken("balance = ledger = lots less debt", why)
        if who in self.authorized - self.excused and after.balance_micros < 0:
            why = f"{who} stands at {format_micros(after.balance_micros)}, and asked for each call"
            yield Broken("who asks first never falls below zero", why)

    def _request(self, before: Account, posted: Posted) -> None:
        """Hold what is told of recharges against what was told before."""
        after = posted.account or before
        self.recharges.configured(before, after)
        for document in posted.told:
            for promise, why in self.recharges.breaches(before, after, document):
                self.broken.append(Broken(promise, why))

    def _cross(self, before: Account, posted: Posted) -> None:
        """Count the thresholds that a transaction passes, whatever its entries pass meanwhile.

        While a pool is unsettled nothing counts for a quarter of an hour; then all of it at once,
        from the highest balance that was there at first or after something was paid in.
        """
        who = before.organization_id
        before_micros = before.balance_micros
        after_micros = before_micros + sum(entry.amount_micros for entry in posted.entries)
        is_unsettled = self._settle(posted)
        if is_unsettled and who not in self.waits_from:
            since = self.accounts[who].as_of or _in_the_beginning()
            self.waits_from[who] = Waits(since, before_micros)
        waits = self.waits_from.get(who)
        if self._waits(who):
            if after_micros > before_micros and _pay_in(posted.entries):
                self._wait_higher(who, after_micros)
            return
        if waits is not None and waits.micros is not None:
            before_micros = waits.micros
            self.waits_from[who] = waits._replace(micros=None)
        if not is_unsettled:
            self.waits_from.pop(who, None)
        thresholds_micros = before.settings.low_balance_thresholds_micros if before.settings else ()
        for threshold_micros in set(thresholds_micros):
            if before_micros >= threshold_micros > after_micros:
                self.crossings[who, "LowBalance", threshold_micros] += 1
        if before_micros > 0 >= after_micros:
            self.crossings[who, "BalanceExhausted", 0] += 1

    def _wait_higher(self, who: str, micros: int) -> None:
        """Fall from here, once it counts, if this is higher than what was there before."""
        waits = self.waits_from[who]
        if waits.micros is not None and waits.micros < micros:
            self.waits_from[who] = waits._replace(micros=micros)

    def _settle(self, posted: Posted) -> bool:
        """Take note of pools as they were written; gives whether some of them is unsettled."""
        who = posted.organization_id
        for pool in posted.pools:
            if pool.unsettled is None:
                self.unsettled.pop((who, pool.month), None)
            else:
                self.unsettled[who, pool.month] = pool
        return any(name == who for name, _ in self.unsettled)

    def _waits(self, who: str) -> bool:
        """Whether nothing may be said yet of what the balance is, nor bought."""
        waits = self.waits_from.get(who)
        as_of = self.accounts[who].as_of if who in self.accounts else None
        return (
            waits is not None
            and waits.micros is not None
            and as_of is not None
            and any(name == who for name, _ in self.unsettled)
            and as_of < waits.since + _QUARTER
        )

    def _told_too_early(self, posted: Posted) -> Iterator[Broken]:
        """Nothing is told of, or bought for, what settling a pool may still take back."""
        who = posted.organization_id
        if not self._waits(who):
            return
        usages = {usage.call.call_id: usage for usage in posted.usages}
        for document in posted.told:
            if document["type"] in _OF_THE_BALANCE:
                why = f"{who} was told {document['type']} while a pool was unsettled"
                yield Broken("nothing is told of a balance that may change", why)
            usage = usages.get(str(document.get("callId")))
            if (
                document["type"] in _OF_THE_OUTCOME
                and usage is not None
                and self._may_change(usage)
            ):
                why = f"{who} was told {document['type']} of {usage.call.call_id}, which may change"
                yield Broken("nothing is told of a balance that may change", why)

    def _may_change(self, usage: Usage) -> bool:
        """Whether minutes of a pool may still be given to a call, or taken from it."""
        call = usage.call
        pool = self.unsettled.get((call.organization_id, month_of(call)))
        return (
            usage.draws_on_pool
            and pool is not None
            and pool.unsettled is not None
            and pool.unsettled.position < Position.of(call)
        )


def _recorded_with(posted: Posted) -> list[tuple[Mapping[str, Any], Usage]]:
    """Return with each notification the record of its call, if that was written with it."""
    usages = {usage.call.call_id: usage for usage in posted.usages}
    of_calls = ((document, document.get("callId")) for document in posted.told)
    return [(document, usages[call_id]) for document, call_id in of_calls if call_id in usages]


def _unreadable(shown: Mapping[str, Any]) -> Iterator[Broken]:
    """Find lines for people that have more in them than can be printed."""
    for part in ("subject", "text"):
        if not shown[part].isprintable():
            why = f"the {part} of {shown['type']} is {shown[part]!a}"
            yield Broken(READABLE, why)


def documents_of(announcements: Sequence[Announcement]) -> list[Mapping[str, Any]]:
    """Say of announcements what the world takes note of."""
    return [
        {"id": one.id, "type": one.notification.type, "document": json.dumps(document_of(one))}
        for one in announcements
    ]


def _pay_in(entries: Sequence[LedgerEntry]) -> bool:
    """Whether money came from outside: an admin or billing gave it, and no call got it back."""
    return any(
        entry.amount_micros > 0
        and entry.type in {EntryType.PURCHASE, EntryType.ADJUSTMENT}
        and str(entry.cause).startswith(("purchase#", "adjustment#"))
        for entry in entries
    )


def _differs(who: str, balance_micros: int, what: str, micros: int) -> Broken:
    why = f"the balance of {who} is {format_micros(balance_micros)}, {what} {format_micros(micros)}"
    return Broken("balance = ledger = lots less debt", why)
