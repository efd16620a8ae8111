"""Admins are notified of a forecast once, and again only after it was not true."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import MICROS, WITHOUT_WAITING, charge, holding, lot, rating
from histories import listed

from perminute.adapters.memory import InMemoryPostings, InMemoryStore
from perminute.application.notify_forecasts import READ_SECONDS, ForecastDone, NotifyForecasts
from perminute.application.reporting.forecast import credit_of, read_spent
from perminute.application.retry import NEVER, Deadline
from perminute.domain.credit.accounts import ForecastState
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.transaction import AccountChanged
from perminute.domain.errors import Unavailable
from perminute.domain.forecast.figures import Confidence
from perminute.domain.forecast.forecast import HORIZON_DAYS, Forecast
from perminute.domain.notifications.notifications import MonthCostForecast, RunOutForecast
from perminute.domain.pools.pools import Month
from perminute.domain.reporting.postings import Posting, UsageList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.notifications.notifications import Notification

RUN = datetime(2026, 11, 17, 0, 5, tzinfo=UTC)  # a Tuesday
DAY = timedelta(days=1)
SINCE = (RUN - 21 * DAY).date()
VERSION = 7  # of the account that `holding` returns


@dataclass
class World:
    """An organization that has spent 10 a day for three weeks."""

    store: InMemoryStore = field(default_factory=InMemoryStore)
    sent: list[Notification] = field(default_factory=list)
    commits: int = 0
    clock: float = 0.0

    def __post_init__(self) -> None:
        for day in range(1, 22):
            ended_at = RUN - day * DAY
            usage = listed(f"call-{day}", ended_at, charge_micros=10 * MICROS)
            posting = Posting(VERSION - 1, ended_at)
            self.store.lists["contoso", usage.call_id] = UsageList(usage.call_id, posting, (usage,))
        commit = self.store.commit

        def recorded(transaction: Transaction) -> None:
            commit(transaction)
            self.commits += 1
            self.sent += transaction.notifications

        self.store.commit = recorded  # type: ignore[method-assign]
        self.holds(60)

    def holds(self, amount: int, *, budget: int | None = None, **changed: Any) -> None:
        """Replace the credit; what was notified stays."""
        known = self.store.accounts.get("contoso")
        settings = CreditSettings(
            configured_at=RUN - 30 * DAY,
            event_id="e",
            currency="USD",
            monthly_budget_micros=None if budget is None else budget * MICROS,
        )
        lots = (lot("1", amount * MICROS),) if amount else ()
        account = holding(*lots, settings=settings)
        self.store.accounts["contoso"] = account._replace(
            version=known.version if known else VERSION,
            forecast=known.forecast if known else ForecastState(SINCE),
            **changed,
        )

    def run(self, at: datetime = RUN, deadline: Deadline | None = None) -> ForecastDone:
        notify = NotifyForecasts(
            self.store, InMemoryPostings(self.store), WITHOUT_WAITING, lambda: self.clock
        )
        return notify("contoso", at, deadline or Deadline(200.0, lambda: self.clock))

    def types(self) -> list[str]:
        """Return what was sent since."""
        types = [one.type for one in self.sent]
        self.sent.clear()
        return types


@pytest.fixture
def world() -> World:
    return World()


def test_credit_that_runs_out_within_a_week_is_notified_of(world: World) -> None:
    assert world.run() == ForecastDone(("RunOutForecast",))
    (sent,) = world.sent
    body = sent.body
    assert isinstance(body, RunOutForecast)
    assert (body.balance_micros, body.currency) == (60 * MICROS, "USD")
    assert body.confidence is Confidence.LOW
    earliest, expected, latest = body.runs_out
    assert RUN.date() < earliest <= expected <= latest  # type: ignore[operator]
    assert expected <= RUN.date() + 7 * DAY  # type: ignore[operator]
    assert sent.at == RUN
    assert world.store.accounts["contoso"].forecast == ForecastState(SINCE, runs_out=True)


def test_it_is_notified_of_once_until_there_is_more_credit(world: World) -> None:
    world.run()
    assert world.types() == ["RunOutForecast"]
    for day in range(2):
        assert world.run(RUN + day * DAY) == ForecastDone()
    assert world.commits == 1
    world.holds(500)
    assert world.run(RUN + DAY) == ForecastDone()
    assert world.store.accounts["contoso"].forecast == ForecastState(SINCE)
    ids = [one.id for one in world.sent]
    world.holds(60)
    world.run(RUN + DAY)
    assert world.types() == ["RunOutForecast"]
    assert ids == []


def test_two_notifications_of_one_day_have_their_own_ids(world: World) -> None:
    world.run()
    world.holds(500)
    world.run()
    world.holds(60)
    world.run()
    assert len({one.id for one in world.sent}) == 2


@pytest.mark.parametrize("amount", range(50, 90))
def test_only_a_day_within_a_week_counts(world: World, amount: int) -> None:
    world.holds(amount)
    account = world.store.accounts["contoso"]
    spent = read_spent(InMemoryPostings(world.store), account, RUN, NEVER)
    found = spent.forecast(credit_of(account, ()), horizon_days=HORIZON_DAYS)
    assert isinstance(found, Forecast)
    assert found.runs_out.expected is not None
    world.run()
    if found.runs_out.expected > RUN.date() + 7 * DAY:
        assert not world.sent
    else:
        (sent,) = world.sent
        assert isinstance(sent.body, RunOutForecast)
        assert sent.body.runs_out == found.runs_out


def test_credit_that_is_used_up_changes_nothing(world: World) -> None:
    world.holds(0)
    assert world.run() == ForecastDone()
    world.holds(60)
    world.run()
    world.holds(0)
    world.run()
    world.holds(50)
    world.run()
    assert world.types() == ["RunOutForecast"]


def test_a_month_that_costs_more_than_its_budget_is_notified_of(world: World) -> None:
    # 16 days at 10, and 14 to come: somewhat below 300.
    world.holds(1_000, budget=250)
    assert world.run() == ForecastDone(("MonthCostForecast",))
    (sent,) = world.sent
    body = sent.body
    assert isinstance(body, MonthCostForecast)
    assert (body.period, body.monthly_budget_micros) == ("2026-11", 250 * MICROS)
    assert body.spent_micros == 160 * MICROS
    assert 250 * MICROS < body.month.expected < 310 * MICROS
    assert world.store.accounts["contoso"].forecast.over_budget == Month(2026, 11)
    assert world.run(RUN + DAY) == ForecastDone()


def test_a_budget_that_suffices_arms_it_again(world: World) -> None:
    for budget in (250, 400, None, 250):
        world.holds(1_000, budget=budget)
        world.run()
    assert world.types() == ["MonthCostForecast", "MonthCostForecast"]


def test_exactly_the_budget_is_within_it(world: World) -> None:
    world.holds(1_000, budget=1)
    world.run()
    expected_micros = world.sent.pop().body.month.expected  # type: ignore[union-attr]
    for micros, types in ((expected_micros, []), (expected_micros - 1, ["MonthCostForecast"])):
        account = world.store.accounts["contoso"]
        assert account.settings is not None
        settings = account.settings._replace(monthly_budget_micros=micros)
        world.store.accounts["contoso"] = account._replace(settings=settings)
        world.run()
        assert world.types() == types


def test_what_was_notified_of_is_not_repeated_with_something_else(world: World) -> None:
    world.run()
    world.holds(60, budget=250)
    world.run()
    assert world.types() == ["RunOutForecast", "MonthCostForecast"]
    world.holds(500, budget=250)
    world.run()
    world.holds(60, budget=250)
    world.run()
    assert world.types() == ["RunOutForecast"]


def test_each_month_is_one_of_its_own(world: World) -> None:
    world.holds(1_000, budget=20)
    world.run()
    world.run(datetime(2026, 12, 1, 0, 5, tzinfo=UTC))
    assert [one.body.period for one in world.sent] == ["2026-11", "2026-12"]  # type: ignore[union-attr]


def test_both_are_sent_by_one_transaction(world: World) -> None:
    world.holds(60, budget=250)
    world.run()
    assert world.types() == ["RunOutForecast", "MonthCostForecast"]
    assert world.store.accounts["contoso"].version == VERSION + 1


def test_too_little_is_known_of_the_first_week(world: World) -> None:
    for day in range(7, 22):
        del world.store.lists["contoso", f"call-{day}"]
    world.holds(60, budget=1)
    assert world.run() == ForecastDone()
    assert world.sent == []


@pytest.mark.parametrize("since", [None, RUN.date()])
def test_without_a_day_of_calls_that_is_over_nothing_is_read(
    world: World, since: date | None
) -> None:
    account = world.store.accounts["contoso"]
    world.store.accounts["contoso"] = account._replace(forecast=ForecastState(since))
    assert world.run() == ForecastDone()
    assert world.sent == []


def test_an_account_is_listed_once_the_day_of_its_first_charge_is_over() -> None:
    account = charge(holding(lot("1", MICROS)), [rating("a", 1)], at=RUN).after
    assert account.forecast == ForecastState(RUN.date())
    assert account.listed_from == account.forecast_from == RUN.replace(minute=0) + DAY
    later = charge(account, [rating("b", 1)], at=RUN + 9 * DAY).after
    assert later.forecast == account.forecast


def test_after_weeks_without_a_call_it_is_not_listed_until_the_next_one(world: World) -> None:
    world.run()
    late = RUN + 84 * DAY
    world.run(late - DAY)
    assert world.store.accounts["contoso"].forecast.since == SINCE
    world.run(late)
    account = world.store.accounts["contoso"]
    assert account.forecast == ForecastState()
    assert charge(account, [rating("b", 1)], at=late).after.forecast.since == late.date()


def test_who_is_charged_while_its_calls_are_read_stays_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisions = InMemoryPostings.revisions

    def charged_meanwhile(postings: InMemoryPostings, *names: Any, **period: Any) -> Any:
        account = world.store.accounts["contoso"]
        world.store.accounts["contoso"] = account._replace(version=account.version + 1)
        return revisions(postings, *names, **period)

    monkeypatch.setattr(InMemoryPostings, "revisions", charged_meanwhile)
    world.run(RUN + 84 * DAY)
    assert world.store.accounts["contoso"].forecast.since == SINCE


def test_a_repeated_attempt_sends_no_second_one(world: World) -> None:
    """Another writer is faster; what the other one wrote counts."""
    commit, times = world.store.commit, iter(range(9))

    def contended(transaction: Transaction) -> None:
        if next(times) == 0:
            account = world.store.accounts["contoso"]
            world.store.accounts["contoso"] = account._replace(version=account.version + 1)
            raise AccountChanged
        commit(transaction)

    world.store.commit = contended  # type: ignore[method-assign]
    world.run()
    assert world.types() == ["RunOutForecast"]
    world.run()
    assert world.types() == []


def read_slowly(world: World, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    lists = InMemoryPostings.usage_lists

    def slow(postings: InMemoryPostings, *names: Any, **period: Any) -> Iterator[UsageList]:
        for one in lists(postings, *names, **period):
            world.clock += seconds
            yield one

    monkeypatch.setattr(InMemoryPostings, "usage_lists", slow)


def test_without_time_it_goes_on_in_a_further_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_slowly(world, monkeypatch, 1.0)
    assert world.run(deadline=Deadline(5.0, lambda: world.clock)) == ForecastDone(goes_on=True)
    assert world.sent == []


def test_an_organization_with_too_many_calls_is_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_slowly(world, monkeypatch, READ_SECONDS / 10)
    assert world.run() == ForecastDone(left_out=True)
    assert world.sent == []


def test_what_cannot_be_read_has_failed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        msg = "DynamoDB does not answer"
        raise Unavailable(msg)

    monkeypatch.setattr(InMemoryPostings, "revisions", broken)
    done = world.run()
    assert (str(done.failed), done.goes_on, done.left_out) == (
        "DynamoDB does not answer",
        False,
        False,
    )
