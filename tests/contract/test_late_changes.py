"""What re-rating needs of the stores: pools, lists of calls, lots as opened, what waits, seats."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from builders import (
    ANSWERED,
    ENDED,
    LONG_AGO,
    charge,
    entitled_changes,
    fact,
    holds,
    lot,
    processed_event,
    rating,
)

from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, LedgerEntry, Producer
from perminute.domain.credit.lots import LotShare
from perminute.domain.credit.transaction import AccountChanged, ReplacedUsage, Transaction
from perminute.domain.errors import Contended
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.pools.pools import (
    DrawPosition,
    MinutePool,
    Month,
    SettlementCursor,
    SettlementScope,
)
from perminute.domain.rating.calls import LegType, MeetingType
from perminute.domain.rating.usage_record import Adjusted, Flag, Outcome
from perminute.domain.rerating.rerating import Rerating
from perminute.ports.stores import MAX_MERGED

if TYPE_CHECKING:
    from stores import Stores

    from perminute.domain.credit.transaction import ProcessedEvent
    from perminute.domain.licensing.licensing import LicensingChange as Change
    from perminute.ports.stores import ListedCall

NOVEMBER, DECEMBER = Month(2026, 11), Month(2026, 12)
MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)


def touched(account: Account) -> Account:
    return account._replace(version=account.version + 1)


def transaction(organization: str, **parts: object) -> Transaction:
    """A transaction that only moves an account that was never written."""
    before = Account(organization_id=organization)
    return Transaction(before=before, after=touched(before), **parts)  # type: ignore[arg-type]


def test_a_pool_that_nobody_drew_on_is_empty_and_not_listed(
    stores: Stores, organization: str
) -> None:
    empty = MinutePool(organization_id=organization, month=NOVEMBER)
    assert stores.credit.pools(organization, [NOVEMBER]) == {NOVEMBER: empty}
    assert stores.credit.pools(organization, []) == {}
    assert list(stores.credit.pool_months(organization, NOVEMBER)) == []


def test_pools_come_back_as_they_were_written_with_the_account(
    stores: Stores, organization: str
) -> None:
    plain = MinutePool(organization_id=organization, month=NOVEMBER, used_by_day={})
    full = MinutePool(
        organization_id=organization,
        month=DECEMBER,
        used_by_day={date(2026, 12, 1): 17, date(2027, 1, 1): 3},
        drawn_until=DrawPosition(ANSWERED, "call#1"),
        scope=SettlementScope(
            DrawPosition(ANSWERED, "call#2"), -7, DrawPosition(ANSWERED, "call#3")
        ),
        unsettled=SettlementCursor(DrawPosition(MIDNIGHT, ""), 5),
        drawn_from=DrawPosition(ENDED, "call#2"),
        step_count=7,
        notified_percent=80,
    )
    stores.credit.commit(transaction(organization, pools=(plain, full)))
    both = {NOVEMBER: plain, DECEMBER: full}
    assert stores.credit.pools(organization, [DECEMBER, NOVEMBER]) == both
    assert list(stores.credit.pool_months(organization, NOVEMBER)) == [NOVEMBER, DECEMBER]
    assert list(stores.credit.pool_months(organization, DECEMBER)) == [DECEMBER]
    assert stores.credit.statement(organization).pools == (plain, full)


def test_a_pool_that_was_decided_on_an_older_account_is_not_written(
    stores: Stores, organization: str
) -> None:
    pool = MinutePool(organization_id=organization, month=NOVEMBER, notified_percent=80)
    late = transaction(organization, pools=(pool,))
    stores.credit.commit(transaction(organization))
    with pytest.raises(AccountChanged):
        stores.credit.commit(late)
    assert stores.credit.pools(organization, [NOVEMBER])[NOVEMBER].notified_percent == 0


def listed(stores: Stores, organization: str, since: datetime) -> list[ListedCall]:
    return [call for one in stores.calls.lists(organization, since=since) for call in one.calls]


def test_calls_are_listed_by_when_they_ended_if_licenses_decide_what_becomes_of_them(
    stores: Stores, organization: str
) -> None:
    def call(call_id: str, ended_at: datetime = ENDED, **changed: object) -> object:
        parts = {"organization_id": organization, "ended_at": ended_at, **changed}
        return rating(call_id, 0, **parts)

    toll = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550100"}
    posted = [
        call("b"),
        call("next-day", MIDNIGHT, answered_at=MIDNIGHT - timedelta(seconds=1.5)),
        call("a", ENDED + timedelta(microseconds=1), organizer_id="alex", **toll),
        call("ad-hoc", meeting_type=MeetingType.AD_HOC),
        call("unanswered", answered_at=None),
    ]
    account = Account(organization_id=organization)
    stores.credit.commit(charge(account, posted, at=ENDED))  # type: ignore[arg-type]
    assert sorted(listed(stores, organization, LONG_AGO)) == [
        ("a", "alex", False, ANSWERED, ENDED + timedelta(microseconds=1)),
        ("b", "adele", True, ANSWERED, ENDED),
        ("next-day", "adele", True, MIDNIGHT - timedelta(seconds=1.5), MIDNIGHT),
    ]
    since = ENDED + timedelta(microseconds=2)
    assert [one.call_id for one in listed(stores, organization, since)] == ["next-day"]
    assert [one.call_id for one in listed(stores, organization, MIDNIGHT)] == ["next-day"]
    assert listed(stores, organization, MIDNIGHT + timedelta(microseconds=1)) == []


def test_lists_go_on_after_the_one_that_was_done_last(stores: Stores, organization: str) -> None:
    for number in range(3):
        one = rating(
            f"call-{number}",
            0,
            organization_id=organization,
            ended_at=ENDED + timedelta(minutes=number),
        )
        account = stores.credit.account(organization)
        stores.credit.commit(charge(account, [one], at=ENDED))
    lists = list(stores.calls.lists(organization, since=LONG_AGO))
    assert [one.calls[0].call_id for one in lists] == ["call-0", "call-1", "call-2"]
    after = stores.calls.lists(organization, since=LONG_AGO, after=lists[0].key)
    assert list(after) == lists[1:]
    assert list(stores.calls.lists(organization, since=LONG_AGO, after=lists[2].key)) == []


def test_a_usage_that_is_rated_anew_takes_the_place_of_the_one_before(
    stores: Stores, organization: str
) -> None:
    account = Account(organization_id=organization)
    one = rating("a", 7, organization_id=organization)
    first = charge(account, [one], at=ENDED)
    stores.credit.commit(first)
    (before,) = stores.calls.usages(organization, ["a", "unknown"])
    assert before == first.usages[0]
    after = before._replace(
        outcome=Outcome.POOLED,
        charge_micros=0,
        pool_minutes=10,
        draws_on_pool=True,
        flags=(Flag.DIAL_OUT_NOT_ALLOWED, Flag.RERATED),
        adjustments=(Adjusted("000000000002", -7),),
        lots=(),
    )
    read = stores.credit.account(organization)
    corrected = touched(read)._replace(entries=2)
    correction = Transaction(before=read, after=corrected, replaced=(ReplacedUsage(before, after),))
    stores.credit.commit(correction)
    assert list(stores.calls.usages(organization, ["a"])) == [after]
    assert stores.calls.usages_by_id(organization, ["a", "unknown"]) == {"a": after}
    assert stores.calls.usages_by_id(organization, []) == {}
    statement = stores.credit.statement(organization)
    charges = {entry: micros for entry, micros in statement.charges_micros.items() if micros}
    assert charges == {"000000000001": 7, "000000000002": -7}
    assert dict(statement.pool_minutes) == {NOVEMBER: 10}
    # An account that has moved on keeps what was corrected.
    with pytest.raises(AccountChanged):
        stores.credit.commit(correction)


def test_a_lot_is_known_as_it_was_opened_when_it_is_used_up(
    stores: Stores, organization: str
) -> None:
    opened = lot("000000000001", 50)
    entry = LedgerEntry(
        organization_id=organization,
        entry_id="000000000001",
        type=EntryType.PURCHASE,
        amount_micros=50,
        balance_after_micros=50,
        at=ANSWERED,
        lots=(LotShare("000000000001", opened.purchase_id, 50),),
        opens=opened,
    )
    stores.credit.commit(transaction(organization, entries=(entry,)))
    lots = stores.credit.opened_lots(organization, ["000000000001", "000000000009"])
    assert dict(lots) == {"000000000001": opened}
    assert dict(stores.credit.opened_lots(organization, [])) == {}
    assert stores.credit.entry(organization, "000000000001") == entry
    assert stores.credit.entry(organization, "000000000009") is None


def rerating(organization: str, **changed: object) -> Rerating:
    waiting = Rerating(
        organization_id=organization,
        rerating_id="event#e-1",
        at=ANSWERED,
        since={"adele": LONG_AGO, None: ANSWERED},
        pools_since=datetime(1, 1, 1, tzinfo=UTC),
    )
    return replace(waiting, **changed)  # type: ignore[arg-type]


def change(organization: str, user_id: str | None, *facts: object) -> tuple[Change, ProcessedEvent]:
    name = f"{organization}-{user_id}-{len(facts)}"
    said = LicensingChange(organization, user_id, facts)  # type: ignore[arg-type]
    return said, processed_event(name, organization_id=organization)


@pytest.mark.parametrize("writer", ["licensing", "credit"])
def test_a_re_rating_waits_from_the_transaction_on_that_calls_for_it(
    stores: Stores, organization: str, writer: str
) -> None:
    waiting = rerating(organization)
    if writer == "licensing":
        said = [change(organization, "adele", fact("country", "DE"))]
        stores.licensing.record(organization, said, waiting)
    else:
        stores.credit.commit(transaction(organization, reratings=(waiting,)))
    assert list(stores.reratings.waiting(organization)) == [waiting]
    assert list(stores.reratings.waiting(f"{organization}-2")) == []


def test_a_re_rating_remembers_how_far_it_has_come_until_it_is_finished(
    stores: Stores, organization: str
) -> None:
    sender = Producer("123456789012", "perminute.billing")
    changed = {"seats_since": LONG_AGO, "pools_since": None, "others": 3, "producer": sender}
    waiting = rerating(organization, **changed)
    stores.credit.commit(transaction(organization, reratings=(waiting,)))
    further = replace(waiting, after="calls#1")
    assert stores.reratings.proceed(further)
    now = replace(further, steps=1)
    assert list(stores.reratings.waiting(organization)) == [now]
    assert stores.reratings.finish(now)
    assert list(stores.reratings.waiting(organization)) == []


def test_a_step_holds_only_against_the_step_that_was_read(
    stores: Stores, organization: str
) -> None:
    """Two may carry out one piece at the same time: the slower one must not undo anything."""
    waiting = rerating(organization)
    other = rerating(organization, rerating_id="event#e-2")
    stores.credit.commit(transaction(organization, reratings=(waiting, other)))
    assert stores.reratings.proceed(replace(waiting, after="calls#2"))
    now = replace(waiting, after="calls#2", steps=1)
    assert not stores.reratings.proceed(replace(waiting, after="calls#1"))
    assert not stores.reratings.finish(waiting)
    assert not stores.reratings.merge(waiting, [other])
    assert not stores.reratings.merge(other, [waiting])
    assert list(stores.reratings.waiting(organization)) == [now, other]
    assert stores.reratings.finish(now)
    assert not stores.reratings.finish(now)
    assert not stores.reratings.proceed(now)
    assert list(stores.reratings.waiting(organization)) == [other]


def test_one_re_rating_takes_the_place_of_others(stores: Stores, organization: str) -> None:
    first, *others = (
        rerating(organization, rerating_id=f"event#e-{n:02d}") for n in range(MAX_MERGED + 1)
    )
    for start in range(0, MAX_MERGED + 1, 20):
        account = stores.credit.account(organization)
        some = tuple([first, *others][start : start + 20])
        stores.credit.commit(Transaction(before=account, after=touched(account), reratings=some))
    merged = first.merged_with(others)
    assert stores.reratings.merge(merged, others)
    assert list(stores.reratings.waiting(organization)) == [replace(merged, steps=1)]
    assert merged.others == MAX_MERGED


def test_pools_that_are_to_be_settled_are_named(stores: Stores, organization: str) -> None:
    settled = MinutePool(organization_id=organization, month=NOVEMBER)
    unsettled = settled._replace(
        month=DECEMBER, unsettled=SettlementCursor(DrawPosition(MIDNIGHT, ""))
    )
    assert list(stores.credit.unsettled_months(organization)) == []
    stores.credit.commit(transaction(organization, pools=(settled, unsettled)))
    assert list(stores.credit.unsettled_months(organization)) == [DECEMBER]


def test_lists_with_a_dial_out_are_found_by_themselves(stores: Stores, organization: str) -> None:
    toll = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550100"}
    for call_id, parts in (("out", {}), ("in", toll)):
        one = rating(call_id, 0, organization_id=organization, **parts)
        account = stores.credit.account(organization)
        stores.credit.commit(charge(account, [one], at=ENDED))
    found = stores.calls.dial_outs(organization, since=ENDED)
    assert [call.call_id for one in found for call in one.calls] == ["out"]
    assert list(stores.calls.dial_outs(organization, since=MIDNIGHT)) == []


def test_seats_count_the_subscriptions_of_all_users(stores: Stores, organization: str) -> None:
    basis = fact("poolBasis", "assigned")
    later = ANSWERED + timedelta(hours=1)
    lost = fact("license:SPE_E5", value=False, since=later)
    stores.licensing.record(
        organization,
        [
            change(organization, None, basis),
            change(organization, "adele", *holds("SPE_E5", "MCOMEETADV").facts),
            change(organization, "bob", *holds("subscription", "payPerMinute").facts),
            change(organization, "eve", *holds("payPerMinute").facts),
        ],
    )
    stores.licensing.record(organization, [change(organization, "adele", lost)])
    stores.licensing.record(
        f"{organization}-2",
        [change(f"{organization}-2", "adele", *holds("SPE_E5").facts)],
    )
    account = stores.credit.account(organization)
    assert stores.licensing.users(account) == {
        "adele": Timeline([*holds("SPE_E5", "MCOMEETADV").facts, lost]),
        "bob": holds("subscription", "payPerMinute"),
        "eve": holds("payPerMinute"),
    }
    seats = stores.licensing.seats(account)
    assert [seats.count_at(at) for at in (LONG_AGO, ANSWERED, later)] == [3, 3, 2]
    assert list(seats.changes_between(LONG_AGO, later)) == []
    assert list(seats.changes_between(LONG_AGO, later + timedelta(seconds=1))) == [later]


def test_seats_are_counted_only_if_all_facts_about_users_are_found(
    stores: Stores, organization: str
) -> None:
    """What an account counts and a query does not show is just being written."""
    said = [change(organization, "adele", *holds("SPE_E5").facts)]
    stores.licensing.record(organization, said)
    account = stores.credit.account(organization)
    assert account.user_facts == len(said[0][0].facts)
    if isinstance(stores.licensing, DynamoDBLicensingStore):
        ahead = account._replace(user_facts=account.user_facts + 1)
        with pytest.raises(Contended, match=r"of 3 facts about users of .* 2 were found"):
            stores.licensing.seats(ahead)


def test_an_organization_of_which_only_licenses_are_known_is_listed_and_not_due(
    stores: Stores, organization: str
) -> None:
    """The nightly run wakes whoever has something waiting: it must know of everybody."""
    assert organization not in stores.credit.organizations()
    stores.licensing.record(organization, entitled_changes(organization))
    assert organization in stores.credit.organizations()
    assert organization not in stores.credit.organizations(due_by=ANSWERED)
    known = stores.credit.account(organization)
    after = touched(known)._replace(lots=(lot("1", 5),), balance_micros=5)
    stores.credit.commit(Transaction(before=known, after=after))
    assert after.due_at is not None
    change = LicensingChange(organization, None, (fact("dialOutPolicy", "none"),))
    said = processed_event(f"{organization}-later", organization_id=organization)
    stores.licensing.record(organization, [(change, said)])
    assert organization in stores.credit.organizations(due_by=after.due_at)
