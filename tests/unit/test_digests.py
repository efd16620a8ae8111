"""What a digest says of its calls, by what these are when it is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, ENDED, ORGANIZATION, charge, holding, rating

from perminute.application.send_digests import (
    MAX_CALLS_COUNTED,
    MAX_RECORDS_COUNTED,
    _fitting,
)
from perminute.domain.credit.transaction import MAX_ITEMS_PER_TRANSACTION
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.notifications.digests import (
    CallGroup,
    CallToNotify,
    CountedCalls,
    NamedCall,
    as_it_is_now,
    count,
)
from perminute.domain.notifications.notifications import (
    CallFlagged,
    CallNotEntitled,
    CallNotRated,
    LowBalance,
    Notification,
    in_records,
    notification,
)
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag, NotifiedAgain, Outcome, Usage
from perminute.ports.messaging import CallRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY = ANSWERED.date()


def called(name: str = "b", micros: int | None = 150_000, **changed: Any) -> Usage:
    """A call of an organizer without a license."""
    (usage,) = charge(holding(), [rating(name, 0)], at=ENDED).usages
    price = usage.price._replace(retail_micros=micros, currency="USD")
    changed = {"outcome": Outcome.NOT_ENTITLED, "reason": NotEntitled.NO_LICENSE} | changed
    return usage._replace(price=price, **changed)


def told(usage: Usage, **changed: Any) -> CallToNotify:
    """What is to be notified of it, by what it was at first."""
    news = CallNotEntitled(
        call_id=usage.call.call_id,
        organizer_id=usage.call.organizer_id,
        reason=NotEntitled.NO_LICENSE,
        answered_at=usage.call.answered_at,
    )
    one = notification(
        news,
        organization_id=ORGANIZATION,
        at=usage.call.ended_at,
        cause=usage.call.call_id,
        counted_on=DAY,
    )
    return CallToNotify(one._replace(**changed), "event-1")


GROUP = CallGroup(DAY, "adele", "CallNotEntitled", "noLicense")


def counted(*usages: Usage, first: str = "a", now: Mapping[str, Usage] | None = None) -> Any:
    """Count calls as they are now, or as they were."""
    records = now if now is not None else {usage.call.call_id: usage for usage in usages}
    found = count({}, map(told, usages), records, {GROUP: first}, "USD")
    return found.get(GROUP)


def test_the_first_call_is_not_counted_nor_one_that_is_no_longer_recorded() -> None:
    calls = [called("a"), called("b"), called("c")]
    assert counted(*calls).calls == 2
    assert counted(*calls, now={"b": calls[1]}).calls == 1
    assert counted(*calls, now={}) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": Outcome.CHARGED, "reason": None},
        {"reason": NotEntitled.NO_CREDITS_LICENSE},
        {"notifications_held": True},
    ],
)
def test_a_call_that_became_something_else_is_left_out(changed: dict[str, Any]) -> None:
    calls = [called("b"), called("c")]
    now = {"b": calls[0], "c": calls[1]._replace(**changed)}
    assert counted(*calls, now=now).calls == 1


def test_a_call_that_came_back_is_counted_by_its_latest_notification_only() -> None:
    back = called("b", notified_again=(NotifiedAgain("noLicense", 7),))
    before = told(back).notification
    news = before.body
    again = notification(news, organization_id=ORGANIZATION, at=ENDED, cause="b/7", counted_on=DAY)
    assert as_it_is_now(before, back) is None
    assert as_it_is_now(again, back) is not None


def test_a_call_costs_what_it_costs_now_and_only_costs_of_one_currency_are_added_up() -> None:
    calls = [called("b"), called("c"), called("d", None)]
    in_euros = called("e")._replace(price=called("e").price._replace(currency="EUR"))
    now = {one.call.call_id: one for one in [called("b", 1), called("c", 2), calls[2], in_euros]}
    digest = counted(*calls, in_euros, now=now)
    assert (digest.calls, digest.retail_cost_micros, digest.currency) == (4, 3, "USD")
    assert counted(called("d", None)).retail_cost_micros is None


def test_without_a_currency_of_the_credit_that_of_the_first_cost_counts() -> None:
    usages = {name: called(name) for name in "bc"}
    found = count({}, map(told, usages.values()), usages, {}, None)[GROUP]
    assert (found.currency, found.retail_cost_micros) == ("USD", 300_000)


def test_a_digest_names_the_ten_calls_that_were_answered_first() -> None:
    usages = [called(f"call-{n:02d}") for n in range(12)]
    late = [
        u._replace(call=replace(u.call, answered_at=ANSWERED - timedelta(minutes=n)))
        for n, u in enumerate(usages)
    ]
    digest = counted(*late)
    assert [name for _, name in digest.named] == [f"call-{n:02d}" for n in range(11, 1, -1)]
    sent = digest.to_send(ENDED).notification
    assert (sent.body.calls, sent.body.call_ids) == (12, tuple(name for _, name in digest.named))
    assert (sent.body.call_id, sent.body.number, sent.body.leg_type) == (None, None, None)
    assert (sent.body.day, sent.counted_on, sent.at) == ("2026-11-02", None, ENDED)


def test_one_call_alone_is_notified_of_as_itself() -> None:
    sent = counted(called("b")).to_send(ENDED)
    asked = told(called("b")).notification
    assert (sent.notification.id, sent.correlation_id) == (asked.id, "event-1")
    assert (sent.notification.at, sent.notification.counted_on) == (asked.at, None)
    assert sent.notification.body.retail_cost_micros == 150_000


def test_a_further_digest_of_a_group_has_an_id_of_its_own() -> None:
    digests = [counted(called(f"{n}"), called(f"{n}-too")).to_send(ENDED) for n in range(2)]
    assert len({one.notification.id for one in digests}) == 2


def test_a_digest_names_the_currency_of_rates_if_there_is_one() -> None:
    def priced_in(currency: str, name: str) -> CallNotRated:
        return CallNotRated(
            call_id=name,
            organizer_id="adele",
            reason=Unpriced.CURRENCY_MISMATCH,
            rate_currency=currency,
        )

    one = notification(
        priced_in("EUR", "b"), organization_id=ORGANIZATION, at=ENDED, cause="b", counted_on=DAY
    )
    euros = CountedCalls(first=CallToNotify(one)).with_call(priced_in("EUR", "b"), ENDED)
    euros = euros.with_call(priced_in("EUR", "c"), ENDED)
    both = euros.with_call(priced_in("GBP", "d"), ENDED)
    shown = [digest.to_send(ENDED).notification.body for digest in (euros, both)]
    assert [news.rate_currency for news in shown if isinstance(news, CallNotRated)] == ["EUR", None]
    assert both.named == tuple(NamedCall(ENDED, name) for name in "bcd")


def test_what_is_about_no_call_or_published_in_any_case_is_of_no_group() -> None:
    low = LowBalance(threshold_micros=1, balance_micros=0, currency="USD")
    one = notification(low, organization_id=ORGANIZATION, at=ENDED, cause="x", counted_on=DAY)
    for wrong in (one, told(called("b")).notification._replace(counted_on=None)):
        with pytest.raises(ValueError, match="is about no call that a digest could count"):
            CallGroup.of(wrong)


def test_a_record_of_calls_is_of_one_day_and_of_as_many_as_are_counted_at_once() -> None:
    def flagged(number: int, days: int) -> Notification:
        news = CallFlagged(
            call_id=f"{number}", organizer_id="adele", reason=Flag.DIAL_OUT_NOT_ALLOWED
        )
        return notification(
            news,
            organization_id=ORGANIZATION,
            at=ENDED,
            cause=number,
            counted_on=DAY + timedelta(days) if days else None,
        )

    some = [flagged(number, number % 3) for number in range(300)]
    records = in_records(some)
    assert [{one.counted_on for one in record} for record in records] == [
        {None},
        *([{DAY + timedelta(1)}] * 2),
        *([{DAY + timedelta(2)}] * 2),
    ]
    assert [len(record) for record in records] == [100, 90, 10, 90, 10]


def test_who_notifies_of_a_call_moves_the_account_and_has_the_run_of_the_next_day_come_by() -> None:
    unpriced = rating("b", 0, remote_number="+88213")
    account = holding()
    booking = charge(account, [unpriced], at=ENDED)
    assert booking.after.version == account.version + 1
    assert booking.after.digests_due_at == ENDED.replace(hour=0, minute=0) + timedelta(1)
    assert booking.after.listed_from == booking.after.digests_due_at
    assert [one.counted_on for one in booking.notifications] == [DAY]
    later = charge(booking.after, [unpriced], at=ENDED + timedelta(1))
    assert later.after.digests_due_at == booking.after.digests_due_at


@pytest.mark.parametrize(("organizers", "fitting"), [(1, 98), (60, 50)])
def test_records_are_counted_together_that_fit_a_transaction_with_their_groups(
    organizers: int, fitting: int
) -> None:
    calls = [told(called(f"call-{number}")) for number in range(MAX_RECORDS_COUNTED)]
    records = [
        CallRecord(f"outbox#call#{number}", (_organized_by(f"user-{number % organizers}", call),))
        for number, call in enumerate(calls)
    ]
    assert len(_fitting(records)) == fitting
    groups = {CallGroup.of(one.calls[0].notification) for one in records[:fitting]}
    assert fitting + len(groups) <= MAX_ITEMS_PER_TRANSACTION


def test_a_record_that_does_not_fit_with_others_is_counted_alone() -> None:
    full = CallRecord("outbox#call#1", (told(called()),) * (MAX_CALLS_COUNTED + 1))
    assert _fitting([full, full]) == [full]


def _organized_by(organizer_id: str, call: CallToNotify) -> CallToNotify:
    news = call.notification.body
    assert isinstance(news, CallNotEntitled)
    by_organizer = news._replace(organizer_id=organizer_id)
    return call._replace(notification=call.notification._replace(body=by_organizer))
