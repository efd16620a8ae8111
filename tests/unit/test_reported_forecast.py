"""The report `forecast`: which calls and which credit it rests on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import MICROS, holding, lot
from histories import listed
from reports import asked, http_request, reader_of

from perminute.adapters.memory import InMemoryStore
from perminute.domain.credit.lots import FurtherLots
from perminute.domain.credit.recharge import UNANSWERED_AFTER, RechargeRequest, RechargeState
from perminute.domain.forecast.forecast import Forecast, SpentSoFar, forecast
from perminute.domain.forecast.run_out import Credit
from perminute.domain.forecast.spend_model import SpendHistory
from perminute.domain.reporting.postings import (
    ListedUsage,
    Posting,
    RevisedUsage,
    Revision,
    UsageList,
)
from perminute.domain.values.money import format_micros

NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
VERSION = 7  # of the account that `holding` returns
WEEK = (10, 12, 12, 11, 9, 1, 0)  # from Tuesday on
LOTS = (lot("1", 60 * MICROS), lot("2", 40 * MICROS), lot("3", 100 * MICROS))


@pytest.fixture
def store() -> InMemoryStore:
    """Three weeks of calls, those of today among them, and three lots, of which one is further."""
    store = InMemoryStore()
    store.accounts["contoso"] = holding(*LOTS[:2], further=FurtherLots.of(LOTS[2:]))
    store.further["contoso", "3"] = LOTS[2]
    for day in range(22):
        post(store, call_of(day))
    return store


def call_of(day: int) -> ListedUsage:
    ended_at = NOON - timedelta(days=21 - day, hours=1)
    return listed(f"call-{day}", ended_at, charge_micros=WEEK[day % 7] * MICROS)


def post(store: InMemoryStore, usage: ListedUsage, *, version: int = VERSION - 1) -> None:
    posting = Posting(version, usage.ended_at)
    store.lists["contoso", usage.call_id] = UsageList(usage.call_id, posting, (usage,))


def revise(store: InMemoryStore, before: ListedUsage, charge: int, *, version: int) -> None:
    after = before._replace(charge_micros=charge * MICROS)
    posting = Posting(version, before.ended_at)
    store.revisions["contoso", version] = Revision(posting, (RevisedUsage(before, after),))


def answered(store: InMemoryStore, **query: str) -> dict[str, Any]:
    status, _, document = asked(reader_of(store), http_request("forecast", at=NOON, **query))
    assert status == 200, document
    assert isinstance(document, dict)
    return document


def test_it_rests_on_what_calls_cost_by_day_and_on_all_lots(store: InMemoryStore) -> None:
    daily = tuple(amount * MICROS for amount in WEEK * 3)
    of_month = sum(daily[5:])  # from 1 November on
    expected = forecast(
        SpendHistory((NOON - timedelta(days=21)).date(), daily),
        Credit(LOTS),
        SpentSoFar(of_month, 10 * MICROS),
        at=NOON,
        horizon_days=30,
    )
    assert isinstance(expected, Forecast)
    runs_out = expected.runs_out
    assert runs_out.expected is not None
    document = answered(store, horizonDays="30")
    assert document["asOf"] == {"at": "2026-11-17T12:00:00Z", "version": VERSION}
    assert (document["status"], document["confidence"]) == ("ok", "low")
    assert document["currency"] == "USD"
    assert document["basis"]["days"] == 21
    assert document["basis"]["activeDays"] == 18
    assert document["month"] == amounts(expected.month)
    assert document["runsOut"] == {
        name: day and day.isoformat() for name, day in runs_out._asdict().items()
    }
    assert document["recharges"] == {"expected": 0, "high": 0}
    assert "unansweredRecharge" not in document
    assert document["path"] == [
        {"day": day.isoformat(), **amounts(band)} for day, band in expected.path
    ]
    assert len(document["path"]) == 30


def test_it_names_the_recharge_that_it_does_not_count_on(store: InMemoryStore) -> None:
    asked_at = NOON - UNANSWERED_AFTER
    request = RechargeRequest("r-1", 100 * MICROS, asked_at, NOON)
    account = store.accounts["contoso"]._replace(recharge=RechargeState(open=request))
    store.accounts["contoso"] = account
    assert answered(store)["unansweredRecharge"] == {
        "rechargeId": "r-1",
        "amount": "100",
        "requestedAt": "2026-11-14T12:00:00Z",
    }


def amounts(band: Any) -> dict[str, str]:
    return {name: format_micros(micros) for name, micros in band._asdict().items()}


def test_without_a_horizon_it_looks_ninety_days_ahead(store: InMemoryStore) -> None:
    assert len(answered(store)["path"]) == 90


def test_a_call_counts_as_it_was_last_rated(store: InMemoryStore) -> None:
    before = answered(store)
    revise(store, call_of(9), 500, version=VERSION)
    revised = answered(store)
    assert revised != before
    post(store, call_of(9)._replace(charge_micros=500 * MICROS))
    store.revisions.clear()
    assert answered(store) == revised


def test_what_is_posted_after_the_account_was_read_does_not_count(store: InMemoryStore) -> None:
    before = answered(store)
    post(store, listed("new", NOON, charge_micros=900 * MICROS), version=VERSION + 1)
    revise(store, call_of(9), 500, version=VERSION + 1)
    assert answered(store) == before


def test_a_history_is_too_short_without_seven_days(store: InMemoryStore) -> None:
    for day in range(15):
        del store.lists["contoso", f"call-{day}"]
    assert answered(store) == {
        "asOf": {"at": "2026-11-17T12:00:00Z", "version": VERSION},
        "status": "notEnoughData",
        "currency": "USD",
        "basis": {"days": 6, "activeDays": 5, "level": None, "weekday": None},
        "confidence": None,
        "month": None,
        "runsOut": {"earliest": None, "expected": None, "latest": None},
        "recharges": None,
        "rechargeDays": [],
        "forfeited": None,
        "path": [],
    }


def test_an_unknown_organization_has_too_little_history() -> None:
    document = answered(InMemoryStore())
    assert (document["status"], document["asOf"]["version"]) == ("notEnoughData", 0)


@pytest.mark.parametrize("days", ["0", "181", "1.5", "soon"])
def test_a_horizon_has_1_to_180_days(store: InMemoryStore, days: str) -> None:
    request = http_request("forecast", at=NOON, horizonDays=days)
    status, _, document = asked(reader_of(store), request)
    assert (status, document["error"]) == (400, "invalid")
    assert document["message"].startswith("horizonDays")
    assert days in document["message"]


def test_lots_that_change_between_two_readings_are_read_again(store: InMemoryStore) -> None:
    read = store.further_lots
    readings: list[str] = []

    def changed_once(organization_id: str) -> Any:
        readings.append(organization_id)
        lots = read(organization_id)
        if len(readings) == 1:
            return tuple(one.with_change(-MICROS) for one in lots)
        return lots

    store.further_lots = changed_once  # type: ignore[method-assign]
    assert answered(store)["status"] == "ok"
    assert len(readings) == 2
