"""The prepaid credit of an organization as it stands (docs/domain.md §5).

The account is a value of nearly constant size however many calls there have been: the calls are
in the usage table, the movements in the ledger, and a lot that is used up leaves. What changes an
account is in `booking` and `authorization`; what they make of it is a `Transaction`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.domain.credit.credit_settings import LATE_USAGE, MAX_GRANT_SECONDS, FailureHandling
from perminute.domain.credit.holds import CHARGED_WITHIN, NOTHING_HELD, Holds
from perminute.domain.credit.lots import total_micros
from perminute.domain.credit.recharge import RechargeState

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.credit.lots import FurtherLots, Lots
    from perminute.domain.credit.recharge import AutoRecharge
    from perminute.domain.limits.spending import SpendCounter
    from perminute.domain.pools.pools import Month

_NOTHING_ASKED = RechargeState()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The credit of one organization at `version`.

    Every write makes the next version, and a charge commits only for the version that it was
    decided on: so it misses neither another charge nor a change of licenses.

    The balance is stored beside the lots and the debt, and each movement changes both:
    balance = lots - debt = the sum of the ledger, which `reconciliation` compares.
    """

    organization_id: str
    version: int = 0
    licensing_version: int = 0  # incremented by each licensing change of the organization
    # The number of licensing facts of all users: readers of timelines see by it if one is missing.
    user_facts: int = 0
    entries: int = 0
    balance_micros: int = 0
    debt_micros: int = 0
    currency: str | None = None
    credits_set_up_at: datetime | None = None
    settings: CreditSettings | None = None
    # The latest instant at which anything was booked: never decreases, however late an event is.
    as_of: datetime | None = None
    lots: Lots = ()  # the first lots, which pay next
    further: FurtherLots | None = None  # the sums of the lots that are items of their own
    # The latest expiry of a lot that had something left: it may still pay calls that ended before.
    forfeited_at: datetime | None = None
    recharge: RechargeState = _NOTHING_ASKED
    reserved: Holds = NOTHING_HELD  # for calls under way, and for used seconds not charged yet
    calls_notified: bool = False  # admins were notified of the limit of concurrent calls
    days: tuple[SpendCounter, ...] = ()  # what the calls of the last few days cost
    # The number of the last correction of what was counted for limits of users and prefixes.
    corrections: int = 0
    # What was counted for prefixes before this correction is void: there was no limit in between.
    prefixes_from: int = 0
    provisional: Provisional | None = None  # set while unsettled pools may change the balance
    # When the first day is over whose calls are notified of, and of which not all are counted.
    digests_due_at: datetime | None = None

    def available_micros(
        self, at: datetime, *, lasting_until: datetime | None = None, further: Lots = ()
    ) -> int:
        """Return the credit that no call under way has reserved; negative if more than all.

        What is to pay for a call that ends later must be there then: lots that expire by
        `lasting_until` do not count. Where a lot expires before one that pays first, no call may
        count on it that others could outlast: they would find it gone, and the other one spent.
        Nor does a lot count that may be gone when what calls have used is charged.

        `further` are the further lots, if `further_expire_by` asks for them: else they count
        nothing.
        """
        until = lasting_until or at
        lots = (*self.lots, *further)
        expiries = [lot.expires_at for lot in lots]
        if expiries != sorted(expiries):
            until = max(until, self.reserved.last_grant_lapses_at or until)
        used = self.reserved.used
        passing_micros = sum(
            lot.remaining_micros
            for lot in lots
            if lot.expires_at > until and not all(hold.is_paid_by(lot, at) for hold in used)
        )
        return self.balance_at(until, further) - passing_micros - self.reserved.amount_at(at)

    def further_expire_by(self, until: datetime) -> bool:
        """Whether further lots may expire by an instant, or before what is reserved is charged."""
        if self.further is None:
            return False
        instants = (
            max(hold.until, until) + CHARGED_WITHIN if hold.used else hold.until
            for hold in self.reserved.by_instant
        )
        return self.further.expires_from <= max((until, *instants))

    def balance_at(self, at: datetime, further: Lots = ()) -> int:
        """Return the balance at an instant, whether what has expired by then is booked or not.

        Further lots that may have expired by then count only if they were read.
        """
        lots_micros = sum(lot.remaining_micros for lot in self.lots if lot.expires_at > at)
        if self.further is not None and at < self.further.expires_from:
            lots_micros += self.further.remaining_micros
        else:
            lots_micros += sum(lot.remaining_micros for lot in further if lot.expires_at > at)
        return lots_micros - self.debt_micros

    @property
    def lots_micros(self) -> int:
        """What is left of all lots."""
        further_micros = self.further.remaining_micros if self.further else 0
        return total_micros(self.lots) + further_micros

    @property
    def late_usage(self) -> timedelta:
        """How long after its expiry a lot pays calls that ended before, if the admin set it."""
        return self.settings.late_usage if self.settings else LATE_USAGE

    @property
    def failure_handling(self) -> FailureHandling:
        """What bridges are to do if no answer comes."""
        return self.settings.failure_handling if self.settings else FailureHandling.CLOSED

    @property
    def max_grant_seconds(self) -> int:
        """How much a call is granted at a time at most."""
        return self.settings.max_grant_seconds if self.settings else MAX_GRANT_SECONDS

    @property
    def auto_recharge(self) -> AutoRecharge | None:
        """How to recharge, if at all.

        Not before money has moved for the first time: the settings come first and the first
        purchase moments later, and buying what is just being bought would be worse than waiting
        for the first charge (ours).
        """
        return self.settings.auto_recharge if self.settings and self.entries else None

    @property
    def lots_due_at(self) -> datetime | None:
        """When a lot is next to be warned of, or expires."""
        instants = [lot.due_at for lot in self.lots]
        if self.further is not None:
            instants.append(self.further.due_at)
        return min(instants, default=None)

    def further_due_by(self, at: datetime) -> bool:
        """Whether further lots must be read to book what time alone brings."""
        return self.further is not None and self.further.due_at <= at

    @property
    def recharge_due_at(self) -> datetime | None:
        """When a recharge that is not possible now becomes possible; not from what may change."""
        if self.provisional is not None and self.provisional.due_at is not None:
            return None
        return self.recharge.due_at(self.auto_recharge, self.balance_micros)

    @property
    def due_at(self) -> datetime | None:
        """When time alone next changes something; None if it never does.

        What bridges reported counts until the last such call is charged: the daily run, which
        charges them, must find the account until then, whatever an index knows of the calls.
        """
        instants = (self.lots_due_at, *self._due_by_now, self.reserved.charge_due_at)
        return min((instant for instant in instants if instant is not None), default=None)

    @property
    def listed_from(self) -> datetime | None:
        """When the daily run is to look at the account: when it is due, or to report something.

        A recharge that nobody answers is reported even if it is sent again by others each day
        before the run comes, or is not sent again since auto-recharge is off.
        """
        instants = (self.due_at, self.recharge.unanswered_from, self.digests_due_at)
        return min((instant for instant in instants if instant is not None), default=None)

    def is_due(self, at: datetime, heard_at: datetime | None = None) -> bool:
        """Whether something must be booked before anything else that happens at `at`."""
        lots_at, now = self.lots_due_at, self.now(at, heard_at)
        return (lots_at is not None and lots_at <= at) or any(
            instant is not None and instant <= now for instant in self._due_by_now
        )

    @property
    def _due_by_now(self) -> tuple[datetime | None, datetime | None]:
        """What falls due by the time that it is, not by the time of the event that is booked."""
        return self.recharge_due_at, self.provisional.due_at if self.provisional else None

    def now(self, at: datetime, heard_at: datetime | None = None) -> datetime:
        """Return what time it is for what follows from an event.

        That is when it was received, if known, but not before anything already booked: a delivery
        that comes a day late must not make a day pass, nor a clock that is a day ahead.
        """
        heard_at = heard_at or at
        return heard_at if self.as_of is None else max(heard_at, self.as_of)


PROVISIONAL_FOR = timedelta(minutes=15)
"""How long notifications and recharges wait (docs/notifications.md#while-a-pool-is-settled)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """Which pools are unsettled, and what waits for them, since the balance may still change.

    A late call is charged as if its pool had nothing left, and gets the money back once the pool is
    settled. A warning sent meanwhile would be false, and credit bought meanwhile stays bought.
    """

    months: frozenset[Month]
    since: datetime  # when the first of them became unsettled
    # The balance to compare with after waiting: that before, or a higher one after credit was
    # bought or given meanwhile. None once notifications no longer wait.
    balance_micros: int | None
    may_ask: bool = False  # something other than a fall of the balance has called for a recharge
    # Notifications of single calls wait: the records of these calls say which.
    notifications_held: bool = False

    @property
    def due_at(self) -> datetime | None:
        """When the waiting ends, settled or not; None if it has ended."""
        return None if self.balance_micros is None else self.since + PROVISIONAL_FOR

    def with_added_credit(self, balance_micros: int) -> Provisional:
        """Compare with the balance after credit was bought or given, if it is higher."""
        if self.balance_micros is None or self.balance_micros >= balance_micros:
            return self
        return replace(self, balance_micros=balance_micros)
