"""One suite over the in-memory twin and the DynamoDB stores: what `ports` promises."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import builders
import pytest
from builders import (
    ANSWERED,
    LONG_AGO,
    MICROS,
    card,
    fact,
    holds,
    lot,
    phone_call,
    processed_event,
    rating,
    refuses,
    volume,
)
from stores import Stores, documents

from perminute.domain.credit import booking
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.booking import Purchase
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import Producer
from perminute.domain.credit.lots import WARNING_AHEAD, twelve_months_after
from perminute.domain.credit.recharge import AutoRecharge, Disabled, RechargeRequest, RechargeState
from perminute.domain.credit.transaction import (
    MAX_ITEMS_PER_TRANSACTION,
    AccountChanged,
    AlreadyExists,
    Causes,
    IdentityKind,
    TimelineFull,
    Transaction,
)
from perminute.domain.licensing.licensing import Licensing, LicensingChange
from perminute.domain.licensing.timelines import MAX_FACTS, Timeline, without_later_copies
from perminute.domain.pools.pools import Month
from perminute.domain.rating.calls import LegType, MeetingType
from perminute.domain.rating.rating import Rating, RatingContext, rate_call
from perminute.domain.reconciliation.reconciliation import Statement, reconcile
from perminute.ports.stores import MAX_CHANGES_PER_RECORD

if TYPE_CHECKING:
    from perminute.domain.credit.transaction import ProcessedEvent


def empty(organization: str) -> Account:
    return Account(organization_id=organization)


def ratings(organization: str, *call_ids: str) -> list[Rating]:
    licensing = Licensing(volume(), {"adele": holds("payPerMinute", "communicationsCredits")})
    context = RatingContext(licensing, card(), "USD", LONG_AGO)
    return [
        rate_call(phone_call(organization_id=organization, call_id=call_id), context)
        for call_id in call_ids
    ]


def charge(account: Account, *charged: Rating) -> Transaction:
    return builders.charge(account, charged, at=ANSWERED)


def buy(account: Account, receipt_: ProcessedEvent) -> Transaction:
    bought = Purchase(
        purchase_id="po-1",
        amount_micros=50 * MICROS,
        currency="USD",
        purchased_at=LONG_AGO,
        expires_at=twelve_months_after(LONG_AGO),
    )
    booked = booking.purchase(account, bought, at=ANSWERED, cause="purchase#po-1")
    return booked._replace(processed_events=(receipt_,))


def change(
    organization: str, user_id: str | None, identity: str
) -> tuple[LicensingChange, ProcessedEvent]:
    identity = f"{organization}-{identity}"
    facts = (fact("country", "DE", event_id=identity),)
    return (
        LicensingChange(organization, user_id, facts),
        processed_event(identity, organization_id=organization),
    )


def test_an_account_that_was_never_written_is_empty(stores: Stores, organization: str) -> None:
    assert stores.credit.account(organization) == empty(organization)


def test_a_posting_is_read_back_as_it_was_written(stores: Stores, organization: str) -> None:
    settings = CreditSettings(
        configured_at=ANSWERED + timedelta(microseconds=250_000),
        event_id="e",
        has_change_id=True,
        currency="USD",
        low_balance_thresholds_micros=(5, 10**20),
        auto_recharge=AutoRecharge(trigger_micros=1, recharge_micros=2, monthly_limit_micros=None),
    )
    account = empty(organization)._replace(
        version=1,
        entries=12,
        balance_micros=-(10**21),
        currency="USD",
        credits_set_up_at=ANSWERED + timedelta(microseconds=5),
        settings=settings,
        debt_micros=10**21 + 7,
        lots=(
            lot("1", 5, warned=True),
            lot("2", 2, expires_at=datetime(9999, 12, 31, 23, 59, 59, 5, tzinfo=UTC)),
        ),
        recharge=RechargeState(
            requests=3,
            open=RechargeRequest(
                recharge_id="r-3",
                amount_micros=2,
                requested_at=ANSWERED,
                attempted_at=ANSWERED + timedelta(days=2, microseconds=5),
                attempt=3,
            ),
            failures=2,
            month=LONG_AGO,
            month_micros=4,
            day=LONG_AGO,
            day_requests=5,
            stopped_by=Disabled.DAILY_LIMIT,
        ),
    )
    stores.credit.commit(Transaction(before=empty(organization), after=account))
    assert stores.credit.account(organization) == account


def test_a_posting_against_an_account_that_moved_on_writes_nothing(
    stores: Stores, organization: str
) -> None:
    stores.credit.commit(
        buy(empty(organization), processed_event(organization, organization_id=organization))
    )
    bought = stores.credit.account(organization)
    late = charge(empty(organization), *ratings(organization, "a"))
    with pytest.raises(AccountChanged):
        stores.credit.commit(late)
    assert stores.credit.account(organization) == bought
    stores.credit.commit(charge(bought, *ratings(organization, "a")))


def test_a_charge_that_was_decided_before_a_licensing_change_writes_nothing(
    stores: Stores, organization: str
) -> None:
    stores.credit.commit(
        buy(empty(organization), processed_event(organization, organization_id=organization))
    )
    read = stores.credit.account(organization)
    stores.licensing.record(organization, [change(organization, "adele", "1")])
    now = stores.credit.account(organization)
    (paid,) = ratings(organization, "paid")
    unpaid = rating("unpaid", 0, organization_id=organization)
    with pytest.raises(AccountChanged):
        stores.credit.commit(charge(read, paid))
    with pytest.raises(AccountChanged):
        stores.credit.commit(charge(read, unpaid))
    assert stores.credit.account(organization) == now
    stores.credit.commit(charge(now, paid, unpaid))


def test_a_posting_that_moves_no_money_still_holds_only_against_its_version(
    stores: Stores, organization: str
) -> None:
    free = rating("free", 0, organization_id=organization, meeting_type=MeetingType.AD_HOC)
    read = empty(organization)
    stores.licensing.record(organization, [change(organization, "adele", "1")])
    with pytest.raises(AccountChanged):
        stores.credit.commit(charge(read, free))
    now = stores.credit.account(organization)
    stores.credit.commit(charge(now, free))
    assert stores.credit.account(organization) == now


def test_a_usage_that_exists_is_handed_back_and_nothing_is_written(
    stores: Stores, organization: str
) -> None:
    first = charge(empty(organization), *ratings(organization, "a", "b"))
    stores.credit.commit(first)
    account = stores.credit.account(organization)
    again = charge(account, *ratings(organization, "b", "c"))
    with refuses(AlreadyExists({"b": first.usages[1]})):
        stores.credit.commit(again)
    assert stores.credit.account(organization) == account
    stores.credit.commit(charge(account, *ratings(organization, "c")))


def test_a_usage_comes_back_whole_whatever_is_empty_in_it(
    stores: Stores, organization: str
) -> None:
    context = RatingContext(Licensing(), card(), None, None)
    calls = [
        phone_call(
            organization_id=organization, call_id="1", answered_at=None, service_number="+4930"
        ),
        phone_call(
            organization_id=organization,
            call_id="2",
            leg_type=LegType.APP,
            remote_number=None,
            billable_seconds=7,
        ),
        phone_call(organization_id=organization, call_id="3", remote_number="+449098790100"),
        phone_call(organization_id=organization, call_id="4", meeting_type=MeetingType.AD_HOC),
        phone_call(organization_id=organization, call_id="5", exact_seconds=601),
    ]
    rated = [rate_call(one, context) for one in calls]
    transaction = charge(empty(organization), *rated)
    waits = transaction.usages[2]._replace(notifications_held=True)
    usages = (*transaction.usages[:2], waits, *transaction.usages[3:])
    transaction = transaction._replace(usages=usages)
    stores.credit.commit(transaction)
    again = charge(stores.credit.account(organization), *rated)
    with refuses(AlreadyExists({usage.call.call_id: usage for usage in transaction.usages})):
        stores.credit.commit(again)


def test_the_same_call_id_of_another_organization_is_another_call(
    stores: Stores, organization: str
) -> None:
    other = f"{organization}-2"
    stores.credit.commit(charge(empty(organization), *ratings(organization, "a")))
    stores.credit.commit(charge(empty(other), *ratings(other, "a")))


def test_a_transaction_takes_as_many_usages_as_it_says(stores: Stores, organization: str) -> None:
    ids = [f"call-{number}" for number in range(MAX_ITEMS_PER_TRANSACTION - 2)]
    transaction = charge(empty(organization), *ratings(organization, *ids))
    assert transaction.items == MAX_ITEMS_PER_TRANSACTION
    stores.credit.commit(transaction)
    assert stores.credit.account(organization) == transaction.after


@pytest.mark.parametrize("kind", IdentityKind)
def test_a_receipt_that_exists_is_handed_back_and_nothing_is_written(
    stores: Stores, organization: str, kind: IdentityKind
) -> None:
    proof = processed_event(organization, kind=kind, organization_id=organization)
    first = buy(empty(organization), proof)
    stores.credit.commit(first)
    account = stores.credit.account(organization)
    with refuses(AlreadyExists(processed_events={proof.key: proof})):
        stores.credit.commit(buy(account, proof))
    assert stores.credit.account(organization) == account


def test_the_receipt_of_a_billing_event_can_be_looked_up(stores: Stores, organization: str) -> None:
    proof = processed_event("po-1", kind=IdentityKind.PURCHASE, organization_id=organization)
    proof = proof._replace(entry_id="7")
    stores.credit.commit(buy(empty(organization), proof))
    assert stores.credit.processed_event(proof.key) == proof
    assert stores.credit.processed_event(proof.key._replace(kind=IdentityKind.RECHARGE)) is None
    assert stores.credit.processed_event(proof.key._replace(organization_id="nobody")) is None


def test_an_event_id_is_one_identity_and_a_purchase_number_one_of_each_organization(
    stores: Stores, organization: str
) -> None:
    other = f"{organization}-2"
    for kind in (IdentityKind.EVENT, IdentityKind.CHANGE, IdentityKind.PURCHASE):
        ours = processed_event(f"{organization}-{kind}", kind=kind, organization_id=organization)
        theirs = processed_event(f"{organization}-{kind}", kind=kind, organization_id=other)
        stores.credit.commit(buy(stores.credit.account(organization), ours))
        is_known = kind is IdentityKind.EVENT
        with pytest.raises(AlreadyExists) if is_known else nullcontext():
            stores.credit.commit(buy(stores.credit.account(other), theirs))


def copy(proof: ProcessedEvent, seconds: float) -> ProcessedEvent:
    """A processed event of a copy that was put on a bus so long after the event."""
    key = proof.key._replace(kind=IdentityKind.CHANGE)
    return proof._replace(key=key, issued_at=LONG_AGO + timedelta(seconds=seconds))


def test_an_earlier_copy_of_a_change_takes_the_place_of_a_later_one(
    stores: Stores, organization: str
) -> None:
    proof = processed_event(organization, organization_id=organization)
    # With a fraction and without: where it is kept as text, that has to sort as time does.
    for number, seconds in enumerate((10, 7.5, 7, 0.5, 0)):
        of_copy = copy(proof, seconds)
        account = stores.credit.account(organization)
        stores.credit.commit(buy(account, of_copy))
        assert stores.credit.processed_event(of_copy.key) == of_copy
        assert stores.credit.account(organization).version == number + 1


def test_a_later_copy_of_a_change_or_one_that_says_something_else_changes_nothing(
    stores: Stores, organization: str
) -> None:
    proof = copy(processed_event(organization, organization_id=organization), 5)
    stores.credit.commit(buy(empty(organization), proof))
    account = stores.credit.account(organization)
    known = AlreadyExists(processed_events={proof.key: proof})
    earlier = copy(proof, 1)
    without_time = proof._replace(issued_at=None)
    other = earlier._replace(content="other")
    for again in (proof, copy(proof, 6), without_time, other):
        with refuses(known):
            stores.credit.commit(buy(account, again))
    assert stores.credit.account(organization) == account


def test_facts_of_an_earlier_copy_of_a_change_count_in_place_of_those_of_a_later_one(
    stores: Stores, organization: str
) -> None:
    (said, proof) = change(organization, "adele", "1")

    def of_copy(seconds: int) -> tuple[LicensingChange, ProcessedEvent]:
        facts = tuple(
            replace(
                one,
                issued_at=LONG_AGO + timedelta(seconds=seconds),
                event_id="c",
                has_change_id=True,
            )
            for one in said.facts
        )
        return said._replace(facts=facts), copy(proof, seconds)

    later, earlier = of_copy(10), of_copy(5)
    stores.licensing.record(organization, [later])
    stores.licensing.record(organization, [earlier])
    known = AlreadyExists(processed_events={earlier[1].key: earlier[1]})
    for again in (earlier, later, of_copy(7)):
        with refuses(known):
            stores.licensing.record(organization, [again])
    timeline = stores.licensing.licensing(organization, ["adele"]).users["adele"]
    assert without_later_copies(timeline.facts) == {*earlier[0].facts}
    # Both are there: none is ever changed, and all are counted.
    assert stores.credit.account(organization).user_facts == len(timeline.facts) == 2


def test_what_nobody_spoke_of_has_no_facts(stores: Stores, organization: str) -> None:
    licensing = stores.licensing.licensing(organization, ["adele"])
    assert licensing.organization == Timeline()
    assert licensing.users.get("adele", Timeline()) == Timeline()


def test_facts_gather_on_their_timelines_and_the_account_moves_on(
    stores: Stores, organization: str
) -> None:
    changes = [
        change(organization, "adele", "1"),
        change(organization, None, "2"),
        change(organization, "adele", "3"),
    ]
    stores.licensing.record(organization, changes[:2])
    stores.licensing.record(organization, changes[2:])
    licensing = stores.licensing.licensing(organization, ["adele", "alex"])
    assert licensing.organization == Timeline(changes[1][0].facts)
    assert licensing.users["adele"] == Timeline([*changes[0][0].facts, *changes[2][0].facts])
    assert stores.credit.account(organization) == empty(organization)._replace(
        version=2, licensing_version=2, user_facts=2
    )


def test_facts_keep_their_kind(stores: Stores, organization: str) -> None:
    of_a_change = replace(
        fact("e", "DE"),
        issued_at=LONG_AGO + timedelta(microseconds=5),
        event_id="Ünïcode",
        has_change_id=True,
    )
    facts = (
        fact("a", value=True),
        fact("b", value=False),
        fact("c", 60),
        fact("d", "Ünïcode"),
        of_a_change,
    )
    proof = processed_event(organization, organization_id=organization)
    stores.licensing.record(organization, [(LicensingChange(organization, None, facts), proof)])
    assert stores.licensing.licensing(organization, []).organization == Timeline(facts)


def test_licensing_leaves_the_credit_as_it_is(stores: Stores, organization: str) -> None:
    stores.credit.commit(
        buy(empty(organization), processed_event(organization, organization_id=organization))
    )
    before = stores.credit.account(organization)
    stores.licensing.record(organization, [change(organization, "adele", "1")])
    assert stores.credit.account(organization) == before._replace(
        version=before.version + 1, licensing_version=1, user_facts=1
    )


def test_a_licensing_event_that_is_known_is_handed_back_and_nothing_is_written(
    stores: Stores, organization: str
) -> None:
    first, second = change(organization, "adele", "1"), change(organization, "adele", "2")
    stores.licensing.record(organization, [first])
    known = AlreadyExists(processed_events={first[1].key: first[1]})
    with refuses(known):
        stores.licensing.record(organization, [second, first])
    assert stores.licensing.licensing(organization, ["adele"]).users["adele"] == Timeline(
        first[0].facts
    )
    assert stores.credit.account(organization).version == 1


def test_a_change_is_known_by_its_change_id_which_is_no_event_id(
    stores: Stores, organization: str
) -> None:
    event, proof = change(organization, "adele", "1")
    named = proof._replace(key=proof.key._replace(kind=IdentityKind.CHANGE))
    stores.licensing.record(organization, [(event, proof)])
    stores.licensing.record(organization, [(event, named)])
    known = AlreadyExists(processed_events={named.key: named})
    with refuses(known):
        stores.licensing.record(organization, [(event, named)])


def test_one_record_takes_as_many_changes_as_it_says(stores: Stores, organization: str) -> None:
    changes = [change(organization, f"u-{n}", str(n)) for n in range(MAX_CHANGES_PER_RECORD)]
    stores.licensing.record(organization, changes)
    users = stores.licensing.licensing(organization, [f"u-{n}" for n in range(120)]).users
    assert sum(len(timeline.facts) for timeline in users.values()) == MAX_CHANGES_PER_RECORD


def test_a_full_timeline_takes_no_more_facts(stores: Stores, organization: str) -> None:
    facts = tuple(fact("country", "DE", event_id=str(number)) for number in range(MAX_FACTS))
    proof = processed_event(organization, organization_id=organization)
    filled = (LicensingChange(organization, "adele", facts), proof)
    stores.licensing.record(organization, [filled])
    more = [change(organization, "alex", "1"), change(organization, "adele", "2")]
    with refuses(TimelineFull(frozenset({"adele"}))):
        stores.licensing.record(organization, more)
    assert stores.credit.account(organization).version == 1


def test_the_books_are_read_back_as_they_were_written(stores: Stores, organization: str) -> None:
    account = empty(organization)
    bought = buy(account, processed_event(organization, organization_id=organization))
    sender = Producer("123456789012", "perminute.billing")
    bought = bought._replace(entries=tuple(one._replace(producer=sender) for one in bought.entries))
    stores.credit.commit(bought)
    free = rating("free", 0, organization_id=organization)
    charged = charge(bought.after, *ratings(organization, "a", "b"), free)
    stores.credit.commit(charged)
    expired = booking.due_changes(charged.after, LONG_AGO.replace(year=2027))
    stores.credit.commit(expired)
    (charge_entry,) = charged.entries
    statement = stores.credit.statement(organization)
    assert statement.account == expired.after
    assert statement.entries == (*bought.entries, charge_entry, *expired.entries)
    assert {k: v for k, v in statement.charges_micros.items() if v} == {
        charge_entry.entry_id: -charge_entry.amount_micros
    }
    assert reconcile(statement) == ()


def test_a_statement_of_nothing_is_empty(stores: Stores, organization: str) -> None:
    statement = stores.credit.statement(organization)
    assert statement == Statement(account=empty(organization), entries=(), charges_micros={})


def test_accounts_are_found_by_when_they_are_due(stores: Stores, organization: str) -> None:
    stores.credit.commit(
        buy(empty(organization), processed_event(organization, organization_id=organization))
    )
    never, licensed = f"{organization}-never", f"{organization}-licensed"
    stores.licensing.record(licensed, [change(licensed, "adele", "1")])
    known = empty(never)._replace(version=1)
    stores.credit.commit(Transaction(before=empty(never), after=known))
    due_at = LONG_AGO.replace(year=2027) - WARNING_AHEAD
    assert stores.credit.account(organization).due_at == due_at

    def found(due_by: datetime | None) -> set[str]:
        return {organization, never, licensed} & set(stores.credit.organizations(due_by=due_by))

    assert found(due_at - timedelta(seconds=1)) == set()
    assert found(due_at) == {organization}
    assert found(None) == {organization, never, licensed}


def test_an_account_is_found_from_the_day_after_its_first_charge(
    stores: Stores, organization: str
) -> None:
    charged = charge(empty(organization), *ratings(organization, "a"))
    stores.credit.commit(charged)
    forecast_from = charged.after.forecast_from
    assert forecast_from is not None

    def found(due_by: datetime) -> set[str]:
        return {organization} & set(stores.credit.organizations(due_by=due_by))

    assert found(forecast_from - timedelta(seconds=1)) == set()
    assert found(forecast_from) == {organization}
    known = stores.credit.account(organization)
    assert known.forecast == charged.after.forecast
    over = known._replace(
        version=known.version + 1,
        forecast=known.forecast._replace(runs_out=True, over_budget=Month(2026, 11)),
    )
    stores.credit.commit(Transaction(before=known, after=over))
    assert stores.credit.account(organization).forecast == over.forecast


def test_an_account_is_found_while_nobody_answers_its_recharge_even_if_it_is_not_due(
    stores: Stores, organization: str
) -> None:
    request = RechargeRequest(
        recharge_id="r-1", amount_micros=2, requested_at=ANSWERED, attempted_at=ANSWERED
    )
    account = empty(organization)._replace(version=1, recharge=RechargeState(open=request))
    stores.credit.commit(Transaction(before=empty(organization), after=account))
    assert account.due_at is None

    def found(days: int) -> set[str]:
        due_by = ANSWERED + timedelta(days=days)
        return {organization} & set(stores.credit.organizations(due_by=due_by))

    assert (found(2), found(3)) == (set(), {organization})


def test_notifications_wait_in_the_outbox_of_the_transaction_that_they_tell_of(
    stores: Stores, organization: str
) -> None:
    account = empty(organization)
    unpaid = [
        rate_call(one, RatingContext(Licensing(), card(), None, None))
        for one in (phone_call(organization_id=organization, call_id=call) for call in ("a", "b"))
    ]
    transaction = charge(account, *unpaid)
    stores.credit.commit(transaction)
    known = {one.call.call_id: one.usage() for one in unpaid}
    with refuses(AlreadyExists(known)):
        stores.credit.commit(transaction)
    account = transaction.after
    bought = buy(account, processed_event(organization, organization_id=organization))
    stores.credit.commit(bought)
    expired = booking.due_changes(bought.after, LONG_AGO.replace(year=2027))
    stores.credit.commit(expired)
    with pytest.raises(AccountChanged):
        stores.credit.commit(expired)
    told = documents([*transaction.notifications, *expired.notifications])
    assert stores.outbox(organization) == told
    assert len(told) == 4


def test_what_waits_names_the_events_that_it_was_written_for(
    stores: Stores, organization: str
) -> None:
    account = empty(organization)
    unpaid = [
        rate_call(one, RatingContext(Licensing(), card(), None, None))
        for one in (phone_call(organization_id=organization, call_id=call) for call in ("a", "b"))
    ]
    causes = Causes(("e-1", "e-2"), {"a": "e-1", "b": "e-2"})
    transaction = charge(account, *unpaid)._replace(causes=causes)
    stores.credit.commit(transaction)
    waiting = [json.loads(document) for document in stores.outbox(organization)]
    assert {one["callId"]: one["correlationId"] for one in waiting} == causes.of_calls
