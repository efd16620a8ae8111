"""The prepaid credit of an organization: one balance, and an entry for everything that moved it.

The account is a value of constant size however many calls there have been: the calls are in the
usage table, the movements in the ledger (DOMAIN §5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from perminute.domain.errors import Refused
from perminute.domain.usage import Flag, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class EntryType(StrEnum):
    """What moved the balance (CONTRACT §4; `expiry` comes with lots)."""

    PURCHASE = "purchase"
    CHARGE = "charge"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One movement of the balance; signed micro-units, never changed once written."""

    organization_id: str
    entry_id: str
    type: EntryType
    amount_micros: int
    balance_after_micros: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoRecharge:
    """When to buy credit, and how much; amounts in micro-units of the account's currency."""

    enabled: bool
    trigger_micros: int | None = None
    recharge_micros: int | None = None
    monthly_limit_micros: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditSettings:
    """What the organization's admin configured, and the event that said so.

    Kept whole for what acts on it; of two settings the one configured later holds, whichever
    arrives first.
    """

    configured_at: datetime
    event_id: str
    currency: str
    low_balance_thresholds_micros: tuple[int, ...] = ()
    auto_recharge: AutoRecharge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The credit of one organization as it stands at `version`.

    Every write of the account makes the next version; a licensing change of the organization
    makes the next licensing version as well. A charge commits only against the version it was
    decided on, so it can miss neither another charge nor a change of licenses.
    """

    organization_id: str
    version: int = 0
    licensing_version: int = 0
    entries: int = 0
    balance_micros: int = 0
    currency: str | None = None
    credits_set_up_at: datetime | None = None
    settings: CreditSettings | None = None

    def purchased(
        self, amount_micros: int, currency: str, *, purchased_at: datetime, at: datetime
    ) -> tuple[Account, LedgerEntry]:
        """Add bought credit; the first purchase sets the credits up."""
        set_up = self._set_up(currency, purchased_at)
        return set_up._booked(EntryType.PURCHASE, amount_micros, at)  # noqa: SLF001 - its own class

    def adjusted(self, amount_micros: int, *, at: datetime) -> tuple[Account, LedgerEntry]:
        """Correct the balance up or down."""
        return self._booked(EntryType.ADJUSTMENT, amount_micros, at)

    def configured(self, settings: CreditSettings) -> Account:
        """Take over settings unless later ones are already known; the first set the credits up."""
        account = self._set_up(settings.currency, settings.configured_at)
        known = self.settings
        if known is not None and (known.configured_at, known.event_id) > (
            settings.configured_at,
            settings.event_id,
        ):
            settings = known
        return replace(account, version=self.version + 1, settings=settings)

    def charged(
        self, usages: Sequence[Usage], *, at: datetime
    ) -> tuple[Account, LedgerEntry | None, tuple[Usage, ...]]:
        """Take the charges of a batch in one entry; a batch that costs nothing changes nothing.

        Each paid usage comes back naming its entry, and flagged if it left the balance below
        zero.
        """
        total_micros = sum(usage.charge_micros for usage in usages)
        if total_micros == 0:
            return self, None, tuple(usages)
        account, entry = self._booked(EntryType.CHARGE, -total_micros, at)
        overdrawn = self._overdrawn(usages)
        named = [
            replace(
                usage,
                entry_id=entry.entry_id,
                flags=(*usage.flags, *overdrawn.get(usage.leg.call_id, ())),
            )
            if usage.charge_micros
            else usage
            for usage in usages
        ]
        return account, entry, tuple(named)

    def _overdrawn(self, usages: Sequence[Usage]) -> dict[str, tuple[Flag]]:
        """Flag the calls that leave the balance below zero, in the order in which legs ended.

        That order is the same however a batch was delivered; across batches the flag says what
        the balance was when the leg was booked.
        """
        balance_micros = self.balance_micros
        overdrawn: dict[str, tuple[Flag]] = {}
        if balance_micros >= sum(usage.charge_micros for usage in usages):
            return overdrawn
        for usage in sorted(usages, key=lambda one: (one.leg.ended_at, one.leg.call_id)):
            balance_micros -= usage.charge_micros
            if balance_micros < 0 and usage.charge_micros:
                overdrawn[usage.leg.call_id] = (Flag.OVERDRAWN,)
        return overdrawn

    def _booked(
        self, entry_type: EntryType, amount_micros: int, at: datetime
    ) -> tuple[Account, LedgerEntry]:
        account = replace(
            self,
            version=self.version + 1,
            entries=self.entries + 1,
            balance_micros=self.balance_micros + amount_micros,
        )
        entry = LedgerEntry(
            organization_id=self.organization_id,
            entry_id=f"{account.entries:012d}",
            type=entry_type,
            amount_micros=amount_micros,
            balance_after_micros=account.balance_micros,
            at=at,
        )
        return account, entry

    def _set_up(self, currency: str, at: datetime) -> Account:
        if self.currency is not None and self.currency != currency:
            raise Refused(
                "currency",
                f"is {currency}, but the credit of {self.organization_id} is kept in "
                f"{self.currency}, which cannot change",
            )
        earliest = at if self.credits_set_up_at is None else min(self.credits_set_up_at, at)
        return replace(self, currency=currency, credits_set_up_at=earliest)
