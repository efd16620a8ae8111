"""Calls that bridges reported: found when they are due, listed where they ended after all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from builders import (
    ANSWERED,
    LONG_AGO,
    MICROS,
    WITHOUT_WAITING,
    card,
    entitled_changes,
    fact,
    phone_call,
    processed_event,
    purchase,
)

from perminute.adapters.memory import PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.authorize_call import AuthorizeCall, ReceivedRequest
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.daily_expiry import ChargeReported
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.application.spend_counters import full_spend_counters
from perminute.domain.authorization.reservations import ChargingRequest, Operation
from perminute.domain.credit.holds import CHARGE_TIMES_APART
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.limits.spending import SpendKey, SpendKind
from perminute.domain.pools.pools import Month
from perminute.domain.rating.usage_record import Flag, Usage
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.ports.stores import ListedCall

if TYPE_CHECKING:
    from datetime import datetime

    import pytest
    from stores import Stores

    from perminute.domain.rating.calls import Call

RATE = 15_000
HOUR = timedelta(hours=1)
UPDATED, DUE = ANSWERED + timedelta(minutes=5), ANSWERED + 75 * HOUR
"""The first time of a day at which calls are charged, 72 hours after the report."""
ENDED_AFTER_ALL = UPDATED + timedelta(minutes=2)
NOVEMBER = Month(2026, 11)


class Scene:
    """The functions over the stores, with an organization that has credit."""

    def __init__(self, stores: Stores, organization: str) -> None:
        self.stores, self.organization = stores, organization
        stores.licensing.record(organization, entitled_changes(organization))
        bought = purchase(amount=1)
        key = bought.processed_event.key._replace(organization_id=organization)
        event = replace(
            bought,
            organization_id=organization,
            processed_event=bought.processed_event._replace(key=key),
        )
        assert key.kind is IdentityKind.PURCHASE
        assert isinstance(BookCredit(stores.credit, WITHOUT_WAITING)([event])[0], Accepted)
        licensing, cards = LicensingCache(stores.licensing), PublishedRateCards(card())
        parts = stores.credit, stores.calls, licensing, cards, WITHOUT_WAITING
        self.charge = ChargeCalls(*parts)
        self.charge_reported = ChargeReported(stores.credit, self.charge)
        self.rerate = RerateCalls(RecordedCalls(*parts), stores.reratings)
        self.authorize = AuthorizeCall(
            under_way=stores.under_way,
            credit=stores.credit,
            calls=stores.calls,
            licensing=licensing,
            rate_cards=cards,
            retry=WITHOUT_WAITING,
        )

    def run(self, at: datetime) -> list[Usage]:
        return self.charge_reported(self.organization, at).charged

    def phone_call(self, **changed: Any) -> Call:
        return phone_call(**{"organization_id": self.organization, **changed})

    def report(self, call_id: str = "call-1", *, at: datetime = UPDATED, **changed: Any) -> None:
        one = self.phone_call(call_id=call_id, ended_at=ANSWERED, **changed)
        asked = ChargingRequest(Operation.AUTHORIZE, 0)
        self.authorize(ReceivedRequest(self.organization, call_id, asked, ANSWERED, one))
        asked = ChargingRequest(Operation.UPDATE, 1, None, 300)
        self.authorize(ReceivedRequest(self.organization, call_id, asked, at))

    def end(self, call_id: str = "call-1", **changed: Any) -> Usage:
        one = self.phone_call(call_id=call_id, **{"ended_at": ENDED_AFTER_ALL, **changed})
        (result,) = self.charge([EndedCall(one, DUE + HOUR)])
        assert isinstance(result, Accepted), result
        return result.result

    def say(self, *facts: Any, user: str | None = None, name: str = "late") -> None:
        change = LicensingChange(self.organization, user, facts)
        key = processed_event(f"{self.organization}-{name}", organization_id=self.organization)
        event = LicensingEvent(change, key, ANSWERED)
        apply = ApplyLicensing(self.stores.licensing, WITHOUT_WAITING)
        assert apply([event]) == [Accepted(None)]

    def work_off(self) -> list[str]:
        (result,) = self.rerate([ReratingRequest(self.organization)])
        assert isinstance(result, Accepted), result
        assert reconcile(self.stores.credit.statement(self.organization)) == ()
        return [usage.call.call_id for usage in result.result.rerated]

    def found(self, at: datetime) -> list[str]:
        return list(self.stores.credit.reported_calls(self.organization, due_by=at))

    def is_due(self, at: datetime) -> bool:
        return self.organization in self.stores.credit.organizations(due_by=at)

    def listed(self) -> list[ListedCall]:
        lists = self.stores.calls.lists(self.organization, since=LONG_AGO)
        return [call for one in lists for call in one.calls]

    def usage(self, call_id: str = "call-1") -> Usage:
        (usage,) = self.stores.calls.usages(self.organization, [call_id])
        return usage


def test_calls_that_are_due_are_found_until_they_are_charged(
    stores: Stores, organization: str
) -> None:
    scene = Scene(stores, organization)
    scene.report()
    scene.report("later", at=UPDATED + CHARGE_TIMES_APART)
    scene.authorize(
        ReceivedRequest(
            organization,
            "silent",
            ChargingRequest(Operation.AUTHORIZE, 0),
            ANSWERED,
            scene.phone_call(call_id="silent"),
        )
    )
    moment = timedelta(seconds=1)
    assert (scene.found(DUE - moment), scene.found(DUE)) == ([], ["call-1"])
    assert (scene.is_due(DUE - moment), scene.is_due(DUE)) == (False, True)
    assert scene.found(DUE + CHARGE_TIMES_APART) == ["call-1", "later"]
    assert scene.run(DUE) == [scene.usage()]
    assert scene.found(DUE + CHARGE_TIMES_APART) == ["later"]
    assert (scene.is_due(DUE), scene.is_due(DUE + CHARGE_TIMES_APART)) == (False, True)
    scene.end("later")
    assert scene.found(DUE + CHARGE_TIMES_APART) == []
    assert not scene.is_due(DUE + CHARGE_TIMES_APART)
    assert scene.usage("later").flags == ()


def test_what_was_reported_is_charged_and_replaced_once(stores: Stores, organization: str) -> None:
    scene = Scene(stores, organization)
    scene.report()
    scene.run(DUE)
    assert scene.usage().flags == (Flag.REPORTED_BY_BRIDGE,)
    usage = scene.end()
    assert usage == scene.usage()
    assert (usage.charge_micros, usage.flags) == (7 * RATE, (Flag.RERATED,))
    account = stores.credit.account(organization)
    assert (account.balance_micros, bool(account.reserved)) == (MICROS - 7 * RATE, False)
    assert reconcile(stores.credit.statement(organization)) == ()


def test_a_call_is_listed_where_it_ended_and_seen_once(
    stores: Stores, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perminute.application.spend_counters.CALLS_AT_ONCE", 1)
    scene = Scene(stores, organization)
    for call_id in ("call-1", "call-2", "call-3"):
        scene.report(call_id)
    scene.run(DUE)
    scene.end()
    scene.end("call-2", answered_at=ANSWERED - HOUR, ended_at=UPDATED)
    scene.end("call-3", ended_at=UPDATED, meeting_id="other")
    calls = [scene.usage(f"call-{n}") for n in (1, 2, 3)]
    current = [one for one in scene.listed() if one in map(ListedCall.of, (u.call for u in calls))]
    assert sorted(one.call_id for one in current) == ["call-1", "call-2", "call-3"]
    key = SpendKey(SpendKind.USER, "adele", NOVEMBER.start)
    account = stores.credit.account(organization)
    spent = full_spend_counters(stores.credit, stores.calls, account, [key])[key].spent_micros
    assert spent == sum(usage.charge_micros for usage in calls) == (7 + 65 + 5) * RATE
    scene.say(fact("dialOutPolicy", "none"), user="adele")
    assert sorted(scene.work_off()) == ["call-1", "call-2", "call-3"]
    assert scene.work_off() == []


def test_a_call_that_moves_in_the_midst_of_a_count_is_counted_once(
    stores: Stores, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lists of its day are read again: it has been in one of them, and is in another now."""
    monkeypatch.setattr("perminute.application.spend_counters.MAX_LISTS", 1)
    scene = Scene(stores, organization)
    for call_id in ("call-1", "call-2"):
        scene.report(call_id)
    scene.run(DUE)
    scene.end("call-3", ended_at=UPDATED + HOUR)
    scene.say(fact("monthlySpendLimit", 10**12), user="adele")
    key = SpendKey(SpendKind.USER, "adele", NOVEMBER.start)
    scene.end("call-4", ended_at=UPDATED + timedelta(seconds=1))
    (begun,) = stores.credit.spend_counters(organization, [key]).values()
    assert begun.part is not None
    assert begun.counted_before == ANSWERED.date()
    scene.end("call-1", ended_at=UPDATED + 2 * HOUR)
    scene.end("call-5", ended_at=UPDATED + HOUR)
    account = stores.credit.account(organization)
    spent = full_spend_counters(stores.credit, stores.calls, account, [key])[key].spent_micros
    usages = [scene.usage(f"call-{n}") for n in range(1, 6)]
    assert spent == sum(usage.charge_micros for usage in usages)


