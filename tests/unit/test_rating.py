from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from builders import ENDED, LONG_AGO, ORGANIZER, card, fact, holds, phone_call, volume

from perminute.domain.licensing.licensing import Licensing, NotEntitled
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.rating.calls import LegType, MeetingType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rating.usage_record import Flag, Free, Outcome, Price, Usage

if TYPE_CHECKING:
    from perminute.domain.licensing.attributes import FactValue

TERMS = RatingContext(
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
    assert rate_call(phone_call(), TERMS).usage() == Usage(
        call=phone_call(),
        outcome=Outcome.CHARGED,
        reason=None,
        price=GERMANY,
        charge_micros=150_000,
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
            GERMANY._replace(billed_seconds=0, retail_micros=0),
        ),
        (
            {"billable_seconds": 0},
            Free.NOT_ANSWERED,
            GERMANY._replace(billed_seconds=0, retail_micros=0),
        ),
        ({"meeting_type": MeetingType.AD_HOC}, Free.AD_HOC_MEETING, GERMANY),
    ],
)
def test_some_legs_are_free(changed: dict[str, Any], reason: Free, price: Price) -> None:
    one = phone_call(**changed)
    assert rate_call(one, TERMS).usage() == Usage(
        call=one, outcome=Outcome.FREE, reason=reason, price=price, charge_micros=0
    )


def test_a_leg_without_entitlement_is_recorded_with_its_retail_cost_and_charged_nothing() -> None:
    nobody = TERMS._replace(licensing=Licensing(volume()))
    assert rate_call(phone_call(), nobody).usage() == Usage(
        call=phone_call(),
        outcome=Outcome.NOT_ENTITLED,
        reason=NotEntitled.NO_LICENSE,
        price=GERMANY,
        charge_micros=0,
    )


def test_what_the_subscription_includes_costs_nothing() -> None:
    subscribed = TERMS._replace(licensing=Licensing(volume(), {ORGANIZER: holds("SPE_E5")}))
    one = phone_call(leg_type=LegType.TOLL_DIAL_IN, service_number="+14255550100")
    usage = rate_call(one, subscribed).usage()
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
    ],
)
def test_what_cannot_be_priced_is_given_free_and_says_why(number: str, price: Price) -> None:
    one = phone_call(remote_number=number)
    assert rate_call(one, TERMS).usage() == Usage(
        call=one, outcome=Outcome.UNRATED, reason=price.unpriced, price=price, charge_micros=0
    )


IN_EUROS = Price(
    rate_card_version="card-1",
    billed_seconds=600,
    prefix="33",
    country="FR",
    rate_micros_per_minute=16_000,
    connection_fee_micros=0,
    retail_micros=160_000,
    currency="EUR",
    unpriced=Unpriced.CURRENCY_MISMATCH,
)
"""The card prices France in euros, the credit is kept in dollars, and nothing converts."""
TO_FRANCE = "+33199001234"


def test_what_credit_cannot_pay_is_unrated_and_states_its_currency_but_no_amount() -> None:
    one = phone_call(remote_number=TO_FRANCE)
    usage = rate_call(one, TERMS).usage()
    assert usage == Usage(
        call=one,
        outcome=Outcome.UNRATED,
        reason=Unpriced.CURRENCY_MISMATCH,
        price=IN_EUROS,
        charge_micros=0,
    )
    assert usage.stated_price == Price(
        rate_card_version="card-1",
        prefix="33",
        country="FR",
        currency="EUR",
        unpriced=Unpriced.CURRENCY_MISMATCH,
    )


SUBSCRIBER = TERMS._replace(
    licensing=Licensing(volume(), {ORGANIZER: holds("subscription", "MCOPSTNC")})
)
SAME_COUNTRY = fact("dialOutPolicy", "sameCountry")
STEPPED = card(
    "dialOut,49,DE,USD,0.06,0.5,60,30,0",
    "dialOut,49,DE,USD,0.01,0.5,60,30,180",
    header="leg_type,prefix,country,currency,rate_per_minute,connection_fee,"
    "initial_increment_seconds,increment_seconds,from_second",
)


def test_a_dial_out_of_a_subscriber_to_zone_a_draws_on_the_pool_by_the_started_minute() -> None:
    rating = rate_call(phone_call(billable_seconds=541), SUBSCRIBER)
    assert rating.pool_minutes_wanted == 10
    pooled = rating.usage(10)
    assert (pooled.outcome, pooled.charge_micros, pooled.pool_minutes) == (Outcome.POOLED, 0, 10)
    assert pooled.price.retail_micros == 150_000


def test_what_the_pool_does_not_reach_is_charged_from_there_on_with_the_fee() -> None:
    context = SUBSCRIBER._replace(rate_card=STEPPED)
    rating = rate_call(phone_call(billable_seconds=241), context)
    assert rating.price.billed_seconds == 270
    micros = {minutes: rating.usage(minutes).charge_micros for minutes in (0, 1, 3, 4, 5)}
    assert micros == {
        0: 500_000 + 180_000 + 15_000,
        1: 500_000 + 120_000 + 15_000,
        3: 500_000 + 15_000,
        4: 500_000 + 5_000,
        5: 0,
    }
    outcomes = {minutes: rating.usage(minutes).outcome for minutes in (0, 4, 5)}
    assert outcomes == {0: Outcome.CHARGED, 4: Outcome.CHARGED, 5: Outcome.POOLED}


def test_without_the_credits_license_what_the_pool_does_not_reach_is_not_covered() -> None:
    alone = Licensing(volume(), {ORGANIZER: holds("subscription")})
    rating = rate_call(phone_call(), SUBSCRIBER._replace(licensing=alone))
    split = rating.usage(4)
    assert (split.outcome, split.reason, split.charge_micros, split.pool_minutes) == (
        Outcome.NOT_ENTITLED,
        NotEntitled.NO_CREDITS_LICENSE,
        0,
        4,
    )
    assert rating.usage(10).outcome is Outcome.POOLED


