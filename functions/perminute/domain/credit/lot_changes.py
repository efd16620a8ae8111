"""The lots of one account while a transaction is decided, and the items that it writes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.lots import (
    MAX_EXPIRED_LOTS,
    MAX_LOTS_IN_ACCOUNT,
    MAX_LOTS_MOVED,
    FurtherLots,
    Lot,
    LotShare,
    draw,
    in_order,
)
from perminute.domain.errors import FurtherLotsNeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perminute.domain.credit.lots import Lots


class LotItems(NamedTuple):
    """Lots that a transaction writes beside the account, each as an item of its own.

    `stored` are further lots as they are now, `removed` are further lots no longer, `forfeited`
    are expired lots with what is forfeited of them.
    """

    stored: Lots = ()
    removed: Lots = ()
    forfeited: Lots = ()


NO_LOT_ITEMS = LotItems()


class Drawn(NamedTuple):
    """Who paid an amount: the lots, of these the expired ones, and what is left to be debt."""

    shares: tuple[LotShare, ...]
    late: tuple[LotShare, ...]
    unpaid_micros: int


class LotChanges:
    """The lots in the account item (`first`), the further ones, and those that have expired.

    Further lots are known only if they were read (`read` is not None) or if there are none. A draw
    that the first lots do not cover raises `FurtherLotsNeeded`; who looks for a lot must have read
    all of them.
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
        """Begin with the lots as the account has them, and with what was read of the others.

        At most so many of the expired lots are changed.
        """
        self.first = first
        self.further = further
        known = () if further is None else read
        self._read = None if known is None else {lot.lot_id: lot for lot in known}
        self._expired = {lot.lot_id: lot for lot in expired}
        self._most_expired = most_expired
        self._stored: dict[str, Lot] = {}
        self._removed: dict[str, Lot] = {}
        self._forfeited: dict[str, Lot] = {}

    @property
    def items(self) -> LotItems:
        """Return what is to be written beside the account."""
        return LotItems(
            tuple(self._stored.values()),
            tuple(self._removed.values()),
            tuple(self._forfeited.values()),
        )

    @property
    def number_written(self) -> int:
        """How many lots are written beside the account until now."""
        return sum(map(len, self.items))

    @property
    def known(self) -> Lots:
        """Return the lots in the account item and the further ones that were read."""
        return (*self.first, *(self._read or {}).values())

    def find(self, lot_id: str) -> Lot | None:
        """Return a lot with something left; None if it is used up or has expired."""
        return self._first_such(lambda lot: lot.lot_id == lot_id)

    def named(self, purchase_id: str) -> Lot | None:
        """Return the first lot of a purchase with something left, if there is one."""
        return self._first_such(lambda lot: lot.purchase_id == purchase_id)

    def _first_such(self, is_such: Callable[[Lot], bool]) -> Lot | None:
        for lot in self.first:
            if is_such(lot):
                return lot
        return next(filter(is_such, self._all_read().values()), None)

    def _all_read(self) -> dict[str, Lot]:
        if self._read is None:
            msg = "the further lots of the account were not read"
            raise RuntimeError(msg)
        return self._read

    def put(self, lot: Lot) -> None:
        """Write a lot in its place, or in that of the lot it was."""
        if any(one.lot_id == lot.lot_id for one in self.first):
            self.first = tuple(lot if one.lot_id == lot.lot_id else one for one in self.first)
        elif self._read and lot.lot_id in self._read:
            self._store(lot)
        else:
            self._insert(lot)

    def remove(self, lot: Lot) -> None:
        """Take a lot out, wherever it is."""
        self.first = tuple(one for one in self.first if one.lot_id != lot.lot_id)
        if self._read and self._read.pop(lot.lot_id, None):
            self._stored.pop(lot.lot_id, None)
            self._removed[lot.lot_id] = lot
            self.further = FurtherLots.of(self._read.values())

    def forfeit(self, lot: Lot) -> None:
        """Take an expired lot out, and store what is forfeited of it for late calls."""
        self.remove(lot)
        self._forfeited[lot.lot_id] = lot

    def move_up(self, short_micros: int) -> None:
        """Move the next further lots into the account item, for a draw that was short by so much.

        The item has at least eight lots after that, if there are as many. At most
        `MAX_LOTS_MOVED` are moved, so it may have to be done again.
        """
        for lot in in_order(self._all_read().values())[:MAX_LOTS_MOVED]:
            if short_micros <= 0 and len(self.first) >= MAX_LOTS_IN_ACCOUNT:
                break
            self.remove(lot)
            self.first = (*self.first, lot)
            short_micros -= lot.remaining_micros

    def draw(self, amount_micros: int, pays_late: Callable[[Lot], bool] | None = None) -> Drawn:
        """Take a positive amount from the lots in their order; `pays_late` chooses expired ones.

        Further lots pay only once they have been moved up.
        """
        late = {lot.lot_id: lot for lot in self._late(pays_late)}
        lots = in_order((*self.first, *late.values())) if late else self.first
        left, shares, unpaid_micros = draw(lots, amount_micros)
        if unpaid_micros and self.further is not None:
            raise FurtherLotsNeeded(unpaid_micros)
        if not late:
            self.first = left
            return Drawn(shares, (), unpaid_micros)
        self.first = tuple(lot for lot in left if lot.lot_id not in late)
        shares = tuple(share._replace(late=share.lot_id in late) for share in shares)
        of_late = tuple(share for share in shares if share.late)
        for share in of_late:
            self.forfeit_again(share)
        return Drawn(shares, of_late, unpaid_micros)

    def forfeits_again(self, lot_id: str) -> bool:
        """Whether an expired lot may be changed: it was read, and not too many were changed."""
        room = lot_id in self._forfeited or len(self._forfeited) < self._most_expired
        return lot_id in self._expired and room

    def forfeit_again(self, share: LotShare) -> None:
        """Change what is forfeited of an expired lot by what it gets back, or pays if negative."""
        lot = self._expired[share.lot_id]
        lot = replace(lot, remaining_micros=lot.remaining_micros + share.amount_micros)
        self._expired[share.lot_id] = self._forfeited[share.lot_id] = lot

    def take(self, lot: Lot, amount_micros: int) -> LotShare:
        """Take an amount out of a certain lot that has as much."""
        left = replace(lot, remaining_micros=lot.remaining_micros - amount_micros)
        if left.remaining_micros:
            self.put(left)
        else:
            self.remove(lot)
        return LotShare(lot.lot_id, lot.purchase_id, -amount_micros)

    def take_back(self, lot: Lot, amount_micros: int) -> LotShare:
        """Take an amount out of what is forfeited of an expired lot."""
        left = replace(lot, remaining_micros=lot.remaining_micros - amount_micros)
        self._forfeited[lot.lot_id] = left
        return LotShare(lot.lot_id, lot.purchase_id, -amount_micros)

    def _late(self, pays_late: Callable[[Lot], bool] | None) -> list[Lot]:
        """Choose expired lots that pay; none that further lots come before."""
        if pays_late is None or not self._expired:
            return []
        found = [lot for lot in self._expired.values() if lot.remaining_micros and pays_late(lot)]
        if len(found) + len(self._forfeited) > self._most_expired:
            changed = [lot for lot in found if lot.lot_id in self._forfeited]
            others = in_order(lot for lot in found if lot.lot_id not in self._forfeited)
            found = [*changed, *others[: self._most_expired - len(self._forfeited)]]
        if self.further is not None:
            last = self.first[-1].place if self.first else None
            found = [lot for lot in found if last is not None and lot.place < last]
        return found

    def _insert(self, lot: Lot) -> None:
        if self.further is not None and not (self.first and lot.place < self.first[-1].place):
            self._store(lot)
            return
        room = max(MAX_LOTS_IN_ACCOUNT, len(self.first))
        lots = in_order((*self.first, lot))
        self.first = lots[:room]
        for one in lots[room:]:
            self._store(one)

    def _store(self, lot: Lot) -> None:
        self._stored[lot.lot_id] = lot
        self._removed.pop(lot.lot_id, None)
        if self._read is not None:
            self._read[lot.lot_id] = lot
            self.further = FurtherLots.of(self._read.values())
        elif self.further is not None:
            self.further = self.further.with_added(lot)
