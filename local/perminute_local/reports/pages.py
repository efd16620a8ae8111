"""Listings of many pages, read to the end before any of it is written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from perminute.domain.pools.pools import Month
from perminute.domain.values.times import format_instant
from perminute_local.progress import transient
from perminute_local.replay.sorted_on_disk import SortedOnDisk
from perminute_local.reports.source import TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from perminute_local.reports.source import Answer, Question, Reports

LONGEST_PAGE = 200
"""Items that the API returns at once, at most."""


def read_listing(
    reports: Reports, question: Question, items: str, *, at_most: int | None = None
) -> tuple[Answer, SortedOnDisk[dict[str, Any]]]:
    """Return the first answer, with `next` of the last one, and the items of all of them.

    `items` is the field that contains them. All pages show the state of the first, since a cursor
    names the version of the account. The items are in a temporary file: there may be a million.
    """
    listing, first = SortedOnDisk[dict[str, Any]](), None
    with _progress(f"reading {items}") as show_count:
        while True:
            count = len(listing)
            limit = LONGEST_PAGE if at_most is None else min(at_most - count, LONGEST_PAGE)
            answer = reports.ask(question.with_parameters(limit=limit))
            first = first or answer
            for item in answer[items]:
                listing.add("", "", item)
            show_count(count := count + len(answer[items]))
            cursor = answer["next"]
            if cursor is None or count == at_most:
                return {**first, "next": cursor}, listing
            question = question.with_parameters(cursor=cursor)


def read_parts(reports: Reports, question: Question) -> tuple[Answer, SortedOnDisk[str]]:
    """Return the first answer, and a CSV file of a month in parts, which are in a temporary file.

    A period with more calls than one answer may have is halved, as often as needed.
    """
    month = Month.parse(str(question.parameters["month"]))
    answers = _answers(reports, question, month.start, month.end)
    texts, first = SortedOnDisk[str](), next(answers)
    texts.add("", "", first["csv"])
    with _progress("reading parts") as show_count:
        for answer in answers:
            # Each part has the header.
            texts.add("", "", answer["csv"].partition("\r\n")[2])
            show_count(len(texts))
    return first, texts


def _answers(
    reports: Reports, question: Question, since: datetime, until: datetime
) -> Iterator[Answer]:
    try:
        answer = reports.ask(question)
    except TooLarge:
        middle = since + (until - since) / 2
        if not since < middle < until:
            raise
        for begin, end in (since, middle), (middle, until):
            period = {"month": None, "from": format_instant(begin), "to": format_instant(end)}
            for answer in _answers(reports, question.with_parameters(**period), begin, end):
                # All parts show the state of the first.
                question = question.with_parameters(version=answer["asOf"]["version"])
                yield answer
    else:
        yield answer


@contextmanager
def _progress(task: str) -> Iterator[Callable[[int], None]]:
    text = TextColumn("{task.description}: {task.completed:,}")
    with transient(SpinnerColumn(), text, TimeElapsedColumn()) as bar:
        number = bar.add_task(task, total=None)
        yield lambda count: bar.update(number, completed=count)
