"""The prepaid credit of an organization (docs/domain.md §5).

An account has nearly constant size however many calls there have been: calls are usage records,
movements are ledger entries, and a lot that is used up is removed. `booking`, `charging` and
`authorization` change it; what they return is a `Transaction`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.credit_settings import LATE_USAGE, MAX_GRANT_SECONDS, FailureHandling
from perminute.domain.credit.holds import CHARGED_WITHIN, NOTHING_HELD, Holds
from perminute.domain.credit.lots import total_micros
from perminute.domain.credit.recharge import RechargeState
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.credit.lots import FurtherLots, Lots
    from perminute.domain.credit.recharge import AutoRecharge
    from perminute.domain.limits.spending import SpendCounter
    from perminute.domain.pools.pools import Month

_NOTHING_ASKED = RechargeState()


class ForecastState(NamedTuple):
    """Since when calls count for forecasts, and which of them admins were notified of."""

    since: date | None = None  # the day of the first charge; None after weeks without any
    # Whether the last forecast found this; admins were notified when it became true.
    runs_out: bool = False  # the credit runs out within days
    over_budget: Month | None = None  # this month costs more than its budget


NO_FORECAST = ForecastState()


class Account(NamedTuple):
    """The credit of one organization.

    A transaction commits only for the version that it was decided on, so it misses neither another
    charge nor a change of licenses.
    """

    organization_id: str
    version: int = 0  # incremented by each write
    licensing_version: int = 0  # incremented by each licensing change of the organization
    user_facts: int = 0  # licensing facts of all users: a timeline that lacks one is seen by it
    entries: int = 0
    balance_micros: int = 0  # lots - debt = the sum of the ledger, which `reconciliation` compares
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
    call_limit_notified: bool = False  # admins were notified of the limit of concurrent calls
    days: tuple[SpendCounter, ...] = ()  # what the calls of the last few days cost
    # The number of the last correction of what was counted for limits of users and prefixes.
    corrections: int = 0
    prefixes_from: int = 0  # prefix counts of earlier corrections are void: there was no limit
    provisional: Provisional | None = None  # set while unsettled pools may change the balance
    digests_due_at: datetime | None = None  # the end of the first day with calls not yet counted
    forecast: ForecastState = NO_FORECAST

    def available_micros(
        self, at: datetime, *, lasting_until: datetime | None = None, further: Lots = ()
    ) -> int:
        """Return the credit that no call has reserved, in micro-units; it may be negative.

        Lots that expire by `lasting_until` do not count: the call is charged later. `further` are
        the further lots if `further_expire_by`, else they are not needed.
        """
        until = lasting_until or at
        lots = (*self.lots, *further)
        expiries = [lot.expires_at for lot in lots]
        if expiries != sorted(expiries):
            # A lot expires before one that pays first. A call that counted on it could outlast it,
            # after other calls have used the one that pays first.
            until = max(until, self.reserved.last_grant_lapses_at or until)
        used = self.reserved.used
        # These may have expired when what calls have used is charged.
        passing_micros = sum(
            lot.remaining_micros
            for lot in lots
            if lot.expires_at > until and not all(hold.is_paid_by(lot, at) for hold in used)
        )
        return self.balance_at(until, further) - passing_micros - self.reserved.amount_at(at)

    def further_expire_by(self, until: datetime) -> bool:
        """Whether further lots may expire by then, or before what is reserved is charged."""
        if self.further is None:
            return False
        instants = (
            max(hold.until, until) + CHARGED_WITHIN if hold.used else hold.until
            for hold in self.reserved.by_instant
        )
        return self.further.expires_from <= max((until, *instants))

    def balance_at(self, at: datetime, further: Lots = ()) -> int:
        """Return the balance at an instant, without lots that have expired by then.

        Further lots that may have expired count only if they were read.
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
        return total_micros(self.lots) + (self.further.remaining_micros if self.further else 0)

    @property
    def late_usage(self) -> timedelta:
        """How long after its expiry a lot pays calls that ended before."""
        return self.settings.late_usage if self.settings else LATE_USAGE

    @property
    def failure_handling(self) -> FailureHandling:
        """What bridges do if no answer arrives."""
        return self.settings.failure_handling if self.settings else FailureHandling.CLOSED

    @property
    def max_grant_seconds(self) -> int:
        """The longest grant."""
        return self.settings.max_grant_seconds if self.settings else MAX_GRANT_SECONDS

    @property
    def auto_recharge(self) -> AutoRecharge | None:
        """The auto-recharge settings in force; None without, or before the first entry."""
        # Not before the first entry (our decision): when settings arrive, the first purchase is
        # usually under way, and would be bought twice.
        return self.settings.auto_recharge if self.settings and self.entries else None

    @property
    def lots_due_at(self) -> datetime | None:
        """When the next lot is to be warned of, or expires."""
        instants = [lot.due_at for lot in self.lots]
        if self.further is not None:
            instants.append(self.further.due_at)
        return min(instants, default=None)

    def further_due_by(self, at: datetime) -> bool:
        """Whether further lots must be read to book what is due."""
        return self.further is not None and self.further.due_at <= at

    @property
    def recharge_due_at(self) -> datetime | None:
        """When a recharge that is not possible now becomes possible."""
        if self.provisional is not None and self.provisional.due_at is not None:
            return None  # the balance may still change
        return self.recharge.due_at(self.auto_recharge, self.balance_micros)

    @property
    def due_at(self) -> datetime | None:
        """When time alone next changes something; None if it never does."""
        # The daily run charges what bridges reported, so it must find the account until then.
        instants = (self.lots_due_at, *self._due_by_now(), self.reserved.charge_due_at)
        return min((instant for instant in instants if instant is not None), default=None)

    @property
    def listed_from(self) -> datetime | None:
        """When the daily run is to look at the account: when it is due, or to report something."""
        # An unanswered recharge is reported even if a charge sends it again before the run each
        # day, or if nothing sends it since auto-recharge is off.
        instants = (
            *(self.due_at, self.recharge.unanswered_from, self.digests_due_at),
            self.forecast_from,
        )
        return min((instant for instant in instants if instant is not None), default=None)

    @property
    def forecast_from(self) -> datetime | None:
        """When the daily run begins to forecast; None without calls to forecast from."""
        # From then on each day: a forecast changes as time passes.
        return None if self.forecast.since is None else end_of(self.forecast.since)

    def is_due(
        self, at: datetime, heard_at: datetime | None = None, *, answered: str | None = None
    ) -> bool:
        """Whether something must be booked before anything else that happens at `at`.

        A recharge that is `answered` by what happens is not requested again before.
        """
        lots_at, now = self.lots_due_at, self.now(at, heard_at)
        return (lots_at is not None and lots_at <= at) or any(
            instant is not None and instant <= now for instant in self._due_by_now(answered)
        )

    def _due_by_now(self, answered: str | None = None) -> tuple[datetime | None, datetime | None]:
        # These are due by the present time, not by the time of the event that is booked.
        recharge_at = None if self.recharge.waits_for(answered) else self.recharge_due_at
        return recharge_at, self.provisional.due_at if self.provisional else None

    def now(self, at: datetime, heard_at: datetime | None = None) -> datetime:
        """Return the present for what follows from an event: when it was received, if known.

        It is not before anything already booked, so a delivery that is a day late changes no day.
        """
        heard_at = heard_at or at
        return heard_at if self.as_of is None else max(heard_at, self.as_of)


PROVISIONAL_FOR = timedelta(minutes=15)
"""How long notifications and recharges wait (docs/notifications.md#while-a-pool-is-settled)."""


class Provisional(NamedTuple):
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
        return self._replace(balance_micros=balance_micros)
