"""What calls cost turns out to be another amount: where credit comes from, and goes back to.

Had less been charged at first, the lots that paid last would not have been touched. So they get
back first, if they have not expired. What no lot had paid, or whose lot has expired since it paid,
goes into one lot a month for all such refunds, with a year to be used: nobody loses what was
charged wrongly (ours). What a lot paid after it had expired is forfeited again: it came back for
that call alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from perminute.domain.credit.ledger import RERATING, EntryType
from perminute.domain.credit.lots import (
    MAX_LOTS_GIVEN_BACK,
    Lot,
    LotShare,
    given_back,
    merged,
    twelve_months_after,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.credit.transaction_builder import LateCall, TransactionBuilder


@dataclass(slots=True, kw_only=True)
class Correction:
    """The charge of a call and by how much it changes; `lots` that pay it, before or after."""

    call: LateCall
    charge_micros: int
    change_micros: int
    lots: tuple[LotShare, ...]


def correct(
    builder: TransactionBuilder,
    corrections: Sequence[Correction],
    opened: Mapping[str, Lot],
    cause: str,
) -> str:
    """Change what calls cost, all in one entry, whose id it gives; says who pays each by now.

    What is given back comes first. It pays the debt that stands before it goes to lots. `opened`
    holds lots as they were opened, of those that paid and are used up. Raises `FurtherLotsNeeded`.
    """
    refunds = _Refunds(builder, opened)
    shares: list[LotShare] = []
    in_order = sorted(corrections, key=lambda correction: correction.change_micros)
    for one in in_order:
        if one.change_micros < 0:
            shares += refunds.give_back(one)
    dearer = [one for one in in_order if one.change_micros > 0]
    charges = [(one.call, one.change_micros) for one in dearer]
    drawn = builder.draw_for_calls(charges)
    for one, paid in zip(dearer, drawn, strict=True):
        one.lots = merged((*one.lots, *paid.shares))
        shares += paid.shares
    total_micros = sum(one.change_micros for one in corrections)
    entry = builder.enter(
        EntryType.ADJUSTMENT, -total_micros, merged(shares), cause, opens=refunds.opens
    )
    # A lot that is opened is named after the entry that opens it, so the others come behind that.
    builder.enter_late_together(charges, drawn)
    if refunds.forfeited:
        refunds.enter_forfeited(entry.entry_id)
    return entry.entry_id


@dataclass(slots=True)
class _Refunds:
    """Where credit goes back to; `opens` is the lot that was opened for it, if one was.

    `forfeited` is what expired lots had paid for late calls: it is forfeited again.
    """

    builder: TransactionBuilder
    opened: Mapping[str, Lot]
    opens: Lot | None = None
    forfeited: list[LotShare] = field(default_factory=list)

    def give_back(self, one: Correction) -> Iterator[LotShare]:
        """Give back what a charge is to be less, first what no lot had paid."""
        paid_micros = -sum(share.amount_micros for share in one.lots)
        owed_micros = min(-one.change_micros, one.charge_micros - paid_micros)
        one.lots, back = given_back(one.lots, -one.change_micros - owed_micros)
        yield from self._put(owed_micros, None)
        for share in back:
            if share.late and self.builder.lots.forfeits_again(share.lot_id):
                self.builder.lots.forfeit_again(share)
                self.forfeited.append(share)
                yield share
            else:
                yield from self._put(share.amount_micros, share.lot_id)

    def enter_forfeited(self, because_of: str) -> None:
        """Enter that credit is forfeited again which came back only to pay these calls."""
        shares = merged(
            LotShare(lot_id, name, -micros) for lot_id, name, micros, _ in self.forfeited
        )
        total_micros = sum(share.amount_micros for share in shares)
        self.builder.enter(EntryType.EXPIRY, total_micros, shares, f"entry#{because_of}")

    def _put(self, amount_micros: int, lot_id: str | None) -> Iterator[LotShare]:
        amount_micros = self.builder.pay_debt(amount_micros)
        if amount_micros:
            lot = self._lot(lot_id)
            self.builder.lots.put(
                replace(lot, remaining_micros=lot.remaining_micros + amount_micros)
            )
            yield LotShare(lot.lot_id, lot.purchase_id, amount_micros)

    def _lot(self, lot_id: str | None) -> Lot:
        """Find the lot, or open it again if it is used up and has not expired.

        Only so many: what calls have drawn from hundreds of lots must fit one transaction.
        """
        held = None if lot_id is None else self.builder.lots.find(lot_id)
        if held is not None and held in self.builder.lots.first:
            return held
        if self.builder.lots.number_written >= MAX_LOTS_GIVEN_BACK:
            return self._common_lot()
        if held is not None:
            return held
        used_up = None if lot_id is None else self.opened.get(lot_id)
        if used_up and used_up.expires_at > self.builder.at:
            return replace(used_up, remaining_micros=0, warned=False)
        return self._common_lot()

    def _common_lot(self) -> Lot:
        """Take the one of this month: people know it as one, however many calls it is for."""
        at = self.builder.at
        name = f"{RERATING}{at:%Y-%m}"
        lot = self.builder.lots.named(name) or self.opens
        if lot is None:
            lot = self.opens = Lot(
                lot_id=self.builder.next_entry_id,
                purchase_id=name,
                purchased_at=at,
                expires_at=twelve_months_after(at),
                remaining_micros=0,
            )
        return lot
