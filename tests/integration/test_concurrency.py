"""Many writers of one organization at once: on ministack, whose transactions are atomic."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Barrier, Event
from typing import TYPE_CHECKING

import pytest
from builders import (
    ANSWERED,
    MICROS,
    card,
    ended,
    entitled_changes,
    fact,
    processed_event,
    purchase,
)
from daily import Expiry

from perminute.adapters.dynamodb.calls import DynamoDBCalls, DynamoDBCallsUnderWay
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.outbox_items import documents_in
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.adapters.memory import PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.authorize_call import AuthorizeCall, ReceivedRequest
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.application.retry import RetryPolicy
from perminute.application.side_by_side import InThreads
from perminute.bootstrap.authorize_calls import ATTEMPTS
from perminute.domain.authorization.reservations import Answer, ChargingRequest, Decision, Operation
from perminute.domain.credit.booking import Adjustment, Purchase
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.errors import Unavailable
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute_local.replay.run import table_names

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.charge_calls import EndedCall
    from perminute.domain.licensing.timelines import Fact
    from perminute_local.stack import Stack

RACERS = 16
THREADS, CALLS_EACH, BATCH = 8, 200, 25
PAID = 150_000


@dataclass
class Books:
    """One organization's stores on ministack, with credit and an entitled organizer."""

    schema: Tables
    credit: DynamoDBCreditStore
    licensing: DynamoDBLicensingStore

    def charge(self) -> ChargeCalls:
        remembered = LicensingCache(self.licensing)
        return ChargeCalls(
            self.credit,
            DynamoDBCalls(self.schema),
            remembered,
            PublishedRateCards(card()),
            RetryPolicy(),
        )

    def authorize(self) -> AuthorizeCall:
        return AuthorizeCall(
            under_way=DynamoDBCallsUnderWay(self.schema),
            credit=self.credit,
            calls=DynamoDBCalls(self.schema),
            licensing=LicensingCache(self.licensing),
            rate_cards=PublishedRateCards(card()),
            retry=RetryPolicy(attempts=ATTEMPTS, base_seconds=0.005, cap_seconds=0.2),
        )

    def rerate(self) -> RerateCalls:
        again = RecordedCalls(
            credit=self.credit,
            calls=DynamoDBCalls(self.schema),
            licensing=LicensingCache(self.licensing),
            rate_cards=PublishedRateCards(card()),
            retry=RetryPolicy(),
        )
        return RerateCalls(again, DynamoDBReratings(self.schema))


@pytest.fixture
def books(ministack_stack: Stack, organization: str) -> Books:
    return opened(Tables.bind(connect(), table_names(ministack_stack)), organization)


def opened(schema: Tables, organization: str) -> Books:
    credit, licensing = DynamoDBCreditStore(schema), DynamoDBLicensingStore(schema)
    licensing.record(organization, entitled_changes(organization))
    bought = processed_event("po", kind=IdentityKind.PURCHASE, organization_id=organization)
    BookCredit(credit, RetryPolicy())(
        [purchase(amount=1_000, organization_id=organization, processed_event=bought)]
    )
    return Books(schema, credit, licensing)


def test_eight_threads_that_charge_one_organization_end_with_the_exact_balance(
    books: Books, organization: str
) -> None:
    charge, licensing = books.charge(), books.licensing

    def work(thread: int) -> None:
        """Charge this thread's calls, some of each batch also once more than needed."""
        calls = [
            ended(organization_id=organization, call_id=f"{thread}-{number}")
            for number in range(CALLS_EACH)
        ]
        for start in range(0, CALLS_EACH, BATCH):
            known = calls[max(0, start - 5) : start]
            _until_settled(charge, [*calls[start : start + BATCH], *known])

    def change_licenses() -> None:
        """Make versions of the account from the other side, meanwhile."""
        apply = ApplyLicensing(licensing, RetryPolicy())
        for number in range(40):
            since = ANSWERED + timedelta(days=number + 1)
            facts = (fact("country", "FR", since, f"{organization}-{number}"),)
            proof = processed_event(f"{organization}-{number}", organization_id=organization)
            change = LicensingChange(organization, "adele", facts)
            while isinstance(apply([LicensingEvent(change, proof, ANSWERED)])[0], Unavailable):
                pass

    with ThreadPoolExecutor(THREADS + 1) as threads:
        changing = threads.submit(change_licenses)
        list(threads.map(work, range(THREADS)))
        changing.result()
    account = books.credit.account(organization)
    assert account.balance_micros == 1_000 * MICROS - THREADS * CALLS_EACH * PAID
    assert reconcile(books.credit.statement(organization)) == ()


