from __future__ import annotations

from datetime import timedelta

import pytest
from builders import ANSWERED, LONG_AGO, ORGANIZER, fact, holds, phone_call, volume

from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import Cover, Licensing, NotEntitled, Seats, counts_seats
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.rating.calls import LegType
from perminute.domain.reference.licenses import License, product_named

PER_MINUTE = ("payPerMinute", "communicationsCredits")
TOLL = phone_call(leg_type=LegType.TOLL_DIAL_IN, service_number="+14255550100")
TOLL_FREE = phone_call(leg_type=LegType.TOLL_FREE_DIAL_IN, service_number="+18005550100")
DIAL_OUT = phone_call()


def organization_mode() -> Timeline:
    mode = fact("communicationsCreditsLicense", "organization")
    return Timeline([*volume().facts, mode])


def entitlement(
    user: Timeline, organization: Timeline | None = None, *, set_up: bool = True
) -> Cover | NotEntitled:
    licensing = Licensing(organization or volume(), {ORGANIZER: user})
    return licensing.entitlement(DIAL_OUT, LONG_AGO if set_up else None).beyond_pool


def test_pay_per_minute_goes_to_credits_when_all_conditions_hold() -> None:
    assert entitlement(holds(*PER_MINUTE)) is Cover.CREDITS


@pytest.mark.parametrize(
    ("user", "organization", "set_up", "why"),
    [
        (Timeline(), volume(), True, NotEntitled.NO_LICENSE),
        (holds("communicationsCredits"), volume(), True, NotEntitled.NO_LICENSE),
        (holds(*PER_MINUTE), Timeline(), True, NotEntitled.NOT_VOLUME_LICENSING),
        (
            holds(*PER_MINUTE),
            Timeline([fact("licensingProgram", "other")]),
            True,
            NotEntitled.NOT_VOLUME_LICENSING,
        ),
        (holds(*PER_MINUTE), volume(), False, NotEntitled.CREDITS_NOT_SET_UP),
        (holds(*PER_MINUTE, country="IN"), volume(), True, NotEntitled.COUNTRY_NOT_AVAILABLE),
        (holds(*PER_MINUTE, country=None), volume(), True, NotEntitled.COUNTRY_NOT_AVAILABLE),
        (holds("payPerMinute"), volume(), True, NotEntitled.NO_CREDITS_LICENSE),
    ],
)
def test_each_condition_that_fails_gives_its_own_reason(
    user: Timeline, organization: Timeline, *, set_up: bool, why: NotEntitled
) -> None:
    assert entitlement(user, organization, set_up=set_up) is why


def test_of_a_license_all_conditions_are_said_and_the_first_one_not_met_is_the_reason() -> None:
    user = holds("payPerMinute", country="IN")
    ((rule, met),) = Licensing(volume(), {ORGANIZER: user}).rules(DIAL_OUT, LONG_AGO)
    assert (rule.license, dict(zip(rule.conditions, met, strict=True))) == (
        License.PAY_PER_MINUTE,
        {
            NotEntitled.NOT_VOLUME_LICENSING: True,
            NotEntitled.CREDITS_NOT_SET_UP: True,
            NotEntitled.COUNTRY_NOT_AVAILABLE: False,
            NotEntitled.NO_CREDITS_LICENSE: False,
        },
    )
    assert entitlement(user) is NotEntitled.COUNTRY_NOT_AVAILABLE


def test_the_rules_of_two_licenses_come_in_the_order_in_which_they_are_used() -> None:
    licensing = Licensing(organization_mode(), {ORGANIZER: holds("payPerMinute", "SPE_E5")})
    assert [(rule.license, met) for rule, met in licensing.rules(DIAL_OUT, LONG_AGO)] == [
        (License.SUBSCRIPTION, (True, False)),
        (License.PAY_PER_MINUTE, (True, True, True, True)),
    ]


def test_an_organization_may_do_without_a_credits_license_for_each_user() -> None:
    assert entitlement(holds("payPerMinute"), organization_mode()) is Cover.CREDITS


def test_credits_count_from_the_instant_at_which_they_are_set_up() -> None:
    licensing = Licensing(volume(), {ORGANIZER: holds(*PER_MINUTE)})
    late = ANSWERED + timedelta(microseconds=1)
    assert licensing.entitlement(DIAL_OUT, ANSWERED).beyond_pool is Cover.CREDITS
    assert licensing.entitlement(DIAL_OUT, late).beyond_pool is NotEntitled.CREDITS_NOT_SET_UP


def test_a_license_counts_from_its_assignment_until_its_removal() -> None:
    attribute = license_attribute("MCOMEETACPEA")
    assigned = fact(attribute, value=True, since=ANSWERED)
    removed = fact(attribute, value=False, since=ANSWERED + timedelta(hours=1))
    user = Timeline([*holds("communicationsCredits").facts, assigned, removed])
    licensing = Licensing(volume(), {ORGANIZER: user})
    instants = [ANSWERED + timedelta(minutes=minutes) for minutes in (-1, 0, 59, 60)]
    assert [
        licensing.entitlement(phone_call(answered_at=at, ended_at=at), LONG_AGO).beyond_pool
        for at in instants
    ] == [NotEntitled.NO_LICENSE, Cover.CREDITS, Cover.CREDITS, NotEntitled.NO_LICENSE]


