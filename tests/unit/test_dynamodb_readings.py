"""What each reading asks of DynamoDB, and that it takes all that is answered, however it comes.

DynamoDB cuts a query into pages, of which any may be empty, answers only some keys of a batch when
it is throttled, and in any order. Small tables on an emulator do none of it; and an emulator has
no old state to answer with, so that a read is consistent is seen in the request alone.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, ENDED, ORGANIZATION, charge, fact, holding, lot, phone_call, rating
from scripted_dynamodb import NAMES, scripted_over, unreachable

from perminute.adapters import dynamodb
from perminute.adapters.dynamodb.account_items import (
    account_item,
    entry_item,
    expired_lot_item,
    further_lot_item,
)
from perminute.adapters.dynamodb.books import USAGES as USAGES_PART
from perminute.adapters.dynamodb.books import DynamoDBBookChecks, DynamoDBBooks, check_item
from perminute.adapters.dynamodb.call_items import (
    call_key,
    reservation_item,
    start_text,
    usage_item,
)
from perminute.adapters.dynamodb.calls import DynamoDBCalls, DynamoDBCallsUnderWay
from perminute.adapters.dynamodb.counter_items import correction_item, pool_item, spending_item
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.erasure import DynamoDBErasure
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.list_items import call_list_item
from perminute.adapters.dynamodb.recorded_content import DynamoDBRecordedContent
from perminute.adapters.dynamodb.reratings import DynamoDBReratings, rerating_item
from perminute.adapters.dynamodb.timelines import (
    TimelineItem,
    fact_text,
    subject_of,
    timeline_item,
)
from perminute.domain.authorization.reservations import (
    DEFAULT_QUOTA_SECONDS,
    Answer,
    ChargingRequest,
    Decision,
    Operation,
    Reservation,
)
from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.transaction import CallsOfDay, EventIdentity, IdentityKind
from perminute.domain.errors import Throttled, Unavailable
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.limits.spending import (
    SpendChange,
    SpendCounter,
    SpendKey,
    SpendKind,
    day_of,
)
from perminute.domain.pools.pools import DrawPosition, MinutePool, Month, SettlementCursor
from perminute.domain.reconciliation.book_checks import BooksCheck, BooksCursor, CallCost
from perminute.domain.reconciliation.reconciliation import Statement
from perminute.domain.reporting.postings import Posting
from perminute.domain.rerating.rerating import Rerating
from perminute.ports.privacy import OtherRecords
from perminute.ports.stores import CallPlace, CallUnderWay, ListedCall, ListedOrganizations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from pynamodb.connection import Connection
    from scripted_dynamodb import Scripted

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Tables

HOUR = timedelta(hours=1)
ScriptedTables = tuple["Tables", "Scripted"]


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with unreachable() as connection:
        yield connection


@pytest.fixture
def scripted(connection: Connection) -> Iterator[ScriptedTables]:
    with scripted_over(connection) as schema_and_script:
        yield schema_and_script


def pages(items: Sequence[Item]) -> list[dict[str, Any]]:
    """A page for each item, and an empty one after the first: a filter may let nothing pass."""
    items, last = items[:-1], items[-1]
    cut = [
        {"Items": [item], "LastEvaluatedKey": {"after": {"S": f"{n}"}}}
        for n, item in enumerate(items)
    ]
    empty = {"Items": [], "LastEvaluatedKey": {"after": {"S": "nothing"}}}
    return [*cut[:1], empty, *cut[1:], {"Items": [last]}]


def assert_followed(questions: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]]) -> None:
    """Each page is asked for by where the one before stopped, and by the same question."""
    starts = [question.pop("ExclusiveStartKey", None) for question in questions]
    assert starts[1:] == [answer["LastEvaluatedKey"] for answer in answers[:-1]]
    assert all(question == questions[0] for question in questions)


FURTHER = lot("a", 5), lot("b", 6, purchased_at=ANSWERED)
POOLS = tuple(
    MinutePool(
        organization_id=ORGANIZATION,
        month=Month(2026, month),
        unsettled=SettlementCursor(DrawPosition(ANSWERED, "call-1")),
    )
    for month in (10, 11)
)
RERATINGS = tuple(
    Rerating(organization_id=ORGANIZATION, rerating_id=f"event#{name}", at=ANSWERED)
    for name in "ab"
)
CHANGE = SpendChange(day_of(ANSWERED), ANSWERED.date(), -5)
USER = fact("license:MCOMEETADV", value=True)
USAGES = charge(holding(), [rating("a", 3), rating("b", 4)], at=ENDED).usages
LATER = USAGES[1]._replace(call=replace(USAGES[1].call, ended_at=ENDED + HOUR))
POSTING = Posting(version=1, posted_at=ENDED)
LISTS = [call_list_item(ORGANIZATION, CallsOfDay([one], POSTING)) for one in (USAGES[0], LATER)]
MOVEMENTS = [
    LedgerEntry(
        organization_id=ORGANIZATION,
        entry_id=entry_id(number),
        type=EntryType.PURCHASE,
        amount_micros=number,
        balance_after_micros=number,
        at=ENDED,
    )
    for number in (2, 3)
]
LISTED = [ListedCall.of(one.call) for one in (USAGES[0], LATER)]


def reservation(call_id: str) -> Reservation:
    return Reservation(
        call=replace(phone_call(call_id=call_id), ended_at=ANSWERED),
        last_request=ChargingRequest(Operation.AUTHORIZE, 0, DEFAULT_QUOTA_SECONDS),
        answer=Answer(sequence=0, decision=Decision.DENY, reason="noLicense"),
    )


def reserved(call_id: str) -> Item:
    return reservation_item(reservation(call_id))


def account_named(name: str) -> Item:
    return {"organizationId": {"S": name}, "record": {"S": "account"}}


def listed(schema: Tables) -> list[ListedCall]:
    lists = DynamoDBCalls(schema).lists(ORGANIZATION, since=ANSWERED)
    return [call for one in lists for call in one.calls]


def dialled(schema: Tables) -> list[ListedCall]:
    lists = DynamoDBCalls(schema).dial_outs(ORGANIZATION, since=ANSWERED)
    return [call for one in lists for call in one.calls]


@dataclass
class Reading:
    """A query, what lies in its table, and what is read of it."""

    read: Callable[[Tables], Collection[object]]
    items: Sequence[Item]
    found: Collection[object]


CONSISTENT = {
    "lists": Reading(listed, LISTS, LISTED),
    "dial_outs": Reading(dialled, LISTS, LISTED),
    "pool_months": Reading(
        lambda schema: DynamoDBCreditStore(schema).pool_months(ORGANIZATION, Month(2026, 1)),
        [pool_item(pool) for pool in POOLS],
        [Month(2026, 10), Month(2026, 11)],
    ),
    "unsettled_months": Reading(
        lambda schema: DynamoDBCreditStore(schema).unsettled_months(ORGANIZATION),
        [pool_item(pool) for pool in POOLS],
        [Month(2026, 10), Month(2026, 11)],
    ),
    "pools": Reading(
        lambda schema: list(DynamoDBBooks(schema).pools(ORGANIZATION)),
        [pool_item(pool) for pool in POOLS],
        [Month(2026, 10), Month(2026, 11)],
    ),
    "further_lots": Reading(
        lambda schema: DynamoDBCreditStore(schema).further_lots(ORGANIZATION),
        [further_lot_item(ORGANIZATION, one) for one in FURTHER],
        FURTHER,
    ),
    "expired_lots": Reading(
        lambda schema: DynamoDBCreditStore(schema).expired_lots(ORGANIZATION, since=ANSWERED),
        [expired_lot_item(ORGANIZATION, one) for one in FURTHER],
        FURTHER,
    ),
    "spend_changes": Reading(
        lambda schema: (
            DynamoDBCreditStore(schema).spend_changes(ORGANIZATION, after=0, until=2).items()
        ),
        [correction_item(ORGANIZATION, number, [CHANGE]) for number in (1, 2)],
        {1: (CHANGE,), 2: (CHANGE,)}.items(),
    ),
    "seats": Reading(
        lambda schema: [
            DynamoDBLicensingStore(schema).seats(holding(user_facts=2)).count_at(ANSWERED)
        ],
        [
            timeline_item(TimelineItem(ORGANIZATION, subject_of(f"user-{n}"), (fact_text(USER),)))
            for n in range(2)
        ],
        [2],
    ),
    "users": Reading(
        lambda schema: DynamoDBLicensingStore(schema).users(holding(user_facts=2)).items(),
        [
            timeline_item(TimelineItem(ORGANIZATION, subject_of(f"user-{n}"), (fact_text(USER),)))
            for n in range(2)
        ],
        {f"user-{n}": Timeline([USER]) for n in range(2)}.items(),
    ),
    "usages_of_books": Reading(
        lambda schema: [
            cost
            for _, cost in DynamoDBBooks(schema).parts(
                ORGANIZATION, after=BooksCursor(USAGES_PART, "0")
            )
        ],
        [usage_item(usage) for usage in USAGES],
        [CallCost(one.call.call_id, one.movements) for one in USAGES],
    ),
    "other_entries": Reading(
        lambda schema: list(DynamoDBBooks(schema).other_entries(ORGANIZATION, after=1)),
        [entry_item(one) for one in MOVEMENTS],
        MOVEMENTS,
    ),
    "waiting": Reading(
        lambda schema: DynamoDBReratings(schema).waiting(ORGANIZATION),
        [rerating_item(one) for one in RERATINGS],
        list(RERATINGS),
    ),
}
"""Queries of a table itself, on whose answer something is decided: by what was committed."""

BY_INDEX = {
    "organizations": Reading(
        lambda schema: list(DynamoDBCreditStore(schema).organizations()),
        [account_named("contoso"), account_named("fabrikam")],
        ["contoso", "fabrikam"],
    ),
    "organizations_due": Reading(
        lambda schema: list(DynamoDBCreditStore(schema).organizations(due_by=ANSWERED)),
        [account_named("contoso"), account_named("fabrikam")],
        ["contoso", "fabrikam"],
    ),
    "organizations_waiting": Reading(
        lambda schema: list(DynamoDBReratings(schema).organizations_waiting()),
        [rerating_item(one) for one in RERATINGS],
        [ORGANIZATION, ORGANIZATION],
    ),
    "reported_calls": Reading(
        lambda schema: list(
            DynamoDBCreditStore(schema).reported_calls(ORGANIZATION, due_by=ANSWERED)
        ),
        [call_key(ORGANIZATION, "a"), call_key(ORGANIZATION, "b")],
        ["a", "b"],
    ),
    "calls_by_start": Reading(
        lambda schema: list(DynamoDBCallsUnderWay(schema).calls_by_start(ORGANIZATION, limit=3)),
        [
            {**call_key(ORGANIZATION, name), "underWaySince": {"S": start_text(ANSWERED)}}
            for name in "ab"
        ],
        [CallPlace(ANSWERED, "a"), CallPlace(ANSWERED, "b")],
    ),
}
"""Queries of an index: DynamoDB refuses a consistent read of it."""


QUERIES = {**CONSISTENT, **BY_INDEX}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_followed_to_its_last_page(scripted: ScriptedTables, name: str) -> None:
    schema, script = scripted
    reading = QUERIES[name]
    answers = pages(reading.items)
    script.answers.extend(answers)
    assert reading.read(schema) == reading.found
    assert_followed(script.questions, answers)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_of_a_table_is_consistent_and_one_of_an_index_does_not_ask_for_it(
    scripted: ScriptedTables, name: str
) -> None:
    schema, script = scripted
    script.answers.extend(pages(QUERIES[name].items))
    QUERIES[name].read(schema)
    for question in script.questions:
        assert question.get("ConsistentRead", False) is (name in CONSISTENT)
        assert ("IndexName" in question) is (name in BY_INDEX)


@pytest.mark.parametrize("name", QUERIES)
def test_a_page_that_cannot_be_read_is_not_taken_for_the_end(
    scripted: ScriptedTables, name: str
) -> None:
    schema, script = scripted
    reading = QUERIES[name]
    denied = {"__type": "com.amazon.coral.service#AccessDeniedException", "message": "no"}
    script.answers.extend([pages(reading.items)[0], denied])
    with pytest.raises(Unavailable, match="AccessDenied"):
        reading.read(schema)


def test_calls_under_way_are_not_read_beyond_as_many_as_are_wanted(
    scripted: ScriptedTables,
) -> None:
    schema, script = scripted
    start = {
        **call_key(ORGANIZATION, "before"),
        "underWaySince": {"S": "2026-11-02T09:00:00.000000Z"},
    }
    script.answers.extend(pages(BY_INDEX["calls_by_start"].items))
    places = DynamoDBCallsUnderWay(schema).calls_by_start(
        ORGANIZATION, limit=1, after=CallPlace(ANSWERED, "before")
    )
    assert list(places) == [CallPlace(ANSWERED, "a")]
    (question,) = script.questions
    assert (question["Limit"], question["ExclusiveStartKey"]) == (1, start)


def entry(number: int, kind: EntryType) -> LedgerEntry:
    return LedgerEntry(
        organization_id=ORGANIZATION,
        entry_id=entry_id(number),
        type=kind,
        amount_micros=number,
        balance_after_micros=number,
        at=ENDED,
    )


ENTRIES = tuple(
    entry(number, kind)
    for number, kind in enumerate(
        [EntryType.PURCHASE, EntryType.CHARGE, EntryType.CHARGE, EntryType.PURCHASE], 1
    )
)
DRAWN = [
    {
        "callId": {"S": "call-1"},
        "answeredAt": {"S": at},
        "chargeMicros": {"N": "0"},
        "poolMinutes": {"N": "3"},
    }
    for at in ("2026-10-31T23:59:59Z", "2026-11-01T00:00:00Z")
]


def test_a_statement_reads_every_page_of_the_books_as_they_are_now(
    scripted: ScriptedTables,
) -> None:
    schema, script = scripted
    account = holding(entries=4)
    queries = [
        pages(part)
        for part in (
            [pool_item(pool) for pool in POOLS],
            [
                call_list_item(ORGANIZATION, CallsOfDay([usage], POSTING, one))
                for usage, one in zip(USAGES, ENTRIES[1:3], strict=True)
            ],
            [entry_item(one) for one in (ENTRIES[0], ENTRIES[3])],
            DRAWN,
            [pool_item(pool) for pool in POOLS],
            [further_lot_item(ORGANIZATION, one) for one in FURTHER],
        )
    ]
    script.answers.append({"Item": account_item(account)})
    script.answers.extend(page for query in queries for page in query)
    assert DynamoDBCreditStore(schema).statement(ORGANIZATION) == Statement(
        account=account,
        entries=ENTRIES,
        charges_micros={},
        further=FURTHER,
        pools=POOLS,
        pool_minutes={Month(2026, 10): 3, Month(2026, 11): 3},
    )
    assert all(question["ConsistentRead"] is True for question in script.questions)
    questions = script.questions[1:]
    for query in queries:
        assert_followed(questions[: len(query)], query)
        questions = questions[len(query) :]
    assert not questions


def test_further_items_of_timelines_are_read_as_many_at_once_as_a_transaction_answers(
    scripted: ScriptedTables,
) -> None:
    """10 of 300 KB at most, for it answers 4 MB."""
    schema, script = scripted
    first = TimelineItem(
        organization_id=ORGANIZATION, subject="user#adele", further=(*range(1, 13),)
    )
    said = [fact("country", "DE", event_id=str(number)) for number in range(1, 13)]
    further = [
        TimelineItem(
            organization_id=ORGANIZATION,
            subject=f"further#user#adele#{number}",
            facts=(fact_text(one),),
        )
        for number, one in enumerate(said, 1)
    ]
    for rows in ([first], further[:10], further[10:]):
        script.answers.append({"Responses": [{"Item": timeline_item(row)} for row in rows]})
    found = DynamoDBLicensingStore(schema).licensing(ORGANIZATION, ["adele"])
    assert found.users["adele"].facts == set(said)
    asked = [
        [get["Get"]["Key"]["subject"]["S"] for get in question["TransactItems"]]
        for question in script.questions
    ]
    names = [row.subject for row in further]
    assert asked == [["organization", "user#adele"], names[:10], names[10:]]


def test_a_timeline_that_was_never_full_is_read_by_one_request(scripted: ScriptedTables) -> None:
    schema, script = scripted
    row = TimelineItem(organization_id=ORGANIZATION, subject="user#adele")
    script.answers.append({"Responses": [{}, {"Item": timeline_item(row)}]})
    DynamoDBLicensingStore(schema).licensing(ORGANIZATION, ["adele"])
    assert len(script.questions) == 1


def test_what_is_known_of_all_books_is_read_to_the_last_page(scripted: ScriptedTables) -> None:
    schema, script = scripted
    answers = pages([check_item(BooksCheck(organization_id=name, step=1)) for name in "ab"])
    script.answers.extend(answers)
    known = DynamoDBBookChecks(schema.connection, "book-checks").all()
    assert list(known) == [BooksCheck(organization_id=name, step=1) for name in "ab"]
    assert_followed(script.questions, answers)


def test_a_page_of_organizations_begins_where_the_one_before_ended(
    scripted: ScriptedTables,
) -> None:
    schema, script = scripted
    key = {"organizationId": {"S": "a"}, "dueAt": {"S": "9999"}}
    script.answers.extend(
        [{"Items": [account_named("a")], "LastEvaluatedKey": key}, {"Items": [account_named("b")]}]
    )
    store = DynamoDBCreditStore(schema)
    first = store.listed_organizations(limit=1, due_by=ANSWERED)
    second = store.listed_organizations(limit=1, due_by=ANSWERED, after=first.after)
    assert (first.organization_ids, second) == (["a"], ListedOrganizations(["b"], None))
    assert script.questions[1] == {**script.questions[0], "ExclusiveStartKey": key}
    assert script.questions[0]["Limit"] == 1


def test_calls_to_mask_are_gone_through_to_the_last_page(scripted: ScriptedTables) -> None:
    schema, script = scripted
    items = [usage_item(rating(call_id, 0).usage()) for call_id in ("a", "b", "c")]
    keys = [call_key(ORGANIZATION, one) for one in ("a", "between", "b")]
    script.answers.extend(
        [
            {"Items": items[:1], "LastEvaluatedKey": keys[0]},
            {"Items": [], "LastEvaluatedKey": keys[1]},
            {"Items": items[1:2], "LastEvaluatedKey": keys[2]},
            {"Items": items[2:]},
        ]
    )
    found = list(DynamoDBRecordedContent(schema).pages(ORGANIZATION))
    assert [one.after for one in found] == ["a", "between", "b", "c"]
    assert [len(one.usages) for one in found] == [1, 0, 1, 1]
    starts = [question.get("ExclusiveStartKey") for question in script.questions]
    assert starts == [None, *keys]


def test_events_to_erase_are_gone_through_to_the_last_page(scripted: ScriptedTables) -> None:
    schema, script = scripted
    events = [
        {"eventId": {"S": name}, "content": {"S": '{"userId": "adele"}'}} for name in ("a", "b")
    ]
    answers = pages(events)
    script.answers.extend([{"Items": []}, {"Items": []}, *answers])
    others = DynamoDBErasure(schema).erase_others(
        ORGANIZATION, {"adele": "erased-1"}, before=ANSWERED, everything=False, write=False
    )
    assert others == OtherRecords(events=2)
    assert_followed(script.questions[2:], answers)


def test_there_is_no_query_but_those_of_which_these_tests_know() -> None:
    """Who adds one adds it above: nothing else would see that it stops after a page."""
    found = {
        function.name
        for module in Path(dynamodb.__file__).parent.glob("*.py")
        for function in ast.walk(ast.parse(module.read_text()))
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"items_of", "query", "scan"}
    }
    reached_by = {
        "_lists": {"lists", "dial_outs"},
        "_pools": {"pool_months", "unsettled_months"},
        "_lots": {"further_lots", "expired_lots"},
        "_entries": {"statement"},
        "items_of": {"lists"},
        "page": {"lists"},
        # They begin as `other_entries` does, and go on to the last page with the same method.
        "latest_calls": {"other_entries"},
        "_costs": {"usages_of_books"},
        "users": {"users", "seats"},
        # See the test of what is known of books, and those of what is erased.
        "scan": set(),
        "all": set(),
        # An operator erases; see the tests of calls and events that are gone through.
        "erase_others": set(),
        "move_timeline": set(),
    }
    names = {name for one in found for name in reached_by.get(one, {one})}
    assert names == {*QUERIES, "statement"} - {"organizations_due"}


@pytest.mark.parametrize(
    "read",
    [
        lambda store: store.account(ORGANIZATION),
        lambda store: store.processed_event(
            EventIdentity(IdentityKind.PURCHASE, ORGANIZATION, "po-1")
        ),
        lambda store: store.opened_lots(ORGANIZATION, ["a"]),
    ],
    ids=["account", "processed_event", "opened_lots"],
)
def test_one_item_is_read_as_it_is_now(
    scripted: ScriptedTables, read: Callable[[DynamoDBCreditStore], object]
) -> None:
    schema, script = scripted
    script.answers.append({})
    read(DynamoDBCreditStore(schema))
    (question,) = script.questions
    assert question["ConsistentRead"] is True


SPENDINGS = {
    key: SpendCounter(key=key, spent_micros=spent)
    for spent, key in enumerate(
        (
            SpendKey(SpendKind.USER, "adele", datetime(2026, 11, 1, tzinfo=ANSWERED.tzinfo)),
            SpendKey(SpendKind.PREFIX, "49", ANSWERED),
        ),
        7,
    )
}
ACCOUNT = holding(lot("a", 5))


@dataclass
class Batch:
    """Keys that are read together, what lies in their tables, and what is read of it."""

    read: Callable[[Tables], object]
    items: dict[str, list[Item]]
    found: object


BATCHES = {
    "spend_counters": Batch(
        lambda schema: DynamoDBCreditStore(schema).spend_counters(ORGANIZATION, SPENDINGS),
        {NAMES.credit: [spending_item(ORGANIZATION, one) for one in SPENDINGS.values()]},
        SPENDINGS,
    ),
    "reservations": Batch(
        lambda schema: DynamoDBCreditStore(schema).reservations(ORGANIZATION, ["a", "b", "c"]),
        {NAMES.usage: [reserved("a"), reserved("b"), usage_item(USAGES[0])]},
        {"a": reservation("a"), "b": reservation("b")},
    ),
    "read_calls": Batch(
        lambda schema: DynamoDBCallsUnderWay(schema).read_calls(ORGANIZATION, ["a", "c"]),
        {NAMES.usage: [usage_item(USAGES[0]), reserved("c")]},
        {"a": USAGES[0], "c": reservation("c")},
    ),
    "read": Batch(
        lambda schema: DynamoDBCallsUnderWay(schema).read(ORGANIZATION, "a"),
        {NAMES.credit: [account_item(ACCOUNT)], NAMES.usage: [reserved("a")]},
        CallUnderWay(ACCOUNT, reservation("a")),
    ),
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_is_read_as_it_is_now_in_whatever_order_it_is_answered(
    scripted: ScriptedTables, name: str
) -> None:
    schema, script = scripted
    batch = BATCHES[name]
    reordered = {table: items[::-1] for table, items in reversed(batch.items.items())}
    script.answers.append({"Responses": reordered, "UnprocessedKeys": {}})
    assert batch.read(schema) == batch.found
    (question,) = script.questions
    assert set(question["RequestItems"]) == set(batch.items)
    for asked in question["RequestItems"].values():
        assert asked["ConsistentRead"] is True


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_of_which_a_part_was_throttled_is_not_taken_for_whole(
    scripted: ScriptedTables, name: str
) -> None:
    """What was not read looks as if it did not exist: a call anew, a limit with nothing spent."""
    schema, script = scripted
    batch = BATCHES[name]
    table = next(iter(batch.items))
    left = {"Keys": [call_key(ORGANIZATION, "a")], "ConsistentRead": True}
    answered = {name: items[1:] for name, items in batch.items.items()}
    script.answers.append({"Responses": answered, "UnprocessedKeys": {table: left}})
    with pytest.raises(Throttled, match="not all of it"):
        batch.read(schema)


def test_more_keys_than_one_batch_takes_are_read_in_further_ones(scripted: ScriptedTables) -> None:
    schema, script = scripted
    names = [f"call-{number}" for number in range(101)]
    script.answers.extend(
        {"Responses": {NAMES.usage: [reserved(one) for one in part]}, "UnprocessedKeys": {}}
        for part in (names[:100], names[100:])
    )
    assert list(DynamoDBCallsUnderWay(schema).read_calls(ORGANIZATION, names)) == names
    asked = [question["RequestItems"][NAMES.usage]["Keys"] for question in script.questions]
    assert asked == [
        [call_key(ORGANIZATION, one) for one in part] for part in (names[:100], names[100:])
    ]


def test_more_items_than_one_snapshot_takes_are_read_in_further_ones(
    scripted: ScriptedTables,
) -> None:
    """Those that do not exist are answered as nothing, in their place."""
    schema, script = scripted
    first, second = ({"Item": usage_item(usage)} for usage in USAGES)
    script.answers.extend([{"Responses": [first, *[{}] * 24]}, {"Responses": [{}, second]}])
    names = [f"call-{number}" for number in range(27)]
    assert DynamoDBCalls(schema).usages(ORGANIZATION, names) == list(USAGES)
    keys = [get["Get"]["Key"] for question in script.questions for get in question["TransactItems"]]
    assert keys == [call_key(ORGANIZATION, one) for one in names]
    assert [len(question["TransactItems"]) for question in script.questions] == [25, 2]
