"""The ledger of an organization's credit: one entry for each movement of the balance."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.pools.pools import Month

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from perminute.domain.credit.lots import Lot, LotShare

RERATING = "rerating#"
"""The prefix of the causes of adjustments by re-rating."""


_DAY = timedelta(days=1)


class EntryType(StrEnum):
    """What moved the balance."""

    PURCHASE = "purchase"
    CHARGE = "charge"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"


class Producer(NamedTuple):
    """The account, if known, and the source of the event behind an entry."""

    account: str | None
    source: str


class LedgerEntry(NamedTuple):
    """One movement of the balance; signed micro-units, never changed once written."""

    organization_id: str
    entry_id: str
    type: EntryType
    amount_micros: int
    balance_after_micros: int
    at: datetime
    lots: tuple[LotShare, ...] = ()  # the rest of the amount is debt that was made or paid
    # The identity of the event (`purchase#po-1001`), of the lot that expired, or of the re-rating.
    cause: str | None = None
    opens: Lot | None = None  # the lot that the entry opened, as it then was
    # The calls that it corrected, for which it takes an expiry back in part, or that it charged but
    # that are not in the list that contains it.
    call_ids: tuple[str, ...] = ()
    producer: Producer | None = None  # of the event about credit behind it, if there is one
    # The account's `as_of` after it, which is later than `at` if its event came late; None: `at`.
    # It never decreases from one entry to the next, and `at` does.
    posted_at: datetime | None = None
    # What of it belongs to calls that ended in other UTC months than `at`'s.
    other_months: tuple[tuple[Month, int], ...] = ()

    @property
    def was_posted_at(self) -> datetime:
        """When it was posted: `at` or later."""
        return self.posted_at or self.at

    @property
    def of_calls(self) -> bool:
        """Whether the entry is explained by the calls that name it."""
        return self.type is EntryType.CHARGE or (self.cause or "").startswith(RERATING)

    @property
    def adds_credit(self) -> bool:
        """Whether it adds new credit: what calls or lots get back is not new."""
        return self.amount_micros > 0 and not self.of_calls and self.type is not EntryType.EXPIRY

    @property
    def debt_change_micros(self) -> int:
        """By how much the debt grew, or fell if negative: what no lot gave or took."""
        return sum(share.amount_micros for share in self.lots) - self.amount_micros


def day_listed_with(at: datetime, posted_at: datetime, days: Iterable[date]) -> date | None:
    """Return the UTC day whose list contains the entry of a charge; None: it is its own item.

    Its calls ended on `days`. Whoever reads the lists of a period and of the day before it finds
    all charges of that time.
    """
    return max(
        (day for day in days if day <= at.date() and posted_at.date() <= day + _DAY), default=None
    )


def of_other_months(
    at: datetime, charges: Iterable[tuple[datetime, int]]
) -> tuple[tuple[Month, int], ...]:
    """Sum what an entry at an instant takes for calls that ended in other UTC months.

    `charges` are when calls ended, and by how many micro-units more they are charged.
    """
    months: dict[Month, int] = {}
    for ended_at, micros in charges:
        if ended_at.month != at.month or ended_at.year != at.year:
            month = Month.of(ended_at)
            months[month] = months.get(month, 0) - micros
    return tuple((month, micros) for month, micros in sorted(months.items()) if micros)


def sent_by(
    producer: Producer | None, cause: str, entries: Iterable[LedgerEntry]
) -> tuple[LedgerEntry, ...]:
    """Return the entries with the producer of a cause; entries of other causes have none."""
    return tuple(
        entry._replace(producer=producer) if entry.cause == cause else entry for entry in entries
    )


def entry_id(number: int) -> str:
    """Return the id of the n-th entry; ids sort as their numbers do."""
    return f"{number:012d}"
