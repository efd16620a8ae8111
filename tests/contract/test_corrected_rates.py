"""A wrong rate card is corrected alike over the twin and over DynamoDB."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from builders import ANSWERED, MICROS
from wrong_rates import RIGHT, SUBSCRIBER, TO_BRITAIN, TOLL, WrongRates, version

from perminute.adapters.memory import PublishedRateCards
from perminute.application.correct_rates import CorrectionTotal
from perminute.domain.pools.pools import Month

if TYPE_CHECKING:
    from stores import Stores

ABROAD = version("wrong", "dialOut,49,AF,USD,0.15,,", "dialOut,44,GB,USD,0.02,,")


def test_calls_pay_by_the_right_card_and_draw_on_the_pool_in_their_order(
    stores: Stores, organization: str
) -> None:
    world = WrongRates(stores, PublishedRateCards(ABROAD), organization)
    world.charge(world.call("by-the-minute", ANSWERED))
    for number, to in enumerate(({}, TO_BRITAIN) * 4):
        at = ANSWERED + timedelta(hours=number)
        world.charge(world.call(f"call-{number}", at, organizer_id=SUBSCRIBER, **to))
    world.charge(world.call("toll", ANSWERED, organizer_id=SUBSCRIBER, **TOLL))
    world.cards.publish(RIGHT)
    found = CorrectionTotal(
        looked_at=10,
        calls=5,
        charge_micros=5 * 1_500_000,
        change_micros=-5 * 1_350_000,
        pools=frozenset({Month(2026, 11)}),
    )
    assert world.preview() == found
    assert world.book() == found
    assert world.differences() == ()
    world.settle()
    usages = world.usages()
    assert [usages[f"call-{n}"].pool_minutes for n in range(8)] == [10] * 6 + [0, 0]
    assert world.balance_micros == 100 * MICROS - 150_000 - 150_000 - 200_000
    assert world.differences() == ()
    version_now = stores.credit.account(organization).version
    assert world.book().calls == 0
    assert stores.credit.account(organization).version == version_now
