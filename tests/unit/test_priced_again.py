"""Calls are rated again without the rate card that they were rated by: it may be gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, MICROS, WITHOUT_WAITING, card, fact, processed_event
from stores import twins
from wrong_rates import WrongRates

from perminute.adapters.memory import PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.rating.rate_card import Step, Unpriced
from perminute.domain.rating.usage_record import Flag, Outcome, Price
from perminute.domain.rerating.corrections import ReratedCall

if TYPE_CHECKING:
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.usage_record import Usage

HEADER = (
    "leg_type,prefix,country,currency,rate_per_minute,initial_increment_seconds,"
    "increment_seconds,from_second"
)


def stepped(name: str, *rows: str) -> RateCard:
    one = card(*rows, header=HEADER)
    one.version = name
    return one


IN_DOLLARS = "dialOut,49,DE,USD,0.5,30,6,0", "dialOut,49,DE,USD,0.7,60,60,120"
OLD = stepped("old", *IN_DOLLARS)
EUROS = stepped("euros", "dialOut,44,GB,EUR,0.02,60,60,0", *IN_DOLLARS)
IN_EUROS = Price(
    rate_card_version="euros",
    billed_seconds=600,
    prefix="44",
    country="GB",
    rate_micros_per_minute=20_000,
    connection_fee_micros=0,
    retail_micros=200_000,
    currency="EUR",
    unpriced=Unpriced.CURRENCY_MISMATCH,
)
ELSEWHERE = stepped("elsewhere", "dialOut,44,GB,USD,0.02,60,60,0")


@pytest.fixture
def world() -> WrongRates:
    """One call of ten minutes by a card of which nothing is left but what the call records."""
    world = WrongRates(twins(), PublishedRateCards(OLD))
    world.charge(world.call("one", ANSWERED))
    world.cards = PublishedRateCards(ELSEWHERE)
    return world


def licensed(world: WrongRates, *, value: bool) -> None:
    """Have it heard late that the organizer held the license, or did not, and rate again."""
    told = fact("license:MCOMEETACPEA", value=value, since=ANSWERED, event_id=f"{value}")
    # It was never lost after all: that is said later.
    told = replace(told, issued_at=ANSWERED + int(value) * timedelta(seconds=1))
    event = LicensingEvent(
        LicensingChange(world.organization, "adele", (told,)), processed_event(f"{value}"), ANSWERED
    )
    assert ApplyLicensing(world.stores.licensing, WITHOUT_WAITING)([event]) == [Accepted(None)]
    rerate = RerateCalls(world.again, world.stores.reratings)
    while world.stores.reratings.waiting(world.organization):
        (result,) = rerate([ReratingRequest(world.organization)])
        assert isinstance(result, Accepted), result


def only(world: WrongRates) -> Usage:
    return world.usages()["one"]


def test_a_call_records_all_steps_of_its_rate(world: WrongRates) -> None:
    assert only(world).price == Price(
        rate_card_version="old",
        billed_seconds=600,
        prefix="49",
        country="DE",
        rate_micros_per_minute=500_000,
        connection_fee_micros=0,
        retail_micros=6_600_000,
        currency="USD",
        initial_increment_seconds=30,
        increment_seconds=6,
        later_steps=(Step(120, 700_000, 60),),
    )


def test_a_late_change_rates_a_call_again_though_its_card_is_gone(world: WrongRates) -> None:
    before = only(world)
    licensed(world, value=False)
    lost = only(world)
    assert (lost.outcome, lost.charge_micros, lost.price) == (
        Outcome.NOT_ENTITLED,
        0,
        before.price,
    )
    licensed(world, value=True)
    again = only(world)
    assert (again.outcome, again.charge_micros, again.price) == (
        Outcome.CHARGED,
        6_600_000,
        before.price,
    )
    assert world.balance_micros == 100 * MICROS - 6_600_000


def test_a_correction_that_prices_a_call_alike_records_the_steps_of_its_card(
    world: WrongRates,
) -> None:
    """Steps that the call never reached: nothing has changed for it, until it is corrected anew."""
    alike = stepped("alike", *IN_DOLLARS, "dialOut,49,DE,USD,0.9,60,60,600")
    world.cards.publish(alike)
    before = only(world)
    assert world.book(version="alike").calls == 0
    after = only(world)
    assert (after.flags, after.charge_micros) == (before.flags, before.charge_micros)
    assert after.price.rate_card_version == "alike"
    assert after.price.later_steps == (Step(120, 700_000, 60), Step(600, 900_000, 60))


def test_a_price_in_another_currency_is_stated_while_credit_does_not_have_to_pay_it(
    world: WrongRates,
) -> None:
    """Its card may be gone as well."""
    world.cards.publish(EUROS)
    world.charge(world.call("two", ANSWERED, remote_number="+442079460018"))
    world.cards = PublishedRateCards(ELSEWHERE)
    before = world.usages()["two"]
    assert (before.outcome, before.stated_price.retail_micros) == (Outcome.UNRATED, None)
    licensed(world, value=False)
    lost = world.usages()["two"]
    assert (lost.outcome, lost.stated_price) == (Outcome.NOT_ENTITLED, IN_EUROS)
    licensed(world, value=True)
    after = world.usages()["two"]
    assert after._replace(notified_again=()) == before._replace(flags=(Flag.RERATED,))
    assert [one.reason for one in after.notified_again] == ["noLicense", "currencyMismatch"]
    assert world.balance_micros == 100 * MICROS - 6_600_000


def test_a_price_in_another_currency_that_is_stated_nowhere_differs_from_none(
    world: WrongRates,
) -> None:
    """Nobody sees that a correction changes it; the record has it, should it be stated later."""
    world.cards.publish(EUROS)
    world.charge(world.call("two", ANSWERED, remote_number="+442079460018"))
    world.cards.publish(stepped("dearer", "dialOut,44,GB,EUR,0.03,60,60,0", *IN_DOLLARS))
    assert world.book(version="dearer").calls == 0
    assert world.usages()["two"].flags == ()
    licensed(world, value=False)
    assert world.usages()["two"].stated_price == IN_EUROS._replace(
        rate_card_version="dearer", rate_micros_per_minute=30_000, retail_micros=300_000
    )


def test_a_correction_of_a_call_that_credit_does_not_pay_prices_it_in_any_currency(
    world: WrongRates,
) -> None:
    """It had a price, and has one."""
    licensed(world, value=False)
    world.cards.publish(stepped("euros", "dialOut,49,DE,EUR,0.5,30,6,0"))
    corrected = world.book(version="euros")
    assert (corrected.calls, corrected.priced, corrected.unpriced) == (1, 0, 0)
    usage = only(world)
    assert (usage.outcome, usage.charge_micros) == (Outcome.NOT_ENTITLED, 0)
    assert (usage.stated_price.retail_micros, usage.stated_price.currency) == (5_000_000, "EUR")


def test_credits_that_turn_out_to_have_been_set_up_earlier_change_no_stated_price(
    world: WrongRates,
) -> None:
    """Before that a price may be in any currency, and after it too: nothing has changed."""
    world.cards.publish(EUROS)
    world.charge(world.call("two", ANSWERED, remote_number="+442079460018"))
    licensed(world, value=False)
    after = world.usages()["two"]
    before = after._replace(price=after.price._replace(unpriced=None))
    rerated = ReratedCall(before, after)
    assert (rerated.is_other, rerated.is_priced_alike) == (True, True)
