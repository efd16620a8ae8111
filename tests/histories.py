"""Histories of postings, each with what every call was after each of its transactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby, takewhile
from typing import TYPE_CHECKING, Any

from builders import ORGANIZATION
from hypothesis import strategies as st

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, LedgerEntry, day_listed_with, entry_id
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.periods import Period
from perminute.domain.reporting.postings import (
    ListedUsage,
    Posting,
    RevisedUsage,
    Revision,
    UsageList,
)
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
"""Histories go over the ends of days, and of a month."""
HOUR = timedelta(hours=1)


def listed(call_id: str = "call-1", ended_at: datetime = START, **changed: Any) -> ListedUsage:
    """A charged dial-out of ten minutes to a German landline."""
    parts: dict[str, Any] = {
        "organizer_id": "adele",
        "leg_type": LegType.DIAL_OUT,
        "answered_at": ended_at - timedelta(minutes=10),
        "connected_seconds": 590,
        "billed_seconds": 600,
        "prefix": "49",
        "country": "DE",
        "rate_micros_per_minute": 15_000,
        "connection_fee_micros": 0,
        "currency": "USD",
        "outcome": Outcome.CHARGED,
        "reason": None,
        "charge_micros": 150_000,
        "retail_micros": 150_000,
        "pool_minutes": 0,
        "flags": (),
    }
    return ListedUsage(call_id=call_id, ended_at=ended_at, **{**parts, **changed})


@dataclass
class History:
    """The postings of an organization, which can be read as `Postings` says."""

    states: list[dict[str, ListedUsage]] = field(default_factory=lambda: [{}])
    """The calls after each version of the account, from version 0 on."""
    lists: list[UsageList] = field(default_factory=list)
    revised: list[Revision] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    booked: list[int] = field(default_factory=lambda: [0])
    """How many entries the account had after each version."""

    @property
    def version(self) -> int:
        return len(self.states) - 1

    def charge(self, *usages: ListedUsage, at: datetime | None = None) -> None:
        """Charge new calls in one transaction, at an instant; None: when the last has ended."""
        at = at or max(map(_ended, usages))
        self._post(usages, (), self._enter(EntryType.CHARGE, at, map(_charged, usages)))

    def revise(self, *usages: ListedUsage, at: datetime = START) -> None:
        """Make of recorded calls what these say; one that ended at another time is listed anew."""
        before = self.states[-1]
        revised = tuple(RevisedUsage(before[usage.call_id], usage) for usage in usages)
        anew = [after for before, after in revised if before.ended_at != after.ended_at]
        changes = (
            (after.call_id, after.charge_micros - before.charge_micros) for before, after in revised
        )
        self._post(anew, revised, self._enter(EntryType.ADJUSTMENT, at, changes))

    def buy(self, micros: int, at: datetime = START) -> None:
        """Buy credit."""
        self._post((), (), self._enter(EntryType.PURCHASE, at, [("", -micros)]))

    def account(self, organization_id: str) -> Account:
        entries = len(self.ledger)
        return Account(organization_id=organization_id, version=self.version, entries=entries)

    def usage_lists(
        self,
        _: str,
        *,
        since: datetime,
        until: datetime,
        newest_first: bool = False,
        after: str | None = None,
    ) -> Iterator[UsageList]:
        for found in sorted(self.lists, reverse=newest_first):
            is_next = not after or (found.key < after if newest_first else found.key > after)
            if is_next and since <= max(map(_ended, found.usages)) < until:
                yield found

    def revisions(self, _: str, *, since: datetime, until: datetime) -> Iterator[Revision]:
        for revision in self.revised:
            if since <= max(before.ended_at for before, _ in revision.usages) < until:
                yield revision

    def entries(self, _: str, *, posted_since: datetime) -> Iterator[LedgerEntry]:
        listed = [found.entry for found in self.lists]
        others = [entry for entry in self.ledger if entry not in listed]
        return takewhile(lambda entry: entry.was_posted_at >= posted_since, reversed(others))

    def _enter(
        self, entry_type: EntryType, at: datetime, charges: Iterable[tuple[str, int]]
    ) -> LedgerEntry | None:
        moved = {call_id: micros for call_id, micros in charges if micros}
        if not moved:
            return None
        before = self.ledger[-1] if self.ledger else None
        total_micros = sum(moved.values())
        entry = LedgerEntry(
            organization_id=ORGANIZATION,
            entry_id=entry_id(len(self.ledger) + 1),
            type=entry_type,
            amount_micros=-total_micros,
            balance_after_micros=(before.balance_after_micros if before else 0) - total_micros,
            at=at,
            call_ids=tuple(filter(None, moved)),
            posted_at=max(at, before.was_posted_at if before else at),
        )
        self.ledger.append(entry)
        return entry

    def _post(
        self,
        usages: Sequence[ListedUsage],
        revised: tuple[RevisedUsage, ...],
        entry: LedgerEntry | None,
    ) -> None:
        posting = Posting(self.version + 1, START, entry and entry.entry_id, entry and entry.at)
        current = {usage.call_id: usage for usage in (*usages, *(after for _, after in revised))}
        self.states.append(self.states[-1] | current)
        self.booked.append(len(self.ledger))
        if revised:
            self.revised.append(Revision(posting, revised))
        paid = [usage for usage in usages if usage.outcome is not Outcome.FREE]
        by_day = {day: tuple(of_day) for day, of_day in groupby(sorted(paid, key=_ended), key=_day)}
        charge = entry if entry and entry.type is EntryType.CHARGE else None
        listed_with = day_listed_with(charge.at, charge.was_posted_at, by_day) if charge else None
        for day, calls in by_day.items():
            key = f"{format_instant(calls[-1].ended_at)}#{posting.version}"
            with_it = None
            if charge is not None and day == listed_with:
                # What it names beside the list are the calls of other days.
                others = set(charge.call_ids) - {usage.call_id for usage in calls}
                with_it = charge._replace(call_ids=tuple(sorted(others)))
                self.ledger[-1] = with_it
            self.lists.append(UsageList(key, posting, calls, with_it))


def _charged(usage: ListedUsage) -> tuple[str, int]:
    return usage.call_id, usage.charge_micros


def _ended(usage: ListedUsage) -> datetime:
    return usage.ended_at


def _day(usage: ListedUsage) -> date:
    return usage.ended_at.date()


def periods() -> st.SearchStrategy[Period]:
    """Periods that begin and end at any hour, most of them longer than a day."""
    return st.builds(
        lambda hours, length: Period(START + hours * HOUR, START + (hours + length) * HOUR),
        st.integers(-12, 48),
        st.integers(0, 84),
    )


@st.composite
def usages(draw: st.DrawFn, call_id: str) -> ListedUsage:
    """A call of one of a few organizers, countries and outcomes."""
    priced, outcome = draw(st.booleans()), draw(st.sampled_from(Outcome))
    return listed(
        call_id,
        START + draw(st.integers(0, 48)) * HOUR,
        organizer_id=draw(st.sampled_from(["adele", "enrico"])),
        leg_type=draw(st.sampled_from([LegType.DIAL_OUT, LegType.TOLL_DIAL_IN])),
        country=draw(st.sampled_from(["DE", "FR"])) if priced else None,
        prefix=draw(st.sampled_from(["49", "33", "4989"])) if priced else None,
        outcome=outcome,
        charge_micros=draw(st.integers(1, 10**6)) if outcome is Outcome.CHARGED else 0,
        retail_micros=draw(st.integers(0, 10**6)) if priced else None,
        currency=draw(st.sampled_from(["USD", "EUR"])) if priced else None,
    )


@st.composite
def histories(draw: st.DrawFn, most: int = 12) -> History:
    """Calls are charged, rated again, and replaced by what their `Call Ended` says."""
    history = History()
    for _ in range(draw(st.integers(1, most))):
        draw(another_posting(history))
    return history


@st.composite
def another_posting(draw: st.DrawFn, history: History) -> None:
    """Add a transaction to a history."""
    known = sorted(history.states[-1])
    at = START + draw(st.integers(0, 72)) * HOUR
    kind = draw(st.sampled_from(EntryType))
    if kind is EntryType.PURCHASE:
        history.buy(draw(st.integers(1, 10**6)), at)
    elif kind is EntryType.ADJUSTMENT and known:
        moves = draw(st.booleans())
        chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True))
        revised = (_revised(draw, history, call_id, moves=moves) for call_id in chosen)
        history.revise(*revised, at=at)
    else:
        names = (f"call-{history.version}-{n}" for n in range(draw(st.integers(1, 4))))
        called = [draw(usages(name)) for name in names]
        # Reported at once, or late.
        ended_at = max(map(_ended, called))
        history.charge(*called, at=draw(st.sampled_from([ended_at, max(at, ended_at)])))


def _revised(draw: st.DrawFn, history: History, call_id: str, *, moves: bool) -> ListedUsage:
    before, after = history.states[-1][call_id], draw(usages(call_id))
    if not moves:
        after = after._replace(ended_at=before.ended_at)
    if before.outcome is Outcome.FREE and after.ended_at == before.ended_at:
        # A free call is in no list, and stays so unless it is listed anew.
        after = after._replace(outcome=Outcome.FREE, charge_micros=0)
    return after