def test_the_subscription_includes_toll_dial_in_and_sends_the_rest_to_credits() -> None:
    licensing = Licensing(Timeline(), {ORGANIZER: holds("subscription", "MCOPSTNC")})
    assert [
        licensing.entitlement(one, LONG_AGO).beyond_pool for one in (TOLL, TOLL_FREE, DIAL_OUT)
    ] == [
        Cover.INCLUDED,
        Cover.CREDITS,
        Cover.CREDITS,
    ]


def test_the_subscription_needs_the_credits_license_on_the_organizer_whatever_the_setting() -> None:
    licensing = Licensing(organization_mode(), {ORGANIZER: holds("subscription")})
    assert [licensing.entitlement(one, LONG_AGO).beyond_pool for one in (TOLL, TOLL_FREE)] == [
        Cover.INCLUDED,
        NotEntitled.NO_CREDITS_LICENSE,
    ]
    assert licensing.entitlement(TOLL_FREE, None).beyond_pool is NotEntitled.CREDITS_NOT_SET_UP


def test_of_both_licenses_the_subscription_is_used_first_and_the_other_where_it_is_not_enough() -> (
    None
):
    both = Licensing(organization_mode(), {ORGANIZER: holds("subscription", "payPerMinute")})
    assert [both.entitlement(one, LONG_AGO).beyond_pool for one in (TOLL, TOLL_FREE)] == [
        Cover.INCLUDED,
        Cover.CREDITS,
    ]


def test_a_suite_and_the_license_on_its_own_are_held_apart() -> None:
    lost_alone = fact(license_attribute("MCOMEETADV"), value=False, since=ANSWERED)
    user = Timeline([*holds("SPE_E5", "MCOMEETADV").facts, lost_alone])
    assert (
        Licensing(Timeline(), {ORGANIZER: user}).entitlement(TOLL, None).beyond_pool
        is Cover.INCLUDED
    )


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("payPerMinute", "MCOMEETACPEA"),
        ("mcopstnc", "MCOPSTNC"),
        ("06ebc4ee-1bb5-47dd-8120-11324bc54e06", "SPE_E5"),
        ("06EBC4EE-1BB5-47DD-8120-11324BC54E06", "SPE_E5"),
        ("ENTERPRISEPREMIUM", "ENTERPRISEPREMIUM"),
        ("bb038288-76ab-49d6-afc1-eaa6c222c65a", "MCOMEETACPEA"),
    ],
)
def test_licenses_go_by_our_names_part_numbers_and_guids(name: str, product: str) -> None:
    assert product_named(name) == product


@pytest.mark.parametrize("name", ["ENTERPRISEPACK", "", "pay-per-minute"])
def test_an_unknown_license_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"^'{name}' is not a license that we know"):
        product_named(name)


def policy(mode: str | None, default: str | None = None, country: str | None = "US") -> Licensing:
    """An organizer with a dial-out mode in an organization with a default."""
    own = [] if mode is None else [fact("dialOutPolicy", mode)]
    organization = [] if default is None else [fact("dialOutPolicy", default)]
    user = Timeline([*holds(country=country).facts, *own])
    return Licensing(Timeline(organization), {ORGANIZER: user})


@pytest.mark.parametrize(
    ("mode", "destination", "allowed"),
    [
        ("anyDestination", "CU", True),
        ("anyDestination", None, True),
        ("sameCountry", "US", True),
        # Both are +1.
        ("sameCountry", "CA", False),
        ("sameCountry", None, False),
        ("zoneA", "DE", True),
        ("zoneA", "AE", False),
        ("zoneA", None, False),
        ("none", "US", False),
    ],
)
def test_the_four_modes_of_dial_out(mode: str, destination: str | None, *, allowed: bool) -> None:
    assert policy(mode).allows(DIAL_OUT, destination) is allowed
    assert policy(None, default=mode).allows(DIAL_OUT, destination) is allowed


def test_an_organizers_own_mode_stands_above_the_default_and_any_destination_below() -> None:
    assert policy("anyDestination", default="none").allows(DIAL_OUT, "DE")
    assert not policy("none", default="anyDestination").allows(DIAL_OUT, "DE")
    assert policy(None).allows(DIAL_OUT, "DE")


def test_a_country_that_is_not_known_is_not_the_same_country() -> None:
    assert not policy("sameCountry", country=None).allows(DIAL_OUT, "US")
    assert not policy("sameCountry", country=None).allows(DIAL_OUT, None)


def test_policies_for_dial_out_say_nothing_of_other_calls() -> None:
    assert policy("none").allows(TOLL, None)
    assert policy("none").allows(TOLL_FREE, None)


