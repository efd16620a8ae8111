"""Chargebacks: the bank or the card's issuer takes a purchase back, in whole or in part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.lots import merged
from perminute.domain.credit.transaction_builder import TransactionBuilder
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
    """How much of a purchase was taken back until now."""

    purchase_id: str
    amount_micros: int


class BoughtCredit(NamedTuple):
    """A purchase as it is recorded."""

    purchase_id: str
    lot_id: str
    amount_micros: int
    charged_back_micros: int = 0
    forfeited: Lot | None = None  # the lot, with what is forfeited of it, if it has expired


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
    """Take credit back that was bought; raises `Refused` if less is left to take back."""
    amount_micros = -adjustment.amount_micros
    charged_back_micros = bought.charged_back_micros + amount_micros
    if charged_back_micros > bought.amount_micros:
        raise _refused(bought, amount_micros)
    builder = TransactionBuilder(account, at, heard_at, further=further)
    shares = _taken(builder, bought, amount_micros, cause)
    builder.enter(EntryType.ADJUSTMENT, -amount_micros, merged(shares), cause)
    chargeback = Chargeback(bought.purchase_id, charged_back_micros)
    return replace(builder.build(), chargeback=chargeback)


def _refused(bought: BoughtCredit, amount_micros: int) -> Refused:
    before = ""
    if bought.charged_back_micros:
        before = f", of which {format_micros(bought.charged_back_micros)} was taken back before"
    return Refused(
        "amount",
        f"takes back {format_micros(amount_micros)}, but purchase {bought.purchase_id} brought "
        f"{format_micros(bought.amount_micros)}{before}; take back at most the rest, or send "
        "an adjustment without a purchaseId",
    )


def _taken(
    builder: TransactionBuilder, bought: BoughtCredit, amount_micros: int, cause: str
) -> list[LotShare]:
    """Take from the purchase's own lot first, then what expired of it, then from other lots.

    An organization does not owe for credit that it never used: what was forfeited comes back by a
    positive `expiry` entry. What no lot has becomes debt.
    """
    shares: list[LotShare] = []
    lot, forfeited = builder.lots.find(bought.lot_id), bought.forfeited
    if lot is not None:
        micros = min(amount_micros, lot.remaining_micros)
        shares.append(builder.lots.take(lot, micros))
        amount_micros -= micros
    if amount_micros and forfeited is not None and forfeited.remaining_micros:
        micros = min(amount_micros, forfeited.remaining_micros)
        share = builder.lots.take_back(forfeited, micros)
        builder.take_back_expiry((share,), cause)
        shares.append(share)
        amount_micros -= micros
    if amount_micros:
        shares += builder.draw(amount_micros)
    return shares
