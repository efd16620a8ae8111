"""Which of two statements holds that were issued at one instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from builders import LONG_AGO, fact

from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.licensing.attributes import (
    CAUTIOUS_VALUES,
    NEITHER,
)
from perminute.domain.licensing.timelines import Timeline
from perminute.events.licensing import LicensingDetail, OrganizationChanged, UserChanged

if TYPE_CHECKING:
    from perminute.domain.licensing.attributes import FactValue

LATER = LONG_AGO + timedelta(microseconds=1)
IDS = (("1", "2"), ("2", "1"))


def recharging(amount_micros: int) -> AutoRecharge:
    return AutoRecharge(trigger_micros=1, recharge_micros=amount_micros, monthly_limit_micros=None)


def settings(**changed: object) -> CreditSettings:
    parts = CreditSettings(configured_at=LONG_AGO, event_id="e", currency="USD")
    return parts._replace(**changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attribute", "holds", "yields"),
    [
        ("license:MCOMEETACPEA", False, True),
        ("tollFreeDialInAllowed", False, True),
        ("dialOutPolicy", "none", "sameCountry"),
        ("dialOutPolicy", "sameCountry", "zoneA"),
        ("dialOutPolicy", "zoneA", "anyDestination"),
        ("licensingProgram", "other", "volume"),
        ("communicationsCreditsLicense", "perUser", "organization"),
        ("purchased:MCOMEETADV", 2, 10),
        ("poolMinutesPerLicense", 0, 60),
        ("poolMinutesUsed", 10, 2),
        ("monthlySpendLimit", 0, 5_000_000),
    ],
)
def test_the_cautious_one_of_two_facts_holds_whatever_their_ids_and_their_order(
    attribute: str, holds: FactValue, yields: FactValue
) -> None:
    for first, second in IDS:
        facts = [fact(attribute, holds, event_id=first), fact(attribute, yields, event_id=second)]
        for order in permutations(facts):
            assert Timeline(order).value_at(attribute, LONG_AGO) == holds


@pytest.mark.parametrize(
    "attribute", [name for name, which in CAUTIOUS_VALUES.items() if which == NEITHER]
)
def test_where_neither_is_cautious_the_greater_event_id_decides(attribute: str) -> None:
    facts = [fact(attribute, "b", event_id="1"), fact(attribute, "a", event_id="2")]
    for order in permutations(facts):
        assert Timeline(order).value_at(attribute, LONG_AGO) == "a"


def test_a_change_id_and_an_event_id_that_read_the_same_are_two_identities() -> None:
    plain = fact("country", "US", event_id="1")
    change = replace(plain, value="DE", has_change_id=True)
    assert change.order > plain.order
    for order in permutations([plain, change]):
        assert Timeline(order).value_at("country", LONG_AGO) == "DE"


def test_a_fact_that_was_issued_later_holds_though_it_is_not_the_cautious_one() -> None:
    facts = [
        fact("license:X", value=False, event_id="2"),
        replace(fact("license:X", value=True, event_id="1"), issued_at=LATER),
    ]
    for order in permutations(facts):
        assert Timeline(order).value_at("license:X", LONG_AGO) is True


@pytest.mark.parametrize(
    ("holds", "yields"),
    [
        ({}, {"auto_recharge": recharging(1)}),
        ({}, {"auto_recharge": recharging(1), "daily_spend_limit_micros": 1}),
        ({"daily_spend_limit_micros": 5}, {}),
        ({"daily_spend_limit_micros": 0}, {"daily_spend_limit_micros": 5}),
        (
            {"daily_spend_limit_micros": 4},
            {"daily_spend_limit_micros": 5, "max_concurrent_calls": 0},
        ),
        ({"prefix_hourly_spend_limit_micros": 5}, {"max_concurrent_calls": 0}),
        ({"max_concurrent_calls": 1}, {"max_concurrent_calls": 2}),
        (
            {"max_concurrent_calls": 1, "auto_recharge": recharging(9)},
            {"auto_recharge": recharging(1)},
        ),
        ({"auto_recharge": recharging(1)}, {"auto_recharge": recharging(9)}),
    ],
)
def test_the_cautious_one_of_two_settings_holds_whatever_their_ids(
    holds: dict[str, object], yields: dict[str, object]
) -> None:
    for first, second in IDS:
        cautious, bold = settings(**holds, event_id=first), settings(**yields, event_id=second)
        assert cautious.order > bold.order
        assert cautious.ties_with(bold)


def test_settings_that_differ_in_something_else_go_by_the_greater_identity() -> None:
    first = settings(event_id="1", late_usage_hours=1)
    second = settings(event_id="2", late_usage_hours=2)
    assert second.order > first.order
    assert first._replace(has_change_id=True, event_id="2").order > second.order


def test_later_settings_hold_though_they_are_not_the_cautious_ones() -> None:
    bold = settings(configured_at=LATER, auto_recharge=recharging(9))
    assert bold.order > settings(daily_spend_limit_micros=0).order
    assert not bold.ties_with(settings())


def test_what_says_the_same_is_no_tie() -> None:
    stated = fact("country", "DE", event_id="1")
    assert not stated.ties_with(replace(stated, event_id="2"))
    assert not stated.ties_with(replace(stated, event_id="2", value="US", issued_at=LATER))
    assert stated.ties_with(replace(stated, event_id="2", value="US"))
    assert not settings().ties_with(settings(event_id="2", has_change_id=True))
    assert not settings().ties_with(None)


def test_it_is_decided_of_every_attribute_that_events_state_what_is_cautious() -> None:
    """A new field of an event is to be put into the table."""
    stated = {
        name
        for detail in (UserChanged, OrganizationChanged)
        for name in detail.__struct_encode_fields__
        if name not in {*LicensingDetail.__struct_encode_fields__, "userId"}
    }
    assert set(CAUTIOUS_VALUES) == {"license", "purchased"} | stated
