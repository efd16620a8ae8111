"""Calls are rated again without the rate card that they were rated by: it may be gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, IMPATIENT, MICROS, card, fact, receipt
from stores import twins
from wrong_rates import WrongRates

from perminute.adapters.memory import PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.rerate_calls import RerateCalls, Wakeup
from perminute.application.verdicts import Accepted
from perminute.domain.errors import Unavailable
from perminute.domain.licensing import LicensingChange
from perminute.domain.rate_card import Step
from perminute.domain.usage import Outcome, Price

if TYPE_CHECKING:
    from perminute.domain.rate_card import RateCard
    from perminute.domain.usage import Usage

HEADER = (
    "leg_type,prefix,country,currency,rate_per_minute,initial_increment_seconds,"
    "increment_seconds,from_second"
)


def stepped(name: str, *rows: str) -> RateCard:
    one = card(*rows, header=HEADER)
    one.version = name
    return one


OLD = stepped("old", "dialOut,49,DE,USD,0.5,30,6,0", "dialOut,49,DE,USD,0.7,60,60,120")
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
        LicensingChange(world.organization, "adele", (told,)), receipt(f"{value}"), ANSWERED
    )
    assert ApplyLicensing(world.stores.licensing, IMPATIENT)([event]) == [Accepted(None)]
    rerate = RerateCalls(world.again, world.stores.reratings)
    while world.stores.reratings.waiting(world.organization):
        (verdict,) = rerate([Wakeup(world.organization)])
        assert isinstance(verdict, Accepted), verdict


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
    rows = "dialOut,49,DE,USD,0.5,30,6,0", "dialOut,49,DE,USD,0.7,60,60,120"
    alike = stepped("alike", *rows, "dialOut,49,DE,USD,0.9,60,60,600")
    world.cards.publish(alike)
    before = only(world)
    assert world.book(version="alike").calls == 0
    after = only(world)
    assert (after.flags, after.charge_micros) == (before.flags, before.charge_micros)
    assert after.price.rate_card_version == "alike"
    assert after.price.later_steps == (Step(120, 700_000, 60), Step(600, 900_000, 60))


def test_a_rate_in_another_currency_is_looked_up_if_credit_is_kept_in_it_after_all(
    world: WrongRates,
) -> None:
    euros = stepped("euros", "dialOut,44,GB,EUR,0.02,60,60,0")
    world.cards.publish(euros)
    world.charge(world.call("two", ANSWERED, remote_number="+442079460018"))
    usage = world.usages()["two"]
    world.cards = PublishedRateCards(ELSEWHERE)
    account = world.stores.credit.account(world.organization)
    not_set_up = replace(account, credits_set_up_at=None)
    for other in (replace(account, currency="EUR"), not_set_up):
        with pytest.raises(Unavailable, match="rate card euros is not known"):
            world.again.card_of(usage, other)
    assert world.again.card_of(usage, account).version == "euros"
