"""The clock of a replay: which scheduled runs fall into the time between two events."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from perminute.daily_runs import ScheduledRun
from perminute.domain.errors import Refused
from perminute.domain.values.times import end_of
from perminute.parsing import read_message
from perminute_local.conditions import StackError, decided, parameters_of
from perminute_local.replay.lambda_runtime import (
    MAX_RUNS_BETWEEN_EVENTS,
    Clock,
    Failure,
    Scheduled,
)
from perminute_local.replay.streams import matches
from perminute_local.stack import ScheduleTrigger, Template, stack_of

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
INPUT = '{"time": "<aws.scheduler.scheduled-time>"}'


@dataclass
class Recorded:
    """A function that remembers when it ran, and fails as long as it is told to."""

    times: list[str] = field(default_factory=list)
    days_until: list[str | None] = field(default_factory=list)
    failures: int = 0

    def call(self, event: dict[str, Any]) -> dict[str, Any] | None:
        self.times.append(event["time"])
        self.days_until.append(event.get("daysUntil"))
        if self.failures:
            self.failures -= 1
            return None
        return {}


@dataclass
class Due(Clock):
    """A clock for which the index of accounts is a function."""

    due: Callable[[], datetime | None] = lambda: None

    def _next_due(self) -> datetime | None:
        return self.due()


def scheduled(function: Recorded, hour: int = 0, minute: int = 5, name: str = "Daily") -> Scheduled:
    trigger = ScheduleTrigger(hour=hour, minute=minute, input=INPUT, attempts=3)
    return Scheduled(name, trigger, function)  # type: ignore[arg-type] # all that is used of it


def passed(clock: Clock, *instants: datetime) -> list[Failure]:
    return [failure for at in instants for failure in clock.pass_until(at)]


def test_a_function_runs_when_its_hour_is_passed_and_not_before() -> None:
    function = Recorded()
    clock = Due([scheduled(function)], "credit")
    midnight = datetime(2026, 11, 3, tzinfo=UTC)
    passed(clock, START, midnight, midnight + timedelta(minutes=4, seconds=59))
    assert function.times == []
    passed(clock, midnight + timedelta(minutes=5), midnight + timedelta(hours=8))
    assert function.times == ["2026-11-03T00:05:00Z"]


def test_days_on_which_nothing_can_happen_are_left_out_and_the_day_that_is_due_is_not() -> None:
    function, due_at = Recorded(), datetime(2027, 9, 30, 12, tzinfo=UTC)

    def due() -> datetime | None:
        return None if any(time > "2027-09-30" for time in function.times) else due_at

    clock = Due([scheduled(function)], "credit", due=due)
    passed(clock, START, datetime(2031, 1, 1, tzinfo=UTC))
    assert function.times == ["2026-11-03T00:05:00Z", "2027-10-01T00:05:00Z"]
    assert clock.now == datetime(2031, 1, 1, tzinfo=UTC)


def test_a_monthly_run_is_made_on_its_days_also_while_nothing_is_due() -> None:
    daily, monthly = Recorded(), Recorded()
    once = scheduled(monthly, hour=6, minute=15)
    twice = once._replace(trigger=once.trigger._replace(days=frozenset({2, 4})))
    clock = Due([scheduled(daily), twice], "credit")
    passed(clock, START, datetime(2027, 1, 3, tzinfo=UTC))
    assert monthly.times == [
        "2026-11-04T06:15:00Z",
        "2026-12-02T06:15:00Z",
        "2026-12-04T06:15:00Z",
        "2027-01-02T06:15:00Z",
    ]
    assert len(daily.times) < 10


def test_the_statements_of_the_template_are_written_monthly(template: Template) -> None:
    asked_for = decided(template, parameters_of(template, {"Statements": "true"}))
    outputs = defaultdict(str, {"BusName": "bus"})
    schedule = stack_of(asked_for, outputs).schedules()["RenderStatementsFunction"]
    assert (set(schedule.days), schedule.hour, schedule.minute) == ({2, 4}, 6, 15)


def test_a_wrong_year_does_not_run_for_ever() -> None:
    function = Recorded()
    clock = Due([scheduled(function)], "credit", due=lambda: START)
    (told,) = passed(clock, START, datetime(9990, 1, 1, tzinfo=UTC))
    assert len(function.times) == MAX_RUNS_BETWEEN_EVENTS
    assert told.why == "was left out, as all after it: 2000 runs between two events"


def test_several_functions_run_in_the_order_of_their_hours() -> None:
    first, second = Recorded(), Recorded()
    clock = Due([scheduled(second, 1, 35), scheduled(first)], "credit")
    passed(clock, START, START + timedelta(days=1))
    assert (first.times, second.times) == (["2026-11-03T00:05:00Z"], ["2026-11-03T01:35:00Z"])


def test_what_a_run_has_queued_is_done_before_the_next_run() -> None:
    history: list[str] = []

    class Noted(Recorded):
        def call(self, event: dict[str, Any]) -> dict[str, Any] | None:
            history.append(event["time"])
            return {}

    def work_off(name: str, at: datetime) -> list[Failure]:
        history.append(f"what {name} has queued")
        return [Failure("a message", at, "failed")] if name == "Nightly" else []

    daily, nightly = scheduled(Noted()), scheduled(Noted(), 1, 35, name="Nightly")
    clock = Due([nightly, daily], "credit", work_off=work_off)
    (failure,) = passed(clock, START, START + timedelta(days=1))
    assert history == [
        "2026-11-03T00:05:00Z",
        "what Daily has queued",
        "2026-11-03T01:35:00Z",
        "what Nightly has queued",
    ]
    assert failure.name == "a message"
    assert [one.name for one in clock.run_all()] == ["a message"]


def test_after_the_last_event_each_runs_once_more_as_of_then() -> None:
    function = Recorded()
    clock = Due([scheduled(function)], "credit")
    assert list(clock.run_all()) == []
    passed(clock, START, START + timedelta(hours=3))
    assert list(clock.run_all()) == []
    assert function.times == ["2026-11-02T12:00:00Z"]


def test_the_last_run_alone_takes_the_day_for_over() -> None:
    function = Recorded()
    clock = Due([scheduled(function)], "credit")
    passed(clock, START, START + timedelta(days=1))
    assert list(clock.run_all()) == []
    assert function.days_until == [None, "2026-11-04T00:00:00Z"]


def test_who_starts_a_run_by_hand_says_which_days_are_over_by_an_instant_that_can_be_read() -> None:
    at = "2026-11-02T12:00:00Z"
    assert read_message({"time": at}, ScheduledRun).days_until is None
    until = read_message({"time": at, "daysUntil": "2026-11-03T00:00:00Z"}, ScheduledRun).days_until
    assert until == end_of(START.date())
    with pytest.raises(Refused, match=r"^daysUntil: must be an RFC 3339 time"):
        read_message({"time": at, "daysUntil": "tomorrow"}, ScheduledRun)


def test_a_run_that_fails_is_tried_again_and_told_if_it_fails_every_time() -> None:
    function = Recorded(failures=2)
    clock = Due([scheduled(function)], "credit")
    tomorrow = START + timedelta(days=1)
    assert passed(clock, START, tomorrow) == []
    assert len(function.times) == 3
    function.failures = 3
    assert passed(clock, tomorrow + timedelta(days=1)) == [
        Failure(
            "Daily",
            datetime(2026, 11, 4, 0, 5, tzinfo=UTC),
            "failed 3 times; see the function's log above",
        )
    ]


@pytest.mark.parametrize(
    ("pattern", "record", "expected"),
    [
        ({"a": ["x", "y"]}, {"a": "y", "b": 1}, True),
        ({"a": ["x"]}, {"a": "xy"}, False),
        ({"a": ["x"]}, {}, False),
        ({"a": {"b": [{"prefix": "x#"}]}}, {"a": {"b": "x#1"}}, True),
        ({"a": {"b": [{"prefix": "x#"}]}}, {"a": {"b": "y"}}, False),
        ({"a": {"b": ["x"]}}, {"a": "x"}, False),
    ],
)
def test_event_filters_match_as_lambdas_do(
    pattern: dict[str, Any],
    record: dict[str, Any],
    expected: bool,  # noqa: FBT001 - the table's last column
) -> None:
    assert matches(pattern, record) is expected


def test_an_operator_that_is_not_known_here_is_no_silent_match() -> None:
    with pytest.raises(StackError, match="the filter operator"):
        matches({"a": [{"numeric": [">", 1]}]}, {"a": 2})
