"""Pages of calls by hand: their order, and how far a page looks for what a filter includes."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest
from builders import ORGANIZATION
from histories import HOUR, START, History, listed

from perminute.application.reporting import calls
from perminute.application.reporting.calls import CallsPlace, CallsQuestion, calls_page
from perminute.application.retry import NEVER, Deadline
from perminute.domain.errors import Unavailable
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.periods import Period
from perminute.domain.reporting.usage_sums import UsageFilter

WEEK = Period(START - 12 * HOUR, START + timedelta(days=7))
EVERYTHING = UsageFilter()
BEGINNING = CallsPlace()


def ask(
    history: History,
    after: CallsPlace | None = BEGINNING,
    wanted: UsageFilter = EVERYTHING,
    *,
    limit: int = 2,
    version: int | None = None,
) -> tuple[list[str], CallsPlace | None]:
    """Read a page: the ids of its calls, and where the next one begins."""
    assert after is not None
    version = history.version if version is None else version
    question = CallsQuestion(ORGANIZATION, version, WEEK, wanted)
    page = calls_page(history, question, limit=limit, after=after, deadline=NEVER)
    return [usage.call_id for usage in page.usages], page.next


def test_the_newest_list_comes_first_and_in_it_the_call_that_ended_last() -> None:
    history = History()
    history.charge(listed("a", START), listed("c", START + 3 * HOUR), listed("b", START + HOUR))
    history.charge(listed("e", START + 24 * HOUR), listed("d", START + 2 * HOUR))
    first, place = ask(history)
    second, place = ask(history, place)
    third, place = ask(history, place)
    assert (first, second, third) == (["e", "c"], ["b", "a"], ["d"])
    assert place is None


def test_what_is_charged_between_two_pages_is_on_neither() -> None:
    history = History()
    history.charge(*(listed(name, START) for name in "abc"))
    first, place = ask(history)
    # Lists before, and between the list that the page ended in and the end of the day.
    for hours in (-1, 0, 1):
        history.charge(listed(f"new-{hours}", START + hours * HOUR))
    history.revise(listed("a", START + 2 * HOUR))
    second, place = ask(history, place, version=1)
    assert (first, second, place) == (["c", "b"], ["a"], None)


def test_a_page_is_full_where_calls_are_rated_again() -> None:
    """What a filter includes is decided by what calls are, and no other call takes their place."""
    history = History()
    history.charge(*(listed(name, START) for name in "abcd"))
    history.revise(listed("a", START, outcome=Outcome.POOLED, charge_micros=0))
    charged, pooled = UsageFilter(outcome=Outcome.CHARGED), UsageFilter(outcome=Outcome.POOLED)
    assert ask(history, wanted=charged) == (["d", "c"], CallsPlace("", 2))
    assert ask(history, CallsPlace("", 2), charged) == (["b"], None)
    assert ask(history, wanted=pooled) == (["a"], None)


def test_a_call_may_be_rated_again_together_with_one_that_ended_weeks_later() -> None:
    """The revision is found by the end of the later call."""
    history, later = History(), START + timedelta(days=6)
    for name, ended_at in (("a", START), ("b", later)):
        history.charge(listed(name, ended_at))
    history.revise(*(listed(n, at, pool_minutes=10) for n, at in (("a", START), ("b", later))))
    question = CallsQuestion(ORGANIZATION, history.version, WEEK, EVERYTHING)
    page = calls_page(history, question, limit=1, after=BEGINNING, deadline=NEVER)
    assert page.next is not None
    last = calls_page(history, question, limit=1, after=page.next, deadline=NEVER)
    assert [(u.call_id, u.pool_minutes) for u in (*page.usages, *last.usages)] == [
        ("b", 10),
        ("a", 10),
    ]


@pytest.mark.parametrize("limit", ["MAX_CALLS_READ", "MAX_LISTS_READ"])
def test_a_page_ends_where_it_has_gone_through_enough(limit: str) -> None:
    history = History()
    for number in range(5):
        history.charge(listed(f"{number}", START + number * HOUR, organizer_id=f"user-{number}"))
    wanted = UsageFilter(organizer_id="user-0")
    with patch.object(calls, limit, 2):
        pages = [ask(history, wanted=wanted)]
        while pages[-1][1] is not None:
            pages.append(ask(history, pages[-1][1], wanted))
    assert [page for page, _ in pages] == [[], [], ["0"]]


def test_an_empty_period_has_no_calls() -> None:
    question = CallsQuestion(ORGANIZATION, 0, Period(START, START), EVERYTHING)
    page = calls_page(History(), question, limit=2, after=BEGINNING, deadline=NEVER)
    assert (list(page.usages), page.next) == ([], None)


def test_a_page_stops_while_it_reads_what_was_revised_once_time_runs_out() -> None:
    history = History()
    history.charge(listed("a", START))
    history.revise(listed("a", START, charge_micros=10))
    question = CallsQuestion(ORGANIZATION, history.version, WEEK, EVERYTHING)
    with pytest.raises(Unavailable, match="no time was left"):
        calls_page(history, question, limit=2, after=BEGINNING, deadline=Deadline(0))
