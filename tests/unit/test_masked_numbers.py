"""Numbers whose last digits a carrier has masked: what these may hide, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from authorizing import BY_THE_MINUTE, SUBSCRIBED, Scene, asks, under_way, used
from builders import (
    ANSWERED,
    LONG_AGO,
    MICROS,
    ORGANIZER,
    WITHOUT_WAITING,
    card,
    fact,
    holding,
    holds,
    lot,
    phone_call,
    processed_event,
    volume,
)
from stores import twins
from wrong_rates import WrongRates

from perminute.adapters.memory import PublishedRateCards
from perminute.api.documents import price_document
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.authorization.reservations import Decision, Denied
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rating.usage_record import Flag, Outcome

if TYPE_CHECKING:
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.rating import Rating

MASKED, IN_FULL = "+4477009001**", "+447700900155"
BASE = "dialOut,447,GB,USD,0.32,,"
DEARER = "dialOut,44770090015,GB,USD,5,,"


def hidden(number: str, *rows: str, header: str = "") -> list[str]:
    rates = card(*rows, header=header)
    return [one.prefix for one in rates.hidden_rates(LegType.DIAL_OUT, number, ANSWERED)]


def named(rates: RateCard, name: str) -> RateCard:
    rates.version = name
    return rates


def rated(*rows: str, **changed: Any) -> Rating:
    scene = Scene()
    licensed = scene.context(under_way()).rating_context.licensing
    context = RatingContext(licensed, card(*rows), "USD", LONG_AGO)
    return rate_call(phone_call(**{"remote_number": MASKED, **changed}), context)


# ── What the masked digits may hide ──────────────────────────────────────────────────────────


def test_masked_digits_may_hide_a_longer_prefix() -> None:
    assert hidden(MASKED, BASE, DEARER) == ["44770090015"]
    assert hidden("+447700900***", BASE, "dialOut,4477009001,GB,USD,5,,") == ["4477009001"]


def test_a_number_that_is_shown_in_full_hides_nothing() -> None:
    assert hidden(IN_FULL, BASE, DEARER) == []


@pytest.mark.parametrize(
    "other",
    [
        "dialOut,44770090025,GB,USD,5,,",
        "dialOut,4477009001,GB,USD,5,,",
        "dialOut,44770090015555,GB,USD,5,,",
        "tollDialIn,44770090015,GB,USD,5,,",
        "dialOut,44770090015,GB,USD,0.32,0,false",
    ],
    ids=["other digits", "shown", "more digits than the number", "other leg type", "same context"],
)
def test_no_other_prefix_makes_it_uncertain(other: str) -> None:
    assert hidden(MASKED, BASE, other) == []


@pytest.mark.parametrize(
    "other",
    [
        "dialOut,44770090015,GB,USD,0.1,,",
        "dialOut,44770090015,GB,USD,0.32,0.01,",
        "dialOut,44770090015,JE,USD,0.32,,",
        "dialOut,44770090015,,USD,0.32,,",
        "dialOut,44770090015,GB,EUR,0.32,,",
        "dialOut,44770090015,GB,USD,,,true",
    ],
    ids=["rate", "fee", "country", "no country", "currency", "blocked"],
)
def test_whatever_decides_the_price_or_who_pays_makes_it_uncertain(other: str) -> None:
    assert hidden(MASKED, BASE, other) == ["44770090015"]


@pytest.mark.parametrize(
    "other", ["60,6,0", "30,60,0"], ids=["further increment", "initial increment"]
)
def test_increments_make_it_uncertain(other: str) -> None:
    header = (
        "leg_type,prefix,currency,rate_per_minute,initial_increment_seconds,"
        "increment_seconds,from_second"
    )
    rows = "dialOut,447,USD,0.32,60,60,0", f"dialOut,44770090015,USD,0.32,{other}"
    assert hidden(MASKED, *rows, header=header) == ["44770090015"]


def test_only_a_rate_in_force_makes_it_uncertain() -> None:
    header = "leg_type,prefix,currency,rate_per_minute,effective_from,effective_to"
    base = "dialOut,447,USD,0.32,,"
    for period, found in (
        (",2026-11-02T09:00:00Z", []),
        ("2026-11-02T09:00:01Z,", []),
        ("2026-11-02T09:00:00Z,", ["44770090015"]),
    ):
        assert hidden(MASKED, base, f"dialOut,44770090015,USD,5,{period}", header=header) == found


def test_a_rate_that_longer_prefixes_hide_from_every_number_is_none() -> None:
    covered = [f"dialOut,44770090015{digit},GB,USD,0.32,," for digit in range(10)]
    assert hidden(MASKED, BASE, DEARER, *covered) == []
    assert hidden(MASKED, BASE, DEARER, *covered[1:]) == ["44770090015"]


def test_a_number_without_a_price_may_hide_one() -> None:
    assert hidden(MASKED, DEARER) == ["44770090015"]
    assert rated(DEARER).usage().flags == (Flag.PREFIX_UNCERTAIN,)


# ── A call is priced by the digits that are shown, and says so ───────────────────────────────


def test_a_call_that_may_have_another_price_is_priced_as_it_is_and_flagged() -> None:
    plain, uncertain = rated(BASE).usage(), rated(BASE, DEARER).usage()
    assert plain.flags == ()
    assert uncertain == plain._replace(
        flags=(Flag.PREFIX_UNCERTAIN,),
        price=plain.price._replace(is_prefix_uncertain=True),
    )
    assert (uncertain.outcome, uncertain.charge_micros) == (Outcome.CHARGED, 3_200_000)


def test_a_toll_number_may_be_masked_as_well() -> None:
    rows = "tollDialIn,1,US,USD,0.0085,,", "tollDialIn,1425555019,US,USD,0.02,,"
    changed = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+142555501**"}
    assert rated(*rows, **changed).flags == (Flag.PREFIX_UNCERTAIN,)


def test_the_flag_is_no_news() -> None:
    """Only policies and bridges are: an admin could do nothing about a mask."""
    world = WrongRates(twins(), PublishedRateCards(card(BASE, DEARER)))
    world.charge(world.call("one", ANSWERED, remote_number=MASKED))
    assert world.usages()["one"].flags == (Flag.PREFIX_UNCERTAIN,)
    assert world.stores.outbox(world.organization) == []


def test_a_price_that_is_asked_for_says_so_with_and_without_an_organizer() -> None:
    usage = rated(BASE, DEARER).usage()
    assert price_document(usage, entitled=True).flags == [Flag.PREFIX_UNCERTAIN]
    assert price_document(usage, entitled=False).flags == [Flag.PREFIX_UNCERTAIN]


def test_a_call_that_is_rated_again_without_its_card_stays_flagged() -> None:
    world = WrongRates(twins(), PublishedRateCards(named(card(BASE, DEARER), "old")))
    world.charge(world.call("one", ANSWERED, remote_number=MASKED))
    world.cards = PublishedRateCards(named(card("dialOut,49,DE,USD,1,,"), "elsewhere"))
    lost = fact("license:MCOMEETACPEA", value=False, since=ANSWERED, event_id="lost")
    change = LicensingChange(world.organization, ORGANIZER, (lost,))
    event = LicensingEvent(change, processed_event("lost"), ANSWERED)
    ApplyLicensing(world.stores.licensing, WITHOUT_WAITING)([event])
    (result,) = RerateCalls(world.again, world.stores.reratings)(
        [ReratingRequest(world.organization)]
    )
    assert isinstance(result, Accepted)
    usage = world.usages()["one"]
    assert (usage.outcome, usage.flags) == (
        Outcome.NOT_ENTITLED,
        (Flag.PREFIX_UNCERTAIN, Flag.RERATED),
    )


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        ((BASE,), (BASE, DEARER), (Flag.PREFIX_UNCERTAIN, Flag.RERATED)),
        ((BASE, DEARER), (BASE,), (Flag.RERATED,)),
    ],
)
def test_a_corrected_card_decides_anew_whether_a_price_is_certain(
    before: tuple[str, ...], after: tuple[str, ...], flags: tuple[Flag, ...]
) -> None:
    world = WrongRates(twins(), PublishedRateCards(named(card(*before), "old")))
    world.charge(world.call("one", ANSWERED, remote_number=MASKED))
    world.cards.publish(named(card(*after), "new"))
    assert world.book(version="new").calls == 1
    usage = world.usages()["one"]
    assert (usage.flags, usage.charge_micros) == (flags, 3_200_000)


def test_a_correction_flags_a_call_without_a_price_too() -> None:
    elsewhere = "dialOut,49,DE,USD,1,,"
    world = WrongRates(twins(), PublishedRateCards(named(card(elsewhere), "old")))
    world.charge(world.call("one", ANSWERED, remote_number=MASKED))
    world.cards.publish(named(card(elsewhere, DEARER), "new"))
    assert world.book(version="new").calls == 1
    usage = world.usages()["one"]
    assert (usage.outcome, usage.flags) == (
        Outcome.UNRATED,
        (Flag.PREFIX_UNCERTAIN, Flag.RERATED),
    )


# ── Before the call ──────────────────────────────────────────────────────────────────────────


def scene(*rows: str, micros: int = 100 * MICROS, **changed: Any) -> Scene:
    return Scene(holding(lot("1", micros)), rates=card(*rows), **changed)


def test_a_masked_number_reserves_the_dearest_price_that_it_may_have() -> None:
    cheap = "dialOut,44770090019,GB,USD,0.01,,"
    one = scene(BASE, DEARER, cheap)
    decided = one.authorize(asks(120), remote_number=MASKED)
    assert (decided.answer.decision, decided.answer.granted_seconds) == (Decision.ALLOW, 120)
    # The price by the digits that are shown, by which it will be charged.
    assert decided.answer.rate_micros_per_minute == 320_000
    assert one.reserved() == 10 * MICROS
    released = one.release(one.update(decided, used(60, 1, 60), ANSWERED), 0, ANSWERED)
    assert released.answer.decision is Decision.ALLOW
    assert one.reserved() == 5 * MICROS


def test_a_masked_number_with_cheaper_rates_reserves_its_own() -> None:
    one = scene(BASE, "dialOut,44770090019,GB,USD,0.01,,")
    one.authorize(asks(120), remote_number=MASKED)
    assert one.reserved() == 640_000


def test_the_dearest_price_is_that_of_the_seconds_asked_for() -> None:
    """A fee makes one dearer for a minute, and its rate the other for ten."""
    one = scene(BASE, "dialOut,44770090019,GB,USD,0.1,2,")
    one.authorize(asks(60), remote_number=MASKED)
    assert one.reserved() == 2_100_000
    one.authorize(asks(1_200), remote_number=MASKED, call_id="b")
    assert one.reserved() == 2_100_000 + 6_400_000


def test_no_more_is_granted_than_the_dearest_price_leaves() -> None:
    one = scene(BASE, DEARER, micros=11 * MICROS)
    answer = one.authorize(asks(600), remote_number=MASKED).answer
    assert (answer.granted_seconds, answer.final_unit) == (120, True)
    denied = scene(BASE, DEARER, micros=MICROS).authorize(remote_number=MASKED).answer
    assert denied.reason == Denied.INSUFFICIENT_CREDIT
    in_full = scene(BASE, DEARER, micros=MICROS).authorize(remote_number="+447700900100").answer
    assert in_full.decision is Decision.ALLOW


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("dialOut,44770090015,GB,USD,,,true", "blockedNumber"),
        ("dialOut,44770090015,GB,EUR,0.1,,", "currencyMismatch"),
    ],
)
def test_a_masked_number_is_refused_if_one_that_it_may_be_is(row: str, reason: str) -> None:
    one = scene(BASE, row)
    answer = one.authorize(remote_number=MASKED).answer
    assert (answer.decision, answer.reason) == (Decision.DENY, reason)
    assert one.reserved() == 0
    other = scene(BASE, row).authorize(remote_number="+4477009002**").answer
    assert other.decision is Decision.ALLOW


def test_a_masked_number_is_refused_if_it_may_be_in_a_country_that_is_not_allowed() -> None:
    policy = fact("dialOutPolicy", "sameCountry")
    british = holds("payPerMinute", "communicationsCredits", country="GB")
    user = Timeline([*british.facts, policy])
    jersey = "dialOut,44770090015,JE,USD,0.32,,"
    assert scene(BASE, DEARER, user=user).authorize(remote_number=MASKED).answer.reason is None
    answer = scene(BASE, jersey, user=user).authorize(remote_number=MASKED).answer
    assert answer.reason == Flag.DIAL_OUT_NOT_ALLOWED


def test_what_the_pool_may_not_bear_is_reserved_of_the_credit() -> None:
    """Zone A by the digits that are shown, and perhaps a country outside of it."""
    pooled = Timeline([*volume().facts, fact("purchased:MCOMEETADV", 1)])
    outside = "dialOut,44770090015,AF,USD,2,,"
    for rows, micros in (((BASE,), 0), ((BASE, outside), 4 * MICROS)):
        one = scene(*rows, user=SUBSCRIBED, organization=pooled)
        one.authorize(asks(120), remote_number=MASKED)
        assert (one.reserved(), one.pool.held.amount_at(ANSWERED)) == (micros, 2)


def test_a_rate_that_begins_while_the_call_rings_may_be_hidden_as_well() -> None:
    header = "leg_type,prefix,currency,rate_per_minute,effective_from"
    rates = card(
        "dialOut,447,USD,0.32,",
        "dialOut,44770090015,USD,5,2026-11-02T09:00:30Z",
        header=header,
    )
    one = Scene(holding(lot("1", 100 * MICROS)), rates=rates)
    one.authorize(asks(60), remote_number=MASKED)
    assert one.reserved() == 5 * MICROS


def test_calls_are_counted_by_the_prefix_that_is_shown() -> None:
    """As they are charged; a mask may hide hundreds, and each would be a record to read."""
    context = scene(BASE, DEARER, user=BY_THE_MINUTE).context(under_way(remote_number=MASKED))
    assert [rating.price.prefix for rating in context.price.hidden] == ["44770090015"]
    assert context.price.prefixes == ("447",)


def test_a_call_to_a_masked_number_may_end_with_the_number_in_full() -> None:
    """What was reserved for it covers what it costs then."""
    one = scene(BASE, DEARER)
    one.authorize(asks(60), remote_number=MASKED)
    usage = rated(BASE, DEARER, remote_number=IN_FULL, billable_seconds=60).usage()
    assert (usage.charge_micros, usage.flags) == (one.reserved(), ())


def test_a_correction_that_changes_nothing_says_nothing() -> None:
    world = WrongRates(twins(), PublishedRateCards(named(card(BASE, DEARER), "old")))
    world.charge(world.call("one", ANSWERED, remote_number=MASKED))
    world.cards.publish(named(card(BASE, DEARER), "new"))
    found = world.preview(version="new")
    assert (found.looked_at, found.calls) == (1, 0)