def test_instances_that_charge_the_same_organizations_in_threads_charge_each_call_once(
    ministack_stack: Stack, organization: str
) -> None:
    """Each has all batches, in an order of its own, as if all had been delivered again."""
    schema = Tables.bind(connect(), table_names(ministack_stack))
    names = [f"{organization}-{number}" for number in range(12)]
    all_books = [opened(schema, name) for name in names]
    batches = [
        [
            ended(organization_id=name, call_id=f"{batch}-{call}")
            for call in range(2)
            for name in names
        ]
        for batch in range(8)
    ]

    def work(instance: int) -> None:
        charge = replace(all_books[0].charge(), run_all=InThreads())
        for batch in random.Random(instance).sample(batches, len(batches)):
            _until_settled(charge, batch)

    with ThreadPoolExecutor(4) as instances:
        list(instances.map(work, range(4)))
    for name in names:
        statement = all_books[0].credit.statement(name)
        assert statement.account.balance_micros == 1_000 * MICROS - 8 * 2 * PAID
        assert reconcile(statement) == ()


def test_sixteen_callers_that_race_for_the_last_credit_are_granted_no_more_than_there_is(
    books: Books, organization: str
) -> None:
    """Ten calls of ten minutes are covered; some of them end meanwhile."""
    spent = 1_000 * MICROS - 10 * PAID
    correction = CreditEvent(
        organization_id=organization,
        change=Adjustment(adjustment_id="a", amount_micros=-spent, expires_at=ANSWERED),
        processed_event=processed_event(
            "a", kind=IdentityKind.ADJUSTMENT, organization_id=organization
        ),
        issued_at=ANSWERED,
    )
    assert isinstance(BookCredit(books.credit, RetryPolicy())([correction])[0], Accepted)
    barrier = Barrier(RACERS)
    lowest: list[int] = []

    def work(racer: int) -> int:
        authorize, charge = books.authorize(), books.charge()
        granted = 0
        for number in range(4):
            one = ended(
                organization_id=organization,
                call_id=f"{racer}-{number}",
                answered_at=ANSWERED,
                ended_at=ANSWERED,
            ).call
            request = ReceivedRequest(
                organization,
                one.call_id,
                ChargingRequest(Operation.AUTHORIZE, 0, 600),
                ANSWERED,
                one,
            )
            if number == 0:
                barrier.wait()
            answer = _answer(authorize, request)
            assert _answer(authorize, request) == answer
            granted += answer.granted_seconds
            account = books.credit.account(organization)
            lowest.append(account.available_micros(ANSWERED))
            if answer.decision is Decision.ALLOW and racer % 2:
                lasted = timedelta(seconds=answer.granted_seconds)
                call = ended(
                    organization_id=organization,
                    call_id=one.call_id,
                    answered_at=ANSWERED,
                    ended_at=ANSWERED + lasted,
                )
                _until_settled(charge, [replace(call, reported_at=ANSWERED)])
        return granted

    with ThreadPoolExecutor(RACERS) as threads:
        granted = sum(threads.map(work, range(RACERS)))
    assert granted == 10 * 600
    assert min(lowest) >= 0
    account = books.credit.account(organization)
    assert account.balance_micros == account.reserved.amount_at(ANSWERED) >= 0
    assert account.available_micros(ANSWERED) == 0
    assert reconcile(books.credit.statement(organization)) == ()


def _answer(authorize: AuthorizeCall, request: ReceivedRequest) -> Answer:
    """Ask as a bridge does: again, if it is told to."""
    while True:
        try:
            return authorize(request)
        except Unavailable:
            continue


