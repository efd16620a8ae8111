"""Bugs in what is posted for reports, each with the promise that it breaks."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import PropertyMock, patch

from perminute.application.reporting import explain_call
from perminute.domain.credit import charging, transaction
from perminute.domain.credit.ledger import LedgerEntry
from perminute.domain.credit.transaction import Transaction
from perminute.domain.credit.transaction_builder import TransactionBuilder
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.reporting import statement
from perminute.domain.rerating import corrections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import date, datetime
    from typing import Any

    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.licensing.timelines import InForce
    from perminute.domain.reporting.postings import Posting


@contextmanager
def writing_no_revision() -> Iterator[None]:
    """What is corrected replaces the record of its call, and nothing says what it was before."""
    with patch.object(Transaction, "revision", PropertyMock(return_value=None)):
        yield


@contextmanager
def listing_without_a_version_of_its_own() -> Iterator[None]:
    """Calls that cost nothing are listed with the version of the transaction before."""
    posting = Transaction._posting  # noqa: SLF001 - what is replaced

    def former(written: Transaction, entry: LedgerEntry | None) -> Posting:
        of_this = posting(written, entry)
        return of_this if written.entries else of_this._replace(version=of_this.version - 1)

    with patch.object(Transaction, "_posting", former):
        yield


@contextmanager
def listing_late_charges_with_their_calls() -> Iterator[None]:
    """The entry of a charge is in a list of its calls, however late it was posted."""

    def always(_: datetime, __: datetime, days: Iterable[date]) -> date | None:
        return max(days, default=None)

    with (
        patch.object(charging, "day_listed_with", always),
        patch.object(transaction, "day_listed_with", always),
    ):
        yield


@contextmanager
def posting_entries_at_their_own_time() -> Iterator[None]:
    """An entry does not say that its event came late."""
    enter = TransactionBuilder.enter

    def at_once(builder: TransactionBuilder, *parts: Any, **more: Any) -> LedgerEntry:
        entry = enter(builder, *parts, **more)
        builder._entries[-1] = entry._replace(posted_at=None)  # noqa: SLF001 - what is replaced
        return builder._entries[-1]  # noqa: SLF001 - the same

    with patch.object(TransactionBuilder, "enter", at_once):
        yield


@contextmanager
def booking_all_calls_in_the_month_of_their_entry() -> Iterator[None]:
    """An entry does not say what of it belongs to calls of other months."""

    def nothing(*_: object) -> tuple[()]:
        return ()

    with (
        patch.object(charging, "of_other_months", nothing),
        patch.object(corrections, "of_other_months", nothing),
    ):
        yield


@contextmanager
def listing_a_call_only_as_its_bridge_reported_it() -> Iterator[None]:
    """A call that ended at another time is in the list of the time that was reported."""

    def nowhere(_: Transaction) -> Iterator[None]:
        yield from ()

    with patch.object(Transaction, "_listed_again", nowhere):
        yield


@contextmanager
def explaining_calls_without_what_revised_them_with_later_ones() -> Iterator[None]:
    """A revision is looked for only on the day on which the call ended."""
    with patch.object(explain_call, "MAX_REVISED_DAYS", 0):
        yield


@contextmanager
def explaining_calls_by_the_licenses_of_when_they_ended() -> Iterator[None]:
    """What is named as in force is what was in force an hour later."""
    in_force = Timeline.in_force

    def later(timeline: Timeline, attribute: str, at: datetime) -> InForce | None:
        return in_force(timeline, attribute, at + timedelta(hours=1))

    with patch.object(Timeline, "in_force", later):
        yield


@contextmanager
def stating_a_month_without_what_was_booked_later() -> Iterator[None]:
    """A statement leaves out what was booked for calls of its month in other months."""
    with patch.object(statement._MonthUsage, "_book", lambda *_, **__: None):  # noqa: SLF001 - what is replaced
        yield


_CALLS = "each call is what its list and its revisions make of it"
_EXPLAINED = "each call is explained, and its explanation agrees with its record and the ledger"
_ENTRIES = "reports find each entry once, where they look for it"

POSTING_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    writing_no_revision: _CALLS,
    listing_without_a_version_of_its_own: "what is posted is in the order of its versions",
    listing_late_charges_with_their_calls: _ENTRIES,
    posting_entries_at_their_own_time: _ENTRIES,
    booking_all_calls_in_the_month_of_their_entry: (
        "an entry says what of it belongs to calls of other months"
    ),
    listing_a_call_only_as_its_bridge_reported_it: _CALLS,
    explaining_calls_without_what_revised_them_with_later_ones: _EXPLAINED,
    explaining_calls_by_the_licenses_of_when_they_ended: _EXPLAINED,
    stating_a_month_without_what_was_booked_later: (
        "the statement of each month leads from balance to balance, and to what its calls cost"
    ),
}
"""Each bug with the promise that it breaks."""
