"""The report `what-if`, and the command that asks for it."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from builders import card, fact, holding, holds, phone_call, volume
from report_stack import stack_that
from reports import asked, http_request, invoked, reader_of

from perminute.adapters.memory import InMemoryStore
from perminute.api.reports import what_if as report
from perminute.application.reporting import what_if
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.reporting.postings import ListedUsage, Posting, UsageList
from perminute.formats.compiled_rate_card import compile_rate_card
from perminute_local.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from perminute.domain.rating.rate_card import RateCard

NOON = datetime(2026, 12, 7, 12, tzinfo=UTC)
ADELE = holds("payPerMinute", "communicationsCredits")
ALEX = holds("subscription", "communicationsCredits")
DEARER = card("dialOut,49,DE,USD,0.03,,", "dialOut,44,GB,EUR,0.01,,")


@pytest.fixture
def store() -> InMemoryStore:
    """Adele pays by the minute, and Alex's calls have used the pool of one license."""
    store = InMemoryStore()
    store.accounts["contoso"] = holding()
    store.facts["contoso", None] = {*volume().facts, fact("purchased:MCOMEETADV", 1)}
    store.facts["contoso", "adele"], store.facts["contoso", "alex"] = map(
        set, (ADELE.facts, ALEX.facts)
    )
    post(store, "a-1", "adele", 10, 30)
    post(store, "b-1", "alex", 11, 50, pool_minutes=50)
    post(store, "b-2", "alex", 12, 20, pool_minutes=10)
    post(store, "b-3", "alex", 13, 10, number="+442079460100")
    return store


def post(  # noqa: PLR0913 - what a call is, and what the pool gave it
    store: InMemoryStore,
    call_id: str,
    organizer_id: str,
    hour: int,
    minutes: int,
    *,
    pool_minutes: int = 0,
    number: str = "+493023125042",
    day: int = 9,
    month: int = 11,
) -> None:
    answered_at = datetime(2026, month, day, hour, tzinfo=UTC)
    call = phone_call(
        call_id=call_id,
        organizer_id=organizer_id,
        remote_number=number,
        answered_at=answered_at,
        ended_at=answered_at.replace(minute=59),
        billable_seconds=minutes * 60,
    )
    licensing = Licensing(volume(), {"adele": ADELE, "alex": ALEX})
    context = RatingContext(licensing, card(), "USD", datetime(2026, 1, 1, tzinfo=UTC))
    usage = rate_call(call, context).usage(pool_minutes)
    store.usages["contoso", call_id] = usage
    posting = Posting(1, call.ended_at)
    store.lists["contoso", call_id] = UsageList(call_id, posting, (ListedUsage.of(usage),))


def answered(store: InMemoryStore, **query: str) -> dict[str, Any]:
    request = http_request("what-if", at=NOON, **{"month": "2026-11", **query})
    status, _, document = asked(reader_of(store), request)
    assert status == 200, document
    assert isinstance(document, dict)
    return document


def compiled(rates: RateCard) -> str:
    return base64.b64encode(gzip.compress(compile_rate_card(rates.rates))).decode()


def test_another_pool_pays_more_minutes(store: InMemoryStore) -> None:
    assert answered(store, pool="75") == {
        "asOf": {"at": "2026-12-07T12:00:00Z", "version": 7},
        "month": "2026-11",
        "currency": "USD",
        "calls": 4,
        "changedCalls": 2,
        "recorded": {"charge": "0.75", "poolMinutes": 60, "notEntitled": 0, "unrated": 0},
        "whatIf": {"charge": "0.525", "poolMinutes": 75, "notEntitled": 0, "unrated": 0},
        "difference": "-0.225",
        "pool": {
            "recorded": {"minutes": 60, "used": 60},
            "whatIf": {"minutes": 75, "used": 75},
        },
        "byOrganizer": [
            {
                "organizerId": "adele",
                "calls": 1,
                "recorded": "0.45",
                "whatIf": "0.45",
                "difference": "0",
            },
            {
                "organizerId": "alex",
                "calls": 3,
                "recorded": "0.3",
                "whatIf": "0.075",
                "difference": "-0.225",
            },
        ],
        "byCountry": [
            {
                "country": "DE",
                "calls": 3,
                "recorded": "0.6",
                "whatIf": "0.45",
                "difference": "-0.15",
            },
            {
                "country": "GB",
                "calls": 1,
                "recorded": "0.15",
                "whatIf": "0.075",
                "difference": "-0.075",
            },
        ],
        "usersWithoutCalls": [],
        "unknownUsers": [],
    }


