"""Lots of bought credit: which of them pays, and when what is left of one is forfeited.

First in, first out: lots are sorted by the time of their purchase, whatever the order in which
the purchases were reported, and each movement takes from the first that has something left.

An account may have any number of lots. Its own item contains the first ones, which pay next; each
further one is an item of its own (docs/adr/0017-an-account-has-any-number-of-lots.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

WARNING_AHEAD = timedelta(days=30)
"""How long before a lot expires its organization is warned, once (docs/notifications.md)."""

MAX_LOTS_IN_ACCOUNT = 8
"""Lots in the account item itself. Every charge writes that item and pays for it by the kilobyte,
and eight lots with ids of usual length take about half of one."""

MAX_LOTS_MOVED = 40
"""Further lots that one transaction moves into the account item: with it, 41 of the 100 items."""

MAX_EXPIRED_LOTS = 80
"""Expired lots that may pay the late calls of one charge, which writes each of them. What one call
costs beyond them is paid by living lots (ours)."""

MAX_EXPIRED_LOTS_CORRECTED = 24
"""The same for a correction, which has more else to write."""

MAX_LOTS_GIVEN_BACK = 12
"""Lots outside the account item to which one correction gives back: each is an item of its own."""


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

    @property
    def place(self) -> tuple[datetime, str]:
        """Its place in the order of payment; of two bought at one instant the one booked first."""
        return self.purchased_at, self.lot_id

    def pays_late(self, ended_at: datetime, reported_at: datetime, late_usage: timedelta) -> bool:
        """Whether it still pays a call after it expired: it was alive when the call ended.

        Usage is reported up to two days late, so the call must be reported within `late_usage` of
        the expiry; what is left then is forfeited for good.
        """
        was_alive = self.purchased_at <= ended_at < self.expires_at
        return was_alive and reported_at <= self.expires_at + late_usage


class LotShare(NamedTuple):
    """The part of a movement that one lot takes or gives; signed micro-units.

    `late` says that the lot had expired before: what is given back of it is forfeited again.
    """

    lot_id: str
    purchase_id: str
    amount_micros: int
    late: bool = False


Lots = tuple[Lot, ...]
"""In the order in which they pay."""


class FurtherLots(NamedTuple):
    """What an account knows of its lots that are items of their own, without reading them.

    All of them pay after the lots in the account item. The first is due at `due_at`, and the first
    expires at `expires_from`.
    """

    number: int
    remaining_micros: int
    due_at: datetime
    expires_from: datetime

    @classmethod
    def of(cls, lots: Collection[Lot]) -> FurtherLots | None:
        """Sum up lots that were read; None if there are none."""
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

    def agrees_with(self, lots: Collection[Lot]) -> bool:
        """Whether these lots are the ones that it sums up; else the account was changed since."""
        return self == FurtherLots.of(lots)


def twelve_months_after(purchased_at: datetime) -> datetime:
    """Return when a lot expires that has no expiry of its own: after 12 calendar months.

    The same day and time next year; bought on 29 February, it ends on 28 February, the last day
    of the twelfth month. Raises `ValueError` beyond the calendar's end.
    """
    try:
        return purchased_at.replace(year=purchased_at.year + 1)
    except ValueError:
        return purchased_at.replace(year=purchased_at.year + 1, day=28)


def in_order(lots: Iterable[Lot]) -> Lots:
    """Sort lots by the order in which they pay."""
    return tuple(sorted(lots, key=attrgetter("place")))


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
    """Add up what the same lots gave and took; leaves out those that come out even."""
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
    """Add up what is left."""
    return sum(lot.remaining_micros for lot in lots)


def draw(lots: Lots, amount_micros: int) -> tuple[Lots, tuple[LotShare, ...], int]:
    """Take a positive amount from the first lots; returns the rest, who paid, and what is unpaid.

    A lot that is used up leaves: the ledger remembers it. The first lot with something left ends
    the search, so the number of lots behind it costs nothing.
    """
    shares: list[LotShare] = []
    for place, lot in enumerate(lots):
        if amount_micros < lot.remaining_micros:
            if amount_micros:
                shares.append(LotShare(lot.lot_id, lot.purchase_id, -amount_micros))
                lot = replace(lot, remaining_micros=lot.remaining_micros - amount_micros)  # noqa: PLW2901 - the lot as it stands by now
            return (lot, *lots[place + 1 :]), tuple(shares), 0
        if lot.remaining_micros:
            shares.append(LotShare(lot.lot_id, lot.purchase_id, -lot.remaining_micros))
        amount_micros -= lot.remaining_micros
    return (), tuple(shares), amount_micros
