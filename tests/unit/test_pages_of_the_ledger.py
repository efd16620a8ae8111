"""Pages of the ledger by hand: their order, late entries, and the calls that entries name."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest
from builders import ORGANIZATION
from histories import HOUR, START, History, listed

from perminute.application.reporting import ledger
from perminute.application.reporting.ledger import LedgerPlace, LedgerQuestion, ledger_page
from perminute.application.retry import NEVER, Deadline
from perminute.domain.credit.ledger import EntryType
from perminute.domain.errors import Unavailable
from perminute.domain.reporting.periods import Period

DAY = timedelta(days=1)
MIDNIGHT = START + 12 * HOUR
WEEK = Period(START - 12 * HOUR, START + 6 * DAY)


def ask(
    history: History,
    after: LedgerPlace | None = None,
    *,
    limit: int = 9,
    period: Period = WEEK,
    entry_type: EntryType | None = None,
) -> tuple[list[tuple[int, set[str]]], LedgerPlace | None]:
    """Read a page: the numbers of its entries with their calls, and where the next one begins."""
    question = LedgerQuestion(ORGANIZATION, len(history.ledger), period, entry_type)
    page = ledger_page(history, question, limit=limit, after=after, deadline=NEVER)
    return [(int(entry.entry_id), set(calls)) for entry, calls in page.entries], page.next


def test_they_go_back_by_the_day_of_an_entry_and_then_by_its_id() -> None:
    history = History()
    history.buy(5, START + 2 * DAY)
    history.charge(listed("a", START), listed("free", START, charge_micros=0))
    history.buy(7, START + DAY)
    history.charge(listed("late", START), at=START + 2 * DAY)
    history.revise(listed("a", START, charge_micros=10), at=START + DAY)
    first, place = ask(history, limit=3)
    assert first == [(4, {"late"}), (1, set()), (5, {"a"})]
    assert place == LedgerPlace((START + DAY).date(), "000000000005")
    assert ask(history, place, limit=3) == ([(3, set()), (2, {"a"})], None)


def test_a_charge_at_midnight_is_of_the_day_on_which_it_was_booked() -> None:
    """It is listed with the calls of the day before, or with those that ended after midnight."""
    history = History()
    history.charge(listed("a", MIDNIGHT - HOUR), at=MIDNIGHT)
    history.charge(listed("b", MIDNIGHT - HOUR), listed("c", MIDNIGHT), at=MIDNIGHT)
    assert [found.entry is not None for found in history.lists] == [True, False, True]
    next_day = Period(MIDNIGHT, MIDNIGHT + HOUR)
    assert ask(history, period=next_day) == ([(2, {"b", "c"}), (1, {"a"})], None)
    assert ask(history, period=Period(START, MIDNIGHT)) == ([], None)


def test_entries_of_one_type_are_read_without_the_others() -> None:
    history = History()
    history.charge(listed("a", START))
    history.buy(5)
    with patch.object(history, "usage_lists"):
        assert ask(history, entry_type=EntryType.PURCHASE) == ([(2, set())], None)
    assert ask(history, entry_type=EntryType.CHARGE) == ([(1, {"a"})], None)


def test_a_page_ends_with_a_day_once_it_has_gone_through_enough_calls() -> None:
    history = History()
    history.buy(5, START)
    for number in range(4):
        pooled = listed(f"{number}", START + number * DAY, charge_micros=0)
        history.charge(pooled)
    with patch.object(ledger, "MAX_CALLS_READ", 1):
        pages = [ask(history)]
        while pages[-1][1] is not None:
            pages.append(ask(history, pages[-1][1]))
    assert [entries for entries, _ in pages] == [[], [], [], [(1, set())]]


def test_an_empty_period_has_no_entries() -> None:
    history = History()
    history.buy(5)
    assert ask(history, period=Period(START, START)) == ([], None)


def test_a_page_stops_while_it_reads_entries_of_their_own_once_time_runs_out() -> None:
    """Those of a month that is long over are read after all that were posted since."""
    history = History()
    history.buy(5)
    question = LedgerQuestion(ORGANIZATION, 1, WEEK)
    with pytest.raises(Unavailable, match="no time was left"):
        ledger_page(history, question, limit=9, after=None, deadline=Deadline(0))