def test_charges_and_daily_runs_race_for_lots_that_expire_and_book_each_once(
    books: Books, organization: str
) -> None:
    """All begin at the moment at which four of five lots have expired."""
    now = ANSWERED + timedelta(days=30)
    for number in range(4):
        bought = purchase(f"po-{number}", amount=10, purchased_at=ANSWERED)
        assert isinstance(bought.change, Purchase)
        short = bought.change._replace(expires_at=ANSWERED + timedelta(days=number + 1))
        proof = processed_event(
            bought.processed_event.key.id, kind=IdentityKind.PURCHASE, organization_id=organization
        )
        event = replace(bought, organization_id=organization, change=short, processed_event=proof)
        assert isinstance(BookCredit(books.credit, RetryPolicy())([event])[0], Accepted)
    barrier = Barrier(THREADS)

    def work(thread: int) -> None:
        charge, expire = books.charge(), Expiry(books.credit, RetryPolicy())
        call = ended(
            organization_id=organization,
            call_id=f"{thread}",
            answered_at=now - timedelta(minutes=10),
            ended_at=now,
        )
        barrier.wait()
        match thread % 2:
            case 0:
                _until_settled(charge, [call])
            case _:
                # Other tests' organizations may be due as well, and be in nobody's way.
                done = expire(now)
                assert organization not in done or done[organization].failed is None

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))
    statement = books.credit.statement(organization)
    types = Counter(entry.type for entry in statement.entries)
    assert types == {EntryType.PURCHASE: 5, EntryType.EXPIRY: 4, EntryType.CHARGE: THREADS // 2}
    assert statement.account.balance_micros == 1_000 * MICROS - THREADS // 2 * PAID
    assert reconcile(statement) == ()


def test_a_crossing_of_racing_charges_is_told_by_one_of_them(
    books: Books, organization: str
) -> None:
    settings = CreditSettings(
        configured_at=ANSWERED,
        event_id="settings",
        currency="USD",
        low_balance_thresholds_micros=(1_000 * MICROS - 10 * PAID, 1_000 * MICROS - 25 * PAID),
        auto_recharge=AutoRecharge(
            trigger_micros=1_000 * MICROS - 10 * PAID, recharge_micros=50 * MICROS
        ),
    )
    proof = processed_event(f"{organization}-settings", organization_id=organization)
    event = CreditEvent(
        organization_id=organization, change=settings, processed_event=proof, issued_at=ANSWERED
    )
    assert isinstance(BookCredit(books.credit, RetryPolicy())([event])[0], Accepted)

    def work(thread: int) -> None:
        charge = books.charge()
        for number in range(5):
            call = ended(organization_id=organization, call_id=f"{thread}-{number}")
            _until_settled(charge, [call])

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))
    told = Counter(one["type"] for one in _outbox(books, organization))
    assert told == {"LowBalance": 2, "RechargeRequested": 1}


