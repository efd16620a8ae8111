"""How a booking notifies of single calls, and by what two notifications of one call differ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.domain.rating.usage import Flag, NotifiedAgain, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from perminute.domain.credit.books import Books
    from perminute.domain.notifications.notifications import CallNotification


def notified_as(news: CallNotification, usage: Usage) -> str:
    """Return the cause of the latest notification of this: it tells it from others of its type.

    A call may be flagged for its policy, and for who reported it.
    """
    call_id = usage.call.call_id
    versions = [one.version for one in usage.notified_again if one.reason == news.reason]
    if versions:
        return f"{call_id}/{versions[-1]}"
    is_of_bridge = news.reason is Flag.REPORTED_BY_BRIDGE
    return f"{call_id}/{news.reason}" if is_of_bridge else call_id


def notify_of_call(books: Books, usage: Usage, some: Iterable[CallNotification], day: date) -> None:
    """Notify of a call that is charged, on the day on which it was reported."""
    for news in some:
        books.notify(news, cause=notified_as(news, usage), at=usage.call.ended_at, day=day)


def notify_again(books: Books, usage: Usage, some: Iterable[CallNotification]) -> Usage:
    """Notify of a recorded call, on the day of this decision; returns its record after that."""
    version = books.account.version
    again = {one.reason: one for one in usage.notified_again}
    for news in some:
        again[news.reason.value] = NotifiedAgain(news.reason.value, version)
        cause = f"{usage.call.call_id}/{version}"
        books.notify(news, cause=cause, day=books.at.date())
    return replace(usage, notified_again=tuple(again.values()))
