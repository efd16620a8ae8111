"""The books of one account while something is booked: account, entries and notifications in step.

Every movement of the balance goes through `enter`, which makes its entry. `close` decides what all
of them together call for, and gives everything, to be committed together.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.lot_changes import Drawn, LotChanges
from perminute.domain.credit.lots import MAX_EXPIRED_LOTS, Lot, LotShare, merged
from perminute.domain.credit.provisional import with_pools
from perminute.domain.credit.recharge import Disabled, RechargeRequest
from perminute.domain.credit.transaction import Transaction
from perminute.domain.errors import Refused
from perminute.domain.notifications.notification_rules import BalanceNow, crossings
from perminute.domain.notifications.notifications import (
    CreditExpired,
    CreditExpiring,
    Notification,
    NotificationBody,
    RechargeDisabled,
    RechargeRequested,
    notification,
)
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.pools.pools import MinutePool


class LateCall(NamedTuple):
    """A call that is charged: when it ended and was reported decides which lots may pay it."""

    call_id: str
    ended_at: datetime
    reported_at: datetime


class Books:
    """An account while one booking is made of it.

    What is booked happens `at` its own instant. What is to follow from it (a recharge, the end of
    a lot that comes late) looks at `Account.now`.
    """

    def __init__(  # noqa: PLR0913 - what a booking rests on
        self,
        account: Account,
        at: datetime,
        heard_at: datetime | None = None,
        *,
        further: Sequence[Lot] | None = None,
        expired: Sequence[Lot] = (),
        most_expired: int = MAX_EXPIRED_LOTS,
    ) -> None:
        """Open them at an instant; `heard_at` is when the event reached us, if that is known.

        `further` are the further lots, if they were read, and `expired` are lots that may pay
        late calls, at most so many of them.
        """
        self._before = account
        self._lots = LotChanges(
            account.lots,
            account.further,
            read=further,
            expired=expired,
            most_expired=most_expired,
        )
        self.at = at
        self.now = account.now(at, heard_at)
        self.account = account
        self._touched = False
        self._entries: list[LedgerEntry] = []
        self._notifications: list[Notification] = []

    @property
    def next_entry_id(self) -> str:
        """The id of the entry that is made next."""
        return entry_id(self.account.entries + 1)

    def touch(self) -> None:
        """Have the account make its next version even if nothing in it changes.

        What was written beside it must not be overwritten by who has not seen it.
        """
        self._touched = True

    def set(self, **changed: object) -> None:
        """Change fields of the account."""
        self.account = replace(self.account, **changed)  # type: ignore[arg-type] # its own fields

    def set_up(self, currency: str, at: datetime) -> None:
        """Set the credits up, or have been set up even earlier; `Refused` in another currency."""
        account = self.account
        if account.currency is not None and account.currency != currency:
            raise Refused(
                "currency",
                f"is {currency}, but the credit of {account.organization_id} is kept in "
                f"{account.currency}, which cannot change",
            )
        earliest = at if account.credits_set_up_at is None else min(account.credits_set_up_at, at)
        self.set(currency=currency, credits_set_up_at=earliest)

    def notify(
        self,
        news: NotificationBody,
        *,
        cause: str | int,
        at: datetime | None = None,
        day: date | None = None,
    ) -> None:
        """Notify the organization's admins; `cause` distinguishes it from other news of its type.

        A notification of a call has a `day`, whose digest counts it if it is not the first.
        """
        self._notifications.append(
            notification(
                news,
                organization_id=self.account.organization_id,
                at=at or self.at,
                cause=cause,
                counted_on=day,
            )
        )
        if day is not None:
            # A run that counts the calls of this day finds by the version that one was added.
            self.touch()
            due_at = end_of(day)
            self.set(digests_due_at=min(self.account.digests_due_at or due_at, due_at))

    def tell_disabled(self, reason: Disabled) -> None:
        """Say that no recharge is asked for any more."""
        disabled = RechargeDisabled(
            reason=reason,
            balance_micros=self.account.balance_micros,
            currency=self.account.currency,
        )
        self.notify(disabled, cause=self.account.version, at=self.now)

    def put_pools(self, pools: Sequence[MinutePool]) -> None:
        """Take note of pools as they are written: what depends on unsettled ones has to wait."""
        provisional = with_pools(
            self.account.provisional,
            unsettled={pool.month for pool in pools if pool.unsettled is not None},
            settled={pool.month for pool in pools if pool.unsettled is None},
            balance_micros=self._before.balance_micros,
            now=self.now,
        )
        self.set(provisional=provisional)

    def hold_notifications(self) -> None:
        """Take note that news of single calls waits for pools to be settled."""
        if self.account.provisional is not None:
            self.set(provisional=replace(self.account.provisional, notifications_held=True))

    @property
    def waits(self) -> bool:
        """Whether notifications and recharges wait for pools to be settled."""
        provisional = self.account.provisional
        return provisional is not None and provisional.waits_at(self.now)

    def open_lot(self, entry_type: EntryType, lot: Lot, cause: str) -> None:
        """Pay the debt first, keep the rest.

        A lot that had expired when it came in never pays. One that is heard of after its end,
        since the event came late, pays the debt that stands, and the rest is forfeited.
        """
        if lot.expires_at <= self.at:
            self.enter(entry_type, lot.remaining_micros, _given(lot), cause, opens=lot)
            self.expire(lot, not_before=self.at)
            return
        kept = replace(lot, remaining_micros=self.pay_debt(lot.remaining_micros))
        self.enter(entry_type, lot.remaining_micros, _given(kept), cause, opens=kept)
        if kept.remaining_micros and kept.expires_at <= self.now:
            self.expire(kept)
        elif kept.remaining_micros:
            self.put(kept)

    def pay(self, entry_type: EntryType, amount_micros: int, cause: str | None) -> LedgerEntry:
        """Take a positive amount from the lots; what they do not hold becomes debt."""
        shares = self.draw(amount_micros)
        return self.enter(entry_type, -amount_micros, shares, cause)

    def draw(self, amount_micros: int) -> tuple[LotShare, ...]:
        """Take a positive amount out of the lots, without an entry yet: what they lack is debt.

        Raises `FurtherLotsNeeded`.
        """
        drawn = self._lots_at_hand().draw(amount_micros)
        self._set_lots(drawn.unpaid_micros)
        return drawn.shares

    def draw_for_calls(self, charges: Sequence[tuple[LateCall, int]]) -> list[Drawn]:
        """Take what calls cost out of the lots, one after the other, without an entry yet.

        A call may be paid by a lot that was alive when it ended and has expired since: see
        `enter_late`. Raises `FurtherLotsNeeded`.
        """
        lots = self._lots_at_hand()
        drawn = [lots.draw(micros, self._pays(call)) for call, micros in charges]
        self._set_lots(sum(one.unpaid_micros for one in drawn))
        return drawn

    def enter_late(self, charges: Sequence[tuple[LateCall, int]], drawn: Sequence[Drawn]) -> None:
        """Enter that expiries are taken back as far as their lots pay calls: an entry for each."""
        for (call, _), one in zip(charges, drawn, strict=True):
            if one.late:
                self.take_back_expiry(one.late, f"call#{call.call_id}", call.call_id)

    def enter_late_together(
        self, charges: Sequence[tuple[LateCall, int]], drawn: Sequence[Drawn]
    ) -> None:
        """Enter the same in one entry, which names all the calls: a correction has many."""
        late = [(call.call_id, one.late) for (call, _), one in zip(charges, drawn, strict=True)]
        call_ids = [call_id for call_id, shares in late if shares]
        if call_ids:
            more = f" and {len(call_ids) - 1} more" if len(call_ids) > 1 else ""
            shares = merged(chain.from_iterable(shares for _, shares in late))
            self.take_back_expiry(shares, f"call#{call_ids[0]}{more}", *call_ids)

    def take_back_expiry(self, shares: Sequence[LotShare], cause: str, *call_ids: str) -> None:
        """Enter that expired lots get back what the next entry takes out of them."""
        back = tuple(LotShare(lot_id, name, -micros) for lot_id, name, micros, _ in shares)
        total_micros = sum(share.amount_micros for share in back)
        self.enter(EntryType.EXPIRY, total_micros, back, cause, call_ids=call_ids)

    def forfeits_again(self, lot_id: str) -> bool:
        """Whether what an expired lot had paid can be forfeited again; it must have been read."""
        return self._lots.forfeits_again(lot_id)

    def forfeit_again(self, share: LotShare) -> None:
        """Forfeit a positive amount again that an expired lot had paid, without an entry yet."""
        self._lots.forfeit_again(share)

    def draw_from(self, lot: Lot, amount_micros: int) -> LotShare:
        """Take an amount out of a certain lot that has as much, without an entry yet."""
        left = replace(lot, remaining_micros=lot.remaining_micros - amount_micros)
        if left.remaining_micros:
            self.put(left)
        else:
            self._lots.remove(lot)
            self._set_lots()
        return LotShare(lot.lot_id, lot.purchase_id, -amount_micros)

    def draw_from_forfeited(self, lot: Lot, amount_micros: int, cause: str) -> LotShare:
        """Take an amount out of what is forfeited of an expired lot: so much is taken back."""
        self._lots.take_back(lot, amount_micros)
        share = LotShare(lot.lot_id, lot.purchase_id, -amount_micros)
        self.take_back_expiry((share,), cause)
        return share

    def pay_debt(self, amount_micros: int) -> int:
        """Pay what stands of the debt, without an entry yet; gives what is left of the amount."""
        paid_micros = min(self.account.debt_micros, amount_micros)
        self.set(debt_micros=self.account.debt_micros - paid_micros)
        return amount_micros - paid_micros

    def find(self, lot_id: str) -> Lot | None:
        """Return a lot with something left, if there is; the further lots must have been read."""
        return self._lots.find(lot_id)

    def named(self, purchase_id: str) -> Lot | None:
        """Return the first lot of a purchase with something left; all must have been read."""
        return self._lots.named(purchase_id)

    @property
    def lots_written(self) -> int:
        """How many lots are written beside the account until now."""
        return sum(map(len, self._lots.items))

    def due_lots(self, at: datetime) -> list[Lot]:
        """Return the lots that are to be warned of or expire by then, of all that were read."""
        return [lot for lot in self._lots.known if lot.due_at <= at]

    def put(self, lot: Lot) -> None:
        """Put a lot in its place, or in that of the one it was, without an entry yet."""
        self._lots.put(lot)
        self._set_lots()

    def move_lots_up(self, short_micros: int) -> None:
        """Move further lots into the account item, for a draw that was short by so much."""
        self._lots.move_up(short_micros)
        self._set_lots()

    def enter(  # noqa: PLR0913 - the parts of an entry
        self,
        entry_type: EntryType,
        amount_micros: int,
        shares: tuple[LotShare, ...],
        cause: str | None,
        *,
        at: datetime | None = None,
        opens: Lot | None = None,
        call_ids: tuple[str, ...] = (),
    ) -> LedgerEntry:
        """Move the balance: by an entry, for which lots and debt are changed as it says."""
        entry = LedgerEntry(
            organization_id=self.account.organization_id,
            entry_id=self.next_entry_id,
            type=entry_type,
            amount_micros=amount_micros,
            balance_after_micros=self.account.balance_micros + amount_micros,
            at=at or self.at,
            lots=shares,
            cause=cause,
            opens=opens,
            call_ids=call_ids,
        )
        self.set(entries=self.account.entries + 1, balance_micros=entry.balance_after_micros)
        self._entries.append(entry)
        return entry

    def expire(self, lot: Lot, not_before: datetime | None = None) -> None:
        """Forfeit what is left of a lot, at the instant at which it expired.

        One that had expired before it came in is forfeited as it comes: not before it was there.
        """
        at = max(lot.expires_at, not_before or lot.expires_at)
        self._lots.forfeit(lot)
        self._set_lots()
        self.set(forfeited_at=max(lot.expires_at, self.account.forfeited_at or lot.expires_at))
        taken = (LotShare(lot.lot_id, lot.purchase_id, -lot.remaining_micros),)
        self.enter(
            EntryType.EXPIRY,
            -lot.remaining_micros,
            taken,
            f"lot#{lot.lot_id}",
            at=at,
        )
        expired = CreditExpired(
            purchase_id=lot.purchase_id,
            amount_micros=lot.remaining_micros,
            expires_at=lot.expires_at,
            late_usage_until=lot.expires_at + self.account.late_usage,
            balance_micros=self.account.balance_micros,
            currency=self.account.currency,
        )
        self.notify(expired, cause=lot.lot_id, at=at)

    def warn(self, lot: Lot) -> None:
        """Tell, this once, that a lot is going to expire."""
        self.put(replace(lot, warned=True))
        expiring = CreditExpiring(
            purchase_id=lot.purchase_id,
            remaining_micros=lot.remaining_micros,
            expires_at=lot.expires_at,
            currency=self.account.currency,
        )
        # A lot that was used up and is opened again has something to be warned of again.
        self.notify(expiring, cause=f"{lot.lot_id}/{self.account.entries}")

    def close(self, *, may_ask: bool = True, as_it_stands: bool = False) -> Transaction:
        """Decide what the balance calls for, and make the account's next version.

        Where the entries are of one piece, what is told states the balance `as_it_stands` in the
        end, not that after the entry that passed a threshold: nobody ever had that.
        """
        crossed = self._decide(may_ask=may_ask, as_it_stands=as_it_stands)
        changed = self._touched or self.account != self._before
        return Transaction(
            before=self._before,
            after=(
                replace(self.account, version=self._before.version + 1, as_of=self.now)
                if changed
                else self._before
            ),
            entries=tuple(self._entries),
            notifications=(*crossed, *self._notifications),
            lots=self._lots.items,
        )

    def _decide(self, *, may_ask: bool, as_it_stands: bool) -> tuple[Notification, ...]:
        """Decide what the balance calls for, or have it wait while the balance may still change.

        What has waited is decided by how the balance stands in the end and by the highest that it
        stood at before: when the waiting began, or after credit was bought or given meanwhile.
        """
        provisional, waited = self.account.provisional, self._before.provisional
        before_micros = self._before.balance_micros
        # A fall of the balance needs no note: it is seen in the end, if it is still there.
        asks_anyway = may_ask and self.account.balance_micros >= before_micros
        if provisional is not None and provisional.waits_at(self.now):
            if asks_anyway:
                provisional = replace(provisional, may_ask=True)
            # What settling gives back does not count: a fall that it takes back was never one.
            rose = self.account.balance_micros > before_micros
            if rose and any(entry.adds_credit for entry in self._entries):
                provisional = provisional.with_added_credit(self.account.balance_micros)
            self.set(provisional=provisional)
            return ()
        if provisional is not None:
            self.set(provisional=provisional.over())
        stands = BalanceNow(
            self.account.organization_id,
            self.account.balance_micros,
            self.now,
            entry_id(self.account.entries),
        )
        if waited is None or waited.balance_micros is None:
            crossed = self._crossings(before_micros, stands if as_it_stands else None)
            self._recharge(may_ask=may_ask)
            return crossed
        crossed = self._crossings(waited.balance_micros, stands)
        fell = self.account.balance_micros < waited.balance_micros
        self._recharge(may_ask=fell or asks_anyway or waited.may_ask)
        return crossed

    def _crossings(
        self, before_micros: int, stands: BalanceNow | None = None
    ) -> tuple[Notification, ...]:
        settings = self.account.settings
        return tuple(
            crossings(
                self._entries,
                before_micros,
                settings.low_balance_thresholds_micros if settings else (),
                self.account.currency,
                stands,
            )
        )

    def _lots_at_hand(self) -> LotChanges:
        """The lots, none of which may have expired: that must have been booked before."""
        further = self._lots.further
        expired = any(lot.expires_at <= self.at for lot in self._lots.first)
        if expired or (further is not None and further.expires_from <= self.at):
            msg = f"the account of {self.account.organization_id} is not brought up to {self.at}"
            raise RuntimeError(msg)
        return self._lots

    def _set_lots(self, unpaid_micros: int = 0) -> None:
        self.set(
            lots=self._lots.first,
            further=self._lots.further,
            debt_micros=self.account.debt_micros + unpaid_micros,
        )

    def _pays(self, call: LateCall) -> Callable[[Lot], bool]:
        late_usage = self.account.late_usage
        return lambda lot: lot.pays_late(call.ended_at, call.reported_at, late_usage)

    def _recharge(self, *, may_ask: bool) -> None:
        state, step = self.account.recharge.next_step(
            self.account.auto_recharge,
            self.account.balance_micros,
            organization_id=self.account.organization_id,
            now=self.now,
        )
        if step is not None and not may_ask:
            return
        self.set(recharge=state)
        match step:
            case RechargeRequest():
                requested = RechargeRequested(
                    recharge_id=step.recharge_id,
                    amount_micros=step.amount_micros,
                    balance_micros=self.account.balance_micros,
                    currency=self.account.currency,
                    attempt=step.attempt,
                )
                self.notify(requested, cause=f"{step.recharge_id}/{step.attempt}", at=self.now)
            case Disabled():
                self.tell_disabled(step)
            case None:
                pass


def _given(lot: Lot) -> tuple[LotShare, ...]:
    if lot.remaining_micros == 0:
        return ()
    return (LotShare(lot.lot_id, lot.purchase_id, lot.remaining_micros),)
