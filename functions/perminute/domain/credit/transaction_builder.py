"""Build one transaction: account, entries and notifications change together."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.accounts import with_pools
from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.lots import MAX_EXPIRED_LOTS, Drawn, Lot, LotChanges, LotShare, merged
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


class TransactionBuilder:
    """An account while one transaction is decided: `build` returns the transaction.

    Each movement of the balance is entered by `enter`; `lots` changes the lots. Entries are made
    `at` the instant of the event; what follows from it (a recharge, the end of a lot that is
    reported late) depends on what time it is `now` (`Account.now`).
    """

    def __init__(  # noqa: PLR0913 - what a decision depends on
        self,
        account: Account,
        at: datetime,
        heard_at: datetime | None = None,
        *,
        further: Sequence[Lot] | None = None,
        expired: Sequence[Lot] = (),
        most_expired: int = MAX_EXPIRED_LOTS,
    ) -> None:
        """Begin with what was read.

        `heard_at` is when the event was received, if that is known. `further` are the further lots,
        if they were read, and `expired` are lots that may pay late calls, at most so many of them.
        """
        self._before = account
        self.account = account  # without the changes of `lots`, which `build` takes over
        self.lots = LotChanges(
            account.lots,
            account.further,
            read=further,
            expired=expired,
            most_expired=most_expired,
        )
        self.at = at
        self.now = account.now(at, heard_at)
        self._touched = False
        self._entries: list[LedgerEntry] = []
        self._notifications: list[Notification] = []

    @property
    def next_entry_id(self) -> str:
        """The id of the next entry."""
        return entry_id(self.account.entries + 1)

    def touch(self) -> None:
        """Make the next version of the account even if nothing in it changes.

        So what is written beside it is not overwritten by others who have not read it.
        """
        self._touched = True

    def set(self, **changed: object) -> None:
        """Change fields of the account."""
        self.account = replace(self.account, **changed)  # type: ignore[arg-type] # its own fields

    def set_up(self, currency: str, at: datetime) -> None:
        """Set the credits up by an instant; `Refused` in another currency."""
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
        body: NotificationBody,
        *,
        cause: str | int,
        at: datetime | None = None,
        day: date | None = None,
    ) -> None:
        """Notify the organization's admins; `cause` distinguishes notifications of one type.

        A notification of a call has a `day`, whose digest counts it if it is not the first.
        """
        self._notifications.append(
            notification(
                body,
                organization_id=self.account.organization_id,
                at=at or self.at,
                cause=cause,
                counted_on=day,
            )
        )
        if day is not None:
            # Whoever counts the calls of this day sees by the version that one was added.
            self.touch()
            due_at = end_of(day)
            self.set(digests_due_at=min(self.account.digests_due_at or due_at, due_at))

    def notify_disabled(self, reason: Disabled) -> None:
        """Notify that auto-recharge is disabled."""
        disabled = RechargeDisabled(
            reason=reason,
            balance_micros=self.account.balance_micros,
            currency=self.account.currency,
        )
        self.notify(disabled, cause=self.account.version, at=self.now)

    def put_pools(self, pools: Sequence[MinutePool]) -> None:
        """Record which pools are unsettled: notifications and recharges may wait for them."""
        provisional = with_pools(
            self.account.provisional,
            unsettled={pool.month for pool in pools if pool.unsettled is not None},
            settled={pool.month for pool in pools if pool.unsettled is None},
            balance_micros=self._before.balance_micros,
            now=self.now,
        )
        self.set(provisional=provisional)

    def hold_notifications(self) -> None:
        """Record that notifications of single calls wait for pools to be settled."""
        if self.account.provisional is not None:
            self.set(provisional=replace(self.account.provisional, notifications_held=True))

    @property
    def waits(self) -> bool:
        """Whether notifications and recharges wait for pools to be settled."""
        provisional = self.account.provisional
        return provisional is not None and provisional.waits_at(self.now)

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
        """Change the balance by an entry, to which lots and debt are changed separately."""
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

    def open_lot(self, entry_type: EntryType, lot: Lot, cause: str) -> None:
        """Enter credit: pay the debt first, and store the rest as a lot.

        A lot that had expired when it came in never pays. One that is heard of after its end,
        since the event came late, pays the debt, and the rest is forfeited.
        """
        if lot.expires_at <= self.at:
            self.enter(entry_type, lot.remaining_micros, _given(lot), cause, opens=lot)
            self.expire(lot, not_before=self.at)
            return
        left = replace(lot, remaining_micros=self.pay_debt(lot.remaining_micros))
        self.enter(entry_type, lot.remaining_micros, _given(left), cause, opens=left)
        if left.remaining_micros and left.expires_at <= self.now:
            self.expire(left)
        elif left.remaining_micros:
            self.lots.put(left)

    def pay_debt(self, amount_micros: int) -> int:
        """Pay debt out of an amount, without an entry; return what is left of the amount."""
        paid_micros = min(self.account.debt_micros, amount_micros)
        self.set(debt_micros=self.account.debt_micros - paid_micros)
        return amount_micros - paid_micros

    def draw(self, amount_micros: int) -> tuple[LotShare, ...]:
        """Take a positive amount out of the lots, without an entry: what they lack becomes debt.

        Raises `FurtherLotsNeeded`.
        """
        self._check_nothing_is_due()
        drawn = self.lots.draw(amount_micros)
        self._owe(drawn.unpaid_micros)
        return drawn.shares

    def draw_for_calls(self, charges: Sequence[tuple[LateCall, int]]) -> list[Drawn]:
        """Take what each call costs out of the lots, one after the other, without an entry.

        A call may be paid by a lot that expired after the call had ended: then its expiry is taken
        back, by `enter_late`. Raises `FurtherLotsNeeded`.
        """
        self._check_nothing_is_due()
        drawn = [self.lots.draw(micros, self._pays(call)) for call, micros in charges]
        self._owe(sum(part.unpaid_micros for part in drawn))
        return drawn

    def enter_late(self, charges: Sequence[tuple[LateCall, int]], drawn: Sequence[Drawn]) -> None:
        """Take expiries back as far as their lots pay calls: an entry for each call."""
        for (call, _), part in zip(charges, drawn, strict=True):
            if part.late:
                self.take_back_expiry(part.late, f"call#{call.call_id}", call.call_id)

    def enter_late_together(
        self, charges: Sequence[tuple[LateCall, int]], drawn: Sequence[Drawn]
    ) -> None:
        """Do the same in one entry, which names all the calls: a correction has many."""
        late = [(call.call_id, part.late) for (call, _), part in zip(charges, drawn, strict=True)]
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

    def expire(self, lot: Lot, not_before: datetime | None = None) -> None:
        """Forfeit what is left of a lot, when it expired, but not before it came in."""
        at = max(lot.expires_at, not_before or lot.expires_at)
        self.lots.forfeit(lot)
        self.set(forfeited_at=max(lot.expires_at, self.account.forfeited_at or lot.expires_at))
        taken = (LotShare(lot.lot_id, lot.purchase_id, -lot.remaining_micros),)
        self.enter(EntryType.EXPIRY, -lot.remaining_micros, taken, f"lot#{lot.lot_id}", at=at)
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
        """Notify, once, that a lot is going to expire."""
        self.lots.put(replace(lot, warned=True))
        expiring = CreditExpiring(
            purchase_id=lot.purchase_id,
            remaining_micros=lot.remaining_micros,
            expires_at=lot.expires_at,
            currency=self.account.currency,
        )
        # A lot that was used up and is opened again is warned of again.
        self.notify(expiring, cause=f"{lot.lot_id}/{self.account.entries}")

    def build(self, *, may_ask: bool = True, as_it_stands: bool = False) -> Transaction:
        """Decide what the balance requires, and return everything with the account's next version.

        A recharge is requested only if it `may_ask`. Where the entries belong together,
        notifications state the balance `as_it_stands` in the end, not that after the entry that
        passed a threshold: nobody ever had that.
        """
        self.set(lots=self.lots.first, further=self.lots.further)
        crossed = self._check_balance(may_ask=may_ask, as_it_stands=as_it_stands)
        changed = self._touched or self.account != self._before
        after = replace(self.account, version=self._before.version + 1, as_of=self.now)
        return Transaction(
            before=self._before,
            after=after if changed else self._before,
            entries=tuple(self._entries),
            notifications=(*crossed, *self._notifications),
            lots=self.lots.items,
        )

    def _check_balance(self, *, may_ask: bool, as_it_stands: bool) -> tuple[Notification, ...]:
        """Return the thresholds passed, and recharge; or wait while the balance may still change.

        What has waited is decided by how the balance stands in the end and by the highest that it
        stood at before: when the waiting began, or after credit was bought or given meanwhile.
        """
        provisional, waited = self.account.provisional, self._before.provisional
        before_micros, micros = self._before.balance_micros, self.account.balance_micros
        # A fall of the balance needs no note: it is seen in the end, if it is still there.
        asks_anyway = may_ask and micros >= before_micros
        if provisional is not None and provisional.waits_at(self.now):
            if asks_anyway:
                provisional = replace(provisional, may_ask=True)
            # What settling gives back does not count: a fall that it takes back was never one.
            if micros > before_micros and any(entry.adds_credit for entry in self._entries):
                provisional = provisional.with_added_credit(micros)
            self.set(provisional=provisional)
            return ()
        if provisional is not None:
            self.set(provisional=provisional.over())
        number = entry_id(self.account.entries)
        now = BalanceNow(self.account.organization_id, micros, self.now, number)
        if waited is None or waited.balance_micros is None:
            crossed = self._crossings(before_micros, now if as_it_stands else None)
            self._recharge(may_ask=may_ask)
            return crossed
        crossed = self._crossings(waited.balance_micros, now)
        fell = micros < waited.balance_micros
        self._recharge(may_ask=fell or asks_anyway or waited.may_ask)
        return crossed

    def _crossings(
        self, before_micros: int, now: BalanceNow | None = None
    ) -> tuple[Notification, ...]:
        settings, currency = self.account.settings, self.account.currency
        thresholds_micros = settings.low_balance_thresholds_micros if settings else ()
        return tuple(crossings(self._entries, before_micros, thresholds_micros, currency, now))

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
                self.notify_disabled(step)
            case None:
                pass

    def _check_nothing_is_due(self) -> None:
        # An expired lot would pay: its expiry must have been booked before.
        further = self.lots.further
        expired = any(lot.expires_at <= self.at for lot in self.lots.first)
        if expired or (further is not None and further.expires_from <= self.at):
            msg = f"what is due by {self.at} was not applied to {self.account.organization_id}"
            raise RuntimeError(msg)

    def _owe(self, unpaid_micros: int) -> None:
        if unpaid_micros:
            self.set(debt_micros=self.account.debt_micros + unpaid_micros)

    def _pays(self, call: LateCall) -> Callable[[Lot], bool]:
        late_usage = self.account.late_usage
        return lambda lot: lot.pays_late(call.ended_at, call.reported_at, late_usage)


def _given(lot: Lot) -> tuple[LotShare, ...]:
    if lot.remaining_micros == 0:
        return ()
    return (LotShare(lot.lot_id, lot.purchase_id, lot.remaining_micros),)
