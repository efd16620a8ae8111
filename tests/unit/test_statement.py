"""The statement of a month, worked out by hand: five calls and credits around two month's ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from builders import MICROS, ORGANIZATION
from histories import listed

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.lots import LotShare
from perminute.domain.pools.pools import Month
from perminute.domain.rating.calls import LegType
from perminute.domain.reporting.month_ledger import LotSums
from perminute.domain.reporting.postings import Posting, RevisedUsage, Revision, UsageList
from perminute.domain.reporting.statement import Basis, Bridge, ChangedUsage, Statement, state_month
from perminute.domain.reporting.usage_sums import GroupKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.domain.reporting.postings import ListedUsage

OCTOBER, NOVEMBER, DECEMBER = Month(2026, 10), Month(2026, 11), Month(2026, 12)


def on(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def entry(number: int, units: float, balance: float, at: datetime, **changed: Any) -> LedgerEntry:
    amount_micros = round(units * MICROS)
    parts: dict[str, Any] = {
        "type": EntryType.CHARGE,
        "lots": (LotShare("000000000001", "po-1", amount_micros),),
    }
    return LedgerEntry(
        organization_id=ORGANIZATION,
        entry_id=entry_id(number),
        amount_micros=amount_micros,
        balance_after_micros=round(balance * MICROS),
        at=at,
        **{**parts, **changed},
    )


def usage_list(version: int, by: LedgerEntry, *usages: ListedUsage, own: bool = True) -> UsageList:
    posting = Posting(version, by.was_posted_at, by.entry_id, by.at)
    key = f"{usages[-1].ended_at.isoformat()}#{version}"
    return UsageList(key, posting, usages, by if own else None)


BOUGHT = entry(1, 100, 100, on(10, 10), type=EntryType.PURCHASE)
# Reported only after October: its call is of October, and its money of November.
LATE_OF_OCTOBER = entry(2, -1.5, 98.5, on(11, 1, 0), other_months=((OCTOBER, -1_500_000),))
OF_NOVEMBER = entry(3, -2, 96.5, on(11, 10))
LATE_OF_NOVEMBER = entry(
    4, -3, 93.5, on(12, 2), call_ids=("c",), other_months=((NOVEMBER, -3 * MICROS),)
)
RERATED = entry(
    5,
    -3,
    90.5,
    on(12, 10),
    type=EntryType.ADJUSTMENT,
    cause="rerating#event#l-1",
    call_ids=("b",),
    other_months=((NOVEMBER, -3 * MICROS),),
)
A = listed("a", on(10, 31, 23), charge_micros=1_500_000)
B = listed("b", on(11, 10, 11), charge_micros=2 * MICROS)
C = listed(
    "c",
    on(11, 30, 23),
    charge_micros=3 * MICROS,
    organizer_id="enrico",
    country="FR",
    leg_type=LegType.TOLL_FREE_DIAL_IN,
)
DEARER_B = B._replace(charge_micros=5 * MICROS)

ACCOUNT = Account(ORGANIZATION, version=5, entries=5, balance_micros=90_500_000, as_of=on(12, 10))
LISTS = (
    usage_list(2, LATE_OF_OCTOBER, A),
    usage_list(3, OF_NOVEMBER, B),
    usage_list(4, LATE_OF_NOVEMBER, C, own=False),
)
OTHERS = (RERATED, LATE_OF_NOVEMBER, BOUGHT)
REVISIONS = (
    Revision(Posting(5, RERATED.at, RERATED.entry_id, RERATED.at), (RevisedUsage(B, DEARER_B),)),
)


def state(  # noqa: PLR0913 - all that is read
    month: Month,
    basis: Basis = Basis.NOW,
    *,
    account: Account = ACCOUNT,
    lists: Sequence[UsageList] = LISTS,
    entries: Sequence[LedgerEntry] = OTHERS,
    revisions: Sequence[Revision] = REVISIONS,
) -> Statement:
    """State a month, given what is read for it."""
    since = month.start - timedelta(days=1)
    ended = [(one, one.usages[-1].ended_at) for one in lists]
    return state_month(
        month,
        basis,
        account,
        revisions=revisions,
        entries=[one for one in entries if one.was_posted_at >= month.start],
        lists=[one for one, at in ended if since <= at < month.end],
        later_lists=[one for one, at in ended if at >= month.end],
        with_details=True,
    )


def test_two_lines_lead_from_the_months_entries_to_the_cost_of_its_calls() -> None:
    statement = state(NOVEMBER)
    assert (statement.opening_micros, statement.closing_micros) == (100 * MICROS, 96_500_000)
    assert statement.sums.by_type == {EntryType.CHARGE: -3_500_000}
    assert statement.bridge == Bridge(
        charged_micros=3_500_000,
        other_months_micros=1_500_000,
        booked_later_micros=6 * MICROS,
    )
    assert statement.usage.charge_micros == 8 * MICROS
    assert statement.entries == [(LATE_OF_OCTOBER, 1), (OF_NOVEMBER, 1)]
    assert state(DECEMBER).entries == [(LATE_OF_NOVEMBER, 1), (RERATED, 1)]
    assert statement.differences == ()
    assert {
        key: [(row.values[0], row.sums.charge_micros) for row in rows]
        for key, rows in statement.broken_down.items()
    } == {
        GroupKey.LEG_TYPE: [("dialOut", 5 * MICROS), ("tollFreeDialIn", 3 * MICROS)],
        GroupKey.COUNTRY: [("DE", 5 * MICROS), ("FR", 3 * MICROS)],
        GroupKey.ORGANIZER_ID: [("adele", 5 * MICROS), ("enrico", 3 * MICROS)],
    }


def test_a_month_is_stated_by_what_was_posted_until_three_days_after_it() -> None:
    statement = state(NOVEMBER, Basis.STATED)
    assert statement.usage.charge_micros == 5 * MICROS
    assert statement.bridge.booked_later_micros == 3 * MICROS
    assert statement.changed == {"b": ChangedUsage(stated=B, now=DEARER_B)}
    assert statement.differences == ()
    before = (LATE_OF_NOVEMBER, BOUGHT)
    earlier = ACCOUNT._replace(version=4, entries=4, balance_micros=93_500_000, as_of=on(12, 2))
    as_it_was = state(NOVEMBER, account=earlier, entries=before, revisions=())
    assert replace(as_it_was, basis=Basis.STATED, changed=statement.changed) == statement


def test_what_a_later_version_wrote_is_left_out() -> None:
    earlier = ACCOUNT._replace(version=4, entries=4, balance_micros=93_500_000, as_of=on(12, 2))
    statement = state(NOVEMBER, account=earlier)
    assert statement.usage.charge_micros == 5 * MICROS
    assert statement.changed == {}
    assert statement.differences == ()
    assert state(DECEMBER, account=earlier).closing_micros == 93_500_000


def test_a_month_closes_with_what_the_next_one_opens_with() -> None:
    statements = [state(month) for month in (OCTOBER, NOVEMBER, DECEMBER)]
    assert [(one.opening_micros, one.closing_micros) for one in statements] == [
        (0, 100 * MICROS),
        (100 * MICROS, 96_500_000),
        (96_500_000, 90_500_000),
    ]
    assert [one.differences for one in statements] == [()] * 3


def test_nothing_happened_before_the_first_entry_nor_after_the_last() -> None:
    for month, micros in ((Month(2026, 9), 0), (Month(2027, 1), 90_500_000)):
        statement = state(month)
        assert statement.opening_micros == statement.closing_micros == micros
        assert statement.usage.calls == 0
        assert statement.differences == ()


def test_an_entry_in_a_later_list_may_be_the_first_since_the_month_began() -> None:
    """No entry was posted in the month, and the first after it is in a list of its calls."""
    first = entry(6, -1, 89.5, on(2, 5).replace(year=2027))
    second = entry(7, -1, 88.5, on(2, 6).replace(year=2027))
    lists = [
        *LISTS,
        usage_list(6, first, listed("d", first.at)),
        usage_list(7, second, listed("e", second.at)),
    ]
    account = ACCOUNT._replace(version=7, entries=7, balance_micros=88_500_000, as_of=second.at)
    statement = state(Month(2027, 1), account=account, lists=lists)
    assert statement.opening_micros == statement.closing_micros == 90_500_000
    # A purchase of the same day, found first, comes after it.
    bought = entry(7, 10, 99.5, first.at, type=EntryType.PURCHASE)
    account = account._replace(balance_micros=99_500_000)
    statement = state(Month(2027, 1), account=account, lists=lists[:4], entries=(bought, *OTHERS))
    assert statement.opening_micros == 90_500_000


def test_a_call_that_turns_out_to_have_ended_in_the_next_month_moves_there() -> None:
    """Its bridge had reported it for November; its `Call Ended` costs it no other amount."""
    moved = C._replace(ended_at=on(12, 1, 1))
    posting = Posting(6, on(12, 11))
    account = ACCOUNT._replace(version=6, as_of=on(12, 11))
    revisions = (*REVISIONS, Revision(posting, (RevisedUsage(C, moved),)))
    lists = (*LISTS, UsageList("key", posting, (moved,)))
    november = state(NOVEMBER, account=account, lists=lists, revisions=revisions)
    december = state(DECEMBER, account=account, lists=lists, revisions=revisions)
    assert november.usage.charge_micros == 5 * MICROS
    assert december.usage.charge_micros == 3 * MICROS
    assert november.bridge.booked_later_micros == 3 * MICROS
    assert december.bridge == Bridge(6 * MICROS, 6 * MICROS, 3 * MICROS)
    assert november.differences == december.differences == ()
    stated = state(NOVEMBER, Basis.STATED, account=account, lists=lists, revisions=revisions)
    assert stated.changed == {"b": ChangedUsage(B, DEARER_B), "c": ChangedUsage(C, None)}


def test_a_call_that_moves_within_its_month_is_one_that_changed() -> None:
    moved = C._replace(ended_at=on(11, 29))
    posting = Posting(6, on(12, 11))
    account = ACCOUNT._replace(version=6, as_of=on(12, 11))
    revisions = (*REVISIONS, Revision(posting, (RevisedUsage(C, moved),)))
    for lists in (
        (*LISTS, UsageList("key", posting, (moved,))),
        (*LISTS[:2], UsageList("key", posting, (moved,)), LISTS[2]),
    ):
        november = state(NOVEMBER, account=account, lists=lists, revisions=revisions)
        assert november.usage.charge_micros == 8 * MICROS
        assert november.changed == {"b": ChangedUsage(B, DEARER_B), "c": ChangedUsage(C, moved)}
        assert november.differences == ()


def test_lots_and_debt_say_what_moved_the_balance() -> None:
    lot, other = "000000000001", "000000000003"
    entries = (
        entry(1, 10, 10, on(11, 1), type=EntryType.PURCHASE),
        entry(2, -12, -2, on(11, 2), lots=(LotShare(lot, "po-1", -10 * MICROS),)),
        entry(
            3,
            7,
            5,
            on(11, 3),
            type=EntryType.PURCHASE,
            lots=(LotShare(other, "po-2", 5 * MICROS),),
        ),
        entry(
            4,
            -1,
            4,
            on(11, 4),
            type=EntryType.ADJUSTMENT,
            lots=(LotShare(other, "po-2", -MICROS),),
        ),
        entry(
            5,
            -4,
            0,
            on(11, 5),
            type=EntryType.EXPIRY,
            lots=(LotShare(other, "po-2", -4 * MICROS),),
        ),
    )
    account = Account(ORGANIZATION, version=5, entries=5, as_of=on(11, 5))
    call = listed("a", on(11, 2, 1), charge_micros=12 * MICROS)
    lists = [usage_list(2, entries[1], call, own=False)]
    statement = state(NOVEMBER, account=account, lists=lists, entries=entries, revisions=())
    assert statement.sums.lots == {
        lot: LotSums("po-1", bought_micros=10 * MICROS, used_micros=10 * MICROS),
        other: LotSums(
            "po-2",
            bought_micros=5 * MICROS,
            expired_micros=4 * MICROS,
            adjusted_micros=-MICROS,
        ),
    }
    assert statement.sums.debt_micros == 0  # two units were owed, and paid by the next purchase
    assert statement.differences == ()


def test_what_does_not_agree_is_said() -> None:
    without_entry = LISTS[1]._replace(entry=None)
    unexplained = state(NOVEMBER, lists=(LISTS[0], without_entry, LISTS[2]))
    assert unexplained.differences == ("the calls cost 8, but the bridge says 6",)
    third = entry(3, 1, 102, on(10, 12), type=EntryType.PURCHASE)
    gap = state(OCTOBER, lists=(), entries=(BOUGHT, third))
    assert gap.differences == (
        "of 3 entries posted in the month, 2 were found",
        "the balance after them is 102, but they make 101",
    )
    balance = state(DECEMBER, account=ACCOUNT._replace(balance_micros=1))
    assert balance.differences == ("the balance is 0.000001, but the entries make 90.5",)
