"""Lots of bought credit: which of them pays, and when what is left of one is forfeited.

First in, first out: lots are sorted by the time of their purchase, whatever the order in which
the purchases were reported, and each movement takes from the first that has something left.

An account may have any number of lots. Its own item contains the first ones, which pay next; each
further one is an item of its own (docs/adr/0017-an-account-has-any-number-of-lots.md).
"""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.errors import FurtherLotsNeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

WARNING_AHEAD = timedelta(days=30)
"""How long before a lot expires its organization is warned, once (docs/notifications.md)."""

MAX_LOTS_IN_ACCOUNT = 8
"""Every charge writes the account item and pays for it by the kilobyte; eight lots with usual ids
take about half of one."""

MAX_LOTS_MOVED = 40
"""Further lots that one transaction moves into the account item: with it, 41 of the 100 items."""

MAX_EXPIRED_LOTS = 80
"""Expired lots that may pay the late calls of one charge, which writes each of them. What one call
costs beyond them is paid by living lots (our decision)."""

MAX_EXPIRED_LOTS_CORRECTED = 24
"""The same for a correction, which has more else to write."""

MAX_LOTS_GIVEN_BACK = 12
"""Lots outside the account item to which one correction gives back: each is an item of its own."""


class Lot(NamedTuple):
    """Credit that came in at once and expires at once; it never pays from `expires_at` on."""

    lot_id: str  # the id of the ledger entry that opened it
    purchase_id: str  # of the purchase, or of the adjustment that gave the credit
    purchased_at: datetime
    expires_at: datetime
    remaining_micros: int
    warned: bool = False

    @property
    def due_at(self) -> datetime:
        """When admins must be warned of its expiry, and after that when it expires."""
        return self.expires_at if self.warned else self.expires_at - WARNING_AHEAD

    @property
    def place(self) -> tuple[datetime, str]:
        """The order of payment; of two lots bought at one instant the one booked first pays."""
        return self.purchased_at, self.lot_id

    def with_change(self, amount_micros: int) -> Lot:
        """Return the lot with an amount more, or less if it is negative."""
        return self._replace(remaining_micros=self.remaining_micros + amount_micros)

    def share(self, amount_micros: int) -> LotShare:
        """Return the part of a movement that this lot gives, or takes if it is negative."""
        return LotShare(self.lot_id, self.purchase_id, amount_micros)

    def pays_late(self, ended_at: datetime, reported_at: datetime, late_usage: timedelta) -> bool:
        """Whether it pays a call after it has expired (docs/domain.md §5.4)."""
        had_not_expired = self.purchased_at <= ended_at < self.expires_at
        return had_not_expired and reported_at <= self.expires_at + late_usage


class LotShare(NamedTuple):
    """The part of a movement that one lot takes or gives; signed micro-units."""

    lot_id: str
    purchase_id: str
    amount_micros: int
    late: bool = False  # the lot had expired: what is given back of it is forfeited again


Lots = tuple[Lot, ...]
"""In the order in which they pay."""


class FurtherLots(NamedTuple):
    """The sums of the lots that are items of their own; all pay after those in the account item."""

    number: int
    remaining_micros: int
    due_at: datetime  # of the first that is due
    expires_from: datetime  # when the first expires

    @classmethod
    def of(cls, lots: Collection[Lot]) -> FurtherLots | None:
        """Sum up lots that were read; None if there are none.

        The account was changed since, if these are not the sums that it has.
        """
        if not lots:
            return None
        return cls(
            number=len(lots),
            remaining_micros=total_micros(lots),
            due_at=min(lot.due_at for lot in lots),
            expires_from=min(lot.expires_at for lot in lots),
        )

    def with_added(self, lot: Lot) -> FurtherLots:
        """Return the sums with one lot more."""
        return FurtherLots(
            number=self.number + 1,
            remaining_micros=self.remaining_micros + lot.remaining_micros,
            due_at=min(self.due_at, lot.due_at),
            expires_from=min(self.expires_from, lot.expires_at),
        )


def twelve_months_after(purchased_at: datetime) -> datetime:
    """Return when a lot expires that has no expiry of its own (docs/domain.md §5.1).

    Raises `ValueError` beyond the calendar's end.
    """
    try:
        return purchased_at.replace(year=purchased_at.year + 1)
    except ValueError:
        # Bought on 29 February, it expires on the last day of the twelfth month.
        return purchased_at.replace(year=purchased_at.year + 1, day=28)


def in_order(lots: Iterable[Lot]) -> Lots:
    """Sort lots by the order in which they pay."""
    return tuple(sorted(lots, key=attrgetter("place")))


