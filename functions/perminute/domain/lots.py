"""Lots of bought credit: which of them pays, and when what is left of one is forfeited (DOMAIN §5).

First in, first out: lots are kept in the order in which they were bought, whatever the order in
which the purchases were reported, and each movement takes from the first that has something left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

WARNING_AHEAD = timedelta(days=30)
"""How long before a lot expires its organization is warned, once (CONTRACT §5)."""

MAX_LOTS = 300
"""Lots with something left that an account may hold. They live in the account item, which every
charge writes, and an item may have 400 KB: as long as an id may be, a lot takes 1.1 KB of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Credit that came in at once and expires at once; it never pays from `expires_at` on.

    `lot_id` is the id of the ledger entry that opened it. `purchase_id` is the name under which
    people know it: that of the purchase, or of the adjustment that gave the credit.
    """

    lot_id: str
    purchase_id: str
    purchased_at: datetime
    expires_at: datetime
    remaining_micros: int
    warned: bool = False

    @property
    def due_at(self) -> datetime:
        """When time alone next does something to it: the warning first, then the end."""
        return self.expires_at if self.warned else self.expires_at - WARNING_AHEAD


class LotShare(NamedTuple):
    """The part of a movement that one lot takes or gives; signed micro-units."""

    lot_id: str
    purchase_id: str
    amount_micros: int


Lots = tuple[Lot, ...]
"""In the order in which they pay."""


def twelve_months_after(purchased_at: datetime) -> datetime:
    """Tell when a lot expires that names no end of its own: 12 calendar months on.

    The same day and time next year; bought on 29 February, it ends on 28 February, the last day
    of the twelfth month. `ValueError` beyond the calendar's end.
    """
    try:
        return purchased_at.replace(year=purchased_at.year + 1)
    except ValueError:
        return purchased_at.replace(year=purchased_at.year + 1, day=28)


def with_lot(lots: Lots, lot: Lot) -> Lots:
    """Put a lot in its place; of two bought at one instant the one booked first pays first."""
    return tuple(sorted((*lots, lot), key=lambda one: (one.purchased_at, one.lot_id)))


def given_back(
    lots: Sequence[LotShare], amount_micros: int
) -> tuple[tuple[LotShare, ...], tuple[LotShare, ...]]:
    """Take a payment of lots back in part: gives what still stands, and what each lot gets back.

    The lot that paid last gets back first: it is what would not have been touched, had less been
    paid. The lots must have paid as much.
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
    """Add up what the same lots gave and took; those that come out even are left out."""
    by_lot: dict[str, LotShare] = {}
    for share in shares:
        known = by_lot.get(share.lot_id, share._replace(amount_micros=0))
        by_lot[share.lot_id] = share._replace(
            amount_micros=known.amount_micros + share.amount_micros
        )
    return tuple(share for share in by_lot.values() if share.amount_micros)


def total_micros(lots: Iterable[Lot]) -> int:
    """Add up what is left."""
    return sum(lot.remaining_micros for lot in lots)


def draw(lots: Lots, amount_micros: int) -> tuple[Lots, tuple[LotShare, ...], int]:
    """Take a positive amount from the first lots; gives what stays, who paid, and what nobody did.

    A lot that is used up leaves: the ledger remembers it.
    """
    unpaid_micros = amount_micros
    shares: list[LotShare] = []
    kept: list[Lot] = []
    for lot in lots:
        taken_micros = min(unpaid_micros, lot.remaining_micros)
        unpaid_micros -= taken_micros
        if taken_micros:
            shares.append(LotShare(lot.lot_id, lot.purchase_id, -taken_micros))
        if taken_micros < lot.remaining_micros:
            kept.append(replace(lot, remaining_micros=lot.remaining_micros - taken_micros))
    return tuple(kept), tuple(shares), unpaid_micros
