"""The reports `usage`, `calls` and `ledger` as they are answered, and what they refuse."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, ENDED, ORGANIZATION, charge, rating
from explaining import World
from reports import asked, by_token, http_request, invoked, reader_of
from stores import twins

from perminute.adapters.memory import InMemoryStore
from perminute.api.reports.calls import CallsPageQuery, _Place
from perminute.api.reports.cursors import write_cursor
from perminute.api.reports.ledger import LedgerQuery
from perminute.api.reports.parameters import Moment
from perminute.application.reporting.calls import CallsPlace
from perminute.application.reporting.ledger import LedgerPlace
from perminute.domain.credit.accounts import Provisional
from perminute.domain.credit.booking import Purchase, purchase
from perminute.domain.credit.lots import twelve_months_after
from perminute.domain.credit.transaction import Transaction
from perminute.domain.pools.pools import DrawPosition, MinutePool, Month, SettlementCursor
from perminute.domain.rerating.rerating import Rerating
from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from perminute.application.reporting.reader import ReportReader

DAY: dict[str, Any] = {"from": "2026-11-02", "to": "2026-11-03"}
LATER = ENDED + timedelta(minutes=1)


def bought(store: InMemoryStore) -> None:
    credit = Purchase(
        purchase_id="po-1",
        amount_micros=5_000_000,
        currency="USD",
        purchased_at=ANSWERED,
        expires_at=twelve_months_after(ANSWERED),
    )
    account = store.account(ORGANIZATION)
    store.commit(purchase(account, credit, at=ANSWERED, cause="purchase#po-1"))


@pytest.fixture
def store() -> InMemoryStore:
    """Credit was bought, and three calls were charged in two transactions."""
    store = InMemoryStore()
    bought(store)
    first = [rating("a", 150_000), rating("b", 150_000, organizer_id="enrico")]
    store.commit(charge(store.account(ORGANIZATION), first, at=ENDED))
    second = rating("c", 0, remote_number="+33123456789", ended_at=LATER)
    store.commit(charge(store.account(ORGANIZATION), [second], at=LATER))
    return store


@pytest.fixture
def reader(store: InMemoryStore) -> ReportReader:
    return reader_of(store)


def moment(day: str) -> Moment:
    return Moment(parse_instant(f"{day}T00:00:00Z"), day)


def ask(reader: ReportReader, report: str, **parameters: Any) -> dict[str, Any]:
    event = {"operation": report, "organizationId": ORGANIZATION, **parameters}
    return invoked(reader, event, at=LATER)


def test_usage_is_summed_by_any_attributes(reader: ReportReader) -> None:
    figures = {"calls": 1, "connectedSeconds": 600, "billedSeconds": 600, "poolMinutes": 0}
    unrated = {**figures, "connectedSeconds": 660, "billedSeconds": 0}
    assert ask(reader, "usage", **DAY, groupBy=["country", "outcome", "country"]) == {
        "asOf": {"at": "2026-11-02T09:11:00Z", "version": 3},
        "currency": "USD",
        "groupBy": ["country", "outcome"],
        "rows": [
            {"country": "DE", "outcome": "charged"}
            | figures
            | {"charge": "0.15", "retailCost": "0.15"},
            {"country": "DE", "outcome": "notEntitled"}
            | figures
            | {"charge": "0", "retailCost": "0.15"},
            {"country": "FR", "outcome": "unrated"} | unrated | {"charge": "0", "retailCost": "0"},
        ],
        "total": {
            "calls": 3,
            "connectedSeconds": 1860,
            "billedSeconds": 1200,
            "poolMinutes": 0,
            "charge": "0.15",
            "retailCost": "0.3",
        },
        "mayChange": [],
        "omits": ["free"],
    }


def test_prices_in_other_currencies_are_not_added(store: InMemoryStore) -> None:
    """Nobody pays a call that is not entitled, so its price may be in any currency."""
    foreign = rating("d", 0, organizer_id="enrico", remote_number="+33123456789", ended_at=LATER)
    store.commit(charge(store.account(ORGANIZATION), [foreign], at=LATER))
    total = ask(reader_of(store), "usage", **DAY)["total"]
    assert (total["calls"], total["retailCost"], total["otherRetailCosts"]) == (
        4,
        "0.3",
        {"EUR": "0.176"},
    )


def test_days_that_may_change_are_named(store: InMemoryStore) -> None:
    waiting = Rerating(
        organization_id=ORGANIZATION, rerating_id="event#1", at=LATER, since={None: ANSWERED}
    )
    store.record(ORGANIZATION, [], waiting)
    assert ask(reader_of(store), "usage", **DAY)["mayChange"] == ["2026-11-02"]
    account = store.account(ORGANIZATION)
    store.reratings.clear()
    unsettled = SettlementCursor(DrawPosition.start_of(ANSWERED.date()))
    pool = MinutePool(ORGANIZATION, Month(2026, 11), unsettled=unsettled)
    provisional = Provisional(frozenset({pool.month}), LATER, None)
    after = account._replace(version=account.version + 1, provisional=provisional)
    store.commit(Transaction(before=account, after=after, pools=(pool,)))
    assert ask(reader_of(store), "usage", **DAY)["mayChange"] == ["2026-11-02"]


def test_calls_are_listed_page_by_page_as_of_the_first(
    store: InMemoryStore, reader: ReportReader
) -> None:
    first = ask(reader, "calls", **DAY, limit=2)
    late = [rating("late", 10, ended_at=ENDED)]
    store.commit(charge(store.account(ORGANIZATION), late, at=LATER))
    second = ask(reader, "calls", **DAY, limit=2, cursor=first["next"])
    assert [call["callId"] for call in (*first["calls"], *second["calls"])] == ["c", "b", "a"]
    assert second["asOf"] == first["asOf"]
    assert (second["next"], second["omits"]) == (None, ["free"])
    assert second["calls"] == [
        {
            "callId": "a",
            "answeredAt": "2026-11-02T09:00:00Z",
            "endedAt": "2026-11-02T09:10:00Z",
            "meetingId": "meeting-1",
            "organizerId": "adele",
            "legType": "dialOut",
            "number": "+493023125042",
            "country": "DE",
            "prefix": "49",
            "connectedSeconds": 600,
            "billedSeconds": 600,
            "poolMinutes": 0,
            "ratePerMinute": "0.015",
            "connectionFee": "0",
            "outcome": "charged",
            "reason": None,
            "retailCost": "0.15",
            "charge": "0.15",
            "currency": "USD",
            "flags": [],
            "entries": ["000000000002"],
            "revision": 0,
        }
    ]


def test_a_call_names_what_charged_and_corrected_it_until_the_version_that_is_listed() -> None:
    world = World(twins())
    world.charge()
    world.charge(call_id="call-2")
    first = ask(world.reader, "calls", **DAY, limit=1)
    world.take_and_rerate()
    second = ask(world.reader, "calls", **DAY, limit=1, cursor=first["next"])
    now = ask(world.reader, "calls", **DAY)
    charged, corrected = "000000000002", "000000000004"
    shown = ("callId", "outcome", "entries", "revision")
    assert [[call[name] for name in shown] for call in (*second["calls"], *now["calls"])] == [
        ["call-1", "charged", [charged], 0],
        ["call-2", "notEntitled", ["000000000003", corrected], 1],
        ["call-1", "notEntitled", [charged, corrected], 1],
    ]


def test_numbers_are_masked_without_their_role(reader: ReportReader) -> None:
    request = http_request("calls", **DAY, organizerId="enrico")
    for roles, number in (("reader", "+49302312****"), ("reader numbers", "+493023125042")):
        _, _, document = asked(reader, by_token(request, role=roles))
        assert [call["number"] for call in document["calls"]] == [number]


def test_the_ledger_is_listed_page_by_page_as_of_the_first(
    store: InMemoryStore, reader: ReportReader
) -> None:
    first = ask(reader, "ledger", month="2026-11", limit=1)
    late = [rating("late", 10, ended_at=ENDED)]
    store.commit(charge(store.account(ORGANIZATION), late, at=LATER))
    second = ask(reader, "ledger", month="2026-11", limit=1, cursor=first["next"])
    assert second["asOf"] == first["asOf"]
    (charged,), (bought,) = first["entries"], second["entries"]
    assert charged == {
        "entryId": "000000000002",
        "type": "charge",
        "amount": "-0.15",
        "balanceAfter": "4.85",
        "at": "2026-11-02T09:10:00Z",
        "cause": None,
        "description": "Calls",
        "lots": [{"purchaseId": "po-1", "amount": "-0.15"}],
        "calls": ["a"],
    }
    assert (bought["cause"], bought["description"]) == ("purchase#po-1", "Purchase po-1")
    assert (bought["type"], second["next"]) == ("purchase", None)
    purchases = ask(reader, "ledger", **DAY, type="purchase")
    assert purchases["entries"] == [bought]


@pytest.mark.parametrize("report", ["usage", "calls", "ledger"])
def test_an_unknown_organization_has_an_empty_answer(reader: ReportReader, report: str) -> None:
    event = {"operation": report, "organizationId": "nobody", **DAY}
    answer = invoked(reader, event, at=LATER)
    assert answer["asOf"]["version"] == 0
    assert answer.get("rows", answer.get("calls", answer.get("entries"))) == []


FOREIGN = "is none that this question was answered with as next"


def test_a_cursor_of_another_question_is_refused(reader: ReportReader) -> None:
    cursor = ask(reader, "calls", **DAY, limit=1)["next"]
    for other in (
        {**DAY, "to": "2026-11-04"},
        {**DAY, "country": "DE"},
        {**DAY, "organizationId": "fabrikam"},
        {**DAY, "operation": "ledger"},
        {**DAY, "cursor": cursor[:-4]},
        {**DAY, "cursor": "="},
        {**DAY, "cursor": "é"},
    ):
        event = {"operation": "calls", "organizationId": ORGANIZATION, "cursor": cursor, **other}
        refused = invoked(reader, event, at=LATER)
        shown = event["cursor"][:63]
        assert refused["error"] == "invalid"
        assert refused["message"].startswith(f'cursor: "{shown}')
        assert FOREIGN in refused["message"]


def test_a_cursor_of_a_version_that_is_not_reached_is_refused(reader: ReportReader) -> None:
    query = CallsPageQuery(since=moment("2026-11-02"), until=moment("2026-11-03"))
    asked = ("calls", ORGANIZATION, query.period, query.wanted)
    made_up = write_cursor(asked, _Place(4, 2))
    assert FOREIGN in ask(reader, "calls", **DAY, cursor=made_up)["message"]
    reached = write_cursor(asked, _Place(3, 2))
    assert len(ask(reader, "calls", **DAY, cursor=reached)["calls"]) == 3


def test_a_cursor_that_somebody_made_up_asks_dynamodb_for_no_impossible_key(
    reader: ReportReader,
) -> None:
    query = CallsPageQuery(since=moment("2026-11-02"), until=moment("2026-11-03"))
    asked = ("calls", ORGANIZATION, query.period, query.wanted)
    made_up = write_cursor(asked, _Place(3, 2, CallsPlace("x" * 1025)))
    assert FOREIGN in ask(reader, "calls", **DAY, cursor=made_up)["message"]


@pytest.mark.parametrize("day", [date.min, date(2026, 11, 1), date(2026, 11, 3), date.max])
def test_a_cursor_of_a_day_that_was_not_asked_for_is_refused(
    reader: ReportReader, day: date
) -> None:
    query = LedgerQuery(since=moment("2026-11-02"), until=moment("2026-11-03"))
    asked = ("ledger", ORGANIZATION, query.period(LATER), query.entry_type)
    made_up = write_cursor(asked, (3, 2, LedgerPlace(day)))
    assert FOREIGN in ask(reader, "ledger", **DAY, cursor=made_up)["message"]


@pytest.mark.parametrize(
    ("report", "parameters", "message"),
    [
        ("usage", {}, "from: is required; to: is required"),
        (
            "usage",
            {**DAY, "groupBy": ["user"]},
            'groupBy.0: "user" must be one of day',
        ),
        ("usage", {**DAY, "country": "de"}, 'country: "de" '),
        ("calls", {**DAY, "limit": 201}, 'limit: "201" must be a whole number from 1 to 200'),
        ("calls", {**DAY, "limit": 0}, 'limit: "0" must be a whole number from 1 to 200'),
        ("calls", {**DAY, "outcome": "paid"}, 'outcome: "paid" must be "charged"'),
        ("ledger", {}, "month: is required, such as 2026-11, or else both from and to"),
        ("ledger", {"from": "2026-11-02"}, "month: is required, such as 2026-11, or else both"),
        ("ledger", {**DAY, "month": "2026-11"}, "month: names a period, and so do from and to"),
        ("ledger", {"month": "2026-12"}, 'month: "2026-12" lies in the future: it is 2026-11'),
        ("ledger", {**DAY, "type": "gift"}, 'type: "gift" must be "purchase"'),
    ],
)
def test_wrong_parameters_are_named(
    reader: ReportReader, report: str, parameters: dict[str, Any], message: str
) -> None:
    refused = ask(reader, report, **parameters)
    assert (refused["error"], refused["message"][: len(message)]) == ("invalid", message)