def test_a_policy_counts_from_when_it_takes_effect() -> None:
    since = fact("dialOutPolicy", "none", ANSWERED)
    licensing = Licensing(Timeline(), {ORGANIZER: Timeline([since])})
    before = ANSWERED - timedelta(microseconds=1)
    assert licensing.allows(phone_call(answered_at=before), "DE")
    assert not licensing.allows(DIAL_OUT, "DE")


def purchased(*said: tuple[str, int]) -> Timeline:
    return Timeline([fact(attribute, value) for attribute, value in said])


def test_the_pool_has_sixty_minutes_for_each_subscription_that_was_purchased() -> None:
    organization = purchased(("purchased:MCOMEETADV", 100), ("purchased:SPE_E5", 15))
    assert Licensing(organization).pool_minutes(ANSWERED) == 6_900
    assert Licensing().pool_minutes(ANSWERED) == 0
    others = purchased(("purchased:MCOMEETACPEA", 9), ("purchased:MCOPSTNC", 9))
    assert Licensing(others).pool_minutes(ANSWERED) == 0


def test_the_minutes_for_each_license_are_a_setting_and_may_be_none() -> None:
    for minutes in (0, 45):
        organization = purchased(("purchased:MCOMEETADV", 10), ("poolMinutesPerLicense", minutes))
        assert Licensing(organization).pool_minutes(ANSWERED) == 10 * minutes


def test_minutes_used_before_the_cutover_are_missing_from_their_month_only() -> None:
    said = [("purchased:MCOMEETADV", 1), ("poolMinutesUsed", 45)]
    november = ANSWERED.replace(day=1, hour=0)
    facts = [fact(name, value, november) for name, value in said]
    facts.append(fact("poolMinutesUsed", 75, november, "later"))
    licensing = Licensing(Timeline(facts[:-1]))
    december = ANSWERED.replace(month=12, day=1, hour=0)
    for at, used, left in (
        (november - timedelta(microseconds=1), 0, 0),
        (november, 45, 15),
        (december - timedelta(microseconds=1), 45, 15),
        (december, 0, 60),
    ):
        assert (licensing.pool_minutes_used(at), licensing.pool_minutes_for_calls(at)) == (
            used,
            left,
        )
    assert licensing.pool_minutes(ANSWERED) == 60
    assert licensing.fewest_pool_minutes(november, december) == 15
    # What is issued later takes its place; and a pool never has fewer than no minutes.
    corrected = Licensing(Timeline(facts))
    assert corrected.pool_minutes_used(ANSWERED) == 75
    assert corrected.pool_minutes_for_calls(ANSWERED) == 0


def test_the_pool_may_count_the_licenses_that_are_assigned_instead() -> None:
    later = ANSWERED + timedelta(hours=1)
    basis = fact("poolBasis", "assigned", ANSWERED)
    organization = Timeline([*purchased(("purchased:MCOMEETADV", 10)).facts, basis])
    lost = fact(license_attribute("SPE_E5"), value=False, since=later)
    users = [
        Timeline([*holds("SPE_E5", "MCOMEETADV").facts, lost]),
        holds("SPE_E5"),
        holds("payPerMinute"),
    ]
    licensing = Licensing(organization, seats=Seats(users))
    before = ANSWERED - timedelta(microseconds=1)
    minutes = [licensing.pool_minutes(at) for at in (before, ANSWERED, later)]
    assert minutes == [600, 180, 120]
    assert licensing.fewest_pool_minutes(before, later) == 180
    assert licensing.fewest_pool_minutes(before, later + timedelta(microseconds=1)) == 120
    assert licensing.fewest_pool_minutes(before, ANSWERED) == 600
    assert counts_seats(organization)
    assert not counts_seats(purchased(("purchased:MCOMEETADV", 10)))


def test_assigning_twice_is_one_seat_and_removing_twice_is_none() -> None:
    attribute = license_attribute("SPE_E5")
    said = [(True, 0), (True, 1), (False, 2), (False, 3), (True, 4), (False, 4)]
    user = Timeline(
        fact(attribute, value, ANSWERED + timedelta(hours=hours), f"e-{n}")
        for n, (value, hours) in enumerate(said)
    )
    seats = Seats([user])
    counts = [seats.count_at(ANSWERED + timedelta(hours=hours)) for hours in range(-1, 5)]
    assert counts == [0, 1, 1, 0, 0, 0]


def test_the_subscription_draws_on_the_pool_only_where_it_reaches() -> None:
    licensing = Licensing(volume(), {ORGANIZER: holds("subscription", "payPerMinute")})
    drawing = {
        destination: licensing.entitlement(DIAL_OUT, LONG_AGO, destination).draws_on_pool
        for destination in ("DE", "CN", "AE", None)
    }
    assert drawing == {"DE": True, "CN": True, "AE": False, None: False}
    assert not licensing.entitlement(TOLL_FREE, LONG_AGO, "US").draws_on_pool
    by_minute = Licensing(volume(), {ORGANIZER: holds(*PER_MINUTE)})
    assert not by_minute.entitlement(DIAL_OUT, LONG_AGO, "DE").draws_on_pool
