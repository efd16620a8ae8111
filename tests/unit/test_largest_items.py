"""No item outgrows what DynamoDB takes, with the longest names there may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, get_args

import pytest
from builders import (
    ANSWERED,
    LONG_AGO,
    WITHOUT_WAITING,
    announced,
    card,
    ended,
    fact,
    holding,
    lot,
    phone_call,
    processed_event,
    purchase,
    rating,
)
from items import size_of

from perminute.adapters.dynamodb.account_items import account_item, entry_item
from perminute.adapters.dynamodb.call_items import usage_item
from perminute.adapters.dynamodb.counter_items import correction_item, pool_item, spending_item
from perminute.adapters.dynamodb.list_items import (
    call_list_item,
    revision_item,
    revision_of,
    usage_list_of,
)
from perminute.adapters.dynamodb.outbox_items import outbox_item
from perminute.adapters.dynamodb.reratings import rerating_item
from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.adapters.notification_documents import declared_types, document_of
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import CALLS_PER_TRANSACTION, RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.comparison.difference_kinds import DifferenceKind
from perminute.domain.credit.ledger import EntryType, LedgerEntry, Producer
from perminute.domain.credit.lots import MAX_EXPIRED_LOTS, MAX_LOTS_IN_ACCOUNT, LotShare
from perminute.domain.credit.recharge import Disabled
from perminute.domain.credit.transaction import (
    MAX_CORRELATION_ID,
    MAX_ITEMS_PER_TRANSACTION,
    CallsOfDay,
    Causes,
    Transaction,
)
from perminute.domain.forecast.figures import Band, Confidence, RunsOut
from perminute.domain.licensing.licensing import LicensingChange, NotEntitled
from perminute.domain.limits.spending import (
    LimitName,
    PartOfDay,
    SpendChange,
    SpendCounter,
    SpendKey,
    SpendKind,
)
from perminute.domain.notifications.notifications import (
    CallNotEntitled,
    DifferingCalls,
    NotificationBody,
    bytes_at_most,
    notification,
)
from perminute.domain.pools.pools import (
    DrawPosition,
    MinutePool,
    Month,
    SettlementCursor,
    SettlementScope,
)
from perminute.domain.rating.calls import MAX_ID_LENGTH, LegType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Adjusted, Flag
from perminute.domain.reporting.postings import ListedUsage, Posting, RevisedUsage, Revision
from perminute.domain.rerating.rerating import Rerating
from perminute.ports.stores import MAX_CHANGES_PER_RECORD, MAX_MERGED

if TYPE_CHECKING:
    from collections.abc import Sequence


MOST = 409_600
"""Bytes of an item (AWS: 400 KB)."""

_numbers = count()


def longest(kind: str = "") -> str:
    """A name as long as it may be: of four bytes each, and of those that JSON writes as six."""
    number = f"{kind}{next(_numbers)}"
    return (number + "\x1f\U0001f600" * MAX_ID_LENGTH)[:MAX_ID_LENGTH]


def sized(row: Any) -> int:
    return size_of(
        {
            name: {kind: content.decode("latin-1") if isinstance(content, bytes) else content}
            for name, value in row.items()
            for kind, content in value.items()
        }
    )


def waiting(subjects: int) -> Rerating:
    return Rerating(
        organization_id=ORGANIZATION,
        rerating_id=f"event#{longest()}"[:MAX_ID_LENGTH],
        at=ANSWERED,
        since={longest(): ANSWERED for _ in range(subjects)},
    )


ORGANIZATION = longest("o")

LONGEST: dict[str, Any] = {
    "RunsOut": RunsOut(*[date(2026, 11, 30)] * 3),
    "Band": Band(*[10**15] * 3),
    "CallNotEntitled": NotEntitled.NO_CREDITS_LICENSE,
    "CallNotRated": Unpriced.CURRENCY_MISMATCH,
    "CallFlagged": Flag.DIAL_OUT_NOT_ALLOWED,
    "Confidence": Confidence.MEDIUM,
    "Disabled": Disabled.THREE_FAILURES,
    "LegType": LegType.TOLL_FREE_DIAL_IN,
    "LimitName": LimitName.CONCURRENT_CALLS,
}


def value_of(kind: Any, name: str, annotation: str) -> Any:
    """The longest value that a field of a notification may have."""
    if name == "reason":
        annotation = f"{kind.__name__} {annotation}"
    for reason, value in LONGEST.items():
        if reason in annotation:
            return value
    if "DifferingCalls" in annotation:
        return tuple(DifferingCalls(one, 2**31, -(2**31), -(10**15)) for one in DifferenceKind)
    if "tuple" in annotation:
        return tuple(longest() for _ in range(10))
    for plain, value in {"datetime": ANSWERED, "int": 10**15, "bool": True}.items():
        if plain in annotation:
            return value
    return {"currency": "USD", "month": "2026-11", "prefix": "4930231251"}.get(name, longest())


EVERY_NEWS = [
    kind(**{name: value_of(kind, name, of_type) for name, of_type in declared_types(kind).items()})
    for kind in get_args(NotificationBody)
]


class Merging(InMemoryStore):
    """Refuses what DynamoDB would."""

    def merge(self, merged: Rerating, absorbed: Sequence[Rerating]) -> bool:
        assert sized(rerating_item(merged)) <= MOST
        return super().merge(merged, absorbed)


@pytest.mark.parametrize("of_each", [1, 5, MAX_CHANGES_PER_RECORD])
def test_reratings_of_users_with_long_names_are_merged_as_far_as_an_item_goes(
    of_each: int,
) -> None:
    store = Merging()
    for number in range(MAX_MERGED + 3):
        one = replace(waiting(of_each), rerating_id=f"event#{number:03}")
        store.reratings[ORGANIZATION, one.rerating_id] = one
    parts = InMemoryCalls(store), LicensingCache(store), PublishedRateCards(card()), WITHOUT_WAITING
    rerate = RerateCalls(RecordedCalls(store, *parts), store)
    (result,) = rerate([ReratingRequest(ORGANIZATION)])
    assert isinstance(result, Accepted), result
    assert store.waiting(ORGANIZATION) == []


@pytest.mark.parametrize("news", EVERY_NEWS, ids=lambda news: type(news).__name__)
def test_what_a_notification_takes_is_never_estimated_too_low(news: Any) -> None:
    one = notification(news, organization_id=ORGANIZATION, at=ANSWERED, cause="c")
    written = outbox_item([one], 1, Causes(("\U0001f600" * MAX_CORRELATION_ID,)))
    assert sized(written) - len(ORGANIZATION.encode()) <= bytes_at_most(one)
    assert document_of(announced(one, organization_name=longest()))["text"]


class Measured(InMemoryStore):
    """Measures each item of a transaction as DynamoDB would."""

    def commit(self, transaction: Transaction) -> None:
        rows = [
            account_item(transaction.after),
            *(call_list_item(ORGANIZATION, calls) for calls in transaction.lists),
            *(
                outbox_item(some, transaction.after.version, transaction.causes)
                for some in transaction.outbox
            ),
        ]
        assert max(map(sized, rows)) <= MOST
        assert sum(map(sized, rows)) <= 10 * MOST
        assert transaction.items <= MAX_ITEMS_PER_TRANSACTION
        super().commit(transaction)


def test_a_batch_of_calls_that_all_have_news_is_told_in_several_records() -> None:
    """Nobody may make them, so there are two notifications of each of them."""
    store = Measured()
    change = LicensingChange(ORGANIZATION, None, (fact("dialOutPolicy", "none"),))
    store.record(ORGANIZATION, [(change, processed_event("policy", organization_id=ORGANIZATION))])
    bought = purchase(amount=1)
    key = bought.processed_event.key._replace(organization_id=ORGANIZATION)
    event = replace(
        bought,
        organization_id=ORGANIZATION,
        processed_event=bought.processed_event._replace(key=key),
    )
    BookCredit(store, WITHOUT_WAITING)([event])
    licensing, cards = LicensingCache(store), PublishedRateCards(card())
    charge = ChargeCalls(store, InMemoryCalls(store), licensing, cards, WITHOUT_WAITING)
    batch = [
        replace(
            ended(organization_id=ORGANIZATION, call_id=longest("c"), organizer_id=longest("u")),
            event_id=f"{number:02}" + "\U0001f600" * MAX_ID_LENGTH,
        )
        for number in range(98)
    ]
    assert all(isinstance(one, Accepted) for one in charge(batch))
    assert len({one.id for one in store.outbox}) == 2 * len(batch)


def test_lists_and_revisions_of_calls_with_long_names_fit_an_item_each() -> None:
    at = ANSWERED
    usages = [
        rating(longest("c"), 10**9, organization_id=ORGANIZATION, organizer_id=longest("u"))
        .usage()
        ._replace(flags=USAGE_FLAGS)
        for _ in range(MAX_ITEMS_PER_TRANSACTION - 2)
    ]
    posting = Posting(10**9, at, "000000000001", at)
    listed = call_list_item(ORGANIZATION, CallsOfDay(usages, posting))
    assert sized(listed) <= MOST * 2 // 3
    revised = tuple(
        RevisedUsage(usage, usage._replace(charge_micros=7 * number, retail_micros=None))
        for number, usage in enumerate(map(ListedUsage.of, usages[:48]))
    )
    revision = revision_item(ORGANIZATION, Revision(posting, revised))
    assert sized(revision) <= MOST * 2 // 3
    assert revision_of(revision) == Revision(posting, revised)
    read = usage_list_of(listed)
    assert read is not None
    assert read.usages == tuple(map(ListedUsage.of, usages))


def test_one_record_takes_what_a_full_batch_tells_of_calls_with_names_like_real_ones() -> None:
    guid = "8a5b2b1e-5c2f-4d3a-9a6e-1b2c3d4e5f60"
    news = CallNotEntitled(call_id=guid, organizer_id=guid, reason=NotEntitled.NO_LICENSE)
    told = tuple(notification(news, organization_id=guid, at=ANSWERED, cause=n) for n in range(98))
    account = holding(organization_id=guid)
    transaction = Transaction(before=account, after=account, notifications=told)
    assert [len(some) for some in transaction.outbox] == [98]
    assert transaction.items == 2


SHARES = tuple(LotShare(f"{n:012}", longest(), -(10**9), late=True) for n in range(100))
USAGE_FLAGS = (Flag.PREFIX_UNCERTAIN, Flag.OVERDRAWN, Flag.RERATED, Flag.REPORTED_BY_BRIDGE)


def test_what_else_grows_stays_far_below() -> None:
    at = ANSWERED
    place = DrawPosition(at, longest())
    pool = MinutePool(
        organization_id=ORGANIZATION,
        month=Month(2026, 11),
        used_by_day={date(2026, 11, 1) + timedelta(days=n): 10**6 for n in range(32)},
        reserved_by_day={date(2026, 11, 1) + timedelta(days=n): 10**6 for n in range(32)},
        drawn_until=place,
        unsettled=SettlementCursor(place, 10**6, 10**6),
        drawn_from=place,
        scope=SettlementScope(place, 10**6, place),
    )
    entry = LedgerEntry(
        organization_id=ORGANIZATION,
        entry_id="000000000001",
        type=EntryType.EXPIRY,
        amount_micros=10**15,
        balance_after_micros=10**15,
        at=at,
        lots=SHARES[: MAX_EXPIRED_LOTS + MAX_LOTS_IN_ACCOUNT],
        cause=longest(),
        opens=lot("1", 1, purchase_id=longest()),
        call_ids=tuple(longest() for _ in range(CALLS_PER_TRANSACTION)),
        producer=Producer("123456789012", "perminute.billing"),
    )
    changes = [
        SpendChange(SpendKey(kind, longest(), LONG_AGO), at.date(), -(10**15), moved=True)
        for _ in range(2 * CALLS_PER_TRANSACTION)
        for kind in (SpendKind.USER, SpendKind.PREFIX)
    ]
    counted = SpendCounter(
        key=SpendKey(SpendKind.USER, longest(), LONG_AGO),
        counted_before=at.date(),
        part=PartOfDay("calls#" + "f" * 80, 10**9, 10**15),
    )
    lots = tuple(lot(f"{n}", 1, purchase_id=longest()) for n in range(MAX_LOTS_IN_ACCOUNT))
    rows = [
        spending_item(ORGANIZATION, counted),
        pool_item(pool),
        entry_item(entry),
        correction_item(ORGANIZATION, 1, changes),
        account_item(holding(*lots, organization_id=ORGANIZATION)),
        rerating_item(waiting(MAX_CHANGES_PER_RECORD)),
    ]
    assert max(map(sized, rows)) <= MOST * 2 // 3


def test_a_call_that_was_corrected_a_thousand_times_fits_its_item() -> None:
    named = {"organization_id": ORGANIZATION, "call_id": longest(), "organizer_id": longest()}
    store = InMemoryStore()
    licensing, cards = LicensingCache(store), PublishedRateCards(card())
    charge = ChargeCalls(store, InMemoryCalls(store), licensing, cards, WITHOUT_WAITING)
    (result,) = charge([replace(ended(), call=phone_call(**named, meeting_id=longest()))])
    assert isinstance(result, Accepted)
    usage = result.result._replace(
        flags=USAGE_FLAGS,
        lots=SHARES,
        adjustments=tuple(Adjusted(f"{n:012}", -(10**9)) for n in range(1_000)),
    )
    assert size_of(usage_item(usage)) <= MOST * 2 // 3
