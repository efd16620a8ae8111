"""Bugs in what reports show, each with the promise that it breaks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from msgspec.json import encode

from perminute.adapters.memory import InMemoryPostings
from perminute.api.reports import calls, cursors, ledger, parameters, responses
from perminute.application.reporting import ledger as ledger_pages
from perminute.application.reporting import statement
from perminute.domain.reporting import statement as statements
from perminute.domain.reporting.current_usages import CurrentUsages
from perminute.domain.reporting.statement import state_month

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.reporting.postings import Posting, Revision

_LATEST = 10**9


@contextmanager
def counting_calls_posted_meanwhile() -> Iterator[None]:
    """A report contains lists and revisions of whatever version."""
    begin = CurrentUsages.__init__

    def of_any_version(current: CurrentUsages, _: int, revisions: Iterable[Revision] = ()) -> None:
        begin(current, _LATEST, revisions)

    with patch.object(CurrentUsages, "__init__", of_any_version):
        yield


@contextmanager
def counting_entries_posted_meanwhile() -> Iterator[None]:
    """A page of the ledger contains entries that its version does not count."""
    with patch.object(ledger_pages, "entry_id", lambda _: "9" * 12):
        yield


@contextmanager
def counting_moved_calls_where_they_were() -> Iterator[None]:
    """A call whose `Call Ended` came after its bridge's report is in the list of both."""
    revise = CurrentUsages.revise

    def without_moves(current: CurrentUsages, revision: Revision) -> None:
        usages = tuple(
            revised._replace(
                before=revised.before._replace(ended_at=revised.after.ended_at),
            )
            for revised in revision.usages
        )
        revise(current, revision._replace(usages=usages))

    with patch.object(CurrentUsages, "revise", without_moves):
        yield


@contextmanager
def missing_what_was_revised() -> Iterator[None]:
    """Calls are shown as they were first listed."""
    with patch.object(CurrentUsages, "revise", lambda *_: None):
        yield


@contextmanager
def stating_by_when_things_happened() -> Iterator[None]:
    """A month is stated by when calls ended and entries belong, not by when they were posted."""

    def happened(posting: Posting, ended_at: datetime) -> Posting:
        return posting._replace(posted_at=posting.entry_at or ended_at)

    def by_when_it_happened(*question: Any, **parts: Any) -> Any:
        parts["lists"] = (
            one._replace(posting=happened(one.posting, one.usages[0].ended_at))
            for one in parts["lists"]
        )
        parts["revisions"] = (
            one._replace(posting=happened(one.posting, one.usages[0].before.ended_at))
            for one in parts["revisions"]
        )
        parts["entries"] = (one._replace(posted_at=None) for one in parts["entries"])
        return state_month(*question, **parts)

    with patch.object(statement, "state_month", by_when_it_happened):
        yield


@contextmanager
def stating_what_does_not_add_up() -> Iterator[None]:
    """A statement leaves out what was booked later, and does not compare what is left."""
    with (
        patch.object(statements._MonthUsage, "_book", lambda *_: None),  # noqa: SLF001 - what is replaced
        patch.object(statements, "unequal", lambda *_: ()),
    ):
        yield


@contextmanager
def turning_to_what_is_there_now() -> Iterator[None]:
    """A cursor says where the next page begins, and not as of which version."""
    read = cursors.read_cursor

    def of_now(*args: Any) -> Any:
        return read(*args)._replace(version=0)

    with patch.multiple(calls, read_cursor=of_now), patch.multiple(ledger, read_cursor=of_now):
        yield


@contextmanager
def remembering_the_account() -> Iterator[None]:
    """A function reads the account once for all requests."""
    read = InMemoryPostings.account
    known: dict[str, Account] = {}

    def remembered(postings: InMemoryPostings, organization_id: str) -> Account:
        return known.setdefault(organization_id, read(postings, organization_id))

    with patch.object(InMemoryPostings, "account", remembered):
        yield


@contextmanager
def tagging_with_the_time() -> Iterator[None]:
    """An ETag depends on when the report was asked for."""
    with patch.object(responses, "_tag", lambda document, _: encode(document).hex()):
        yield


@contextmanager
def taking_lists_for_text() -> Iterator[None]:
    """A list in a query is read as one text."""
    with patch.object(parameters, "_listed", lambda value, **_: value):
        yield


ONE_STATE = "a report shows one state of an organization: that of the version that it names"

REPORT_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    counting_calls_posted_meanwhile: ONE_STATE,
    counting_entries_posted_meanwhile: ONE_STATE,
    counting_moved_calls_where_they_were: ONE_STATE,
    missing_what_was_revised: ONE_STATE,
    stating_by_when_things_happened: ONE_STATE,
    stating_what_does_not_add_up: ONE_STATE,
    turning_to_what_is_there_now: "all pages of a listing are as of one version",
    remembering_the_account: "a report counts all that was posted before its request",
    tagging_with_the_time: "two answers have one ETag if and only if they are equal",
    taking_lists_for_text: "a report is answered",
}
