"""The report `ledger`: the movements of the balance in a period, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from msgspec import field

from perminute.api.reports.cursors import Cursor, Limit, Next, foreign, read_cursor, write_cursor
from perminute.api.reports.documents import ReportDocument, ShareDocument, share_documents
from perminute.api.reports.endpoint import report
from perminute.api.reports.parameters import MonthOrPeriodQuery
from perminute.api.values import Instant, Money
from perminute.application.reporting.ledger import LedgerPlace, LedgerQuestion, ledger_page
from perminute.domain.credit.ledger import EntryType
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute.fields import Message, about
from perminute.formats.ledger_texts import describe

if TYPE_CHECKING:
    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.ledger import BookedEntry
    from perminute.application.reporting.reader import ReportReader


class LedgerQuery(MonthOrPeriodQuery, frozen=True, kw_only=True):
    """A UTC month, or a period; which entries of it, and which page of them."""

    entry_type: EntryType | None = field(name="type", default=None)
    limit: Limit = 50
    cursor: Cursor = None


class EntryDocument(Message, frozen=True, kw_only=True):
    """A movement of the balance."""

    entry_id: Annotated[str, about("Grows from each entry to the next.")]
    type: EntryType
    amount: Money
    balance_after: Money
    at: Annotated[
        Instant,
        about("The time to which it belongs; for an event that arrived late, an earlier one."),
    ]
    cause: Annotated[
        str | None, about("The event, lot or re-rating that caused it; null for a charge.")
    ]
    description: Annotated[str, about("What it is for, in words, as in a statement.")]
    lots: Annotated[
        list[ShareDocument],
        about("What the lots paid or got; the rest of the amount increased or paid debt."),
    ]
    calls: Annotated[list[str], about("The calls that it charged or corrected.")]


class LedgerDocument(ReportDocument, frozen=True, kw_only=True):
    """Entries by the UTC day of their `at`, then by their ids, the last first."""

    currency: str | None
    entries: list[EntryDocument]
    next: Next


class _Place(NamedTuple):
    version: int
    entries: int
    ledger: LedgerPlace | None = None


@report("ledger", LedgerQuery, LedgerDocument)
def answer(reader: ReportReader, target: ReportTarget, query: LedgerQuery) -> LedgerDocument:
    """List the movements of the balance, the last first."""
    account, period = reader.postings.account(target.organization_id), query.period(target.at)
    asked = ("ledger", target.organization_id, period, query.entry_type)
    place = _Place(account.version, account.entries)
    if query.cursor is not None:
        place = read_cursor(query.cursor, asked, _Place)
        is_known = place.version <= account.version and place.entries <= account.entries
        if not is_known or (place.ledger and not place.ledger.is_in(period)):
            raise foreign(query.cursor)
    question = LedgerQuestion(target.organization_id, place.entries, period, query.entry_type)
    page = ledger_page(
        reader.postings,
        question,
        limit=query.limit,
        after=place.ledger,
        deadline=target.deadline,
    )
    return LedgerDocument(
        as_of=target.as_of(place.version),
        currency=account.currency,
        entries=list(map(_entry, page.entries)),
        next=page.next and write_cursor(asked, place._replace(ledger=page.next)),
    )


def _entry(booked: BookedEntry) -> EntryDocument:
    entry = booked.entry
    return EntryDocument(
        entry_id=entry.entry_id,
        type=entry.type,
        amount=format_micros(entry.amount_micros),
        balance_after=format_micros(entry.balance_after_micros),
        at=format_instant(entry.at),
        cause=entry.cause,
        description=describe(entry),
        lots=share_documents(entry.lots),
        calls=list(booked.call_ids),
    )
