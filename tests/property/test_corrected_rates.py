"""Whatever was wrong with a card: corrected, all is as if the right one had been in force."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from builders import ANSWERED
from hypothesis import given
from hypothesis import strategies as st
from stores import twins
from wrong_rates import SUBSCRIBER, WrongRates, version

from perminute.adapters.memory import PublishedRateCards

if TYPE_CHECKING:
    from perminute.application.charge_calls import EndedCall
    from perminute.domain.rating.rate_card import RateCard

NUMBERS = ("+493023125042", "+442079460100", "+33123456789")
rows = st.sampled_from(
    [
        ",USD,0.015,,",
        ",USD,0.02,0.1,",
        ",USD,0.3,,",
        ",EUR,0.015,,",
        ",USD,,,true",
        None,
    ]
)
countries = st.sampled_from(["DE", "FR", "AF", ""])
cards = st.lists(st.tuples(countries, rows), min_size=3, max_size=3)
calls = st.lists(
    st.tuples(
        st.sampled_from(["adele", SUBSCRIBER, "nobody"]),
        st.sampled_from(NUMBERS),
        st.integers(0, 40),
        st.integers(1, 2_400),
    ),
    max_size=20,
)


def card(name: str, drawn: list[tuple[str, str | None]]) -> RateCard:
    written = [
        f"dialOut,{prefix},{country}{rate}"
        for prefix, (country, rate) in zip(("49", "44", "33"), drawn, strict=True)
        if rate is not None
    ]
    return version(name, *written, "tollDialIn,1,US,USD,0.01,,")


def charged(rate_card: RateCard, drawn: list[tuple[str, str, int, int]]) -> WrongRates:
    """Calls come in in the order in which they end."""
    world = WrongRates(twins(), PublishedRateCards(rate_card))
    ended: list[EndedCall] = []
    for number, (organizer, remote, hours, seconds) in enumerate(drawn):
        at = ANSWERED + timedelta(hours=hours)
        changed: dict[str, Any] = {"organizer_id": organizer, "remote_number": remote}
        one = world.call(f"call-{number:02}", at, **changed, billable_seconds=seconds)
        ended.append(one)
    for one in sorted(ended, key=lambda one: (one.call.ended_at, one.call.call_id)):
        world.charge(one)
    return world


def outcomes(world: WrongRates) -> list[tuple[object, ...]]:
    return sorted(
        (
            usage.call.call_id,
            usage.outcome,
            usage.price,
            usage.pool_minutes,
            usage.charge_micros,
            usage.draws_on_pool,
        )
        for usage in world.usages().values()
    )


@given(cards, cards, calls)
def test_what_was_wrong_makes_no_difference_any_more(
    wrong: list[tuple[str, str | None]],
    right: list[tuple[str, str | None]],
    drawn: list[tuple[str, str, int, int]],
) -> None:
    world = charged(card("wrong", wrong), drawn)
    world.cards.publish(card("right", right))
    before_micros = world.balance_micros
    shown = world.preview()
    assert world.book() == shown
    assert world.balance_micros == before_micros - shown.change_micros
    assert world.differences() == ()
    world.settle()
    assert world.differences() == ()
    expected = charged(card("right", right), drawn)
    assert outcomes(world) == outcomes(expected)
    assert world.balance_micros == expected.balance_micros
    assert world.book().calls == 0
