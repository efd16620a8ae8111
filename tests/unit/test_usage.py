from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import LONG_AGO, ORGANIZER, card, holds, leg, volume

from perminute.domain.legs import LegType, MeetingType
from perminute.domain.licensing import Licensing, NotEntitled
from perminute.domain.rate_card import Unpriced
from perminute.domain.usage import Free, Outcome, Price, Terms, Usage, rate_leg

TERMS = Terms(
    licensing=Licensing(volume(), {ORGANIZER: holds("payPerMinute", "communicationsCredits")}),
    rate_card=card(),
    currency="USD",
    credits_set_up_at=LONG_AGO,
)
GERMANY = Price(
    rate_card_version="card-1",
    billed_seconds=600,
    prefix="49",
    country="DE",
    rate_micros_per_minute=15_000,
    connection_fee_micros=0,
    retail_micros=150_000,
    currency="USD",
)
NO_PRICE = Price(rate_card_version="card-1", unpriced=Unpriced.NO_RATE)


def test_a_covered_leg_is_charged_what_the_card_says() -> None:
    assert rate_leg(leg(), TERMS).usage() == Usage(
        leg=leg(), outcome=Outcome.CHARGED, reason=None, price=GERMANY, charge_micros=150_000
    )


@pytest.mark.parametrize(
    ("changed", "reason", "price"),
    [
        (
            {"leg_type": LegType.APP, "remote_number": None},
            Free.APP_JOIN,
            Price(rate_card_version="card-1", retail_micros=0),
        ),
        (
            {"answered_at": None},
            Free.NOT_ANSWERED,
            replace(GERMANY, billed_seconds=0, retail_micros=0),
        ),
        (
            {"billable_seconds": 0},
            Free.NOT_ANSWERED,
            replace(GERMANY, billed_seconds=0, retail_micros=0),
        ),
        ({"meeting_type": MeetingType.AD_HOC}, Free.AD_HOC_MEETING, GERMANY),
    ],
)
def test_some_legs_are_free(changed: dict[str, Any], reason: Free, price: Price) -> None:
    one = leg(**changed)
    assert rate_leg(one, TERMS).usage() == Usage(
        leg=one, outcome=Outcome.FREE, reason=reason, price=price, charge_micros=0
    )


def test_a_leg_without_entitlement_is_recorded_with_its_retail_cost_and_charged_nothing() -> None:
    nobody = replace(TERMS, licensing=Licensing(volume()))
    assert rate_leg(leg(), nobody).usage() == Usage(
        leg=leg(),
        outcome=Outcome.NOT_ENTITLED,
        reason=NotEntitled.NO_LICENSE,
        price=GERMANY,
        charge_micros=0,
    )


def test_what_the_subscription_includes_costs_nothing() -> None:
    subscribed = replace(TERMS, licensing=Licensing(volume(), {ORGANIZER: holds("SPE_E5")}))
    one = leg(leg_type=LegType.TOLL_DIAL_IN, service_number="+14255550100")
    usage = rate_leg(one, subscribed).usage()
    assert (usage.outcome, usage.charge_micros, usage.price.retail_micros) == (
        Outcome.INCLUDED,
        0,
        85_000,
    )


@pytest.mark.parametrize(
    ("number", "price"),
    [
        ("+881612345678", NO_PRICE),
        (
            "+449098790100",
            Price(
                rate_card_version="card-1",
                prefix="449",
                country="GB",
                unpriced=Unpriced.BLOCKED_NUMBER,
            ),
        ),
        # The card prices France in euros, and nothing converts.
        ("+33199001234", NO_PRICE),
    ],
)
def test_what_cannot_be_priced_is_given_free_and_says_why(number: str, price: Price) -> None:
    one = leg(remote_number=number)
    assert rate_leg(one, TERMS).usage() == Usage(
        leg=one, outcome=Outcome.UNRATED, reason=price.unpriced, price=price, charge_micros=0
    )
