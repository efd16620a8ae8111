"""How the credit of an organization stands, whatever is booked or waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from builders import ANSWERED, LONG_AGO, MICROS, fact, holding, lot
from reports import asked, http_request, reader_of

from perminute.adapters.memory import InMemoryStore
from perminute.domain.credit.accounts import Provisional
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.holds import Hold, Holds
from perminute.domain.credit.lots import FurtherLots
from perminute.domain.credit.recharge import AutoRecharge, RechargeRequest, RechargeState
from perminute.domain.licensing.attributes import (
    POOL_BASIS,
    POOL_MINUTES_USED,
    PURCHASES,
    license_attribute,
)
from perminute.domain.limits.spending import SpendCounter, day_of
from perminute.domain.pools.pools import DrawPosition, MinutePool, Month, SettlementCursor
from perminute.domain.reference.licenses import product_named
from perminute.domain.rerating.rerating import Rerating

NOVEMBER = Month(2026, 11)


def overview(store: InMemoryStore) -> dict[str, object]:
    status, _, document = asked(reader_of(store), http_request("overview"))
    assert status == 200
    assert isinstance(document, dict)
    return document


def test_all_that_is_known_of_the_credit_is_in_it() -> None:
    store = InMemoryStore()
    settings = CreditSettings(
        configured_at=LONG_AGO,
        event_id="e",
        currency="USD",
        auto_recharge=AutoRecharge(20 * MICROS, 100 * MICROS, 500 * MICROS),
        daily_spend_limit_micros=40 * MICROS,
        max_concurrent_calls=5,
        monthly_budget_micros=900 * MICROS,
    )
    asked_at = ANSWERED - timedelta(hours=1)
    further = lot("3", 7 * MICROS, purchased_at=LONG_AGO + timedelta(days=9))
    store.accounts["contoso"] = holding(
        lot("1", 2 * MICROS, expires_at=ANSWERED),
        lot("2", 5 * MICROS),
        settings=settings,
        further=FurtherLots.of((further,)),
        reserved=Holds((Hold(ANSWERED + timedelta(minutes=5), 250_000, 2),)),
        recharge=RechargeState(
            requests=1,
            open=RechargeRequest("r-1", 100 * MICROS, asked_at, asked_at),
            month=NOVEMBER.start,
            month_micros=100 * MICROS,
        ),
        days=(SpendCounter(day_of(ANSWERED), spent_micros=1_500_000),),
        provisional=Provisional(frozenset({NOVEMBER}), ANSWERED, None),
    )
    store.further["contoso", "3"] = further
    store.facts["contoso", None] = {
        fact(PURCHASES[0], 3),
        fact(POOL_MINUTES_USED, 10, NOVEMBER.start),
    }
    store.minute_pools["contoso", NOVEMBER] = MinutePool(
        "contoso",
        NOVEMBER,
        used_by_day={ANSWERED.date(): 30},
        held=Holds((Hold(ANSWERED + timedelta(minutes=5), 4, 1),)),
        unsettled=SettlementCursor(DrawPosition.start_of(ANSWERED.date())),
    )
    store.reratings["contoso", "l-1"] = Rerating(
        organization_id="contoso", rerating_id="l-1", at=ANSWERED
    )
    assert overview(store) == {
        "asOf": {"at": "2026-11-02T09:00:00Z", "version": 7},
        "currency": "USD",
        "balance": "12",
        "reserved": "0.25",
        "available": "11.75",
        "debt": "0",
        "lots": [
            {"purchaseId": "po-2", "remaining": "5", "expiresAt": "2027-01-01T00:00:00Z"},
            {"purchaseId": "po-3", "remaining": "7", "expiresAt": "2027-01-01T00:00:00Z"},
        ],
        "autoRecharge": {
            "triggerAmount": "20",
            "rechargeAmount": "100",
            "monthlyLimit": "500",
            "requestedThisMonth": "100",
            "waiting": [
                {
                    "rechargeId": "r-1",
                    "amount": "100",
                    "requestedAt": "2026-11-02T08:00:00Z",
                    "attempt": 1,
                }
            ],
            "stoppedBy": None,
        },
        "pool": {"month": "2026-11", "minutes": 180, "used": 40, "reserved": 4},
        "spentToday": "1.5",
        "calls": 2,
        "limits": {
            "dailySpendLimit": "40",
            "prefixHourlySpendLimit": None,
            "maxConcurrentCalls": 5,
            "monthlyBudget": "900",
        },
        "pending": {"reratings": 1, "unsettledFrom": "2026-11-02T00:00:00Z"},
    }


def test_of_a_pool_of_another_month_the_start_of_the_month_is_named() -> None:
    store = InMemoryStore()
    october = Month(2026, 10)
    store.accounts["contoso"] = holding(
        debt_micros=3 * MICROS,
        provisional=Provisional(frozenset({october, NOVEMBER}), ANSWERED, None),
    )
    document = overview(store)
    assert document["pending"] == {"reratings": 0, "unsettledFrom": "2026-10-01T00:00:00Z"}
    assert (document["balance"], document["debt"]) == ("-3", "3")


def test_a_pool_may_count_the_licenses_that_are_assigned() -> None:
    store = InMemoryStore()
    store.accounts["contoso"] = holding()
    store.facts["contoso", None] = {fact(POOL_BASIS, "assigned")}
    license_name = license_attribute(product_named("subscription"))
    store.facts["contoso", "adele"] = {fact(license_name, value=True)}
    pool = overview(store)["pool"]
    assert pool == {"month": "2026-11", "minutes": 60, "used": 0, "reserved": 0}


def test_failures_that_stopped_recharging_are_said() -> None:
    store = InMemoryStore()
    settings = CreditSettings(
        configured_at=LONG_AGO,
        event_id="e",
        currency="USD",
        auto_recharge=AutoRecharge(20 * MICROS, 100 * MICROS),
    )
    last_month = RechargeState(
        failures=3, month=datetime(2026, 10, 1, tzinfo=UTC), month_micros=MICROS
    )
    store.accounts["contoso"] = holding(settings=settings, recharge=last_month)
    document = overview(store)["autoRecharge"]
    assert document == {
        "triggerAmount": "20",
        "rechargeAmount": "100",
        "monthlyLimit": None,
        "requestedThisMonth": "0",
        "waiting": [],
        "stoppedBy": "threeFailures",
    }
