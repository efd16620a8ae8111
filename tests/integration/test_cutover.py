"""An organization that comes from another system, as docs/cutover.md says, in a replay."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest

from perminute_local.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

RATES = """leg_type,prefix,country,currency,rate_per_minute
dialOut,49,DE,USD,0.10
tollFreeDialIn,1800,US,USD,0.05
"""
CUTOVER, LONG_BEFORE = "2025-03-15T08:00:00Z", "2024-03-01T00:00:00Z"


def event(at: str, source: str, kind: str, organization: str, **detail: Any) -> dict[str, Any]:
    return {
        "id": f"{organization}-{kind}-{at}-{'-'.join(map(str, detail.values()))}",
        "source": f"perminute.{source}",
        "detail-type": kind,
        "time": at,
        "detail": {"organizationId": organization, **detail},
    }


def call(
    organization: str, call_id: str, answered_at: str, ended_at: str, **changed: str
) -> dict[str, Any]:
    detail = {"legType": "dialOut", "remoteNumber": "+493023125042", **changed}
    return event(
        ended_at,
        "telephony",
        "Call Ended",
        organization,
        callId=call_id,
        organizerId="sam",
        meetingId="m-1",
        meetingType="scheduled",
        answeredAt=answered_at,
        endedAt=ended_at,
        **detail,
    )


def cutover(organization: str) -> list[dict[str, Any]]:
    """Licenses, the minutes used of March, and two lots with their original dates."""

    def says(source: str, kind: str, **detail: Any) -> dict[str, Any]:
        return event(CUTOVER, source, kind, organization, **detail)

    licensed = {"userId": "sam", "effectiveAt": LONG_BEFORE}
    return [
        says("licensing", "Organization Changed", effectiveAt=CUTOVER, poolMinutesUsed=45),
        says(
            "licensing",
            "Licenses Purchased",
            effectiveAt=LONG_BEFORE,
            license="subscription",
            quantity=1,
        ),
        says("licensing", "License Assigned", license="subscription", **licensed),
        says("licensing", "License Assigned", license="communicationsCredits", **licensed),
        says(
            "billing",
            "Credit Purchased",
            purchaseId="original-1",
            amount="12.50",
            currency="USD",
            purchasedAt="2024-04-20T10:00:00Z",
        ),
        says(
            "billing",
            "Credit Purchased",
            purchaseId="original-2",
            amount="30",
            currency="USD",
            purchasedAt="2024-10-01T00:00:00Z",
            expiresAt="2025-12-31T00:00:00Z",
        ),
    ]


@pytest.fixture(scope="module")
def document(
    tmp_path_factory: pytest.TempPathFactory,
    one_emulator: Callable[[], AbstractContextManager[object]],
) -> dict[str, Any]:
    """March goes on, April comes, and the first lot expires. Fabrikam corrects what it said."""
    folder: Path = tmp_path_factory.mktemp("cutover")
    (folder / "rates.csv").write_text(RATES)
    events = []
    for organization in ("contoso", "fabrikam"):
        events += cutover(organization)
        toll_free = {"legType": "tollFreeDialIn", "serviceNumber": "+18005550100"}
        evening = "2025-03-14T23:00:00Z", "2025-03-14T23:10:00Z"
        events += [
            {**call(organization, "before", *evening, **toll_free), "time": "2025-03-15T08:30:00Z"},
            call(organization, "first", "2025-03-15T09:00:00Z", "2025-03-15T09:10:00Z"),
            call(organization, "second", "2025-03-15T10:00:00Z", "2025-03-15T10:10:00Z"),
            call(organization, "april", "2025-04-01T09:00:00Z", "2025-04-01T09:10:00Z"),
            call(organization, "may", "2025-05-01T09:00:00Z", "2025-05-01T09:10:00Z"),
        ]
    correction = {"effectiveAt": "2025-03-02T00:00:00Z", "poolMinutesUsed": 52}
    events.append(
        event("2025-03-16T08:00:00Z", "licensing", "Organization Changed", "fabrikam", **correction)
    )
    events.sort(key=lambda one: str(one["time"]))
    (folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    with one_emulator(), redirect_stdout(io.StringIO()) as shown:
        assert main(["replay", str(folder), "--json"]) == 0
    replayed: dict[str, Any] = json.loads(shown.getvalue())
    assert replayed["rejected"] == []
    return replayed


def calls(document: dict[str, Any], organization: str) -> dict[str, tuple[int, str]]:
    return {
        one["callId"]: (one["poolMinutes"], one["charge"])
        for one in document["calls"]
        if one["organizationId"] == organization
    }


def told(document: dict[str, Any], organization: str, kind: str) -> list[dict[str, Any]]:
    return [
        one
        for one in document["notifications"]
        if (one["organizationId"], one["type"]) == (organization, kind)
    ]


def test_minutes_used_before_are_missing_from_their_month_and_from_no_other(
    document: dict[str, Any],
) -> None:
    assert calls(document, "contoso") == {
        "before": (0, "0.5"),
        "first": (10, "0"),
        "second": (5, "0.5"),
        "april": (10, "0"),
        "may": (10, "0"),
    }
    assert document["organizations"]["contoso"]["minutePools"] == {
        "2025-03": {"minutes": 60, "used": 60},
        "2025-04": {"minutes": 60, "used": 10},
        "2025-05": {"minutes": 60, "used": 10},
    }


def test_thresholds_count_them_of_the_full_size(document: dict[str, Any]) -> None:
    reached = [
        (one["percent"], one["minutes"], one["used"], one["month"])
        for one in told(document, "contoso", "MinutePoolThreshold")
    ]
    assert reached == [(80, 60, 55, "2025-03"), (100, 60, 60, "2025-03")]


def test_a_later_one_for_the_month_takes_the_place_of_the_one_before(
    document: dict[str, Any],
) -> None:
    assert calls(document, "fabrikam") == {
        "before": (0, "0.5"),
        "first": (8, "0.2"),
        "second": (0, "1"),
        "april": (10, "0"),
        "may": (10, "0"),
    }
    march = document["organizations"]["fabrikam"]["minutePools"]["2025-03"]
    assert march == {"minutes": 60, "used": 60}


def test_credits_are_set_up_since_the_oldest_purchase(document: dict[str, Any]) -> None:
    """A call of the evening before, whose event came after the cutover."""
    before = [one for one in document["calls"] if one["callId"] == "before"]
    assert [(one["outcome"], one["charge"]) for one in before] == [("charged", "0.5")] * 2


def test_an_opening_balance_is_warned_of_and_expires_by_its_original_dates(
    document: dict[str, Any],
) -> None:
    (expiring,) = told(document, "contoso", "CreditExpiring")
    (expired,) = told(document, "contoso", "CreditExpired")
    assert (expiring["purchaseId"], expiring["remaining"]) == ("original-1", "11.5")
    assert expiring["at"] == "2025-03-22T00:05:00Z"
    assert expiring["expiresAt"] == expired["expiresAt"] == "2025-04-20T10:00:00Z"
    assert (expired["purchaseId"], expired["amount"]) == ("original-1", "11.5")
    contoso = document["organizations"]["contoso"]
    assert contoso["balance"] == "30"
    lot = {"purchaseId": "original-2", "remaining": "30", "expiresAt": "2025-12-31T00:00:00Z"}
    assert contoso["lots"] == [lot]
