"""Whether late calls settle their pool at once or afterwards, in the end all is the same."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from builders import (
    LONG_AGO,
    MICROS,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    fact,
    holds,
    processed_event,
    purchase,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted, Duplicate
from perminute.application.settle_pools import MAX_SETTLED_AT_ONCE
from perminute.application.spend_counters import full_spend_counters
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.limits.spending import SpendKey, SpendKind
from perminute.domain.notifications.notifications import LowBalance
from perminute.domain.pools.pools import DrawPosition, month_of
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2026, 11, 28, 20, tzinfo=UTC)
"""Calls go over the ends of days, and of the month and its pool."""
THRESHOLD_MICROS = MICROS // 2
CARD = card("dialOut,49,DE,USD,0.015,,", "dialOut,44,GB,USD,0.05,,")
SETTINGS = CreditSettings(
    configured_at=LONG_AGO,
    event_id="settings",
    currency="USD",
    low_balance_thresholds_micros=(THRESHOLD_MICROS,),
    prefix_hourly_spend_limit_micros=MICROS,
)
NUMBERS = ("+493023125042", "+442079460100")


@dataclass
class World:
    """An organization with a pool of twenty minutes a month, and credit in lots of a unit."""

    settles_at_once: int
    store: InMemoryStore = field(default_factory=InMemoryStore)

    def __post_init__(self) -> None:
        pool = (fact("purchased:MCOMEETADV", 1), fact("poolMinutesPerLicense", 20))
        adele = tuple(holds("subscription", "communicationsCredits").facts)
        bob = tuple(holds("subscription", "payPerMinute").facts)
        for user, facts in ((None, pool), ("adele", adele), ("bob", bob)):
            change = LicensingChange(ORGANIZATION, user, facts)
            self.store.record(ORGANIZATION, [(change, processed_event(f"{user}"))])
        configured = CreditEvent(
            organization_id=ORGANIZATION,
            change=SETTINGS,
            processed_event=processed_event("settings"),
            issued_at=LONG_AGO + timedelta(seconds=2),
        )
        BookCredit(self.store, WITHOUT_WAITING)(
            [purchase("po-1", 1), purchase("po-2", 1), configured]
        )
        self.store.reratings.clear()
        parts = (
            InMemoryCalls(self.store),
            LicensingCache(self.store),
            PublishedRateCards(CARD),
            WITHOUT_WAITING,
        )
        self.charge = ChargeCalls(self.store, *parts, settles_at_once=self.settles_at_once)
        self.rerate = RerateCalls(RecordedCalls(self.store, *parts), self.store)

    def deliver(self, batch: Sequence[EndedCall]) -> None:
        assert all(isinstance(one, Accepted | Duplicate) for one in self.charge(batch))
        if self.settles_at_once:
            unsettled = self.store.unsettled_months(ORGANIZATION)
            # Two pools that one batch unsettles are settled afterwards: nothing is at once then.
            assume(not unsettled[1:])
            assert unsettled == []
            assert self.store.account(ORGANIZATION).provisional is None
        while self.store.unsettled_months(ORGANIZATION):
            self.rerate([ReratingRequest(ORGANIZATION)])

    def state(self) -> dict[str, Any]:
        """All that must not depend on when pools are settled."""
        account = self.store.account(ORGANIZATION)
        assert reconcile(self.store.statement(ORGANIZATION)) == ()
        for usage in self.store.usages.values():
            if usage.pool_minutes:
                # A bound may be too high, by how far a pool was settled; too low it would be wrong.
                bound = self.store.minute_pools[ORGANIZATION, month_of(usage.call)].drawn_until
                assert bound is not None
                assert bound >= DrawPosition.of(usage.call)
        return {
            "calls": {
                call_id: (one.outcome, one.reason, one.charge_micros, one.pool_minutes)
                for (_, call_id), one in self.store.usages.items()
            },
            "balance": account.balance_micros,
            "pools": {
                month: (pool.used_by_day, pool.notified_percent)
                for (_, month), pool in self.store.minute_pools.items()
            },
            # A day that was charged for a moment stays there with nothing spent, as if it were not.
            "days": [(one.key, one.spent_micros) for one in account.days if one.spent_micros],
        }

    def check_limits(self) -> None:
        """What counts for a limit is what its calls cost, corrected or not."""
        account, usages = self.store.account(ORGANIZATION), self.store.usages.values()
        hours = [one.call.ended_at.replace(minute=0, second=0) for one in usages]
        keys = {
            SpendKey(SpendKind.PREFIX, prefix, hour) for hour in hours for prefix in ("49", "44")
        }
        read = full_spend_counters(self.store, InMemoryCalls(self.store), account, keys)
        for key in keys:
            assert read[key].spent_micros == sum(
                one.charge_micros
                for one in usages
                if key.counts(one.call, one.price.prefix, one.began_at)
            )


@st.composite
def calls(draw: st.DrawFn) -> list[EndedCall]:
    """Calls in the order in which they ended, all of them reported in the end."""
    found = []
    for number in range(draw(st.integers(2, 9))):
        until = START + timedelta(minutes=draw(st.integers(0, 60 * 60)))
        one = ended(
            call_id=f"call-{number}",
            organizer_id=draw(st.sampled_from(["adele", "adele", "bob"])),
            remote_number=draw(st.sampled_from(NUMBERS)),
            answered_at=until - timedelta(seconds=draw(st.integers(1, 1_200))),
            ended_at=until,
        )
        found.append(one)
    return sorted(found, key=lambda one: (one.call.ended_at, one.call.call_id))


@given(calls(), st.data())
def test_it_makes_no_difference_in_the_end(history: list[EndedCall], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(history), max_size=3))
    shuffled: list[EndedCall] = data.draw(st.permutations([*history, *again]))
    reported_at = START + timedelta(hours=61)
    late = [replace(one, reported_at=reported_at, heard_at=reported_at) for one in shuffled]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(late)), max_size=6)))
    batches = [late[start:end] for start, end in pairwise([0, *cuts, len(late)])]
    at_once, afterwards, in_order = World(MAX_SETTLED_AT_ONCE), World(0), World(0)
    in_order.deliver(history)
    for batch in batches:
        before_micros = at_once.store.account(ORGANIZATION).balance_micros
        told = len(at_once.store.outbox)
        at_once.deliver(batch)
        afterwards.deliver(batch)
        after_micros = at_once.store.account(ORGANIZATION).balance_micros
        low = [one for one in at_once.store.outbox[told:] if isinstance(one.body, LowBalance)]
        assert len(low) <= 1
        assert bool(low) == (after_micros < THRESHOLD_MICROS <= before_micros)
    state = at_once.state()
    assert state == afterwards.state()
    assert (state["calls"], state["balance"]) == (
        in_order.state()["calls"],
        in_order.state()["balance"],
    )
    at_once.check_limits()
