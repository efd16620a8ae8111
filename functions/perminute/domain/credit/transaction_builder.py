"""Build one transaction: account, entries and notifications change together."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.accounts import Provisional
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
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.pools.pools import MinutePool, Month


class CallCharge(NamedTuple):
    """What a call costs; when it ended and was reported decides which expired lots may pay it."""

    micros: int
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
        answered: str | None = None,
    ) -> None:
        """Begin with what was read; `heard_at` is when the event was received, if it is known.

        `further` are the further lots, if they were read. Of the `expired` lots, at most
        `most_expired` pay late calls. The outcome of the recharge `answered` is booked next.
        """
        self._before = account
        self.account = account  # without the changes of `lots`, which `build` takes over
        known = account.lots, account.further
        self.lots = LotChanges(*known, read=further, expired=expired, most_expired=most_expired)
        self.at = at
        self.now = account.now(at, heard_at)
        self._answered = answered
        self._touched = False
        self._entries: list[LedgerEntry] = []
        self._notifications: list[Notification] = []

    @property
    def next_entry_id(self) -> str:
        """The id of the next entry."""
        return entry_id(self.account.entries + 1)

    def touch(self) -> None:
        """Make the next version of the account, so that others read what is written beside it."""
        self._touched = True

    def set(self, **changed: object) -> None:
        """Change fields of the account."""
        self.account = self.account._replace(**changed)  # type: ignore[arg-type] # its own fields

    def set_up(self, currency: str, at: datetime) -> None:
        """Set the credits up from an instant on; raises `Refused` in another currency."""
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
        """Notify admins, as `notification` says; a call is notified of on its `day`."""
        organization_id, at = self.account.organization_id, at or self.at
        self._notifications.append(
            notification(body, organization_id=organization_id, at=at, cause=cause, counted_on=day)
        )
        if day is not None:
            # The run that counts the calls of this day sees by the version that one was added.
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
        known = self.account.provisional
        months = {pool.month for pool in pools if pool.unsettled is not None}
        if known is not None:
            months |= known.months - {pool.month for pool in pools}
        if not months:
            self.set(provisional=None)
        elif known is not None:
            self.set(provisional=known._replace(months=frozenset(months)))
        else:
            before = self._before.balance_micros
            begun = Provisional(months=frozenset(months), since=self.now, balance_micros=before)
            self.set(provisional=begun)

    def hold_notifications(self) -> None:
        """Record that notifications of single calls wait for pools to be settled."""
        if self.account.provisional is not None:
            self.set(provisional=self.account.provisional._replace(notifications_held=True))

    @property
    def waits(self) -> bool:
        """Whether notifications and recharges wait for pools to be settled."""
        provisional = self.account.provisional
        due_at = None if provisional is None else provisional.due_at
        return due_at is not None and self.now < due_at

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
        other_months: tuple[tuple[Month, int], ...] = (),
    ) -> LedgerEntry:
        """Enter a movement of the balance; the caller changes lots and debt to match."""
        at = at or self.at
        entry = LedgerEntry(
            organization_id=self.account.organization_id,
            entry_id=self.next_entry_id,
            type=entry_type,
            amount_micros=amount_micros,
            balance_after_micros=self.account.balance_micros + amount_micros,
            at=at,
            lots=shares,
            cause=cause,
            opens=opens,
            call_ids=call_ids,
            posted_at=None if at == self.now else self.now,
            other_months=other_months,
        )
        self.set(entries=self.account.entries + 1, balance_micros=entry.balance_after_micros)
        self._entries.append(entry)
        forecast = self.account.forecast
        if entry.of_calls and forecast.since is None:
            self.set(forecast=forecast._replace(since=self.now.date()))
        return entry

    def open_lot(self, entry_type: EntryType, lot: Lot, cause: str) -> None:
        """Enter credit: pay the debt first, and store the rest as a lot.

        Of a lot that has expired by now, since its event came late, the rest is forfeited.
        """
        if lot.expires_at <= self.at:
            # It had expired when it came in, so it pays no debt either.
            self.enter(entry_type, lot.remaining_micros, _given(lot), cause, opens=lot)
            self.expire(lot, not_before=self.at)
            return
        left = lot._replace(remaining_micros=self.pay_debt(lot.remaining_micros))
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
        """Take a positive amount out of the lots, without an entry; the rest becomes debt.

        Raises `FurtherLotsNeeded`.
        """
        self._check_nothing_is_due()
        return self._owe_rest(self.lots.draw(amount_micros)).shares

    def draw_for_calls(self, charges: Sequence[CallCharge]) -> list[Drawn]:
        """Take what each call costs out of the lots, as `draw` does.

        A lot that expired after a call had ended may pay it, if `enter_late` takes the expiry back.
        """
        self._check_nothing_is_due()
        late_usage = self.account.late_usage
        drawn = []
        for micros, ended_at, reported_at in charges:
            late = self.lots.paying_late(ended_at, reported_at, late_usage)
            drawn.append(self._owe_rest(self.lots.draw(micros, late)))
        return drawn

    def enter_late(self, late: Mapping[str, Sequence[LotShare]]) -> None:
        """Take expiries back as far as their lots pay calls, by call id, all in one entry."""
        call_ids = [call_id for call_id, shares in late.items() if shares]
        if call_ids:
            more = f" and {len(call_ids) - 1} more" if len(call_ids) > 1 else ""
            shares = merged(chain.from_iterable(late.values()))
            self.take_back_expiry(shares, f"call#{call_ids[0]}{more}", *call_ids)

    def take_back_expiry(self, shares: Sequence[LotShare], cause: str, *call_ids: str) -> None:
        """Enter that expired lots get back what another entry takes out of them."""
        back = tuple(LotShare(lot_id, name, -micros) for lot_id, name, micros, _ in shares)
        total_micros = sum(share.amount_micros for share in back)
        self.enter(EntryType.EXPIRY, total_micros, back, cause, call_ids=call_ids)

    def expire(self, lot: Lot, not_before: datetime | None = None) -> None:
        """Forfeit what is left of a lot, when it expired, or at `not_before` if that is later."""
        at = max(lot.expires_at, not_before or lot.expires_at)
        self.lots.forfeit(lot)
        self.set(forfeited_at=max(lot.expires_at, self.account.forfeited_at or lot.expires_at))
        taken = -lot.remaining_micros
        self.enter(EntryType.EXPIRY, taken, (lot.share(taken),), f"lot#{lot.lot_id}", at=at)
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
        """Notify once that a lot will expire."""
        self.lots.put(lot._replace(warned=True))
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

        A recharge is requested only if it `may_ask`. If the entries correct one another, none but
        the last balance was ever in force: notifications state that one, `as_it_stands`.
        """
        before = self._before
        crossed = self._check_balance(may_ask=may_ask, as_it_stands=as_it_stands)
        first, further = self.lots.first, self.lots.further
        is_changed = self.account != before or (first, further) != (before.lots, before.further)
        after = self.account._replace(
            lots=first, further=further, version=before.version + 1, as_of=self.now
        )
        return Transaction(
            before=before,
            after=after if is_changed or self._touched else before,
            entries=tuple(self._entries),
            notifications=(*crossed, *self._notifications),
            lots=self.lots.items,
        )

    def _check_balance(self, *, may_ask: bool, as_it_stands: bool) -> tuple[Notification, ...]:
        """Recharge, and return the thresholds passed; or wait while the balance may still change.

        After waiting, the balance is compared with the highest one that `Provisional` has noted.
        """
        provisional, waited = self.account.provisional, self._before.provisional
        before_micros, micros = self._before.balance_micros, self.account.balance_micros
        # A fall of the balance needs no note: the comparison after waiting finds it.
        asks_anyway = may_ask and micros >= before_micros
        if provisional is not None and self.waits:
            if asks_anyway:
                provisional = provisional._replace(may_ask=True)
            # Only new credit counts: what settling gives back only undoes an earlier fall.
            if micros > before_micros and any(entry.adds_credit for entry in self._entries):
                provisional = provisional.with_added_credit(micros)
            self.set(provisional=provisional)
            return ()
        if provisional is not None:
            # Nothing waits again until all of these pools have been settled.
            self.set(provisional=provisional._replace(balance_micros=None, may_ask=False))
        if waited is None or waited.balance_micros is None:
            self._recharge(may_ask=may_ask)
            return self._crossings(before_micros, self._balance_now if as_it_stands else None)
        fell = micros < waited.balance_micros
        self._recharge(may_ask=fell or asks_anyway or waited.may_ask)
        return self._crossings(waited.balance_micros, self._balance_now)

    @property
    def _balance_now(self) -> BalanceNow:
        account = self.account
        last_entry = entry_id(account.entries)
        return BalanceNow(account.organization_id, account.balance_micros, self.now, last_entry)

    def _crossings(
        self, before_micros: int, now: BalanceNow | None = None
    ) -> tuple[Notification, ...]:
        settings, currency = self.account.settings, self.account.currency
        thresholds_micros = settings.low_balance_thresholds_micros if settings else ()
        request = self.account.recharge.open
        recharge_id = None if request is None else request.recharge_id
        passed = crossings(
            self._entries, before_micros, thresholds_micros, currency, now, recharge_id=recharge_id
        )
        return tuple(passed)

    def _recharge(self, *, may_ask: bool) -> None:
        if self.account.recharge.waits_for(self._answered):
            return
        state, step = self.account.recharge.next_step(
            self.account.auto_recharge,
            self.account.balance_micros,
            organization_id=self.account.organization_id,
            now=self.now,
        )
        if step is not None and not may_ask:
            return
        if state is not self.account.recharge:
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

    def _owe_rest(self, drawn: Drawn) -> Drawn:
        if drawn.unpaid_micros:
            self.set(debt_micros=self.account.debt_micros + drawn.unpaid_micros)
        return drawn


def _given(lot: Lot) -> tuple[LotShare, ...]:
    return (lot.share(lot.remaining_micros),) if lot.remaining_micros else ()
