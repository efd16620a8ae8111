"""Charge calls by what their bridges reported, once their `Call Ended` is overdue.

A bridge reports the seconds that a call has used. If the call's end is never heard of, they are
charged as if it had been: by `ChargeLegs`, in whose transaction the usage takes the place of what
was reserved. So it happens once, and never beside a `Call Ended` or another report.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from perminute.application.charge_legs import EndedLeg
from perminute.application.expire_credit import Run
from perminute.application.patience import NEVER, Deadline
from perminute.application.verdicts import Accepted
from perminute.domain.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.application.charge_legs import ChargeLegs
    from perminute.domain.usage import Usage
    from perminute.ports import CreditStore

CALLS_AT_ONCE = 100
"""Calls that are read together: as many as DynamoDB reads in one request."""


@dataclass(slots=True)
class ReportedRun(Run):
    """What a daily run did, and the records of the calls that it charged."""

    charged: list[Usage] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ChargeReported:
    """The use case with what it needs from outside."""

    credit: CreditStore
    charge_legs: ChargeLegs

    def __call__(self, at: datetime, deadline: Deadline = NEVER) -> ReportedRun:
        """Charge all calls that are due by `at`; one organization's trouble is its own.

        It stops if organizations cannot be listed or time runs out: what was charged stays charged,
        and running again goes on with the rest.
        """
        run = ReportedRun()
        try:
            for organization_id in self.credit.organizations(due_by=at):
                deadline.check()
                run.organizations += 1
                try:
                    self._charge_all(run, organization_id, at, deadline)
                except Unavailable as error:
                    run.failed[organization_id] = error
        except Unavailable as error:
            run.stopped = error
        return run

    def _charge_all(
        self, run: ReportedRun, organization_id: str, at: datetime, deadline: Deadline
    ) -> None:
        """Ask the account first: most are due for something else."""
        due_at = self.credit.account(organization_id).reserved.charge_due_at
        if due_at is None or due_at > at:
            return
        found = self.credit.reported_calls(organization_id, due_by=at)
        while call_ids := list(islice(found, CALLS_AT_ONCE)):
            ended = list(self._ended(organization_id, call_ids, at))
            for verdict in self.charge_legs(ended, deadline):
                match verdict:
                    case Accepted(usage):
                        run.charged.append(usage)
                    case Refused() | Unavailable():
                        raise verdict
                    case _:
                        # Its `Call Ended` was faster, or its bridge reports again.
                        pass

    def _ended(
        self, organization_id: str, call_ids: Sequence[str], at: datetime
    ) -> Iterator[EndedLeg]:
        """Read what was reported as it is now: the index that named the calls may lag behind."""
        reservations = self.credit.reservations(organization_id, call_ids)
        for call_id in call_ids:
            one = reservations.get(call_id)
            if one is not None and one.charge_at is not None and one.charge_at <= at:
                yield EndedLeg(one.as_reported(), reported_at=at, reservation=one)
