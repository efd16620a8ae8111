"""One suite over the in-memory twin and the DynamoDB stores: calls while they are authorized."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, LONG_AGO, MICROS, card, holding, holds, phone_call, refuses, volume

from perminute.domain.authorization.authorization import authorize
from perminute.domain.authorization.pricing import AuthorizationContext, price_call
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Decision,
    Operation,
    PaidBy,
    Promise,
    Reservation,
    ReservedPart,
)
from perminute.domain.credit.accounts import Account, Provisional
from perminute.domain.credit.booking import Purchase, purchase
from perminute.domain.credit.charging import charge
from perminute.domain.credit.credit_settings import CreditSettings, FailureHandling
from perminute.domain.credit.holds import Hold, Holds
from perminute.domain.credit.lots import twelve_months_after
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    Authorized,
    Transaction,
)
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.limits.spending import (
    LimitName,
    SpendCounter,
    SpendCounters,
    SpendKey,
    SpendKind,
    day_of,
)
from perminute.domain.pools.pools import MinutePool, MinutePools, Month
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rating.usage_record import Usage
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.ports.stores import CallPlace, CallUnderWay

if TYPE_CHECKING:
    from stores import Stores

    from perminute.domain.authorization.authorization import Authorization
    from perminute.domain.rating.calls import Call

UNTIL, DAY = ANSWERED + timedelta(minutes=10), timedelta(days=1)
KEY = SpendKey(SpendKind.USER, "\N{GRINNING FACE}#" * 125, ANSWERED.replace(day=1, hour=0))


def licensing() -> Licensing:
    return Licensing(volume(), {"adele": holds("payPerMinute", "communicationsCredits")})


def context() -> RatingContext:
    return RatingContext(licensing(), card(), "USD", LONG_AGO)


def under_way(organization: str, **changed: Any) -> Call:
    return phone_call(organization_id=organization, ended_at=ANSWERED, **changed)


def decided(account: Account, one: Call) -> Authorization:
    price, spend_counters = price_call(one, context()), SpendCounters(account.days, {})
    known = AuthorizationContext(account, context(), price, None, spend_counters)
    return authorize(known, one, ChargingRequest(Operation.AUTHORIZE, 0, 120), ANSWERED)


def post(account: Account, one: Authorization, before: Reservation | None = None) -> Transaction:
    assert one.transaction.before is account
    return one.transaction._replace(authorized=Authorized(one.reservation, before))


def funded(stores: Stores, organization: str) -> Account:
    bought = Purchase(
        purchase_id="po-1",
        amount_micros=MICROS,
        currency="USD",
        purchased_at=LONG_AGO,
        expires_at=twelve_months_after(LONG_AGO),
    )
    nothing = Account(organization_id=organization)
    booked = purchase(nothing, bought, at=LONG_AGO, cause="purchase#po-1")
    stores.credit.commit(booked)
    return booked.after


def charged(account: Account, one: Call, *reservations: Reservation) -> Transaction:
    pools, spend_counters = MinutePools({}, licensing()), SpendCounters(account.days, {})
    ratings = [rate_call(replace(one, ended_at=UNTIL), context())]
    return charge(
        account,
        ratings,
        pools=pools,
        spend_counters=spend_counters,
        reservations=reservations,
        at=UNTIL,
    )


def every_field(organization: str) -> Reservation:
    return Reservation(
        call=under_way(organization, service_number="+4989123456", remote_number="+4930123456"),
        last_request=ChargingRequest(Operation.UPDATE, 7, 90, 61),
        answer=Answer(
            sequence=7,
            decision=Decision.DENY,
            reason="spendLimit",
            granted_seconds=5,
            valid_until=UNTIL,
            report_before=ANSWERED + timedelta(microseconds=3),
            hang_up_after_seconds=64,
            remaining_seconds=MAX_CALL_SECONDS,
            final_unit=True,
            paid_by=PaidBy.POOL_AND_CREDITS,
            rate_micros_per_minute=15_000,
            connection_fee_micros=0,
            currency="USD",
            limit=LimitName.MONTHLY_SPEND,
            failure_handling=FailureHandling.OPEN,
        ),
        rate_card_version="2026-11",
        wanted_seconds=90,
        default_seconds=300,
        used_seconds=MAX_CALL_SECONDS,
        reported_at=ANSWERED + timedelta(microseconds=5),
        promised=Promise(UNTIL, 10**15 + 7, 1_440),
        held=(
            ReservedPart(UNTIL, 10**15, 1_440, used=True),
            ReservedPart(UNTIL, 7, 0),
            ReservedPart(UNTIL, 1, 1, calls=0),
        ),
        limit_keys=(KEY,),
    )


def test_a_call_under_way_is_read_back_as_it_was_written(stores: Stores, organization: str) -> None:
    account = funded(stores, organization)
    assert stores.under_way.read(organization, "call-1") == CallUnderWay(account, None)
    reservation = every_field(organization)
    assert stores.under_way.store(Authorized(reservation, None))
    assert stores.under_way.read(organization, "call-1") == CallUnderWay(account, reservation)
    assert stores.credit.reservations(organization, ["call-1", "call-2"]) == {"call-1": reservation}
    bare = Reservation(
        call=under_way(organization, call_id="bare"),
        last_request=ChargingRequest(Operation.AUTHORIZE, 0, 300),
        answer=Answer(sequence=0, decision=Decision.ALLOW),
    )
    assert stores.under_way.store(Authorized(bare, None))
    assert stores.under_way.read(organization, "bare").call == bare


def test_what_is_reserved_and_spent_is_read_back_as_it_was_written(
    stores: Stores, organization: str
) -> None:
    account = holding(
        organization_id=organization,
        version=0,
        reserved=Holds(
            (
                Hold(UNTIL, 10**15, 12),
                Hold(UNTIL, 5, 2, used=True, began_at=UNTIL - DAY),
                Hold(UNTIL + DAY, 0, 1),
            )
        ),
        call_limit_notified=True,
        days=(
            SpendCounter(key=day_of(ANSWERED), spent_micros=10**15, notified_micros=0),
            SpendCounter(key=day_of(UNTIL + timedelta(days=1)), held=Holds((Hold(UNTIL, 5, 1),))),
        ),
        corrections=3,
        provisional=Provisional(
            months=frozenset({Month(2026, 11), Month(2026, 10)}),
            since=UNTIL,
            balance_micros=-(10**15),
            may_ask=True,
            notifications_held=True,
        ),
        settings=CreditSettings(
            configured_at=ANSWERED,
            event_id="e",
            currency="USD",
            daily_spend_limit_micros=0,
            prefix_hourly_spend_limit_micros=1,
            max_concurrent_calls=2,
            late_usage_hours=1,
        ),
    )
    pool = MinutePool(
        organization_id=organization,
        month=Month(2026, 11),
        reserved_by_day={ANSWERED.date(): 4},
        held=Holds((Hold(UNTIL, 5, 1, used=True),)),
    )
    told = SpendCounter(
        key=KEY, corrections=3, spent_micros=7, held=Holds((Hold(UNTIL, 5, 1),)), notified_micros=0
    )
    untold = SpendCounter(
        key=SpendKey(SpendKind.PREFIX, "49", ANSWERED), corrections=0, spent_micros=0
    )
    after = account._replace(version=1)
    transaction = Transaction(
        before=account, after=after, pools=(pool,), spend_counters=(told, untold)
    )
    stores.credit.commit(transaction)
    assert stores.credit.account(organization) == after
    assert stores.credit.pools(organization, [pool.month]) == {pool.month: pool}
    other = untold.key._replace(subject="44")
    assert stores.credit.spend_counters(organization, [told.key, untold.key, other]) == {
        told.key: told,
        untold.key: untold,
    }


def test_a_grant_and_what_it_reserves_are_written_together_or_not_at_all(
    stores: Stores, organization: str
) -> None:
    account = funded(stores, organization)
    first, second = (decided(account, under_way(organization, call_id=call)) for call in ("a", "b"))
    stores.credit.commit(post(account, first))
    with pytest.raises(AccountChanged):
        stores.credit.commit(post(account, second))
    assert stores.under_way.read(organization, "a") == CallUnderWay(
        first.transaction.after, first.reservation
    )
    assert stores.under_way.read(organization, "b").call is None


def test_of_two_requests_about_one_call_one_is_recorded(stores: Stores, organization: str) -> None:
    account = funded(stores, organization)
    first = decided(account, under_way(organization))
    stores.credit.commit(post(account, first))
    again = decided(first.transaction.after, under_way(organization))
    with pytest.raises(AccountChanged):
        stores.credit.commit(post(first.transaction.after, again))
    assert not stores.under_way.store(Authorized(again.reservation, None))
    stale = replace(first.reservation, last_request=ChargingRequest(Operation.UPDATE, 4))
    assert not stores.under_way.store(Authorized(every_field(organization), stale))
    assert stores.under_way.store(Authorized(every_field(organization), first.reservation))


def test_a_usage_takes_the_place_of_what_was_reserved_for_it(
    stores: Stores, organization: str
) -> None:
    account = funded(stores, organization)
    one = decided(account, under_way(organization))
    stores.credit.commit(post(account, one))
    account = stores.credit.account(organization)
    known = AlreadyExists(reservations={"call-1": one.reservation})
    with refuses(known):
        stores.credit.commit(charged(account, one.reservation.call))
    transaction = charged(account, one.reservation.call, one.reservation)
    stores.credit.commit(transaction)
    settled, call = stores.under_way.read(organization, "call-1")
    assert call == transaction.usages[0]
    assert isinstance(call, Usage)
    assert not settled.reserved
    assert settled.balance_micros == MICROS - 150_000
    assert stores.credit.reservations(organization, ["call-1"]) == {}
    assert not stores.under_way.store(Authorized(one.reservation, None))
    assert not stores.under_way.store(Authorized(one.reservation, one.reservation))
    assert reconcile(stores.credit.statement(organization)) == ()


def test_a_reservation_that_went_on_meanwhile_stops_the_usage(
    stores: Stores, organization: str
) -> None:
    account = funded(stores, organization)
    one = decided(account, under_way(organization))
    stores.credit.commit(post(account, one))
    account = one.transaction.after
    further = every_field(organization)
    assert stores.under_way.store(Authorized(further, one.reservation))
    transaction = charged(account, one.reservation.call, one.reservation)
    with refuses(AlreadyExists(reservations={"call-1": further})):
        stores.credit.commit(transaction)


def test_a_call_that_was_denied_or_costs_nothing_is_not_in_the_way_of_its_usage(
    stores: Stores, organization: str
) -> None:
    account = funded(stores, organization)
    denied = Reservation(
        call=under_way(organization),
        last_request=ChargingRequest(Operation.AUTHORIZE, 0, 300),
        answer=Answer(sequence=0, decision=Decision.DENY, reason="spendLimit"),
    )
    stores.under_way.store(Authorized(denied, None))
    assert reconcile(stores.credit.statement(organization)) == ()
    stores.credit.commit(charged(account, denied.call))


@pytest.mark.parametrize("count", [0, 1, 101])
def test_any_number_of_calls_is_read_at_once(stores: Stores, organization: str, count: int) -> None:
    calls = {f"call-{n}" for n in range(count)}
    for call_id in calls:
        reservation = replace(
            every_field(organization), call=under_way(organization, call_id=call_id)
        )
        stores.under_way.store(Authorized(reservation, None))
    assert stores.credit.reservations(organization, calls).keys() == calls


def let_in(stores: Stores, organization: str, call_id: str, at: datetime = ANSWERED) -> Reservation:
    """Have a call that costs nothing begin."""
    called = under_way(organization, call_id=call_id)
    reservation = Reservation(
        call=replace(called, answered_at=at, ended_at=at),
        last_request=ChargingRequest(Operation.AUTHORIZE, 0, 300),
        answer=Answer(sequence=0, decision=Decision.ALLOW, granted_seconds=300),
    )
    assert stores.under_way.store(Authorized(reservation, None))
    return reservation


def go_on(
    stores: Stores,
    before: Reservation,
    operation: Operation,
    decision: Decision = Decision.ALLOW,
) -> Reservation:
    sequence = before.sequence + 1
    answer = Answer(sequence=sequence, decision=decision)
    after = replace(before, last_request=ChargingRequest(operation, sequence), answer=answer)
    assert stores.under_way.store(Authorized(after, before))
    return after


def listed(stores: Stores, organization: str) -> list[str]:
    found = stores.under_way.calls_by_start(organization, limit=100)
    return [call_id for _, call_id in found]


def test_a_call_is_listed_from_its_grant_to_its_release(stores: Stores, organization: str) -> None:
    assert listed(stores, organization) == []
    call = let_in(stores, organization, "call-1")
    let_in(stores, f"{organization}-2", "another's")
    assert listed(stores, organization) == ["call-1"]
    for decision in Decision:
        call = go_on(stores, call, Operation.UPDATE, decision)
        assert listed(stores, organization) == ["call-1"]
    go_on(stores, call, Operation.RELEASE)
    assert listed(stores, organization) == []


def test_a_call_under_way_has_no_usage_yet(stores: Stores, organization: str) -> None:
    let_in(stores, organization, "a")
    assert list(stores.calls.usages(organization, ["a"])) == []
    assert stores.calls.usages_by_id(organization, ["a"]) == {}


def test_a_call_that_was_denied_at_first_is_listed_once_it_is_let_in(
    stores: Stores, organization: str
) -> None:
    denied = Reservation(
        call=under_way(organization),
        last_request=ChargingRequest(Operation.AUTHORIZE, 0, 300),
        answer=Answer(sequence=0, decision=Decision.DENY),
    )
    stores.under_way.store(Authorized(denied, None))
    assert listed(stores, organization) == []
    go_on(stores, denied, Operation.AUTHORIZE)
    assert listed(stores, organization) == ["call-1"]


def test_a_call_that_has_ended_is_not_listed(stores: Stores, organization: str) -> None:
    account = funded(stores, organization)
    one = decided(account, under_way(organization))
    stores.credit.commit(post(account, one))
    assert listed(stores, organization) == ["call-1"]
    transaction = charged(one.transaction.after, one.reservation.call, one.reservation)
    stores.credit.commit(transaction)
    assert listed(stores, organization) == []
    assert stores.under_way.read_calls(organization, ["call-1"]) == {
        "call-1": transaction.usages[0]
    }


def test_calls_are_listed_in_the_order_in_which_they_were_let_in(
    stores: Stores, organization: str
) -> None:
    """Whole seconds and parts of one, and what is let in at one instant, page by page."""
    at = datetime(2026, 11, 2, 9, tzinfo=UTC)
    starts = {
        "d": at + timedelta(microseconds=1),
        "c": at + timedelta(milliseconds=500),
        "b": at + timedelta(seconds=1),
        "a2": at + timedelta(seconds=2),
        "a1": at + timedelta(seconds=2),
        "e": at,
    }
    for call_id, start in starts.items():
        let_in(stores, organization, call_id, start)
    places = [CallPlace(starts[call_id], call_id) for call_id in ("e", "d", "c", "b", "a1", "a2")]
    for limit in (1, 2, 5, 6, 7):
        found: list[CallPlace] = []
        while page := list(
            stores.under_way.calls_by_start(
                organization, limit=limit, after=found[-1] if found else None
            )
        ):
            assert len(page) <= limit
            found += page
            assert len(found) <= len(places)
        # Of calls of one instant DynamoDB does not say which comes first.
        assert sorted(found) == places
        assert [place.since for place in found] == [place.since for place in places]


def test_a_list_goes_on_after_a_call_that_is_gone_meanwhile(
    stores: Stores, organization: str
) -> None:
    calls = [
        let_in(stores, organization, call_id, ANSWERED + timedelta(seconds=n))
        for n, call_id in enumerate(("d", "b", "c", "a"))
    ]
    (_, second) = stores.under_way.calls_by_start(organization, limit=2)
    for call in calls[1:3]:
        go_on(stores, call, Operation.RELEASE)
    let_in(stores, organization, "new", ANSWERED + timedelta(minutes=1))
    rest = stores.under_way.calls_by_start(organization, limit=9, after=second)
    assert [call_id for _, call_id in rest] == ["a", "new"]


def test_calls_are_read_as_they_are_now(stores: Stores, organization: str) -> None:
    one = let_in(stores, organization, "one")
    released = go_on(stores, let_in(stores, organization, "two"), Operation.RELEASE)
    read = stores.under_way.read_calls(organization, ["one", "two", "three"])
    assert read == {"one": one, "two": released}
    assert stores.under_way.read_calls(organization, []) == {}
