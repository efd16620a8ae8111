"""What runs by the clock of a replay: the scheduled functions, each when its hour is passed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from perminute.adapters.dynamodb.account_items import ACCOUNT, ACCOUNTS_INDEX, NEVER_DUE
from perminute.domain.values.times import end_of, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from perminute_local.replay.lambda_runtime import LambdaFunction
    from perminute_local.stack import ScheduleTrigger

MAX_RUNS_BETWEEN_EVENTS = 2_000
"""A gap between two events may be thousands of years, if one of their times is wrong."""

_SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
_A_MOMENT = timedelta(microseconds=1)


class Failure(NamedTuple):
    """A run that failed as often as it is tried, or that was not made at all."""

    name: str
    at: datetime
    why: str


class Scheduled(NamedTuple):
    """A function and its schedule."""

    name: str
    trigger: ScheduleTrigger
    function: LambdaFunction

    def next_after(self, now: datetime) -> datetime:
        """Tell when it runs next."""
        at = now.replace(
            hour=self.trigger.hour, minute=self.trigger.minute, second=0, microsecond=0
        )
        return at if at > now else at + timedelta(days=1)

    def run(self, at: datetime, *, is_last: bool = False) -> Iterator[Failure]:
        """Run it as of this time, again if it fails; gives it back if it fails every time.

        The last run takes the day for over: see `days_until` of `schedules`.
        """
        event, attempts = event_of_run(self.trigger, at), self.trigger.attempts
        if is_last:
            event["daysUntil"] = format_instant(end_of(at.date()))
        if all(self.function.call(event) is None for _ in range(attempts)):
            yield Failure(self.name, at, f"failed {attempts} times; see the function's log above")


def event_of_run(trigger: ScheduleTrigger, at: datetime) -> Any:  # noqa: ANN401 - what the template says
    """Give what the scheduler hands over for a run of this time."""
    return json.loads(trigger.input.replace(_SCHEDULED_TIME, format_instant(at)))


def _nothing_to_do(_name: str, _at: datetime) -> Iterable[Failure]:
    """Leave it at the run itself."""
    return ()


@dataclass(slots=True)
class Clock:
    """The clock of a replay. It starts with the first event, and time passes between events.

    While nothing is delivered only time changes accounts, and the index of the credit table says
    when it next does: runs that would find nothing are left out.
    """

    scheduled: Sequence[Scheduled]
    credit_table: str
    now: datetime | None = None
    work_off: Callable[[str, datetime], Iterable[Failure]] = _nothing_to_do
    """Has done what a run of this function has queued, before anything else happens."""

    def pass_until(self, at: datetime) -> Iterator[Failure]:
        """Let time pass, and run what falls into it; gives the runs that failed."""
        now = self.now or at
        for runs in count(1):
            one = min(self.scheduled, key=lambda s: s.next_after(now), default=None)
            if one is None or one.next_after(now) > at:
                break
            now = one.next_after(now)
            if runs > MAX_RUNS_BETWEEN_EVENTS:
                why = f"was left out, as all after it: {runs - 1} runs between two events"
                yield Failure(one.name, now, why)
                break
            yield from self._run(one, now)
            if runs >= len(self.scheduled):
                now = max(now, min(self._next_due() or at, at) - _A_MOMENT)
        self.now = max(now, at)

    def run_all(self) -> Iterator[Failure]:
        """Run each function once more, as of now; the day that is not over has its digests sent."""
        if self.now is not None:
            for one in self.scheduled:
                yield from self._run(one, self.now, is_last=True)

    def _run(self, one: Scheduled, at: datetime, *, is_last: bool = False) -> Iterator[Failure]:
        yield from one.run(at, is_last=is_last)
        yield from self.work_off(one.name, at)

    def _next_due(self) -> datetime | None:
        found = boto3.client("dynamodb").query(
            TableName=self.credit_table,
            IndexName=ACCOUNTS_INDEX,
            KeyConditionExpression="listedAs = :account AND dueAt < :never",
            ExpressionAttributeValues={":account": {"S": ACCOUNT}, ":never": {"S": NEVER_DUE}},
            Limit=1,
        )
        return parse_instant(found["Items"][0]["dueAt"]["S"]) if found["Items"] else None