def given_back(
    lots: Sequence[LotShare], amount_micros: int
) -> tuple[tuple[LotShare, ...], tuple[LotShare, ...]]:
    """Return what is left of a payment, and what each lot gets back; they must have paid as much.

    The lot that paid last gets back first: it would not have paid, had less been to pay.
    """
    kept: list[LotShare] = []
    back: list[LotShare] = []
    for share in reversed(lots):
        micros = min(amount_micros, -share.amount_micros)
        amount_micros -= micros
        if micros:
            back.append(share._replace(amount_micros=micros))
        if share.amount_micros + micros:
            kept.append(share._replace(amount_micros=share.amount_micros + micros))
    return tuple(reversed(kept)), tuple(back)


def merged(shares: Iterable[LotShare]) -> tuple[LotShare, ...]:
    """Add up the shares of each lot, and leave out those that add up to zero."""
    amounts: dict[tuple[str, str, bool], int] = {}
    for lot_id, purchase_id, amount_micros, late in shares:
        key = lot_id, purchase_id, late
        amounts[key] = amounts.get(key, 0) + amount_micros
    return tuple(
        LotShare(lot_id, purchase_id, micros, late)
        for (lot_id, purchase_id, late), micros in amounts.items()
        if micros
    )


def total_micros(lots: Iterable[Lot]) -> int:
    """Add up what is left of lots."""
    return sum(lot.remaining_micros for lot in lots)


def draw(lots: Lots, amount_micros: int) -> tuple[Lots, tuple[LotShare, ...], int]:
    """Take a positive amount, oldest lot first (docs/domain.md §5.1).

    Returns the lots that have credit left, what each paid, and what is unpaid, in micro-units.
    """
    shares: list[LotShare] = []
    for place, lot in enumerate(lots):
        micros = min(amount_micros, lot.remaining_micros)
        if micros:
            shares.append(lot.share(-micros))
        if amount_micros < lot.remaining_micros:
            # The lots behind it need no look: there may be many.
            return (lot.with_change(-micros), *lots[place + 1 :]), tuple(shares), 0
        amount_micros -= micros
    return (), tuple(shares), amount_micros


class LotItems(NamedTuple):
    """Lots that a transaction writes beside the account, each as an item of its own."""

    stored: Lots = ()  # further lots as they are now
    removed: Lots = ()  # further lots no longer
    forfeited: Lots = ()  # expired lots with what is forfeited of them


NO_LOT_ITEMS = LotItems()


class Drawn(NamedTuple):
    """How an amount was paid."""

    shares: tuple[LotShare, ...]
    late: tuple[LotShare, ...]  # of these, the shares of expired lots
    unpaid_micros: int  # becomes debt


