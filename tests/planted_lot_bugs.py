"""Bugs in how lots are named and forfeited, each with the promise that it breaks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from perminute.domain.credit.lots import LotChanges
from perminute.domain.credit.transaction_builder import TransactionBuilder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from perminute.domain.credit.ledger import EntryType
    from perminute.domain.credit.lots import Drawn, Lot


@contextmanager
def naming_lots_after_their_purchases() -> Iterator[None]:
    """A lot has the id of its purchase, not that of the entry that opens it."""
    open_lot = TransactionBuilder.open_lot

    def named(builder: TransactionBuilder, entry_type: EntryType, lot: Lot, cause: str) -> None:
        open_lot(builder, entry_type, lot._replace(lot_id=lot.purchase_id), cause)

    with patch.object(TransactionBuilder, "open_lot", named):
        yield


@contextmanager
def storing_late_payments_like_others() -> Iterator[None]:
    """A call does not say that its lot had expired, so what it gets back is not forfeited again."""
    draw = LotChanges.draw

    def unmarked(changes: LotChanges, amount_micros: int, expired: Sequence[Lot] = ()) -> Drawn:
        drawn = draw(changes, amount_micros, expired)
        return drawn._replace(shares=tuple(share._replace(late=False) for share in drawn.shares))

    with patch.object(LotChanges, "draw", unmarked):
        yield


@contextmanager
def deleting_lots_that_expire() -> Iterator[None]:
    """What is forfeited of a lot is entered, and the lot itself is not stored for late calls."""
    with patch.object(LotChanges, "forfeit", LotChanges.remove):
        yield


LOT_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    naming_lots_after_their_purchases: "a lot is named after the entry that opens it",
    storing_late_payments_like_others: "credit that expired comes back only to pay calls",
    deleting_lots_that_expire: "what expired and was not taken back is forfeited",
}
"""Each bug with the promise that it breaks."""
