"""What is read to explain a call, whatever happens to it meanwhile; and the report of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from builders import ENDED, ORGANIZATION, card
from explaining import World
from reports import asked, by_token, http_request
from stores import twins

from perminute.adapters.memory import InMemoryStore, PublishedRateCards
from perminute.application.reporting.explain_call import explain_call
from perminute.application.retry import NEVER, Deadline
from perminute.domain.errors import NotFound, Unavailable
from perminute.domain.rating.call_content import without_number
from perminute.domain.rating.usage_record import Outcome
from perminute.observability import metrics

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def world() -> World:
    """An organizer who pays by the minute, with all stores in memory."""
    return World(twins())


def twin(world: World) -> InMemoryStore:
    assert isinstance(world.stores.credit, InMemoryStore)
    return world.stores.credit


def test_a_card_that_is_gone_is_said_and_the_row_in_the_record_is_used(world: World) -> None:
    world.charge()
    world.cards = PublishedRateCards(card("dialOut,49,DE,USD,9,,"))
    world.cards.card.version = "another"
    explanation = world.explain()
    assert (explanation.has_card, explanation.differences) == (False, ())


def test_a_masked_call_agrees_with_the_row_in_its_record(world: World) -> None:
    """The digits that are left may hide a longer prefix of the card, with another price."""
    world.cards = PublishedRateCards(card("dialOut,49,DE,USD,0.015,,", "dialOut,4989,DE,USD,9,,"))
    world.charge()
    calls = twin(world).usages
    calls[ORGANIZATION, "call-1"] = without_number(calls[ORGANIZATION, "call-1"], b"key")
    explanation = world.explain()
    assert explanation.usage.call.remote_number == "+49**********"
    assert (explanation.has_card, explanation.differences) == (False, ())


@pytest.mark.parametrize("call_id", ["unknown", "call-1"])
def test_no_call_of_another_organization_and_none_under_way_is_explained(
    world: World, call_id: str
) -> None:
    world.report()
    with pytest.raises(NotFound) as refused:
        world.explain(call_id)
    world.charge(call_id="charged")
    reader = world.reader
    with pytest.raises(NotFound, match=f"^{refused.value}$"):
        explain_call(reader, "fabrikam", "charged", NEVER)


def meanwhile(port: Any, method: str, change: Callable[[], object], times: int = 1) -> Any:
    """A port before whose method something is changed, so many times."""
    left = iter([change] * times)

    def ask(*args: Any) -> Any:
        next(left, int)()
        return getattr(port, method)(*args)

    return SimpleNamespace(**{method: ask})


def test_a_call_that_is_changed_while_it_is_read_is_explained_as_it_is_after_that(
    world: World,
) -> None:
    world.charge()

    calls = meanwhile(world.stores.calls, "usages", world.take_and_rerate)
    reader = replace(world.reader, calls=calls)
    version, explanation = explain_call(reader, ORGANIZATION, "call-1", NEVER)
    assert version == twin(world).account(ORGANIZATION).version
    assert explanation.usage.outcome is Outcome.NOT_ENTITLED
    assert explanation.differences == ()


def test_licenses_that_change_while_a_call_is_read_are_no_fault_of_its_record(
    world: World,
) -> None:
    world.charge()
    licensing = meanwhile(world.reader.licensing, "for_account", world.take_and_rerate)
    reader = replace(world.reader, licensing=licensing)
    version, explanation = explain_call(reader, ORGANIZATION, "call-1", NEVER)
    assert version == twin(world).account(ORGANIZATION).version
    assert explanation.usage.outcome is Outcome.NOT_ENTITLED
    assert explanation.differences == ()


def test_a_call_that_never_stands_still_is_tried_again_later(world: World) -> None:
    world.charge()

    def list_again() -> None:
        key = ORGANIZATION, next(iter(twin(world).lists))[1]
        listed = twin(world).lists[key]
        version = twin(world).account(ORGANIZATION).version + 1
        posting = listed.posting._replace(version=version)
        twin(world).lists[key] = listed._replace(posting=posting)

    calls = meanwhile(world.stores.calls, "usages", list_again, times=99)
    reader = replace(world.reader, calls=calls)
    with pytest.raises(Unavailable, match="is just being changed; it is tried again later"):
        explain_call(reader, ORGANIZATION, "call-1", NEVER)


def test_an_explanation_stops_while_it_reads_what_was_revised_once_time_runs_out(
    world: World,
) -> None:
    world.charge()
    world.take_and_rerate()
    now = [0.0]
    calls = meanwhile(world.stores.calls, "usages", lambda: now.append(2))
    reader = replace(world.reader, calls=calls)
    with pytest.raises(Unavailable, match="no time was left"):
        explain_call(reader, ORGANIZATION, "call-1", Deadline(1, lambda: now[-1]))


def test_a_record_that_was_tampered_with_is_found_out(world: World) -> None:
    world.charge()
    usage = twin(world).usages[ORGANIZATION, "call-1"]
    twin(world).usages[ORGANIZATION, "call-1"] = usage._replace(charge_micros=1)
    assert world.explain().is_faulty


def test_the_report_has_all_of_it(world: World) -> None:
    world.charge(ended_at=ENDED - timedelta(seconds=10))
    status, _, answer = asked(world.reader, http_request("explanation", callId="call-1"))
    e = {"since": "2026-01-01T00:00:00Z", "told": "2026-01-01T00:00:00Z", "eventId": "e"}
    assert status == 200
    assert answer.pop("sentences")[0].startswith("A call to +493023125042 was made from a")
    assert answer == {
        "asOf": {"at": "2026-11-02T09:00:00Z", "version": 4},
        "callId": "call-1",
        "organizationId": "contoso",
        "input": {
            "organizerId": "adele",
            "organizerCountry": "DE",
            "meetingId": "meeting-1",
            "meetingType": "scheduled",
            "legType": "dialOut",
            "number": "+493023125042",
            "answeredAt": "2026-11-02T09:00:00Z",
            "endedAt": "2026-11-02T09:09:50Z",
            "connectedSeconds": 590,
            "secondsFrom": "times",
        },
        "entitlement": {
            "at": "2026-11-02T09:00:00Z",
            "licenses": [
                {"license": "MCOMEETACPEA", "brings": "payPerMinute", **e},
                {"license": "MCOPSTNC", "brings": "communicationsCredits", **e},
            ],
            "settings": [
                {"setting": "country", "of": "organizer", "value": "DE", **e},
                {"setting": "licensingProgram", "of": "organization", "value": "volume", **e},
            ],
            "rule": "payPerMinute",
            "checks": [
                {"rule": "payPerMinute", "check": check, "holds": True}
                for check in ("volumeLicensing", "creditsSetUp", "countryAvailable")
            ]
            + [{"rule": "payPerMinute", "check": "creditsLicense", "holds": True}],
            "outcome": "charged",
            "reason": None,
            "policy": {"policy": "dialOutPolicy", "of": "default", "allows": True},
        },
        "price": {
            "rateCardVersion": "card-1",
            "prefix": "49",
            "country": "DE",
            "effectiveFrom": None,
            "currency": "USD",
            "ratePerMinute": "0.015",
            "connectionFee": "0",
            "initialIncrementSeconds": 60,
            "billedSeconds": 600,
            "blocks": "590 s rounded up to 600 s",
            "steps": [
                {
                    "fromSecond": 0,
                    "toSecond": 600,
                    "ratePerMinute": "0.015",
                    "incrementSeconds": 60,
                    "amount": "0.15",
                }
            ],
            "rounding": "exact",
            "retailCost": "0.15",
        },
        "pool": None,
        "charge": {
            "amount": "0.15",
            "currency": "USD",
            "lots": [{"purchaseId": "po-1", "amount": "-0.15"}],
            "debt": "0",
        },
        "movements": [
            {
                "entryId": "000000000002",
                "type": "charge",
                "at": "2026-11-02T09:09:50Z",
                "amount": "-0.15",
                "cause": None,
                "before": None,
            }
        ],
        "flags": [],
        "pending": [],
        "notRecorded": [],
        "agrees": True,
        "differences": [],
    }


def test_a_reader_without_the_role_sees_masked_numbers_only(world: World) -> None:
    world.charge()
    request = http_request("explanation", callId="call-1")
    for role, number in (("reader", "+49302312****"), ("reader numbers", "+493023125042")):
        event = by_token(request, role=role)
        _, _, answer = asked(world.reader, event)
        assert answer["input"]["number"] == number
        assert number in answer["sentences"][0]
        assert ("+493023125042" in str(answer)) is ("*" not in number)


def test_what_differs_is_in_the_report_and_counted(world: World) -> None:
    world.charge()
    usage = twin(world).usages[ORGANIZATION, "call-1"]
    twin(world).usages[ORGANIZATION, "call-1"] = usage._replace(charge_micros=1)
    metrics.clear_metrics()
    _, _, answer = asked(world.reader, http_request("explanation", callId="call-1"))
    assert "ExplanationsDiffering" in metrics.metric_set
    metrics.clear_metrics()
    assert answer["agrees"] is False
    assert answer["differences"] == [
        {"field": "charge", "recorded": "0.000001", "found": "0.15"},
        {"field": "listed.charge", "recorded": "0.000001", "found": "0.15"},
    ]


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({}, 400, "callId: is required"),
        ({"callId": " x"}, 400, 'callId: " x" must not begin or end with a space'),
        ({"callId": "x"}, 404, "callId: names no call of this organization that has ended"),
    ],
)
def test_a_call_that_cannot_be_explained_is_refused(
    world: World, query: dict[str, Any], status: int, message: str
) -> None:
    refused, _, answer = asked(world.reader, http_request("explanation", **query))
    assert (refused, answer["message"][: len(message)]) == (status, message)
