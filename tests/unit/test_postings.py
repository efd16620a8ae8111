"""What transactions list and revise of calls, and which entry is stored with which list."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, ENDED, charge, holding, lot, phone_call, rating

from perminute.domain.credit.ledger import EntryType, LedgerEntry
from perminute.domain.credit.transaction import ReplacedUsage, Transaction
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.pools.pools import MinutePools, Month
from perminute.domain.rating.calls import MeetingType
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reporting.postings import ListedUsage, Posting, RevisedUsage, Revision
from perminute.domain.rerating.corrections import ReratedCall, release_held_notifications, rerate

if TYPE_CHECKING:
    from perminute.domain.rating.usage_record import Usage

DAY = timedelta(days=1)
LATE = ENDED + DAY / 2
CAUSE = "rerating#callEnded"
RICH = holding(lot("1", 1_000))
OCTOBER = datetime(2026, 10, 31, 23, 50, tzinfo=ENDED.tzinfo)


def corrected(before: Usage, after: Usage, *, ended: bool = False) -> Transaction:
    return rerate(
        RICH._replace(entries=20, version=20, as_of=LATE),
        [ReratedCall(before, after, ended=ended)],
        pools=MinutePools({}, Licensing()),
        opened={},
        at=LATE,
        cause=CAUSE,
    )


def usage(micros: int = 5, **call: Any) -> Usage:
    (one,) = charge(RICH, [rating("a", micros)], at=ENDED).usages
    return one._replace(call=replace(one.call, **call))


@pytest.mark.parametrize(
    ("at", "posted", "is_listed"),
    [
        (ENDED, ENDED, True),
        (ENDED, ENDED + DAY, True),
        (ENDED + DAY, ENDED + DAY, True),
        (ENDED, ENDED + 2 * DAY, False),
        (ENDED + 2 * DAY, ENDED + 2 * DAY, False),
        (ENDED - DAY, ENDED, False),  # the clock of its event was behind
    ],
)
def test_a_charge_is_listed_with_its_calls_only_if_it_was_posted_by_the_next_day(
    at: datetime, posted: datetime, *, is_listed: bool
) -> None:
    booking = charge(RICH, [rating("a", 5)], at=at, heard_at=posted)
    (entry,), (listed,) = booking.entries, booking.lists
    assert (entry.at, entry.was_posted_at) == (at, posted)
    assert listed.posting == Posting(booking.after.version, posted, entry.entry_id, at)
    assert listed.entry == (entry if is_listed else None)
    assert entry.call_ids == (() if is_listed else ("a",))
    # The account, the usage, its list, and the entry if it is an item of its own.
    assert booking.items == (3 if is_listed else 4)


def test_a_charge_of_several_days_is_listed_with_the_last_one_that_may_contain_it() -> None:
    calls = [
        rating(name, 5, answered_at=ANSWERED - days * DAY, ended_at=ENDED - days * DAY)
        for name, days in (("new", 0), ("old", 1), ("ahead", -1))
    ]
    booking = charge(RICH, calls, at=ENDED)
    listed = {day.usages[0].call.call_id: day.entry for day in booking.lists}
    assert listed == {"old": None, "new": booking.entries[0], "ahead": None}
    assert booking.items == 1 + 3 + 3
    assert booking.entries[0].call_ids == ("old", "ahead")


def test_an_entry_names_no_call_that_it_does_not_charge() -> None:
    late = {"answered_at": ANSWERED - DAY, "ended_at": ENDED - DAY}
    calls = [rating("new", 5), rating("free of charge", 0, **late), rating("old", 5, **late)]
    assert charge(RICH, calls, at=ENDED).entries[0].call_ids == ("old",)


def test_an_entry_says_what_of_it_belongs_to_calls_of_other_months() -> None:
    month = 30 * DAY
    calls = [
        rating("now", 5, answered_at=ANSWERED + month, ended_at=ENDED + month),
        rating("before", 7),
        rating("included", 0),
    ]
    (entry,) = charge(RICH, calls, at=ENDED + month).entries
    assert (entry.amount_micros, entry.other_months) == (-12, ((Month(2026, 11), -7),))


def test_a_call_that_ended_in_another_month_than_reported_is_booked_in_both() -> None:
    before = usage(7, answered_at=OCTOBER, ended_at=OCTOBER + timedelta(minutes=5))
    after = usage(4, answered_at=OCTOBER, ended_at=OCTOBER + timedelta(minutes=20))
    (entry,) = corrected(before, after, ended=True).entries
    assert (entry.amount_micros, entry.other_months) == (3, ((Month(2026, 10), 7),))


def test_what_is_corrected_is_written_as_it_was_and_as_it_is() -> None:
    before = usage(7)
    booking = corrected(before, before._replace(charge_micros=4))
    (after,), (entry,) = booking.rerated, booking.entries
    assert (after.charge_micros, after.flags) == (4, (Flag.RERATED,))
    posting = Posting(21, LATE, entry.entry_id, LATE)
    revised = RevisedUsage(ListedUsage.of(before), ListedUsage.of(after))
    assert booking.revision == Revision(posting, (revised,))
    assert list(booking.lists) == []
    # The account, the entry, the usage and the revision.
    assert booking.items == 4


def test_a_correction_that_moves_no_money_names_no_entry() -> None:
    before = usage(0)
    booking = corrected(before, before._replace(outcome=Outcome.INCLUDED))
    assert booking.revision is not None
    assert booking.revision.posting == Posting(21, LATE)


def test_what_reports_do_not_show_is_no_revision() -> None:
    held = usage(0)._replace(notifications_held=True)
    released = release_held_notifications(RICH, [held], at=LATE, is_last=True)
    assert [one.notifications_held for one in released.rerated] == [False]
    assert released.revision is None
    priced_alike = held.price._replace(rate_card_version="another")
    renamed = corrected(held, held._replace(price=priced_alike, notifications_held=True))
    assert (renamed.after.version, renamed.revision) == (21, None)


def test_a_call_that_ended_at_another_time_is_listed_again() -> None:
    before = usage(7)
    after = usage(7, ended_at=LATE)
    booking = corrected(before, after, ended=True)
    (listed,) = booking.lists
    assert [one.call.ended_at for one in listed.usages] == [LATE]
    assert (listed.posting, listed.entry, listed.is_again) == (Posting(21, LATE), None, True)
    assert booking.revision is not None
    (revised,) = booking.revision.usages
    assert (revised.before.ended_at, revised.after.ended_at) == (ENDED, LATE)
    assert revised.is_moved


def test_a_call_that_had_another_organizer_is_listed_again_but_not_for_reports() -> None:
    booking = corrected(usage(7), usage(7, organizer_id="bob"), ended=True)
    (listed,) = booking.lists
    assert (listed.is_again, listed.is_for_reports) == (True, False)
    assert booking.revision is not None


def test_a_call_that_was_free_as_its_bridge_reported_it_is_listed_once_it_is_not() -> None:
    reported = rating("a", 0, meeting_type=MeetingType.AD_HOC).usage()
    booking = corrected(reported, usage(7), ended=True)
    (listed,) = booking.lists
    assert listed.posting == Posting(21, LATE, booking.entries[0].entry_id, LATE)
    back = corrected(usage(7), reported, ended=True)
    assert list(back.lists) == []


def test_an_entry_is_posted_when_it_is_booked_unless_it_says_otherwise() -> None:
    parts: dict[str, Any] = {"type": EntryType.CHARGE, "amount_micros": -1, "at": ENDED}
    entry = LedgerEntry("contoso", "1", balance_after_micros=0, **parts)
    assert entry.was_posted_at == ENDED
    assert entry._replace(posted_at=LATE).was_posted_at == LATE


def test_what_is_replaced_by_the_same_call_is_in_its_list_already() -> None:
    one = usage()
    assert not ReplacedUsage(one, one._replace(charge_micros=9)).is_other_call
    assert phone_call().listing == one.call.listing
