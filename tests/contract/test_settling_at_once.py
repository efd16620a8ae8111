"""A late call and what it changes of recorded ones are written in one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from builders import (
    ANSWERED,
    WITHOUT_WAITING,
    card,
    fact,
    holds,
    phone_call,
    processed_event,
    purchase,
)

from perminute.adapters.memory import PublishedRateCards
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted, Duplicate
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.pools.pools import Month
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from stores import Stores

    from perminute.application.results import Result
    from perminute.domain.rating.usage_record import Usage

HOUR = timedelta(hours=1)
NOVEMBER = Month(2026, 11)
CENT = 10_000
FIRST, LATE = ANSWERED + 2 * HOUR, ANSWERED + 24 * HOUR


class Scene:
    """The charging of calls over the stores, for an organization with a pool of an hour."""

    def __init__(self, stores: Stores, organization: str) -> None:
        self.stores, self.organization = stores, organization
        pool = (fact("purchased:MCOMEETADV", 1),)
        adele = tuple(holds("subscription", "communicationsCredits").facts)
        for user, facts in ((None, pool), ("adele", adele)):
            change = LicensingChange(organization, user, facts)
            said = processed_event(f"{organization}-{user}", organization_id=organization)
            stores.licensing.record(organization, [(change, said)])
        bought = purchase(amount=3)
        key = bought.processed_event.key._replace(organization_id=organization)
        BookCredit(stores.credit, WITHOUT_WAITING)(
            [
                replace(
                    bought,
                    organization_id=organization,
                    processed_event=bought.processed_event._replace(key=key),
                )
            ]
        )
        self._charge = ChargeCalls(
            stores.credit,
            stores.calls,
            LicensingCache(stores.licensing),
            PublishedRateCards(card()),
            WITHOUT_WAITING,
        )

    def charge(self, *calls: dict[str, Any]) -> list[Result[Usage]]:
        ended_calls = [phone_call(organization_id=self.organization, **parts) for parts in calls]
        return self._charge([EndedCall(one, max(one.ended_at, LATE)) for one in ended_calls])

    def usages(self) -> list[Usage]:
        usages = self.stores.calls.usages(self.organization, ["first", "late", "later"])
        return sorted(usages, key=lambda one: one.call.call_id)


def test_a_late_call_its_pool_and_the_calls_that_it_changes(
    stores: Stores, organization: str
) -> None:
    scene = Scene(stores, organization)
    hour = {"answered_at": FIRST - HOUR, "ended_at": FIRST}
    scene.charge({"call_id": "first", **hour})
    assert [one.outcome for one in scene.usages()] == [Outcome.POOLED]
    late = {"call_id": "late", "answered_at": ANSWERED, "ended_at": ANSWERED + HOUR}
    later = {"call_id": "later", "answered_at": LATE - HOUR, "ended_at": LATE}
    results = scene.charge(late, later)
    assert all(isinstance(one, Accepted) for one in results)
    first, pooled, charged = scene.usages()
    assert (pooled.outcome, pooled.pool_minutes, pooled.flags) == (Outcome.POOLED, 60, ())
    assert (first.charge_micros, first.flags) == (90 * CENT, (Flag.RERATED,))
    assert charged.charge_micros == 90 * CENT
    before = stores.credit.account(organization)
    assert (before.balance_micros, before.provisional) == (120 * CENT, None)
    assert stores.credit.unsettled_months(organization) == []
    assert stores.credit.pools(organization, [NOVEMBER])[NOVEMBER].used == 60
    statement = stores.credit.statement(organization)
    assert [(one.type.value, one.amount_micros) for one in statement.entries[1:]] == [
        ("charge", -90 * CENT),
        ("adjustment", -90 * CENT),
    ]
    assert reconcile(statement) == ()
    # Each of them comes again: one would unsettle the pool, and is recorded already.
    assert scene.charge(late) == scene.charge(later) == [Duplicate()]
    assert stores.credit.account(organization) == before
