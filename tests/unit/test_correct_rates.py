"""A wrong rate card was in force: what its calls should have cost, before and after booking."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, MICROS, WITHOUT_WAITING, fact, processed_event
from stores import twins
from wrong_rates import (
    DECEMBER,
    LATER,
    NOVEMBER,
    RIGHT,
    SUBSCRIBER,
    TO_BRITAIN,
    WRONG,
    WrongRates,
    version,
)

from perminute.adapters.memory import InMemoryStore
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.correct_rates import CorrectionTotal
from perminute.application.recorded_calls import CALLS_PER_TRANSACTION
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.credit.ledger import EntryType
from perminute.domain.errors import Contended, Unavailable
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.pools.pools import Month
from perminute.domain.rating.usage_record import Flag, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.pools.pools import MinutePool
    from perminute.domain.rating.rate_card import RateCard

WRONG_MICROS, RIGHT_MICROS = 1_500_000, 150_000
"""Ten minutes to Germany by either card."""


def twin(world: WrongRates) -> InMemoryStore:
    assert isinstance(world.stores.credit, InMemoryStore)
    return world.stores.credit


def written(world: WrongRates) -> dict[str, object]:
    """Copy all that a store holds."""
    return {name: copy(held) for name, held in vars(twin(world)).items() if name != "_lock"}


@pytest.fixture
def world() -> WrongRates:
    world = WrongRates(twins())
    world.charge(
        world.call("first", ANSWERED),
        world.call("second", ANSWERED + timedelta(days=1)),
        world.call("priced-alike", ANSWERED, **TO_BRITAIN),
    )
    world.cards.publish(RIGHT)
    return world


FOUND = CorrectionTotal(
    looked_at=3,
    calls=2,
    charge_micros=2 * WRONG_MICROS + 200_000,
    change_micros=2 * (RIGHT_MICROS - WRONG_MICROS),
)


def test_a_preview_says_what_would_change_and_writes_nothing(world: WrongRates) -> None:
    before = written(world)
    assert world.preview() == FOUND
    assert written(world) == before


def test_what_is_booked_is_what_was_shown(world: WrongRates) -> None:
    assert world.book() == FOUND
    usages = world.usages()
    assert {name: one.charge_micros for name, one in usages.items()} == {
        "first": RIGHT_MICROS,
        "second": RIGHT_MICROS,
        "priced-alike": 200_000,
    }
    assert {one.price.rate_card_version for one in usages.values()} == {"right"}
    assert world.balance_micros == 100 * MICROS - 2 * RIGHT_MICROS - 200_000
    *_, entry = twin(world).entries
    assert (entry.type, entry.amount_micros) == (EntryType.ADJUSTMENT, -FOUND.change_micros)
    assert (entry.cause, entry.of_calls, entry.at) == ("rerating#rates#right", True, LATER)
    assert world.differences() == ()


def test_a_call_that_costs_the_same_only_names_the_version(world: WrongRates) -> None:
    world.book()
    flags = {name: one.flags for name, one in world.usages().items()}
    assert flags == {"first": (Flag.RERATED,), "second": (Flag.RERATED,), "priced-alike": ()}


def test_a_second_run_finds_nothing_and_writes_nothing(world: WrongRates) -> None:
    world.book()
    before = written(world)
    nothing = replace(
        FOUND, calls=0, charge_micros=FOUND.charge_micros + FOUND.change_micros, change_micros=0
    )
    assert world.preview() == nothing
    assert world.book() == nothing
    assert written(world) == before


def test_the_time_is_half_open_and_counts_from_the_answer() -> None:
    world = WrongRates(twins())
    instant = timedelta(microseconds=1)
    answered = {
        "before": NOVEMBER - instant,
        "first": NOVEMBER,
        "last": DECEMBER - instant,
        "after": DECEMBER,
    }
    for name, at in answered.items():
        world.charge(world.call(name, at))
    world.cards.publish(RIGHT)
    assert world.book().calls == 2
    assert corrected(world) == {"first", "last"}


def test_a_call_that_ended_days_after_that_time_is_found(world: WrongRates) -> None:
    noon = ANSWERED.replace(hour=12)
    late = world.call("late", noon - timedelta(minutes=1))
    world.cards.publish(WRONG)
    world.charge(replace(late, call=replace(late.call, ended_at=noon + timedelta(hours=23))))
    world.cards.publish(RIGHT)
    assert world.book(until=noon).calls == 2
    assert corrected(world) == {"first", "priced-alike", "late"}


def corrected(world: WrongRates) -> set[str]:
    return {name for name, one in world.usages().items() if one.price.rate_card_version == "right"}


def test_many_calls_are_booked_in_several_transactions() -> None:
    world = WrongRates(twins())
    count = 3 * CALLS_PER_TRANSACTION + 1
    for number in range(0, count, 50):
        world.charge(
            *(
                world.call(f"call-{n}", ANSWERED + timedelta(seconds=n))
                for n in range(number, min(number + 50, count))
            )
        )
    world.cards.publish(RIGHT)
    assert world.preview() == world.book()
    adjustments = [one for one in twin(world).entries if one.type is EntryType.ADJUSTMENT]
    assert len(adjustments) == 4
    assert world.balance_micros == 100 * MICROS - count * RIGHT_MICROS
    assert world.differences() == ()


class Breaking(InMemoryStore):
    """A store that fails at a commit, before it or after it."""

    commits_left = -1
    after = False

    def commit(self, transaction: Transaction) -> None:
        self.commits_left -= 1
        if self.commits_left == 0 and not self.after:
            raise Unavailable("crashed before the commit")
        result = super().commit(transaction)
        if self.commits_left == 0:
            raise Unavailable("crashed after the commit")
        return result


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_was_interrupted_is_repeated(*, after: bool) -> None:
    world = WrongRates(twins())
    for number in range(3):
        calls = (
            world.call(f"call-{number}-{n}", ANSWERED + timedelta(hours=number))
            for n in range(CALLS_PER_TRANSACTION)
        )
        world.charge(*calls)
    world.cards.publish(RIGHT)
    store = Breaking(**vars(twin(world)))
    world.stores = replace(world.stores, credit=store)
    store.commits_left, store.after = 2, after
    with pytest.raises(Unavailable):
        world.book()
    world.book()
    assert world.balance_micros == 100 * MICROS - 3 * CALLS_PER_TRANSACTION * RIGHT_MICROS
    assert all(len(one.adjustments) == 1 for one in world.usages().values())
    assert world.differences() == ()


class Overtaken(InMemoryStore):
    """A store in which somebody else does the same right before calls are corrected."""

    meanwhile: Callable[[], object] | None = None

    def commit(self, transaction: Transaction) -> None:
        if transaction.rerated and self.meanwhile is not None:
            does, self.meanwhile = self.meanwhile, None
            does()
        super().commit(transaction)


def test_what_somebody_else_has_booked_meanwhile_is_not_counted(world: WrongRates) -> None:
    store = Overtaken(**vars(twin(world)))
    world.stores = replace(world.stores, credit=store)
    store.meanwhile = world.book
    assert world.book().calls == 0
    assert world.balance_micros == 100 * MICROS - 2 * RIGHT_MICROS - 200_000
    assert world.differences() == ()


UNPRICED = version("right", "dialOut,44,GB,USD,0.02,,")
OTHER_CURRENCY = version("right", "dialOut,49,DE,EUR,0.015,,", "dialOut,44,GB,USD,0.02,,")
BLOCKED = version("right", "dialOut,49,DE,USD,,,true", "dialOut,44,GB,USD,0.02,,")


@pytest.mark.parametrize("right", [UNPRICED, OTHER_CURRENCY, BLOCKED])
def test_calls_that_lose_their_price_get_back_what_they_cost(
    world: WrongRates, right: RateCard
) -> None:
    world.cards.publish(right)
    found = CorrectionTotal(
        looked_at=3,
        calls=2,
        charge_micros=FOUND.charge_micros,
        change_micros=-2 * WRONG_MICROS,
        unpriced=2,
    )
    assert world.preview() == found
    assert world.book() == found
    assert world.usages()["first"].outcome is Outcome.UNRATED
    assert world.balance_micros == 100 * MICROS - 200_000


def test_calls_that_get_a_price_are_charged() -> None:
    world = WrongRates(twins())
    world.cards.publish(version("wrong", "dialOut,44,GB,USD,0.02,,"))
    world.charge(world.call("first", ANSWERED))
    world.cards.publish(RIGHT)
    found = CorrectionTotal(looked_at=1, calls=1, change_micros=RIGHT_MICROS, priced=1)
    assert world.preview() == found
    assert world.book() == found
    assert world.usages()["first"].outcome is Outcome.CHARGED
    assert world.differences() == ()


def test_calls_that_begin_to_draw_on_the_pool_get_their_place_in_its_order() -> None:
    """By the wrong card Germany was another country, and its calls were none for the pool."""
    world = WrongRates(twins())
    world.cards.publish(version("wrong", "dialOut,49,AF,USD,0.15,,", "dialOut,44,GB,USD,0.02,,"))
    for number, to in enumerate(({}, TO_BRITAIN) * 4):
        at = ANSWERED + timedelta(hours=number)
        world.charge(world.call(f"call-{number}", at, organizer_id=SUBSCRIBER, **to))
    assert [one.pool_minutes for _, one in sorted(world.usages().items())] == [0, 10] * 4
    world.cards.publish(RIGHT)
    shown = world.preview()
    assert shown.pools == {Month(2026, 11)}
    assert world.book() == shown
    assert world.differences() == ()
    # A re-rating that comes in between leaves them where they are in the order.
    world.book()
    world.settle()
    minutes = [one.pool_minutes for _, one in sorted(world.usages().items())]
    assert minutes == [10, 10, 10, 10, 10, 10, 0, 0]
    charges = [one.charge_micros for _, one in sorted(world.usages().items())]
    assert charges == [0, 0, 0, 0, 0, 0, RIGHT_MICROS, 200_000]
    assert world.differences() == ()
    assert world.preview().calls == 0


def test_calls_that_cease_to_draw_on_the_pool_leave_their_minutes_to_later_ones() -> None:
    world = WrongRates(twins())
    for number, to in enumerate(({}, TO_BRITAIN) * 4):
        at = ANSWERED + timedelta(hours=number)
        world.charge(world.call(f"call-{number}", at, organizer_id=SUBSCRIBER, **to))
    world.cards.publish(version("right", "dialOut,49,AF,USD,0.3,,", "dialOut,44,GB,USD,0.02,,"))
    shown = world.preview()
    assert world.book() == shown
    assert world.differences() == ()
    world.settle()
    assert [one.pool_minutes for _, one in sorted(world.usages().items())] == [0, 10] * 4
    charges = [one.charge_micros for _, one in sorted(world.usages().items())]
    assert charges == [3_000_000, 0] * 4
    assert world.differences() == ()


def test_minutes_that_a_call_had_reserved_are_given_back_when_it_ceases_to_draw() -> None:
    world = WrongRates(twins())
    world.charge(world.call("reserved", ANSWERED, organizer_id=SUBSCRIBER))
    store, november = twin(world), Month(2026, 11)
    pool, usage = store.minute_pools["contoso", november], store.usages["contoso", "reserved"]
    store.usages["contoso", "reserved"] = usage._replace(reserved_minutes=10)
    store.minute_pools["contoso", november] = pool._replace(reserved_by_day=pool.used_by_day)
    world.cards.publish(version("right", "dialOut,49,AF,USD,0.3,,"))
    world.book()
    world.settle()
    settled = store.minute_pools["contoso", november]
    assert (settled.used_by_day, settled.reserved_by_day) == ({}, {})
    assert world.usages()["reserved"].charge_micros == 3_000_000


def test_calls_that_the_pool_bore_in_part_pay_the_rest_by_the_new_price() -> None:
    world = WrongRates(twins())
    for number in range(7):
        at = ANSWERED + timedelta(hours=number)
        long = world.call(f"call-{number}", at, organizer_id=SUBSCRIBER)
        world.charge(replace(long, call=replace(long.call, ended_at=at + timedelta(minutes=9))))
    straddling = world.usages()["call-6"]
    assert (straddling.pool_minutes, straddling.charge_micros) == (6, 450_000)
    world.cards.publish(RIGHT)
    assert world.book().pools == frozenset()
    corrected = world.usages()["call-6"]
    assert (corrected.pool_minutes, corrected.charge_micros) == (6, 45_000)


def test_later_changes_rate_by_the_new_version(world: WrongRates) -> None:
    world.book()
    none = fact("license:MCOMEETACPEA", value=False, since=ANSWERED, event_id="late")
    some = replace(none, value=True, effective_at=ANSWERED, issued_at=LATER, event_id="later")
    for one in (none, some):
        change = LicensingChange("contoso", "adele", (one,))
        event = LicensingEvent(change, processed_event(one.event_id), LATER)
        assert ApplyLicensing(twin(world), WITHOUT_WAITING)([event]) == [Accepted(None)]
        RerateCalls(world.again, world.stores.reratings)([ReratingRequest("contoso")])
    assert world.usages()["first"].charge_micros == RIGHT_MICROS


class Busy(InMemoryStore):
    """A store in which somebody is always writing the pools."""

    def pools(self, organization_id: str, months: Collection[Month]) -> dict[Month, MinutePool]:
        raise Contended(f"{organization_id} {list(months)} is being written")


def test_a_preview_that_never_finds_the_pools_at_rest_says_so(world: WrongRates) -> None:
    world.stores = replace(world.stores, credit=Busy(**vars(twin(world))))
    with pytest.raises(Contended, match="is being written; it is tried again later"):
        world.preview()


def test_a_version_that_was_never_published_is_unavailable(world: WrongRates) -> None:
    with pytest.raises(Unavailable, match="rate card right-2 is not known"):
        world.preview(version="right-2")
    assert WRONG.version in {one.price.rate_card_version for one in world.usages().values()}