def test_without_a_change_nothing_differs(store: InMemoryStore) -> None:
    document = answered(store)
    assert (document["changedCalls"], document["difference"]) == (0, "0")
    assert document["recorded"] == document["whatIf"]


def test_a_pool_takes_the_place_of_all_that_sets_its_minutes(store: InMemoryStore) -> None:
    store.facts["contoso", None] |= {
        fact("poolBasis", "assigned"),
        fact("purchased:SPE_E5", 9),
        fact("poolMinutesUsed", 5, datetime(2026, 11, 1, tzinfo=UTC)),
        fact("poolMinutesPerLicense", 7, datetime(2026, 11, 5, tzinfo=UTC)),
    }
    document = answered(store, pool="75")
    assert document["pool"]["whatIf"] == {"minutes": 75, "used": 75}
    assert document["pool"]["recorded"] == {"minutes": 7, "used": 65}


def test_other_licenses_take_the_place_of_those_that_users_hold(store: InMemoryStore) -> None:
    document = answered(store, licenses="subscription:adele")
    assert document["pool"]["whatIf"] == {"minutes": 120, "used": 110}
    assert document["difference"] == "-0.75"
    document = answered(store, licenses="payPerMinute:alex")
    assert document["pool"]["whatIf"] == {"minutes": 0, "used": 0}
    assert document["difference"] == "0.9"
    document = answered(store, licenses="none:alex,none:adele")
    assert document["whatIf"]["notEntitled"] == 4
    document = answered(store, licenses="communicationsCredits:adele")
    assert document["changedCalls"] == 0


def test_users_without_calls_and_unknown_ones_are_named(store: InMemoryStore) -> None:
    store.facts["contoso", "joni"] = set(ALEX.facts)
    post(store, "z-1", "of nobody", 14, 1)
    sent = "none:joni,subscription:adele,none:of nobody,subscription:mistyped"
    document = answered(store, licenses=sent)
    assert document["usersWithoutCalls"] == ["joni"]
    assert document["unknownUsers"] == ["mistyped"]


def test_another_rate_card_prices_the_calls(store: InMemoryStore) -> None:
    document = answered(store, rateCard=compiled(DEARER))
    assert document["whatIf"] == {
        "charge": "1.2",
        "poolMinutes": 60,
        "notEntitled": 0,
        "unrated": 1,
    }
    assert [row["country"] for row in document["byCountry"]] == ["DE", "GB"]


def test_calls_of_the_month_are_those_that_were_answered_in_it(store: InMemoryStore) -> None:
    post(store, "o-1", "adele", 12, 30, month=10, day=31)
    post(store, "d-1", "adele", 12, 30, month=12, day=1)
    assert answered(store)["calls"] == 4


def test_a_month_may_have_too_many_calls(
    store: InMemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_if, "MAX_CALLS", 3)
    question = {"operation": "what-if", "organizationId": "contoso", "month": "2026-11"}
    answer = invoked(reader_of(store), question, at=NOON)
    assert answer["message"].startswith("month: 2026-11 has more than 3 calls")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"month": "2027-01"}, 'month: "2027-01" lies in the future'),
        ({"pool": "-1"}, "pool: "),
        ({"licenses": "E5:adele"}, 'licenses.0: "E5:adele" must be one of payPerMinute, '),
        ({"licenses": "subscription:"}, "licenses.0: "),
        ({"licenses": "subscription:a,none:a"}, 'licenses: "a" has none and another one; '),
        ({"rateCard": "no card"}, 'rateCard: "no card" must be a rate card as `perminute what-if'),
        ({"rateCard": base64.b64encode(gzip.compress(b"a,b")).decode()}, "rateCard: "),
    ],
)
def test_a_wrong_parameter_is_named(
    store: InMemoryStore, query: dict[str, str], message: str
) -> None:
    request = http_request("what-if", at=NOON, **{"month": "2026-11", **query})
    status, _, document = asked(reader_of(store), request)
    assert status == 400
    assert document["message"].startswith(message)


