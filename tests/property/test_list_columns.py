"""Lists and revisions of any calls are read as they were written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from builders import ORGANIZATION, rating
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.dynamodb.list_items import (
    call_list_item,
    call_list_of,
    revision_item,
    revision_of,
    usage_list_of,
)
from perminute.domain.credit.transaction import CallsOfDay
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag, Free, Outcome, Price
from perminute.domain.reporting.postings import ListedUsage, Posting, RevisedUsage, Revision
from perminute.ports.stores import ListedCall

_EPOCH = datetime(2026, 11, 2, tzinfo=UTC)

instants = st.builds(
    lambda seconds, micros: _EPOCH + timedelta(seconds=seconds, microseconds=micros),
    st.integers(0, 86_399),
    st.sampled_from([0, 1, 500_000, 417_000]),
)
micros = st.integers(-(10**15), 10**15)
listed = st.builds(
    ListedUsage,
    call_id=st.text(min_size=1),
    organizer_id=st.sampled_from(["adele", "bob", "\x1f\U0001f600"]),
    leg_type=st.sampled_from(LegType),
    answered_at=instants,
    ended_at=instants,
    connected_seconds=st.integers(0, 86_400),
    billed_seconds=st.integers(0, 86_460),
    prefix=st.none() | st.sampled_from(["49", "1"]),
    country=st.none() | st.just("DE"),
    rate_micros_per_minute=st.none() | st.integers(0, 10**9),
    connection_fee_micros=st.none() | st.integers(0, 10**9),
    currency=st.none() | st.just("USD"),
    outcome=st.sampled_from(Outcome),
    reason=st.none() | st.sampled_from([*NotEntitled, *Unpriced, *Free]),
    charge_micros=micros,
    retail_micros=st.none() | micros,
    pool_minutes=st.integers(0, 1_441),
    flags=st.lists(st.sampled_from(Flag), unique=True).map(tuple),
)
postings = st.builds(Posting, st.integers(1, 10**12 - 1), instants) | st.builds(
    Posting, st.integers(1, 10**12 - 1), instants, st.just("000000000042"), instants
)


@given(postings, st.lists(st.tuples(listed, listed), min_size=1, max_size=8))
def test_revisions_come_back(posting: Posting, both: list[tuple[ListedUsage, ListedUsage]]) -> None:
    usages = tuple(
        RevisedUsage(before, after._replace(call_id=before.call_id)) for before, after in both
    )
    revision = Revision(posting, usages)
    item = revision_item(ORGANIZATION, revision)
    assert revision_of(item) == revision
    assert all(item["record"]["S"] >= f"revised#{was.ended_at.isoformat()}" for was, _ in usages)


durations = st.tuples(instants, st.integers(0, 86_400_000_000))


@given(postings, st.lists(durations, min_size=1, max_size=8), st.data())
def test_lists_come_back(
    posting: Posting, times: list[tuple[datetime, int]], data: st.DataObject
) -> None:
    draw = data.draw
    usages = []
    for number, (ended_at, lasted) in enumerate(times):
        parts: dict[str, Any] = {
            "answered_at": ended_at - timedelta(microseconds=lasted),
            "ended_at": ended_at,
        }
        usage = rating(f"{number}", draw(st.integers(0, 10**9)), **parts).usage()
        usages.append(usage._replace(flags=draw(listed).flags, price=draw(prices)))
    calls = CallsOfDay(usages, posting)
    item = call_list_item(ORGANIZATION, calls)
    read = usage_list_of(item)
    assert read is not None
    assert (read.posting, read.entry) == (posting, None)
    assert read.usages == tuple(map(ListedUsage.of, usages))
    assert call_list_of(item).calls == tuple(ListedCall.of(usage.call) for usage in usages)
    again = calls._replace(is_again=True, is_for_reports=False)
    assert usage_list_of(call_list_item(ORGANIZATION, again)) is None


prices = st.builds(
    Price,
    rate_card_version=st.just("v"),
    billed_seconds=st.integers(0, 86_460),
    prefix=st.none() | st.just("49"),
    rate_micros_per_minute=st.none() | st.integers(0, 10**6),
    connection_fee_micros=st.none() | st.integers(0, 10**6),
    retail_micros=st.none() | st.integers(0, 10**9),
    currency=st.none() | st.just("USD"),
)
