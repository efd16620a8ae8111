"""Histories of postings, each with what every call was after each of its transactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from perminute.domain.credit.accounts import Account
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.postings import (
    ListedUsage,
    Posting,
    RevisedUsage,
    Revision,
    UsageList,
)
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from perminute.domain.credit.ledger import LedgerEntry

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

    @property
    def version(self) -> int:
        return len(self.states) - 1

    def charge(self, *usages: ListedUsage) -> None:
        """Charge new calls in one transaction."""
        self._post(usages, ())

    def revise(self, *usages: ListedUsage) -> None:
        """Make of recorded calls what these say; one that ended at another time is listed anew."""
        before = self.states[-1]
        revised = tuple(RevisedUsage(before[usage.call_id], usage) for usage in usages)
        anew = [after for before, after in revised if before.ended_at != after.ended_at]
        self._post(anew, revised)

    def account(self, organization_id: str) -> Account:
        return Account(organization_id=organization_id, version=self.version)

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
        raise NotImplementedError

    def _post(self, usages: Sequence[ListedUsage], revised: tuple[RevisedUsage, ...]) -> None:
        posting = Posting(version=self.version + 1, posted_at=START)
        current = {usage.call_id: usage for usage in (*usages, *(after for _, after in revised))}
        self.states.append(self.states[-1] | current)
        if revised:
            self.revised.append(Revision(posting, revised))
        paid = [usage for usage in usages if usage.outcome is not Outcome.FREE]
        for _, of_day in groupby(sorted(paid, key=_ended), key=_day):
            calls = tuple(of_day)
            key = f"{format_instant(calls[-1].ended_at)}#{posting.version}"
            self.lists.append(UsageList(key, posting, calls))


def _ended(usage: ListedUsage) -> datetime:
    return usage.ended_at


def _day(usage: ListedUsage) -> date:
    return usage.ended_at.date()


@st.composite
def usages(draw: st.DrawFn, call_id: str) -> ListedUsage:
    """A call of one of a few organizers, countries and outcomes."""
    priced = draw(st.booleans())
    return listed(
        call_id,
        START + draw(st.integers(0, 48)) * HOUR,
        organizer_id=draw(st.sampled_from(["adele", "enrico"])),
        leg_type=draw(st.sampled_from([LegType.DIAL_OUT, LegType.TOLL_DIAL_IN])),
        country=draw(st.sampled_from(["DE", "FR"])) if priced else None,
        prefix=draw(st.sampled_from(["49", "33", "4989"])) if priced else None,
        outcome=draw(st.sampled_from(Outcome)),
        charge_micros=draw(st.integers(0, 10**6)),
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
    if draw(st.booleans()) and known:
        moves = draw(st.booleans())
        chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True))
        history.revise(*(_revised(draw, history, call_id, moves=moves) for call_id in chosen))
    else:
        names = (f"call-{history.version}-{n}" for n in range(draw(st.integers(1, 4))))
        history.charge(*(draw(usages(name)) for name in names))


def _revised(draw: st.DrawFn, history: History, call_id: str, *, moves: bool) -> ListedUsage:
    before, after = history.states[-1][call_id], draw(usages(call_id))
    if not moves:
        after = after._replace(ended_at=before.ended_at)
    if before.outcome is Outcome.FREE and after.ended_at == before.ended_at:
        # A free call is in no list, and stays so unless it is listed anew.
        after = after._replace(outcome=Outcome.FREE)
    return after
