"""What would be, against what is charged in a world where it is so."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from builders import (
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    fact,
    holds,
    processed_event,
    purchase,
    volume,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted
from perminute.domain.advice.what_if import Change, OtherLicenses, RecordedCall, WhatIf, what_if
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.pools.pools import Month
from perminute.domain.rating.rate_card import RateCard
from perminute.domain.rating.rating import RatingContext
from perminute.domain.reference.licenses import License
from perminute.domain.reporting.postings import ListedUsage

if TYPE_CHECKING:
    from perminute.domain.licensing.timelines import Fact

START = datetime(2026, 11, 2, tzinfo=UTC)
NOVEMBER = Month(2026, 11)
CARD = card("dialOut,49,DE,USD,0.015,0.1,", "dialOut,92,PK,USD,0.05,,", "dialOut,44,GB,USD,,,true")
# Another price, another country, a number that is blocked, and one that is not any more.
NEW_CARD = card("dialOut,49,PK,USD,0.02,,", "dialOut,92,PK,USD,,,true", "dialOut,44,GB,USD,0.03,,")
NUMBERS = ("+493023125042", "+922112345678", "+442079460100")
USERS = ("adele", "alex", "megan")
HELD = st.sampled_from(["payPerMinute", "subscription", "none"])


@dataclass
class World:
    """An organization whose pool has this many minutes, and whose users hold these licenses."""

    holdings: dict[str, str]
    pool: tuple[Fact, ...] = (fact("purchased:MCOMEETADV", 2), fact("poolMinutesPerLicense", 10))
    rates: RateCard = CARD
    store: InMemoryStore = field(default_factory=InMemoryStore)

    def charged(self, calls: list[EndedCall]) -> World:
        """Charge calls one by one in the order in which they ended."""
        facts: dict[str | None, tuple[Fact, ...]] = {None: (*volume().facts, *self.pool)}
        for user_id, held in self.holdings.items():
            licenses = ("communicationsCredits",) if held == "none" else (held, "MCOPSTNC")
            facts[user_id] = tuple(holds(*licenses).facts)
        for subject, stated in facts.items():
            change = LicensingChange(ORGANIZATION, subject, stated)
            self.store.record(ORGANIZATION, [(change, processed_event(f"{subject}"))])
        BookCredit(self.store, WITHOUT_WAITING)([purchase("po-1", 1)])
        charge = ChargeCalls(
            self.store,
            InMemoryCalls(self.store),
            LicensingCache(self.store),
            PublishedRateCards(self.rates),
            WITHOUT_WAITING,
        )
        for call in calls:
            assert isinstance(charge([call])[0], Accepted)
        return self

    def what_if(self, change: Change) -> WhatIf:
        account = self.store.account(ORGANIZATION)
        licensing = LicensingCache(self.store).for_all_users(account)
        calls = [
            RecordedCall(
                ListedUsage.of(usage), usage.call, usage.price.as_card(usage.call.leg_type)
            )
            for usage in self.store.usages.values()
        ]
        context = RatingContext.of(account, licensing, RateCard(()))
        return what_if(calls, NOVEMBER, context, change)

    def costs(self) -> dict[str, tuple[object, ...]]:
        return {
            usage.call.call_id: cost(ListedUsage.of(usage)) for usage in self.store.usages.values()
        }


def cost(usage: ListedUsage) -> tuple[object, ...]:
    return usage.outcome, usage.reason, usage.charge_micros, usage.pool_minutes, usage.country


def otherwise(found: WhatIf) -> dict[str, tuple[object, ...]]:
    return {one.otherwise.call_id: cost(one.otherwise) for one in found.calls}


@st.composite
def calls(draw: st.DrawFn) -> list[EndedCall]:
    """Calls in the order in which they ended."""
    until, made = START, list[EndedCall]()
    for number in range(draw(st.integers(1, 8))):
        until += timedelta(minutes=draw(st.integers(1, 600)))
        made.append(
            ended(
                call_id=f"call-{number}",
                organizer_id=draw(st.sampled_from(USERS)),
                remote_number=draw(st.sampled_from(NUMBERS)),
                answered_at=until - timedelta(seconds=draw(st.integers(1, 900))),
                ended_at=until,
            )
        )
    return made


HOLDINGS = st.fixed_dictionaries(dict.fromkeys(USERS, HELD))


@settings(max_examples=25)
@given(calls(), HOLDINGS, st.integers(0, 40))
def test_another_pool_pays_as_if_it_had_been_so(
    history: list[EndedCall], holdings: dict[str, str], minutes: int
) -> None:
    found = World(holdings).charged(history).what_if(Change(pool_minutes=minutes))
    one_each = (fact("purchased:MCOMEETADV", minutes), fact("poolMinutesPerLicense", 1))
    there = World(holdings, one_each).charged(history)
    assert otherwise(found) == there.costs()
    assert found.pool.minutes == minutes
    assert found.recorded_pool.minutes == 20


@settings(max_examples=25)
@given(calls(), HOLDINGS)
def test_another_card_prices_as_if_it_had_been_in_force(
    history: list[EndedCall], holdings: dict[str, str]
) -> None:
    found = World(holdings).charged(history).what_if(Change(rate_card=NEW_CARD))
    assert otherwise(found) == World(holdings, rates=NEW_CARD).charged(history).costs()


@settings(max_examples=25)
@given(calls(), HOLDINGS, HOLDINGS, st.booleans())
def test_other_licenses_pay_as_if_users_had_held_them(
    history: list[EndedCall],
    holdings: dict[str, str],
    others: dict[str, str],
    counts_assigned: bool,  # noqa: FBT001 - a value that Hypothesis draws
) -> None:
    bought = sum(held == "subscription" for held in holdings.values())
    needed = sum(held == "subscription" for held in others.values())
    basis = (fact("poolBasis", "assigned"),) if counts_assigned else ()
    per_license = fact("poolMinutesPerLicense", 10)
    here = World(holdings, (*basis, per_license, fact("purchased:MCOMEETADV", bought)))
    there = World(others, (*basis, per_license, fact("purchased:MCOMEETADV", needed)))
    licenses = {
        user_id: OtherLicenses(frozenset(() if held == "none" else (License(held),)))
        for user_id, held in others.items()
    }
    found = here.charged(history).what_if(Change(licenses=licenses))
    assert otherwise(found) == there.charged(history).costs()
    assert found.pool.minutes == 10 * needed


@settings(max_examples=25)
@given(calls(), HOLDINGS, st.sampled_from(["nothing", "pool", "card", "licenses"]))
def test_nothing_differs_if_nothing_changes(
    history: list[EndedCall], holdings: dict[str, str], what: str
) -> None:
    same = {
        user_id: OtherLicenses(
            frozenset(() if held == "none" else (License(held),)), holds_credits=True
        )
        for user_id, held in holdings.items()
    }
    change = {
        "nothing": Change(),
        "pool": Change(pool_minutes=20),
        "card": Change(rate_card=CARD),
        "licenses": Change(licenses=same),
    }[what]
    found = World(holdings).charged(history).what_if(change)
    assert [one.otherwise for one in found.calls] == [one.recorded for one in found.calls]
    assert found.pool == found.recorded_pool