class LotChanges:
    """The lots of an account while a transaction is decided, and the items that it writes.

    Further lots are known only if they were `read` or if there are none. A draw that the `first`
    lots, those in the account item, do not cover raises `FurtherLotsNeeded`; to find a lot, all of
    them must have been read.
    """

    def __init__(
        self,
        first: Lots,
        further: FurtherLots | None,
        *,
        read: Sequence[Lot] | None = None,
        expired: Sequence[Lot] = (),
        most_expired: int = MAX_EXPIRED_LOTS,
    ) -> None:
        """Begin with the lots as they were read; change at most `most_expired` expired ones."""
        self.first = first
        self.further = further
        self._had_further = further is not None
        known = () if further is None else read
        self._read = None if known is None else {lot.lot_id: lot for lot in known}
        self._expired = {lot.lot_id: lot for lot in expired}
        self._most_expired = most_expired
        self._stored: dict[str, Lot] = {}
        self._removed: dict[str, Lot] = {}
        self._forfeited: dict[str, Lot] = {}

    @property
    def items(self) -> LotItems:
        """The lots that are to be written beside the account."""
        changed = (self._stored, self._removed, self._forfeited)
        return LotItems(*[tuple(lots.values()) for lots in changed])

    @property
    def number_written(self) -> int:
        """How many lots are to be written beside the account."""
        return sum(map(len, self.items))

    @property
    def known(self) -> Lots:
        """The lots in the account item and the further ones that were read."""
        return (*self.first, *(self._read or {}).values())

    def find(self, lot_id: str) -> Lot | None:
        """Return a lot with something left; None if it is used up or has expired."""
        return self._first_such(lambda lot: lot.lot_id == lot_id)

    def named(self, purchase_id: str) -> Lot | None:
        """Return the first lot of a purchase with something left, if there is one."""
        return self._first_such(lambda lot: lot.purchase_id == purchase_id)

    def _first_such(self, is_such: Callable[[Lot], bool]) -> Lot | None:
        in_account = next(filter(is_such, self.first), None)
        return in_account or next(filter(is_such, self._all_read().values()), None)

    def _all_read(self) -> dict[str, Lot]:
        if self._read is None:
            msg = "the further lots of the account were not read"
            raise RuntimeError(msg)
        return self._read

    def put(self, lot: Lot) -> None:
        """Add a lot in its place, or replace it if it is there."""
        if any(known.lot_id == lot.lot_id for known in self.first):
            self.first = tuple(lot if known.lot_id == lot.lot_id else known for known in self.first)
        elif self._read and lot.lot_id in self._read:
            self._store(lot)
        else:
            self._insert(lot)

    def remove(self, lot: Lot) -> None:
        """Remove a lot, wherever it is."""
        self.first = tuple(known for known in self.first if known.lot_id != lot.lot_id)
        if self._read and self._read.pop(lot.lot_id, None):
            self._stored.pop(lot.lot_id, None)
            if self._had_further:
                self._removed[lot.lot_id] = lot
            self.further = FurtherLots.of(self._read.values())

    def forfeit(self, lot: Lot) -> None:
        """Remove an expired lot, and store what is forfeited of it for late calls."""
        self.remove(lot)
        self._forfeited[lot.lot_id] = lot

    def move_up(self, short_micros: int) -> None:
        """Move the next further lots into the account item: as many as it has room for.

        More are moved for a draw that was short, but at most `MAX_LOTS_MOVED`: repeat it if needed.
        """
        for lot in in_order(self._all_read().values())[:MAX_LOTS_MOVED]:
            if short_micros <= 0 and len(self.first) >= MAX_LOTS_IN_ACCOUNT:
                break
            self.remove(lot)
            self.first = (*self.first, lot)
            short_micros -= lot.remaining_micros

    def draw(self, amount_micros: int, expired: Sequence[Lot] = ()) -> Drawn:
        """Take a positive amount from the lots in their order; these `expired` ones pay as well.

        Raises `FurtherLotsNeeded` if further lots must be read first.
        """
        lots = in_order((*self.first, *expired)) if expired else self.first
        left, shares, unpaid_micros = draw(lots, amount_micros)
        if unpaid_micros and self.further is not None:
            if self._had_further:
                raise FurtherLotsNeeded(unpaid_micros)
            # Refunds of this transaction return more lots than the account item has room for.
            # They are not stored yet, so no other transaction could move them into it.
            self.move_up(unpaid_micros)
            return self.draw(amount_micros, expired)
        if not expired:
            self.first = left
            return Drawn(shares, (), unpaid_micros)
        late = {lot.lot_id for lot in expired}
        self.first = tuple(lot for lot in left if lot.lot_id not in late)
        shares = tuple(share._replace(late=share.lot_id in late) for share in shares)
        of_late = tuple(share for share in shares if share.late)
        for share in of_late:
            self.forfeit_again(share)
        return Drawn(shares, of_late, unpaid_micros)

    def paying_late(
        self, ended_at: datetime, reported_at: datetime, late_usage: timedelta
    ) -> Sequence[Lot]:
        """Return the expired lots that may pay a late call (docs/domain.md §5.4)."""
        if not self._expired:
            return ()
        found = [
            lot
            for lot in self._expired.values()
            if lot.remaining_micros and lot.pays_late(ended_at, reported_at, late_usage)
        ]
        if len(found) + len(self._forfeited) > self._most_expired:
            changed = [lot for lot in found if lot.lot_id in self._forfeited]
            others = in_order(lot for lot in found if lot.lot_id not in self._forfeited)
            found = [*changed, *others[: self._most_expired - len(self._forfeited)]]
        # A lot that further lots come before does not pay: those may have to pay first.
        return (
            found if self.further is None else [lot for lot in found if self._is_among_first(lot)]
        )

    def forfeits_again(self, lot_id: str) -> bool:
        """Whether an expired lot may be changed: it was read, and not too many were changed."""
        room = lot_id in self._forfeited or len(self._forfeited) < self._most_expired
        return lot_id in self._expired and room

    def forfeit_again(self, share: LotShare) -> None:
        """Change what is forfeited of an expired lot by what it gets back, or pays if negative."""
        lot = self._expired[share.lot_id].with_change(share.amount_micros)
        self._expired[share.lot_id] = self._forfeited[share.lot_id] = lot

    def take(self, lot: Lot, amount_micros: int) -> LotShare:
        """Take an amount out of a certain lot that has as much."""
        left = lot.with_change(-amount_micros)
        if left.remaining_micros:
            self.put(left)
        else:
            self.remove(lot)
        return lot.share(-amount_micros)

    def _is_among_first(self, lot: Lot) -> bool:
        return bool(self.first) and lot.place < self.first[-1].place

    def _insert(self, lot: Lot) -> None:
        if self.further is not None and not self._is_among_first(lot):
            self._store(lot)
            return
        room = max(MAX_LOTS_IN_ACCOUNT, len(self.first))
        lots = in_order((*self.first, lot))
        self.first = lots[:room]
        for displaced in lots[room:]:
            self._store(displaced)

    def _store(self, lot: Lot) -> None:
        self._stored[lot.lot_id] = lot
        self._removed.pop(lot.lot_id, None)
        if self._read is not None:
            self._read[lot.lot_id] = lot
            self.further = FurtherLots.of(self._read.values())
        elif self.further is not None:
            self.further = self.further.with_added(lot)