def test_a_pool_is_settled_over_calls_that_ended_elsewhere(
    stores: Stores, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where all that is read at once is out of date."""
    monkeypatch.setattr("perminute.application.settle_pools.CALLS_PER_TRANSACTION", 1)
    scene = Scene(stores, organization)
    scene.say(fact("purchased:MCOMEETADV", 1), fact("poolMinutesPerLicense", 12), name="pool")
    scene.say(
        fact("license:MCOMEETADV", value=True),
        fact("license:MCOMEETACPEA", value=False),
        user="adele",
        name="user",
    )
    for call_id in ("call-1", "call-2"):
        scene.report(call_id)
    scene.run(DUE)
    assert [scene.usage(f"call-{n}").pool_minutes for n in (1, 2)] == [5, 5]
    tomorrow = UPDATED + timedelta(days=1)
    for call_id, minutes in (("call-1", 7), ("call-2", 6)):
        scene.end(call_id, answered_at=tomorrow - timedelta(minutes=minutes), ended_at=tomorrow)
    assert scene.work_off() == []
    pool = stores.credit.pools(organization, [NOVEMBER])[NOVEMBER]
    assert (pool.unsettled, pool.used_by_day) == (None, {tomorrow.date(): 12})
    assert [scene.usage(f"call-{n}").pool_minutes for n in (1, 2)] == [7, 5]
