"""Chargebacks: a purchase is taken back by the bank or the card's issuer, in whole or in part.

What the purchase's own lot still holds goes first. What was forfeited when it expired comes back
by a positive `expiry` entry and is taken: an organization does not owe for credit that it never
used. What calls have used is taken from the other lots in their order, and becomes debt beyond.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.books import Books
from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.lots import merged
from perminute.domain.errors import Refused
from perminute.domain.values.money import format_micros

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.booking import Adjustment
    from perminute.domain.credit.lots import Lot, LotShare
    from perminute.domain.credit.transaction import Transaction


class Chargeback(NamedTuple):
    """How much of a purchase was taken back until now; micro-units."""

    purchase_id: str
    amount_micros: int


class BoughtCredit(NamedTuple):
    """A purchase as it is recorded; micro-units.

    `forfeited` is its lot with what is forfeited of it, if it has expired.
    """

    purchase_id: str
    lot_id: str
    amount_micros: int
    charged_back_micros: int = 0
    forfeited: Lot | None = None


def charge_back(  # noqa: PLR0913 - the parts of a booking
    account: Account,
    adjustment: Adjustment,
    bought: BoughtCredit,
    *,
    at: datetime,
    cause: str,
    heard_at: datetime | None = None,
    further: Sequence[Lot] | None = None,
) -> Transaction:
    """Take credit back that was bought; `Refused` if that is more than is left to take back."""
    amount_micros = -adjustment.amount_micros
    charged_back_micros = bought.charged_back_micros + amount_micros
    if charged_back_micros > bought.amount_micros:
        before = ""
        if bought.charged_back_micros:
            before = f", of which {format_micros(bought.charged_back_micros)} was taken back before"
        raise Refused(
            "amount",
            f"takes back {format_micros(amount_micros)}, but purchase {bought.purchase_id} brought "
            f"{format_micros(bought.amount_micros)}{before}; take back at most the rest, or send "
            "an adjustment without a purchaseId",
        )
    books = Books(account, at, heard_at, further=further)
    shares = _taken(books, bought, amount_micros, cause)
    books.enter(EntryType.ADJUSTMENT, -amount_micros, merged(shares), cause)
    chargeback = Chargeback(bought.purchase_id, charged_back_micros)
    return replace(books.close(), chargeback=chargeback)


def _taken(books: Books, bought: BoughtCredit, amount_micros: int, cause: str) -> list[LotShare]:
    shares: list[LotShare] = []
    lot = books.find(bought.lot_id)
    if lot is not None:
        micros = min(amount_micros, lot.remaining_micros)
        shares.append(books.draw_from(lot, micros))
        amount_micros -= micros
    if amount_micros and bought.forfeited is not None and bought.forfeited.remaining_micros:
        micros = min(amount_micros, bought.forfeited.remaining_micros)
        shares.append(books.draw_from_forfeited(bought.forfeited, micros, cause))
        amount_micros -= micros
    if amount_micros:
        shares += books.draw(amount_micros)
    return shares
