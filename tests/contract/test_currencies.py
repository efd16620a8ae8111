"""A call that is priced in another currency than the credit's, as its pool is settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from builders import ANSWERED, MICROS, WITHOUT_WAITING, fact, processed_event
from wrong_rates import SUBSCRIBER, WrongRates, version

from perminute.adapters.memory import PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Outcome

if TYPE_CHECKING:
    from stores import Stores

    from perminute.domain.rating.usage_record import Reason

TO_FRANCE = {"remote_number": "+33199001234", "organizer_id": SUBSCRIBER}
BOTH = version("both", "dialOut,49,DE,USD,0.15,,", "dialOut,33,FR,EUR,0.016,,")
ELSEWHERE = version("elsewhere", "dialOut,44,GB,USD,0.02,,")


def of_france(world: WrongRates) -> tuple[Outcome, Reason | None, int, int | None, str | None]:
    usage = world.usages()["france"]
    price = usage.stated_price
    return usage.outcome, usage.reason, usage.charge_micros, price.retail_micros, price.currency


def licenses_bought_late(world: WrongRates) -> None:
    """Have it heard late that there were two subscriptions all the time, and carry that out."""
    quantity = replace(fact("purchased:MCOMEETADV", 2, event_id="two"), issued_at=ANSWERED)
    change = LicensingChange(world.organization, None, (quantity,))
    told = LicensingEvent(
        change,
        processed_event("two", organization_id=world.organization),
        ANSWERED + timedelta(days=1),
    )
    assert ApplyLicensing(world.stores.licensing, WITHOUT_WAITING)([told]) == [Accepted(None)]
    rerate = RerateCalls(world.again, world.stores.reratings)
    while world.stores.reratings.waiting(world.organization):
        assert isinstance(rerate([ReratingRequest(world.organization)])[0], Accepted)
    world.settle()


def test_a_pooled_call_in_another_currency_has_a_price_until_credit_has_to_pay_it(
    stores: Stores, organization: str
) -> None:
    """Late calls take its minutes, and a late license gives them back; its card is gone by then."""
    world = WrongRates(stores, PublishedRateCards(BOTH), organization)
    world.charge(world.call("france", ANSWERED + timedelta(hours=1), **TO_FRANCE))
    pooled = (Outcome.POOLED, None, 0, 160_000, "EUR")
    assert of_france(world) == pooled
    late = (timedelta(minutes=5 * number) for number in range(6))
    world.charge(
        *(
            world.call(f"germany-{after}", ANSWERED + after, organizer_id=SUBSCRIBER)
            for after in late
        )
    )
    world.cards = PublishedRateCards(ELSEWHERE)
    world.settle()
    assert of_france(world) == (Outcome.UNRATED, Unpriced.CURRENCY_MISMATCH, 0, None, "EUR")
    licenses_bought_late(world)
    assert of_france(world) == pooled
    assert world.balance_micros == 100 * MICROS
    assert world.differences() == ()