def test_a_card_that_grows_without_end_is_refused(
    store: InMemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_CARD_BYTES", 100)
    request = http_request("what-if", at=NOON, month="2026-11", rateCard=compiled(DEARER))
    status, _, document = asked(reader_of(store), request)
    assert status == 400
    assert "it is too large, or cut off" in document["message"]


class TestCommand:
    WORDS = ("what-if", "--stack", "s", "--organization", "contoso", "--month", "2026-11")

    @pytest.fixture
    def sent(self, store: InMemoryStore, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        reader = reader_of(store)
        stack = stack_that(monkeypatch, lambda event: invoked(reader, event, at=NOON))
        return stack.asked

    def test_all_that_is_otherwise_is_sent(
        self,
        sent: list[dict[str, Any]],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        rates, licenses = tmp_path / "new.csv", tmp_path / "licenses.csv"
        rates.write_text(
            "leg_type,prefix,country,currency,rate_per_minute\ndialOut,49,DE,USD,0.03\n"
        )
        licenses.write_text("user,license\nadele,subscription\n")
        files = ("--rates", str(rates), "--licenses", str(licenses), "--pool", "0", "--json")
        assert main([*self.WORDS, *files]) == 0
        (event,) = sent
        assert event["licenses"] == ["subscription:adele"]
        assert event["pool"] == 0
        document = json.loads(capsys.readouterr().out)
        assert document["whatIf"]["unrated"] == 1
        assert document["whatIf"]["charge"] == "3"

    def test_a_table_has_the_difference_by_organizer_and_country(
        self, sent: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*self.WORDS, "--pool", "75"]) == 0
        assert len(sent) == 1
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert lines[0] == "contoso: 2026-11, if it were so, by organizer"
        assert "alex 3 0.30 0.075 -0.225" in lines
        assert "total 4 0.75 0.525 -0.225" in lines
        assert lines[-3:] == [
            "2 of 4 calls would differ: -0.225 in all.",
            "Minute pool: 60 of 60 used, and 75 of 75 if it were so.",
            "As of 2026-12-07 12:00:00 UTC (version 7).",
        ]

    @pytest.mark.usefixtures("sent")
    def test_a_user_of_whom_nothing_is_recorded_is_named(
        self, store: InMemoryStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store.facts["contoso", "joni"] = set(ALEX.facts)
        file = tmp_path / "licenses.csv"
        file.write_text("user,license\njoni,none\nmistyped,subscription\n")
        assert main([*self.WORDS, "--licenses", str(file)]) == 0
        assert capsys.readouterr().out.splitlines()[-3:-1] == [
            "No call that counts in this month, so their licenses change at most the pool: joni.",
            "Nothing is recorded of these users, check their ids: mistyped.",
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("user,license\nadele,E5\n", "line 2: license: 'E5' is none of payPerMinute, "),
            ("user,license\n,none\n", "line 2: user: must not be empty"),
            ("user,license\n", "has no rows; write one for each license"),
            ("name,license\nadele,none\n", "line 1: "),
        ],
    )
    def test_a_faulty_file_of_licenses_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
    ) -> None:
        file = tmp_path / "licenses.csv"
        file.write_text(content)
        assert main([*self.WORDS, "--licenses", str(file)]) == 2
        assert f"licenses.csv: {message}" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "message"),
        [((), "needs --rates FILE, --licenses FILE or --pool N"), (("--pool", "x"), "--pool: 'x'")],
    )
    def test_something_must_be_otherwise(
        self, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
    ) -> None:
        assert main([*self.WORDS, *words]) == 2
        assert message in capsys.readouterr().err