def test_a_statement_is_of_the_account_that_was_read_even_if_a_charge_comes_right_after(
    books: Books, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = books.credit.account(organization)
    assert isinstance(books.charge()([ended(organization_id=organization)])[0], Accepted)
    monkeypatch.setattr(books.credit, "account", lambda _: before)
    statement = books.credit.statement(organization)
    assert (statement.account, len(statement.entries)) == (before, 1)
    assert reconcile(statement) == ()


def _outbox(books: Books, organization: str) -> list[dict[str, str]]:
    items = books.schema.credit.items_of(organization, "outbox#")
    return [document for item in items for document in documents_in(item)]


def test_no_charge_that_begins_after_a_license_was_lost_is_paid_by_credit(
    books: Books, organization: str
) -> None:
    charge, licensing = books.charge(), books.licensing
    lost = Event()

    def work(thread: int) -> list[tuple[bool, Outcome]]:
        outcomes: list[tuple[bool, Outcome]] = []
        for number in range(40):
            began_after = lost.is_set()
            (result,) = charge([ended(organization_id=organization, call_id=f"{thread}-{number}")])
            if isinstance(result, Accepted):
                outcomes.append((began_after, result.result.outcome))
            if thread == 0 and number == 15:
                _lose_license(licensing, organization)
                lost.set()
        return outcomes

    with ThreadPoolExecutor(4) as threads:
        outcomes = [one for of_thread in threads.map(work, range(4)) for one in of_thread]
    charged = sum(1 for _, outcome in outcomes if outcome is Outcome.CHARGED)
    assert {outcome for began_after, outcome in outcomes if began_after} == {Outcome.NOT_ENTITLED}
    assert books.credit.account(organization).balance_micros == 1_000 * MICROS - charged * PAID


def _lose_license(licensing: DynamoDBLicensingStore, organization: str) -> None:
    removed = fact("license:MCOMEETACPEA", value=False, since=ANSWERED, event_id="lost")
    change = LicensingChange(organization, "adele", (removed,))
    proof = processed_event(f"{organization}-lost", organization_id=organization)
    results = ApplyLicensing(licensing, RetryPolicy())([LicensingEvent(change, proof, ANSWERED)])
    assert results == [Accepted(None)]


def _until_settled(charge: ChargeCalls, calls: list[EndedCall]) -> None:
    """Deliver again what is handed back, as SQS would."""
    while calls:
        results = charge(calls)
        calls = [
            call
            for call, result in zip(calls, results, strict=True)
            if isinstance(result, Unavailable)
        ]


def test_charges_late_changes_and_two_who_rerate_end_with_what_the_facts_say(
    books: Books, organization: str
) -> None:
    """A pool too small for all, calls in no order, and licenses that change all the while."""
    calls = [
        ended(
            organization_id=organization,
            call_id=f"call-{number:03d}",
            ended_at=ANSWERED + timedelta(seconds=301 + number % 7),
        )
        for number in range(160)
    ]
    random.Random(4).shuffle(calls)
    charging_done = Event()

    def change_licenses() -> None:
        for number in range(12):
            bought = fact("purchased:MCOMEETADV", 1 + number % 3, _since(number))
            held = fact("license:MCOMEETADV", number % 2 == 1, _since(number))
            _say(books, organization, f"bought-{number}", bought)
            _say(books, organization, f"held-{number}", held)

    def rerate() -> None:
        while not charging_done.is_set():
            books.rerate()([ReratingRequest(organization)])

    def charge_some(thread: int) -> None:
        charge = books.charge()
        mine = calls[thread::3]
        for start in range(0, len(mine), 9):
            _until_settled(charge, mine[start : start + 9])

    with ThreadPoolExecutor(6) as threads:
        rerating = [threads.submit(rerate) for _ in range(2)]
        changing = threads.submit(change_licenses)
        list(threads.map(charge_some, range(3)))
        changing.result()
        charging_done.set()
        for one in rerating:
            one.result()
    reratings = DynamoDBReratings(books.schema)
    for _ in range(50):
        books.rerate()([ReratingRequest(organization)])
    assert list(reratings.waiting(organization)) == []
    assert list(books.credit.unsettled_months(organization)) == []
    usages = DynamoDBCalls(books.schema).usages(organization, [one.call.call_id for one in calls])
    # In the end there are three licenses, and adele holds one: 180 minutes, six for each call.
    in_order = sorted(usages, key=lambda usage: (usage.call.ended_at, usage.call.call_id))
    assert [usage.pool_minutes for usage in in_order] == [6] * 30 + [0] * 130
    assert {usage.outcome for usage in in_order[30:]} == {Outcome.CHARGED}
    account = books.credit.account(organization)
    assert account.balance_micros == 1_000 * MICROS - 130 * 6 * 15_000
    assert reconcile(books.credit.statement(organization)) == ()


def _since(number: int) -> datetime:
    return ANSWERED - timedelta(days=1) + timedelta(seconds=number)


def _say(books: Books, organization: str, name: str, said: Fact) -> None:
    subject = "adele" if said.attribute.startswith("license:") else None
    proof = processed_event(f"{organization}-{name}", organization_id=organization)
    stated = replace(said, event_id=name)
    event = LicensingEvent(LicensingChange(organization, subject, (stated,)), proof, ANSWERED)
    while isinstance(ApplyLicensing(books.licensing, RetryPolicy())([event])[0], Unavailable):
        pass
