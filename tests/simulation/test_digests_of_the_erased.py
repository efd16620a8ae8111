"""Digests of calls whose organizer is erased after they were notified of, and before they count."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, ENDED, ORGANIZATION, charge, holding, rating

from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.values.times import end_of
from perminute_local.simulation.invariants.digests import Digests

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = ANSWERED.date()
OVER_AT = end_of(DAY)
PSEUDONYM = "erased-3f2a9c0b1d4e"


def notified(call_id: str | None, **more: Any) -> dict[str, Any]:
    return {
        "organizationId": ORGANIZATION,
        "type": "CallNotEntitled",
        "id": call_id,
        "callId": call_id,
        "organizerId": "adele",
        "reason": "noLicense",
        **more,
    }


@pytest.fixture
def digests() -> Digests:
    """Three calls of a day, of which the first was notified of; then their organizer is erased."""
    digests = Digests()
    for call_id in "abc":
        (usage,) = charge(holding(), [rating(call_id, 0)], at=ENDED).usages
        refused = usage._replace(
            outcome=Outcome.NOT_ENTITLED,
            reason=NotEntitled.NO_LICENSE,
            price=usage.price._replace(retail_micros=None),
        )
        digests.record([refused], OVER_AT - timedelta(hours=1))
        digests.decide(notified(call_id, countedOn=str(DAY)))
    assert broken(digests, notified("a"), is_first=True) == []
    digests.erased[PSEUDONYM] = "adele"
    return digests


def digest_of(*call_ids: str, organizer_id: str = PSEUDONYM) -> dict[str, Any]:
    counted = {"day": str(DAY), "calls": len(call_ids), "callIds": [*call_ids]}
    return notified(None, organizerId=organizer_id, **counted)


def broken(digests: Digests, document: dict[str, Any], *, is_first: bool = False) -> Sequence[str]:
    return [one.promise for one in digests.notify(document, OVER_AT, is_first=is_first)]


def test_they_name_the_pseudonym(digests: Digests) -> None:
    assert broken(digests, digest_of("b", "c")) == []


def test_each_call_is_still_notified_of_once(digests: Digests) -> None:
    once = "each call is notified of once"
    assert broken(digests, digest_of("a", "b")) == [once]
    assert broken(digests, digest_of("b", "c")) == [once]


def test_a_call_that_is_decided_again_under_the_pseudonym_is_notified_of_again(
    digests: Digests,
) -> None:
    again = notified("a", organizerId=PSEUDONYM) | {"id": "a again"}
    digests.decide({**again, "countedOn": str(DAY)})
    assert broken(digests, again, is_first=True) == []
    assert broken(digests, digest_of("a", "b")) == ["each call is notified of once"]


def test_nobody_else_has_their_calls(digests: Digests) -> None:
    found = broken(digests, digest_of("b", "c", organizer_id="erased-000000000000"))
    assert found == ["one call of a day is the first", *["each call is notified of once"] * 2]
