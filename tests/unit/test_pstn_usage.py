"""Calls as Microsoft's export of PSTN usage, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from builders import ANSWERED, ENDED

from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.licenses import License
from perminute.domain.reporting.exported_calls import ExportedCall, usage_id
from perminute.domain.reporting.postings import ListedUsage
from perminute.formats.pstn_usage import COLUMNS, pstn_usage_row

GUID = "8a9c1f3e-0b52-4c5d-9b39-0d6c3a1f2e47"
SUBSCRIBER = frozenset({License.SUBSCRIPTION, License.COMMUNICATIONS_CREDITS})
NUMBER = "+493023125042"


def listed(**changed: Any) -> ListedUsage:
    parts: dict[str, Any] = {
        "call_id": "call-1",
        "organizer_id": GUID,
        "leg_type": LegType.DIAL_OUT,
        "answered_at": ANSWERED,
        "ended_at": ENDED,
        "connected_seconds": 600,
        "billed_seconds": 600,
        "prefix": "49",
        "country": "DE",
        "rate_micros_per_minute": 15_000,
        "connection_fee_micros": 5_000,
        "currency": "USD",
        "outcome": Outcome.CHARGED,
        "reason": None,
        "charge_micros": 155_000,
        "retail_micros": 155_000,
        "pool_minutes": 0,
        "flags": (),
    }
    return ListedUsage(**{**parts, **changed})


def exported(
    *, licenses: frozenset[License] = frozenset(), home: str | None = "DE", **changed: Any
) -> dict[str, Any]:
    call = ExportedCall(listed(**changed), "meeting-1", NUMBER, home, licenses)
    return dict(zip(COLUMNS, pstn_usage_row("contoso", call), strict=True))


def test_a_dial_out_is_a_row_of_the_20_columns() -> None:
    assert exported() == {
        "UsageId": "b9714c7e-ccd5-58ad-9687-fb09bfa5301a",
        "Call ID": "call-1",
        "Conference ID": "meeting-1",
        "User Location": "DE",
        "AAD ObjectId": GUID,
        "UPN": None,
        "User Display Name": None,
        "Caller ID": NUMBER,
        "Call Type": "conf_out",
        "Number Type": None,
        "Domestic/International": "Domestic",
        "Destination Dialed": "DE",
        "Destination Number": NUMBER,
        "Start Time": "2026-11-02T09:00:00Z",
        "End Time": "2026-11-02T09:10:00Z",
        "Duration Seconds": 600,
        "Connection Fee": "0.005",
        "Charge": "0.155",
        "Currency": "USD",
        "Capability": "MCOMEETACPEA",
    }


@pytest.mark.parametrize(
    ("leg_type", "call_type", "number_type"),
    [
        (LegType.TOLL_DIAL_IN, "conf_in", "Toll"),
        (LegType.TOLL_FREE_DIAL_IN, "conf_in", "TollFree"),
        (LegType.DIAL_OUT, "conf_out", None),
    ],
)
def test_the_leg_type_says_the_types_of_call_and_number(
    leg_type: LegType, call_type: str, number_type: str | None
) -> None:
    row = exported(leg_type=leg_type)
    assert (row["Call Type"], row["Number Type"]) == (call_type, number_type)


@pytest.mark.parametrize(
    ("home", "destination", "distance"),
    [
        ("DE", "DE", "Domestic"),
        # Both have the country code 1.
        ("US", "CA", "International"),
        (None, "DE", None),
        ("DE", None, None),
    ],
)
def test_a_call_is_domestic_by_its_country_and_the_organizers(
    home: str | None, destination: str | None, distance: str | None
) -> None:
    assert exported(home=home, country=destination)["Domestic/International"] == distance


@pytest.mark.parametrize(
    ("outcome", "leg_type", "licenses", "capability"),
    [
        (Outcome.CHARGED, LegType.TOLL_DIAL_IN, SUBSCRIBER, "MCOMEETACPEA"),
        (Outcome.CHARGED, LegType.TOLL_FREE_DIAL_IN, SUBSCRIBER, "MCOPSTNPP"),
        (Outcome.CHARGED, LegType.DIAL_OUT, SUBSCRIBER, "MCOPSTNPP"),
        # The subscription alone pays no toll-free call: a pay-per-minute license did.
        (
            Outcome.CHARGED,
            LegType.TOLL_FREE_DIAL_IN,
            frozenset({License.SUBSCRIPTION, License.PAY_PER_MINUTE}),
            "MCOMEETACPEA",
        ),
        (Outcome.POOLED, LegType.DIAL_OUT, SUBSCRIBER, "MCOMEETADD"),
        (Outcome.INCLUDED, LegType.TOLL_DIAL_IN, SUBSCRIBER, "MCOMEETADD"),
        (Outcome.NOT_ENTITLED, LegType.DIAL_OUT, frozenset(), None),
    ],
)
def test_the_capability_is_what_paid(
    outcome: Outcome, leg_type: LegType, licenses: frozenset[License], capability: str | None
) -> None:
    row = exported(outcome=outcome, leg_type=leg_type, licenses=licenses)
    assert row["Capability"] == capability


def test_an_unrated_call_costs_nothing_and_was_free() -> None:
    row = exported(
        outcome=Outcome.UNRATED,
        reason=Unpriced.NO_RATE,
        connection_fee_micros=None,
        retail_micros=None,
        charge_micros=0,
        currency=None,
    )
    shown = ("Connection Fee", "Charge", "Currency", "Capability")
    assert [row[column] for column in shown] == ["0", "0", None, "FREECALL"]


def test_only_a_guid_is_an_id_of_the_directory() -> None:
    assert exported(organizer_id="adele@contoso.example")["AAD ObjectId"] is None


def test_no_two_calls_have_one_usage_id() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("a", "b"), ("a/b", "c"), ("a", "b/c")]
    ids = {usage_id(*pair) for pair in pairs}
    assert len(ids) == len(pairs)
    assert {one.version for one in ids} == {5}
    assert usage_id("a", "b") == usage_id("a", "b")
