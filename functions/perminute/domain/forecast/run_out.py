"""How credit would fall if so much were spent each day (docs/domain.md §7.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.lots import Lot, Lots, draw, total_micros, twelve_months_after
from perminute.domain.credit.recharge import AutoRecharge, RechargeRequest, RechargeState
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

_TICK = timedelta.resolution
_NEVER = datetime.max.replace(tzinfo=UTC)
_NOTHING_ASKED = RechargeState()


class Credit(NamedTuple):
    """The credit of an organization at an instant, in micro-units."""

    lots: Lots  # in the order in which they pay
    debt_micros: int = 0
    auto_recharge: AutoRecharge | None = None
    recharge: RechargeState = _NOTHING_ASKED

    @property
    def balance_micros(self) -> int:
        """What is left of the lots, less the debt."""
        return total_micros(self.lots) - self.debt_micros

    def without_expired(self, at: datetime) -> Credit:
        """Return the credit without the lots that have expired by an instant."""
        lots = tuple(lot for lot in self.lots if lot.expires_at > at)
        return self if len(lots) == len(self.lots) else self._replace(lots=lots)

    def after_spending(self, micros: int) -> Credit:
        """Return the credit after calls that cost so much; what no lot pays becomes debt."""
        lots, _, unpaid_micros = draw(self.lots, micros)
        return self._replace(lots=lots, debt_micros=self.debt_micros + unpaid_micros)

    def may_recharge(self, balance_micros: int) -> bool:
        """Whether anything is to be requested at a balance; not so on nearly all days."""
        auto = self.auto_recharge
        return auto is not None and (
            self.recharge.open is not None or balance_micros < auto.trigger_micros
        )

    def after_recharging(self, at: datetime) -> Credit | None:
        """Return the credit after a recharge that is requested and paid at once; None without."""
        auto, balance_micros = self.auto_recharge, self.balance_micros
        state, step = self.recharge.next_step(auto, balance_micros, organization_id="", now=at)
        if not isinstance(step, RechargeRequest):
            return None
        paid_micros = min(step.amount_micros, self.debt_micros)
        lot = Lot(
            lot_id=step.recharge_id,
            purchase_id=step.recharge_id,
            purchased_at=at,
            expires_at=twelve_months_after(at),
            remaining_micros=step.amount_micros - paid_micros,
        )
        return self._replace(
            lots=(*self.lots, lot) if lot.remaining_micros else self.lots,
            debt_micros=self.debt_micros - paid_micros,
            recharge=state.succeeded(step.recharge_id),
        )


class CreditPath(NamedTuple):
    """What becomes of credit, day by day."""

    balances_micros: tuple[int, ...]  # at the end of each day
    runs_out: date | None  # the first day on which nothing is left; None within these days
    recharged: tuple[date, ...]  # the day of each recharge
    forfeited_micros: int  # what expires


def walk(credit: Credit, spent_micros: Sequence[int], *, since: datetime) -> CreditPath:
    """Return what becomes of credit from an instant on if so much is spent each day.

    The first amount is spent during the rest of the instant's UTC day.
    """
    credit = credit.without_expired(since)
    balance_micros, expires_from = credit.balance_micros, _first_expiry(credit.lots)
    undrawn_micros = 0  # spent, and not yet taken from the lots: sums are enough for most days
    balances: list[int] = []
    recharged: list[date] = []
    runs_out: date | None = None
    forfeited_micros = 0
    day = since.astimezone(UTC).date()
    for micros in spent_micros:
        until = end_of(day)
        if until <= expires_from and not credit.may_recharge(balance_micros - micros):
            undrawn_micros += micros
            balance_micros -= micros
            if runs_out is None and balance_micros <= 0:
                runs_out = day
        else:
            credit, undrawn_micros = credit.after_spending(undrawn_micros), 0
            for instant, part_micros in _parts(micros, credit.lots, since, until):
                spent = credit.after_spending(part_micros)
                credit = spent.without_expired(instant)
                forfeited_micros += spent.balance_micros - credit.balance_micros
                while (richer := credit.after_recharging(since)) is not None:
                    credit = richer
                    recharged.append(day)
                balance_micros = credit.balance_micros
                if runs_out is None and balance_micros <= 0:
                    runs_out = day
            expires_from = _first_expiry(credit.lots)
        balances.append(balance_micros)
        since, day = until, until.date()
    return CreditPath(tuple(balances), runs_out, tuple(recharged), forfeited_micros)


def _first_expiry(lots: Lots) -> datetime:
    return min((lot.expires_at for lot in lots), default=_NEVER)


def _parts(
    micros: int, lots: Lots, since: datetime, until: datetime
) -> Iterator[tuple[datetime, int]]:
    # What is spent until each lot's expiry, in proportion to the time, and then the rest. Nothing
    # expires at the last instant, which belongs to the next day.
    expiries = sorted({lot.expires_at for lot in lots if since <= lot.expires_at < until})
    spent_micros, ticks = 0, (until - since) // _TICK
    for instant in expiries:
        part_micros = micros * ((instant - since) // _TICK) // ticks - spent_micros
        yield instant, part_micros
        spent_micros += part_micros
    yield until - _TICK, micros - spent_micros
