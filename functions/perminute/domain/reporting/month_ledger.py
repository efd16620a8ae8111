"""The ledger of a month: the balance before and after, and what moved it in between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.values.money import format_micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.pools.pools import Month
    from perminute.domain.reporting.postings import ListedUsage


@dataclass(slots=True)
class LotSums:
    """What moved one lot in a month; micro-units."""

    purchase_id: str
    bought_micros: int = 0  # less debt that the purchase paid
    used_micros: int = 0  # by calls, less what they gave back
    expired_micros: int = 0  # less what was taken back for late calls
    adjusted_micros: int = 0  # signed

    def add(self, entry: LedgerEntry, micros: int) -> None:
        """Add the share of an entry."""
        if entry.of_calls:
            self.used_micros -= micros
        elif entry.type is EntryType.PURCHASE:
            self.bought_micros += micros
        elif entry.type is EntryType.EXPIRY:
            self.expired_micros -= micros
        else:
            self.adjusted_micros += micros


@dataclass(slots=True)
class MonthSums:
    """What the entries of a month add up to; micro-units."""

    by_type: Counter[EntryType] = field(default_factory=Counter)
    lots: dict[str, LotSums] = field(default_factory=dict)  # by the id of the lot
    debt_micros: int = 0  # by how much the debt grew
    charged_micros: int = 0  # for calls
    other_months_micros: int = 0  # of that, for calls that ended in other months

    def add(self, entry: LedgerEntry) -> None:
        """Add an entry of the month."""
        self.by_type[entry.type] += entry.amount_micros
        self.debt_micros += entry.debt_change_micros
        if entry.of_calls:
            self.charged_micros -= entry.amount_micros
            self.other_months_micros -= sum(micros for _, micros in entry.other_months)
        for share in entry.lots:
            if (lot := self.lots.get(share.lot_id)) is None:
                lot = self.lots[share.lot_id] = LotSums(share.purchase_id)
            lot.add(entry, share.amount_micros)


class StatedEntry(NamedTuple):
    """An entry, and how many calls it charged or corrected."""

    entry: LedgerEntry
    calls: int


class MonthLedger:
    """The entries of a month, added in any order, up to the last one that an account counts.

    To be added are all that were posted since the month began; some posted before do no harm.
    Entries posted at `posted_before` or later belong to the ledger, but not to its sums.
    """

    def __init__(
        self, month: Month, account: Account, posted_before: datetime, *, with_entries: bool
    ) -> None:
        self.sums = MonthSums()
        self.entries: list[StatedEntry] = []  # of the month, if they are asked for
        self._with_entries = with_entries
        self._start, self._end, self._posted_before = month.start, month.end, posted_before
        self._account, self._last_id = account, entry_id(account.entries)
        # What entries posted since the month began add up to that belong to earlier months.
        self._earlier_micros = 0
        # The first entry posted since the month began, and all that were posted within it.
        self._first: LedgerEntry | None = None
        self._last: LedgerEntry | None = None
        self._number, self._posted_micros = 0, 0

    def add(self, entry: LedgerEntry, listed: Sequence[ListedUsage] = ()) -> None:
        """Add an entry, and the calls of the list that contains it, if one does."""
        posted_at = entry.was_posted_at
        if entry.entry_id > self._last_id or posted_at < self._start:
            return
        if self._first is None or entry.entry_id < self._first.entry_id:
            self._first = entry
        if posted_at < self._end:
            self._count_posted(entry)
        if posted_at < self._posted_before and entry.at < self._end:
            self._sum_up(entry, listed)

    def _count_posted(self, entry: LedgerEntry) -> None:
        if self._last is None or self._last.entry_id < entry.entry_id:
            self._last = entry
        self._number += 1
        self._posted_micros += entry.amount_micros

    def _sum_up(self, entry: LedgerEntry, listed: Sequence[ListedUsage]) -> None:
        if entry.at < self._start:
            self._earlier_micros += entry.amount_micros
            return
        self.sums.add(entry)
        if self._with_entries:
            charged = sum(bool(usage.charge_micros) for usage in listed)
            self.entries.append(StatedEntry(entry, charged + len(entry.call_ids)))

    def may_open_with_list_of(self, day: date) -> bool:
        """Whether a list of calls of a later day may contain the first entry since the start."""
        # It was posted on that day or later, and the entries posted in the month are all known.
        return self._number == 0 and (
            self._first is None or day <= self._first.was_posted_at.date()
        )

    @property
    def opening_micros(self) -> int:
        """The balance before the entries of the month and of all later ones."""
        if self._first is None:
            return self._account.balance_micros
        return self._earlier_micros + _balance_before(self._first)

    @property
    def closing_micros(self) -> int:
        """The balance after the entries of the month."""
        return self.opening_micros + self.sums.by_type.total()

    def differences(self) -> Iterator[str]:
        """Compare the entries posted in the month with each other, and with the balance."""
        if self._first is not None and self._last is not None:
            expected = int(self._last.entry_id) - int(self._first.entry_id) + 1
            if self._number != expected:
                yield f"of {expected} entries posted in the month, {self._number} were found"
            micros = _balance_before(self._first) + self._posted_micros
            after_micros = self._last.balance_after_micros
            yield from unequal("the balance after them is", after_micros, "they make", micros)
        as_of = self._account.as_of
        if as_of is None or as_of < self._end:
            micros = self._account.balance_micros
            yield from unequal("the balance is", micros, "the entries make", self.closing_micros)


def unequal(what: str, micros: int, other: str, other_micros: int) -> Iterator[str]:
    """Yield a sentence if two amounts, in micro-units, are not equal."""
    if micros != other_micros:
        yield f"{what} {format_micros(micros)}, but {other} {format_micros(other_micros)}"


def _balance_before(entry: LedgerEntry) -> int:
    return entry.balance_after_micros - entry.amount_micros
