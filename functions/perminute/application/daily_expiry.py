"""The daily expiry of an account: due changes, calls without an end, digests, forecasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.results import Accepted
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.application.transact import apply_due_changes
from perminute.domain.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.application.notify_forecasts import ForecastDone, NotifyForecasts
    from perminute.application.send_digests import DigestsSent, SendDigests
    from perminute.domain.credit.accounts import Account
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.messaging import RunOrganization
    from perminute.ports.stores import CreditStore

# As many as DynamoDB reads in one request.
CALLS_AT_ONCE = 100


class Expired(NamedTuple):
    """What the expiry of an account's credit has found."""

    unanswered: str | None = None  # the recharge whose outcome nobody has reported for days
    failed: Unavailable | None = None


@dataclass(frozen=True, slots=True)
class ExpireCredit:
    """The use case with what it needs from outside."""

    credit: CreditStore
    retry: RetryPolicy

    def __call__(self, organization_id: str, at: datetime) -> Expired:
        """Apply what is due by `at`; what was booked before is not booked again."""

        def attempt() -> Account:
            return apply_due_changes(self.credit, self.credit.account(organization_id), at)

        try:
            unanswered = self.retry.call(attempt, organization_id).recharge.unanswered_at(at)
        except Unavailable as error:
            return Expired(failed=error)
        return Expired(unanswered.recharge_id if unanswered else None)


@dataclass(slots=True)
class ChargedByReports:
    """The calls of an organization that were charged, and why not more."""

    charged: list[Usage] = field(default_factory=list)
    failed: Unavailable | None = None
    goes_on: bool = False  # time ran out before the last one


@dataclass(frozen=True, slots=True)
class ChargeReported:
    """Charges calls by what their bridges reported, once their `Call Ended` is overdue."""

    # In its transaction the usage takes the place of what was reserved: so a call is charged once,
    # and never beside its `Call Ended` or another report.
    credit: CreditStore
    charge_calls: ChargeCalls

    def __call__(
        self, organization_id: str, at: datetime, deadline: Deadline = NEVER
    ) -> ChargedByReports:
        """Charge all calls of an organization that are due by `at`; repeat it to go on."""
        done, had_time = ChargedByReports(), not deadline.passed
        try:
            self._charge_all(done, organization_id, at, deadline)
        except Unavailable as error:
            # With time and without a charge it has failed: else it might be queued for ever.
            if deadline.passed and (done.charged or not had_time):
                done.goes_on = True
            else:
                done.failed = error
        return done

    def _charge_all(
        self, done: ChargedByReports, organization_id: str, at: datetime, deadline: Deadline
    ) -> None:
        # The account is read first, since most are due for something else.
        due_at = self.credit.account(organization_id).reserved.charge_due_at
        if due_at is None or due_at > at:
            return
        found = self.credit.reported_calls(organization_id, due_by=at)
        while call_ids := list(islice(found, CALLS_AT_ONCE)):
            ended = list(self._ended(organization_id, call_ids, at))
            for result in self.charge_calls(ended, deadline):
                match result:
                    case Accepted(usage):
                        done.charged.append(usage)
                    case Refused() | Unavailable():
                        raise result
                    case _:
                        # Its `Call Ended` was faster, or its bridge reports again.
                        pass

    def _ended(
        self, organization_id: str, call_ids: Sequence[str], at: datetime
    ) -> Iterator[EndedCall]:
        # Read again, since the index that named the calls may lag behind.
        reservations = self.credit.reservations(organization_id, call_ids)
        for call_id in call_ids:
            call = reservations.get(call_id)
            if call is not None and call.charge_at is not None and call.charge_at <= at:
                yield EndedCall(call.as_reported(), reported_at=at, reservation=call)


class AccountExpiry(NamedTuple):
    """The results of the daily expiry of one account."""

    organization_id: str
    expired: Expired
    reported: ChargedByReports
    digests: DigestsSent
    forecast: ForecastDone

    @property
    def failed(self) -> Unavailable | None:
        """Why a part failed; the others may have succeeded."""
        return (
            self.expired.failed
            or self.reported.failed
            or (self.digests.failed or self.forecast.failed)
        )

    @property
    def goes_on(self) -> bool:
        """Whether time ran out before its reported calls, digests or forecast were done."""
        return self.reported.goes_on or self.digests.goes_on or self.forecast.goes_on


@dataclass(frozen=True, slots=True)
class ExpireAccount:
    """The use case, which consists of four others."""

    expire_credit: ExpireCredit
    charge_reported: ChargeReported
    send_digests: SendDigests
    notify_forecasts: NotifyForecasts

    def __call__(self, work: RunOrganization, deadline: Deadline) -> AccountExpiry:
        """Do all four parts, even if one of them fails."""
        organization_id, at = work.organization_id, work.at
        return AccountExpiry(
            organization_id,
            self.expire_credit(organization_id, at),
            self.charge_reported(organization_id, at, deadline),
            self.send_digests(organization_id, work.days_until or at, at, deadline),
            # By the calls that were charged just before.
            self.notify_forecasts(organization_id, at, deadline),
        )
