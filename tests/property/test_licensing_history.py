"""Any history of licenses, users, organization and calls ends the same in any order of delivery.

The model knows all facts from the start, sorts the calls, and gives each what is left of the pool:
no accounts, no re-rating, no late news.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from builders import (
    LONG_AGO,
    MICROS,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    fact,
    processed_event,
    purchase,
)
from hypothesis import given, note
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted, Duplicate
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import Licensing, LicensingChange, Seats, holds_from
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.pools.pools import Month, minutes_wanted
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rating.usage_record import Flag, Usage
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.domain.reference.licenses import product_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.domain.licensing.attributes import FactValue
    from perminute.domain.licensing.timelines import Fact

START = datetime(2026, 11, 30, 18, tzinfo=UTC)
HOURS = 8
"""The histories cross the end of a month and of its pool."""

CARD = card(
    "dialOut,49,DE,USD,0.015,0.01,60,",
    "dialOut,44,GB,USD,0.02,,6,",
    "dialOut,971,AE,USD,0.3,,60,",
    "dialOut,449,GB,USD,,,,true",
    "tollDialIn,1,US,USD,0.0085,,60,",
    "tollFreeDialIn,1800,US,USD,0.022,,60,",
    header="leg_type,prefix,country,currency,rate_per_minute,connection_fee,"
    "increment_seconds,blocked",
)
USERS = ("adele", "bob")

Step = EndedCall | LicensingEvent


@dataclass
class World:
    """A store and the functions over it; what waits is carried out when the test says so."""

    store: InMemoryStore = field(default_factory=InMemoryStore)

    def __post_init__(self) -> None:
        rate_cards = PublishedRateCards(CARD)
        self.charge = ChargeCalls(
            self.store,
            InMemoryCalls(self.store),
            LicensingCache(self.store),
            rate_cards,
            WITHOUT_WAITING,
        )
        self.apply = ApplyLicensing(self.store, WITHOUT_WAITING)
        again = RecordedCalls(
            credit=self.store,
            calls=InMemoryCalls(self.store),
            licensing=LicensingCache(self.store),
            rate_cards=rate_cards,
            retry=WITHOUT_WAITING,
        )
        self.rerate = RerateCalls(again, self.store)
        assert isinstance(
            BookCredit(self.store, WITHOUT_WAITING)([purchase(amount=2)])[0], Accepted
        )

    def deliver(self, step: Step) -> None:
        (result,) = self.charge([step]) if isinstance(step, EndedCall) else self.apply([step])
        assert isinstance(result, Accepted | Duplicate)

    def waits(self) -> bool:
        """Whether anything is to be looked at again."""
        return bool(self.store.waiting(ORGANIZATION) or self.store.unsettled_months(ORGANIZATION))

    def carry_out(self) -> None:
        """Do one piece of everything that waits."""
        (result,) = self.rerate([ReratingRequest(ORGANIZATION)])
        assert isinstance(result, Accepted)

    def carry_out_all(self) -> None:
        while self.waits():
            self.carry_out()

    def results(self) -> dict[str, Any]:
        return {call_id: result(usage) for (_, call_id), usage in self.store.usages.items()}

    def used(self) -> Counter[Month]:
        """Minutes drawn by month; a pool that nobody drew on is as good as none."""
        pools = self.store.minute_pools
        return +Counter({month: pool.used for (_, month), pool in pools.items()})


def result(usage: Usage) -> tuple[object, ...]:
    told = {Flag.DIAL_OUT_NOT_ALLOWED, Flag.TOLL_FREE_NOT_ALLOWED} & set(usage.flags)
    return usage.outcome, usage.reason, usage.charge_micros, usage.pool_minutes, told


def expected(steps: Sequence[Step]) -> tuple[dict[str, Any], Counter[Month]]:
    """The model."""
    facts: dict[str | None, list[Any]] = {None: [], **{user: [] for user in USERS}}
    for step in steps:
        if isinstance(step, LicensingEvent):
            facts[step.change.user_id] += step.change.facts
    users = {user: Timeline(facts[user]) for user in USERS}
    licensing = Licensing(Timeline(facts[None]), users, Seats(users.values()))
    context = RatingContext(licensing, CARD, "USD", LONG_AGO)
    calls = [step.call for step in steps if isinstance(step, EndedCall)]
    used: Counter[Month] = Counter()
    results: dict[str, Any] = {}
    for call in sorted(calls, key=lambda one: (one.ended_at, one.call_id)):
        rating, minutes = rate_call(call, context), 0
        if rating.draws_on_pool:
            assert call.answered_at
            month = Month.of(call.answered_at)
            gone = used[month] + used_before(facts[None], month)
            left = max(0, licensing.pool_minutes(call.answered_at) - gone)
            minutes = min(minutes_wanted(call), left)
            used[month] += minutes
        results[call.call_id] = result(rating.usage(minutes))
    return results, +used


def used_before(facts: list[Fact], month: Month) -> int:
    """What was issued last of a month, or the most of that; whatever instant of it was named."""
    said = [
        f for f in facts if f.attribute == "poolMinutesUsed" and month == Month.of(f.effective_at)
    ]
    last = max(said, key=lambda f: (f.issued_at, f.value), default=None)
    return 0 if last is None else int(last.value)


hours = st.integers(0, HOURS).map(lambda n: START + timedelta(hours=n))
numbers = st.sampled_from(["+493023125042", "+442079460100", "+97141234567", "+449098790100"])


@st.composite
def calls(draw: st.DrawFn, number: int) -> EndedCall:
    answered = draw(hours) + timedelta(seconds=draw(st.integers(0, 3_599)))
    leg_type = draw(
        st.sampled_from([LegType.DIAL_OUT] * 3 + [LegType.TOLL_DIAL_IN, LegType.TOLL_FREE_DIAL_IN])
    )
    service = {LegType.TOLL_DIAL_IN: "+14255550100", LegType.TOLL_FREE_DIAL_IN: "+18005550100"}
    return ended(
        call_id=f"call-{number}",
        organizer_id=draw(st.sampled_from((*USERS, "adele"))),
        leg_type=leg_type,
        remote_number=draw(numbers) if leg_type is LegType.DIAL_OUT else None,
        service_number=service.get(leg_type),
        answered_at=answered,
        ended_at=answered + timedelta(seconds=draw(st.integers(1, 1_500))),
    )


def statements() -> st.SearchStrategy[tuple[str | None, str, FactValue]]:
    """One thing that an event may say of a user or of the organization."""
    products = ("MCOMEETADV", "MCOMEETADV", "SPE_E5", "MCOPSTNC", "MCOMEETACPEA")
    modes = ("anyDestination", "sameCountry", "zoneA", "none")
    holdings = st.tuples(st.sampled_from([license_attribute(p) for p in products]), st.booleans())
    of_users = st.one_of(
        holdings,
        holdings,
        st.tuples(st.just("country"), st.sampled_from(["DE", "GB", "IN"])),
        st.tuples(st.just("dialOutPolicy"), st.sampled_from(modes)),
        st.tuples(st.just("tollFreeDialInAllowed"), st.booleans()),
    )
    of_organization = st.one_of(
        st.tuples(st.just("purchased:MCOMEETADV"), st.integers(0, 3)),
        st.tuples(st.just("poolMinutesPerLicense"), st.sampled_from([5, 20, 60])),
        st.tuples(st.just("poolMinutesUsed"), st.sampled_from([0, 7, 15, 90])),
        st.tuples(st.just("poolBasis"), st.sampled_from(["purchased", "assigned", "assigned"])),
        st.tuples(st.just("licensingProgram"), st.sampled_from(["volume", "other"])),
        st.tuples(
            st.just("communicationsCreditsLicense"), st.sampled_from(["perUser", "organization"])
        ),
        st.tuples(st.just("dialOutPolicy"), st.sampled_from(modes)),
    )
    users = st.sampled_from((*USERS, "adele"))
    return st.one_of(
        st.builds(lambda user, said: (user, *said), users, of_users),
        of_organization.map(lambda said: (None, *said)),
    )


def event(
    number: int, said: tuple[str | None, str, FactValue], since: datetime, issued: datetime
) -> LicensingEvent:
    subject, attribute, value = said
    stated = fact(attribute, value, holds_from(attribute, since), f"e-{number}")
    change = LicensingChange(ORGANIZATION, subject, (stated,))
    return LicensingEvent(
        change, processed_event(f"e-{number}", content={"n": f"{number}"}), issued
    )


def given_from_the_start() -> list[LicensingEvent]:
    """A pool of ten minutes and a subscriber, so that most histories have something to draw."""
    said: list[tuple[str | None, str, FactValue]] = [
        (None, "licensingProgram", "volume"),
        (None, "purchased:MCOMEETADV", 1),
        (None, "poolMinutesPerLicense", 20),
        ("adele", license_attribute(product_named("subscription")), True),
        ("adele", license_attribute(product_named("communicationsCredits")), True),
        ("bob", license_attribute(product_named("payPerMinute")), True),
    ]
    return [event(1_000 + n, one, LONG_AGO, START) for n, one in enumerate(said)]


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Events in the order in which things happened: calls as they ended, news as it took effect."""
    said = draw(st.lists(st.tuples(statements(), hours), min_size=1, max_size=8))
    news = [event(n, one, since, since) for n, (one, since) in enumerate(said)]
    ended_calls = [draw(calls(n)) for n in range(draw(st.integers(2, 10)))]
    timed: list[tuple[datetime, Step]] = [
        *((one.heard_at, one) for one in news),
        *((one.reported_at, one) for one in ended_calls),
    ]
    return [*given_from_the_start(), *(step for _, step in sorted(timed, key=lambda x: x[0]))]