@pytest.mark.parametrize(
    "changed",
    [
        {"remote_number": "+449098790100"},
        {"remote_number": "+881612345678"},
        {"remote_number": "+97141234567"},
        {"leg_type": LegType.TOLL_FREE_DIAL_IN, "service_number": "+18005550100"},
        {"meeting_type": MeetingType.AD_HOC},
        {"answered_at": None},
    ],
)
def test_nothing_else_draws_on_the_pool(changed: dict[str, Any]) -> None:
    rows = ("dialOut,971,AE,USD,0.3,,", "dialOut,44,GB,USD,0.015,,", "dialOut,449,GB,USD,,,true")
    context = SUBSCRIBER._replace(rate_card=card(*rows, "tollFreeDialIn,1800,US,USD,0.022,,"))
    rating = rate_call(phone_call(**changed), context)
    assert (rating.draws_on_pool, rating.pool_minutes_wanted) == (False, 0)


def test_a_rate_in_another_currency_still_tells_the_country_for_pool_and_policy() -> None:
    user = Timeline([*holds("subscription", "MCOPSTNC", country="FR").facts, SAME_COUNTRY])
    context = SUBSCRIBER._replace(licensing=Licensing(volume(), {ORGANIZER: user}))
    rating = rate_call(phone_call(remote_number="+33199001234"), context)
    assert (rating.pool_minutes_wanted, rating.flags) == (10, ())
    pooled = rating.usage(10)
    assert (pooled.outcome, pooled.stated_price) == (Outcome.POOLED, IN_EUROS)
    split = rating.usage(4)
    assert (split.outcome, split.reason, split.charge_micros) == (
        Outcome.UNRATED,
        Unpriced.CURRENCY_MISMATCH,
        0,
    )
    assert split.stated_price.retail_micros is None


@pytest.mark.parametrize(
    ("licensing", "changed", "outcome"),
    [
        (Licensing(volume()), {"remote_number": TO_FRANCE}, Outcome.NOT_ENTITLED),
        (
            TERMS.licensing,
            {"remote_number": TO_FRANCE, "meeting_type": MeetingType.AD_HOC},
            Outcome.FREE,
        ),
        (
            SUBSCRIBER.licensing,
            {"leg_type": LegType.TOLL_DIAL_IN, "service_number": TO_FRANCE},
            Outcome.INCLUDED,
        ),
    ],
)
def test_what_credit_does_not_pay_states_its_price_in_any_currency(
    licensing: Licensing, changed: dict[str, Any], outcome: Outcome
) -> None:
    rates = card("dialOut,33,FR,EUR,0.016,,", "tollDialIn,33,FR,EUR,0.016,,")
    context = TERMS._replace(licensing=licensing, rate_card=rates)
    usage = rate_call(phone_call(**changed), context).usage()
    assert (usage.outcome, usage.stated_price, usage.charge_micros) == (outcome, IN_EUROS, 0)


def test_before_the_credits_were_set_up_a_price_may_be_in_any_currency() -> None:
    """Whether the currency is known by then, when the call is reported late, or not yet."""
    one = phone_call(remote_number="+33199001234")
    later = TERMS._replace(credits_set_up_at=ENDED)
    known = rate_call(one, later)
    assert known.price == IN_EUROS._replace(unpriced=None)
    assert known.usage().reason is NotEntitled.CREDITS_NOT_SET_UP
    assert rate_call(one, later._replace(currency=None, credits_set_up_at=None)) == known


def test_pay_per_minute_alone_draws_on_no_pool() -> None:
    assert not rate_call(phone_call(), TERMS).draws_on_pool


@pytest.mark.parametrize(
    ("said", "changed", "flags"),
    [
        (("dialOutPolicy", "none"), {}, (Flag.DIAL_OUT_NOT_ALLOWED,)),
        (("dialOutPolicy", "sameCountry"), {}, ()),
        (
            ("dialOutPolicy", "sameCountry"),
            {"remote_number": "+442079460100"},
            (Flag.DIAL_OUT_NOT_ALLOWED,),
        ),
        # Blocked, but known to be British; unknown altogether.
        (
            ("dialOutPolicy", "zoneA"),
            {"remote_number": "+449098790100"},
            (),
        ),
        (
            ("dialOutPolicy", "zoneA"),
            {"remote_number": "+881612345678"},
            (Flag.DIAL_OUT_NOT_ALLOWED,),
        ),
        (("dialOutPolicy", "none"), {"meeting_type": MeetingType.AD_HOC}, ()),
        (("dialOutPolicy", "none"), {"answered_at": None}, ()),
        (
            ("tollFreeDialInAllowed", False),
            {"leg_type": LegType.TOLL_FREE_DIAL_IN, "service_number": "+18005550100"},
            (Flag.TOLL_FREE_NOT_ALLOWED,),
        ),
        (("tollFreeDialInAllowed", False), {}, ()),
    ],
)
def test_a_call_against_a_policy_is_charged_as_usual_and_flagged(
    said: tuple[str, FactValue], changed: dict[str, Any], flags: tuple[Flag, ...]
) -> None:
    plain = rate_call(phone_call(**changed), TERMS).usage()
    policy = fact(*said)
    user = Timeline([*TERMS.licensing.users[ORGANIZER].facts, policy])
    context = TERMS._replace(licensing=Licensing(volume(), {ORGANIZER: user}))
    assert rate_call(phone_call(**changed), context).usage() == plain._replace(flags=flags)
