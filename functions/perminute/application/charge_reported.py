"""Charge calls by what their bridges reported, once their `Call Ended` is overdue.

A bridge reports the seconds that a call has used. If the call's end is never heard of, they are
charged as if it had been: by `ChargeCalls`, in whose transaction the usage takes the place of what
was reserved. So it happens once, and never beside a `Call Ended` or another report.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from perminute.application.charge_calls import EndedCall
from perminute.application.results import Accepted
from perminute.application.retry import NEVER, Deadline
from perminute.domain.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.application.charge_calls import ChargeCalls
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports import CreditStore

CALLS_AT_ONCE = 100
"""Calls that are read together: as many as DynamoDB reads in one request."""


@dataclass(slots=True)
class ChargedByReports:
    """The calls of an organization that were charged, and why not more."""

    charged: list[Usage] = field(default_factory=list)
    failed: Unavailable | None = None
    goes_on: bool = False  # time ran out before the last one


@dataclass(frozen=True, slots=True)
class ChargeReported:
    """The use case with what it needs from outside."""

    credit: CreditStore
    charge_calls: ChargeCalls

    def __call__(
        self, organization_id: str, at: datetime, deadline: Deadline = NEVER
    ) -> ChargedByReports:
        """Charge all calls of an organization that are due by `at`.

        Repeating it continues with the rest. An organization that had time and charged nothing in
        it has failed: else it might be queued again for ever.
        """
        done, had_time = ChargedByReports(), not deadline.passed
        try:
            self._charge_all(done, organization_id, at, deadline)
        except Unavailable as error:
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