def balance(world: World) -> int:
    return world.store.account(ORGANIZATION).balance_micros


@given(histories(), st.data())
def test_any_order_of_delivery_with_duplicates_ends_with_what_the_model_says(
    history: list[Step], data: st.DataObject
) -> None:
    in_order, shuffled = World(), World()
    for step in history:
        in_order.deliver(step)
        in_order.carry_out_all()
    again = data.draw(st.lists(st.sampled_from(history), max_size=4))
    # Half of the time what holds from the start is known from the start: then calls are pooled.
    known = data.draw(st.sampled_from([0, len(given_from_the_start())]))
    late = data.draw(st.permutations([*history[known:], *again]))
    for step in [*history[:known], *late]:
        shuffled.deliver(step)
        if data.draw(st.booleans()):
            shuffled.carry_out()
    shuffled.carry_out_all()
    results, used = expected(history)
    for world in (in_order, shuffled):
        note(str(world.store.entries))
        assert world.results() == results
        assert world.used() == used
        assert balance(world) == 2 * MICROS - sum(charge for _, _, charge, _, _ in results.values())
        assert reconcile(world.store.statement(ORGANIZATION)) == ()


@given(histories())
def test_carrying_out_what_was_carried_out_changes_nothing_more(history: list[Step]) -> None:
    world = World()
    for step in reversed(history):
        world.deliver(step)
    waited = dict(world.store.reratings)
    world.carry_out_all()
    account, usages = world.store.account(ORGANIZATION), dict(world.store.usages)
    world.store.reratings |= waited
    world.carry_out_all()
    assert world.store.usages == usages
    assert balance(world) == account.balance_micros
    assert world.store.account(ORGANIZATION).entries == account.entries
