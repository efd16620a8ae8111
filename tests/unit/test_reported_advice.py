"""The report `license-advice`: which calls and which licenses it rests on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import MICROS, fact, holding, holds, phone_call, volume
from histories import listed
from reports import asked, http_request, invoked, reader_of

from perminute.adapters.memory import InMemoryStore
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.pools.pools import Month
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Step, Unpriced
from perminute.domain.rating.usage_record import Outcome, Price, Usage
from perminute.domain.reporting.postings import ListedUsage, Posting, UsageList

if TYPE_CHECKING:
    from perminute.domain.licensing.timelines import Fact

NOON = datetime(2026, 12, 7, 12, tzinfo=UTC)
VERSION = 7  # of the account that `holding` returns


@pytest.fixture
def store() -> InMemoryStore:
    """Adele pays by the minute, Alex subscribes, Megan has a suite; all in volume licensing."""
    store = InMemoryStore()
    store.accounts["contoso"] = holding()
    state(store, None, *volume().facts)
    for user_id, license_name in (
        ("adele", "payPerMinute"),
        ("alex", "subscription"),
        ("megan", "SPE_E5"),
    ):
        state(store, user_id, *holds(license_name, "communicationsCredits").facts)
    return store


def state(store: InMemoryStore, user_id: str | None, *facts: Fact) -> None:
    store.facts["contoso", user_id] |= set(facts)


def post(store: InMemoryStore, *usages: ListedUsage, version: int = VERSION - 1) -> None:
    for usage in usages:
        posting = Posting(version, usage.ended_at)
        store.lists["contoso", usage.call_id] = UsageList(usage.call_id, posting, (usage,))


def toll(user_id: str, day: datetime, amount: int, **changed: Any) -> ListedUsage:
    """A toll dial-in that costs so many whole units by the rate card."""
    parts = {
        "call_id": f"{user_id}-{day:%m-%d}",
        "ended_at": day,
        "organizer_id": user_id,
        "leg_type": LegType.TOLL_DIAL_IN,
        "retail_micros": amount * MICROS,
        "country": "US",
    }
    return listed(**{**parts, **changed})


def day(month: int, number: int = 10) -> datetime:
    return datetime(2026, month, number, 12, tzinfo=UTC)


def answered(store: InMemoryStore, **query: str) -> dict[str, Any]:
    status, _, document = asked(
        reader_of(store), http_request("license-advice", at=NOON, **{"price": "4", **query})
    )
    assert status == 200, document
    assert isinstance(document, dict)
    return document


def test_the_last_three_complete_months_count(store: InMemoryStore) -> None:
    days = (day(8, 31), day(9, 1), day(10), day(11, 30), day(12, 1))
    post(store, *(toll("adele", at, 6) for at in days))
    assert answered(store) == {
        "asOf": {"at": "2026-12-07T12:00:00Z", "version": VERSION},
        "status": "ok",
        "currency": "USD",
        "price": "4",
        "months": ["2026-09", "2026-10", "2026-11"],
        "current": "10",
        "best": "4",
        "saving": "6",
        "subscribers": ["adele", "megan"],
        "recommendations": [
            {
                "user": "adele",
                "from": "payPerMinute",
                "to": "subscription",
                "saves": "2",
                "monthsAgreeing": 3,
            },
            {
                "user": "alex",
                "from": "subscription",
                "to": "payPerMinute",
                "saves": "4",
                "monthsAgreeing": 3,
            },
        ],
        "pool": [
            {"month": month, "minutes": 120, "wanted": 0}
            for month in ("2026-09", "2026-10", "2026-11")
        ],
        "confidence": "high",
        "remarks": [{"remark": "idle", "user": "alex"}],
        "isExact": True,
    }


def test_months_before_the_first_call_are_no_history(store: InMemoryStore) -> None:
    post(store, toll("adele", day(11), 6))
    assert answered(store)["months"] == ["2026-11"]
    post(store, toll("adele", day(7), 6))
    assert answered(store, months="5")["months"] == [f"2026-{month:02}" for month in range(7, 12)]


def test_without_a_complete_month_there_is_no_advice(store: InMemoryStore) -> None:
    post(store, toll("adele", day(12, 1), 6))
    document = answered(store)
    assert (document["status"], document["months"]) == ("notEnoughData", [])
    assert (document["current"], document["recommendations"]) == (None, [])
    assert answered(InMemoryStore())["status"] == "notEnoughData"


def test_a_call_belongs_to_the_month_of_its_answer(store: InMemoryStore) -> None:
    over_midnight = {"answered_at": datetime(2026, 11, 30, 23, 55, tzinfo=UTC)}
    post(store, toll("adele", datetime(2026, 12, 1, 0, 5, tzinfo=UTC), 6, **over_midnight))
    assert answered(store)["months"] == ["2026-11"]


def test_what_is_posted_after_the_account_was_read_does_not_count(store: InMemoryStore) -> None:
    post(store, toll("adele", day(11), 1))
    before = answered(store)
    post(store, toll("adele", day(11, 11), 90), version=VERSION + 1)
    assert answered(store) == before


def test_dial_outs_draw_on_the_pool_in_the_order_of_their_ends(store: InMemoryStore) -> None:
    # Of Alex's 190 minutes the pool has 120; the last ten are those of the dear call.
    rate = {"rate_micros_per_minute": 1_000_000, "retail_micros": 10 * MICROS}
    cheap = {"connected_seconds": 180 * 60, "billed_seconds": 180 * 60, "retail_micros": 2_700_000}
    post(
        store,
        listed("dear", day(11, 2), organizer_id="alex", **rate),
        listed("cheap", day(11, 1), organizer_id="alex", **cheap),
    )
    document = answered(store)
    assert document["pool"] == [{"month": "2026-11", "minutes": 60, "wanted": 0}]
    assert document["current"] == "14.9"  # 60 minutes at 0.015, 10 at 1, and the license
    assert document["best"] == "12.7"


def test_a_call_at_stepped_prices_is_priced_by_its_record(store: InMemoryStore) -> None:
    price = Price(
        rate_card_version="card-1",
        billed_seconds=130 * 60,
        prefix="49",
        country="DE",
        rate_micros_per_minute=10_000,
        connection_fee_micros=0,
        retail_micros=1_200_000 + 200_000,
        currency="USD",
        later_steps=(Step(120 * 60, 20_000, 60),),
    )
    ended_at = day(11)
    call = phone_call(
        call_id="stepped",
        organizer_id="alex",
        answered_at=ended_at - timedelta(minutes=130),
        ended_at=ended_at,
    )
    usage = Usage(call, Outcome.CHARGED, None, price, 0)
    store.usages["contoso", "stepped"] = usage
    post(store, ListedUsage.of(usage))
    # The last ten minutes are those that cost twice as much.
    assert answered(store, price="0")["current"] == "0.2"


def test_unpriced_calls_count_nothing(store: InMemoryStore) -> None:
    unrated = {
        "retail_micros": None,
        "outcome": Outcome.UNRATED,
        "rate_micros_per_minute": None,
        "connection_fee_micros": None,
        "billed_seconds": 0,
    }
    post(
        store,
        toll("adele", day(11), 1),
        toll("adele", day(11, 11), 50, currency="EUR"),
        listed("none", day(11, 12), reason=Unpriced.NO_RATE, country=None, **unrated),
        listed("mismatch", day(11, 13), reason=Unpriced.CURRENCY_MISMATCH, **unrated),
        listed("blocked", day(11, 14), reason=Unpriced.BLOCKED_NUMBER, **unrated),
    )
    document = answered(store)
    assert document["current"] == "5"
    assert {"remark": "unratedCalls", "number": 4} in document["remarks"]


@pytest.mark.parametrize(
    ("facts", "minutes"),
    [
        ((), 120),
        ((fact("purchased:MCOMEETADV", 3), fact("purchased:SPE_E5", 2)), 300),
        ((fact("purchased:MCOMEETADV", 3), fact("poolBasis", "assigned")), 120),
        ((fact("poolMinutesPerLicense", 10),), 20),
        ((fact("poolMinutesUsed", 50, Month(2026, 11).start),), 70),
    ],
)
def test_the_pool_is_that_of_the_licenses(
    store: InMemoryStore, facts: tuple[Fact, ...], minutes: int
) -> None:
    state(store, None, *facts)
    post(store, toll("alex", day(11), 90))
    assert answered(store)["pool"] == [{"month": "2026-11", "minutes": minutes, "wanted": 0}]


def test_licenses_are_those_of_now(store: InMemoryStore) -> None:
    lost = fact("license:MCOMEETADV", value=False, since=day(12, 1))
    state(store, "alex", lost)
    post(store, toll("alex", day(11), 6))
    (advised,) = answered(store)["recommendations"]
    assert (advised["from"], advised["to"]) == ("none", "subscription")


@pytest.mark.parametrize(
    ("licenses", "remark"),
    [
        (("SPE_E5", "subscription", "communicationsCredits"), "subscriptionTwice"),
        (("SPE_E5", "payPerMinute", "communicationsCredits"), "removePayPerMinute"),
        (("subscription", "payPerMinute", "communicationsCredits"), "removePayPerMinute"),
        (("payPerMinute",), "needsCreditsLicense"),
        (("communicationsCredits",), "noLicense"),
    ],
)
def test_what_a_user_holds_is_remarked_on(
    store: InMemoryStore, licenses: tuple[str, ...], remark: str
) -> None:
    store.facts["contoso", "diego"] = set(holds(*licenses).facts)
    free = {"leg_type": LegType.TOLL_FREE_DIAL_IN, "call_id": "free"}
    post(store, toll("diego", day(11), 9), toll("diego", day(11), 1, **free))
    remarks = [one["remark"] for one in answered(store)["remarks"] if one.get("user") == "diego"]
    assert remarks == [remark]


def test_without_volume_licensing_nothing_is_changed(store: InMemoryStore) -> None:
    state(store, None, fact("licensingProgram", "other", day(6)))
    post(store, toll("adele", day(11), 90))
    document = answered(store)
    assert document["recommendations"] == []
    assert {"remark": "payPerMinuteNotAvailable", "user": "adele"} in document["remarks"]


def test_contracted_subscriptions_change_at_their_renewal(store: InMemoryStore) -> None:
    post(store, toll("megan", day(11), 1))
    document = answered(store, contractedUntil="2027-03-01")
    assert document["recommendations"] == []
    assert document["remarks"][1:] == [
        {
            "remark": "atRenewal",
            "user": "alex",
            "saves": "4",
            "renewal": "2027-03-01T00:00:00Z",
        }
    ]
    assert len(answered(store, contractedUntil="2026-12-07")["recommendations"]) == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"price": ""}, "price"),
        ({"price": "-1"}, "price"),
        ({"months": "0"}, "months"),
        ({"months": "13"}, "months"),
        ({"minimumSaving": "x"}, "minimumSaving"),
        ({"contractedUntil": "soon"}, "contractedUntil"),
    ],
)
def test_a_wrong_parameter_is_named(
    store: InMemoryStore, query: dict[str, str], message: str
) -> None:
    request = http_request("license-advice", at=NOON, **{"price": "4", **query})
    status, _, document = asked(reader_of(store), request)
    assert status == 400
    assert document["message"].startswith(f"{message}: ")


def test_there_is_no_price_without_one(store: InMemoryStore) -> None:
    answer = invoked(
        reader_of(store), {"operation": "license-advice", "organizationId": "contoso"}, at=NOON
    )
    assert answer == {"error": "invalid", "message": "price: is required"}


def test_all_users_are_read(store: InMemoryStore) -> None:
    account = store.accounts["contoso"]
    licensing = reader_of(store).licensing.for_all_users(account)
    assert set(licensing.users) == {"adele", "alex", "megan"}
    assert licensing.organization == Timeline(volume().facts)
    assert licensing.seats.count_at(NOON) == 2
