"""The books of one account while something is booked: account, entries and notifications in step.

Every movement of the balance goes through `enter`, which makes its entry. `close` decides what all
of them together call for, and gives everything, to be committed together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.domain.accounts import Booking
from perminute.domain.errors import Refused
from perminute.domain.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.lots import MAX_LOTS, Lot, LotShare, draw, with_lot
from perminute.domain.notifications import (
    CreditExpired,
    CreditExpiring,
    News,
    Notification,
    RechargeDisabled,
    RechargeRequested,
    crossings,
    notification,
)
from perminute.domain.recharge import Disabled, RechargeRequest

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.accounts import Account
    from perminute.domain.lots import Lots


class Books:
    """An account while one booking is made of it.

    What is booked happens `at` its own instant. What is to follow from it (a recharge, the end of
    a lot that comes late) looks at `Account.now`.
    """

    def __init__(self, account: Account, at: datetime, heard_at: datetime | None = None) -> None:
        """Open them at an instant; `heard_at` is when the event reached us, if that is known."""
        self._before = account
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

    def tell(self, news: News, *, cause: str | int, at: datetime | None = None) -> None:
        """Have the organization's admins told; `cause` tells it from other news of its type."""
        self._notifications.append(
            notification(
                news,
                organization_id=self.account.organization_id,
                at=at or self.at,
                cause=cause,
            )
        )

    def tell_disabled(self, reason: Disabled) -> None:
        """Say that no recharge is asked for any more."""
        disabled = RechargeDisabled(
            reason=reason,
            balance_micros=self.account.balance_micros,
            currency=self.account.currency,
        )
        self.tell(disabled, cause=self.account.version, at=self.now)

    def open_lot(self, entry_type: EntryType, lot: Lot, cause: str) -> None:
        """Pay the debt first, keep the rest; `Refused` if the account has as many as it may.

        A lot that had expired when it came in never pays. One that is heard of after its end,
        since the event came late, pays the debt that stands, and the rest is forfeited.
        """
        if lot.expires_at <= self.at:
            self.enter(entry_type, lot.remaining_micros, _given(lot), cause, opens=lot)
            self.put(lot)
            self.expire(lot, not_before=self.at)
            return
        kept = replace(lot, remaining_micros=self.pay_debt(lot.remaining_micros))
        self.enter(entry_type, lot.remaining_micros, _given(kept), cause, opens=kept)
        if kept.remaining_micros:
            self.put(kept)
            if kept.expires_at <= self.now:
                self.expire(kept)
        if len(self.account.lots) > MAX_LOTS:
            raise Refused(
                "amount", f"would be a lot too many: {MAX_LOTS} lots still have something left"
            )

    def pay(self, entry_type: EntryType, amount_micros: int, cause: str | None) -> LedgerEntry:
        """Take a positive amount from the lots; what they do not hold becomes debt."""
        shares = self.draw(amount_micros)
        return self.enter(entry_type, -amount_micros, shares, cause)

    def draw(self, amount_micros: int) -> tuple[LotShare, ...]:
        """Take a positive amount out of the lots, without an entry yet: what they lack is debt."""
        lots, shares, unpaid_micros = draw(self._usable(), amount_micros)
        self.set(lots=lots, debt_micros=self.account.debt_micros + unpaid_micros)
        return shares

    def pay_debt(self, amount_micros: int) -> int:
        """Pay what stands of the debt, without an entry yet; gives what is left of the amount."""
        paid_micros = min(self.account.debt_micros, amount_micros)
        self.set(debt_micros=self.account.debt_micros - paid_micros)
        return amount_micros - paid_micros

    def put(self, lot: Lot) -> None:
        """Put a lot in its place, or in that of the one it was, without an entry yet."""
        others = tuple(one for one in self.account.lots if one.lot_id != lot.lot_id)
        self.set(lots=with_lot(others, lot))

    def enter(  # noqa: PLR0913 - the parts of an entry
        self,
        entry_type: EntryType,
        amount_micros: int,
        shares: tuple[LotShare, ...],
        cause: str | None,
        *,
        at: datetime | None = None,
        opens: Lot | None = None,
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
        )
        self.set(entries=self.account.entries + 1, balance_micros=entry.balance_after_micros)
        self._entries.append(entry)
        return entry

    def expire(self, lot: Lot, not_before: datetime | None = None) -> None:
        """Forfeit what is left of a lot, at the instant at which it expired.

        One that had expired before it came in is forfeited as it comes: not before it was there.
        """
        at = max(lot.expires_at, not_before or lot.expires_at)
        self.set(lots=tuple(one for one in self.account.lots if one.lot_id != lot.lot_id))
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
            balance_micros=self.account.balance_micros,
            currency=self.account.currency,
        )
        self.tell(expired, cause=lot.lot_id, at=at)

    def warn(self, lot: Lot) -> None:
        """Tell, this once, that a lot is going to expire."""
        self.set(
            lots=tuple(
                replace(one, warned=True) if one.lot_id == lot.lot_id else one
                for one in self.account.lots
            )
        )
        expiring = CreditExpiring(
            purchase_id=lot.purchase_id,
            remaining_micros=lot.remaining_micros,
            expires_at=lot.expires_at,
            currency=self.account.currency,
        )
        # A lot that was used up and is opened again has something to be warned of again.
        self.tell(expiring, cause=f"{lot.lot_id}/{self.account.entries}")

    def close(self, *, may_ask: bool = True) -> Booking:
        """Decide what the balance calls for, and make the account's next version."""
        crossed = self._crossings()
        self._recharge(may_ask=may_ask)
        changed = self._touched or self.account != self._before
        return Booking(
            account=(
                replace(self.account, version=self._before.version + 1, as_of=self.now)
                if changed
                else self._before
            ),
            entries=tuple(self._entries),
            notifications=(*crossed, *self._notifications),
        )

    def _crossings(self) -> tuple[Notification, ...]:
        settings = self.account.settings
        thresholds_micros = settings.low_balance_thresholds_micros if settings else ()
        before_micros = self._before.balance_micros
        return tuple(
            crossings(self._entries, before_micros, thresholds_micros, self.account.currency)
        )

    def _usable(self) -> Lots:
        """The lots, none of which may have expired: that must have been booked before."""
        lots = self.account.lots
        if any(lot.expires_at <= self.at for lot in lots):
            msg = f"the account of {self.account.organization_id} is not brought up to {self.at}"
            raise RuntimeError(msg)
        return lots

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
                )
                self.tell(requested, cause=step.recharge_id, at=self.now)
            case Disabled():
                self.tell_disabled(step)
            case None:
                pass


def _given(lot: Lot) -> tuple[LotShare, ...]:
    if lot.remaining_micros == 0:
        return ()
    return (LotShare(lot.lot_id, lot.purchase_id, lot.remaining_micros),)
