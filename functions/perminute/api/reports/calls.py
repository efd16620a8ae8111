"""The report `calls`: the calls of a period, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from msgspec import field

from perminute.api.reports.calls_query import OMITTED, CallsQuery, Omitted
from perminute.api.reports.cursors import Cursor, Limit, Next, foreign, read_cursor, write_cursor
from perminute.api.reports.documents import ReportDocument
from perminute.api.reports.endpoint import report
from perminute.api.values import Count, Instant, Money
from perminute.application.reporting.calls import CallsPlace, CallsQuestion, calls_page
from perminute.domain.credit.ledger import entry_id
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reference.phone_numbers import masked
from perminute.domain.values.money import format_micros, money_text
from perminute.domain.values.times import format_instant
from perminute.fields import Message, about

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.reader import ReportReader
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reporting.postings import ListedUsage


class CallsPageQuery(CallsQuery, frozen=True, kw_only=True):
    """A period, which of its calls, and which page of them."""

    limit: Limit = 50
    cursor: Cursor = None


class ListedCallDocument(Message, frozen=True, kw_only=True):
    """A call as it is now."""

    call_id: str
    answered_at: Instant
    ended_at: Instant
    meeting_id: str
    organizer_id: str
    leg_type: LegType
    number: Annotated[
        str | None,
        about("The number that sets the price; its end is masked without the role `numbers`."),
    ]
    country: str | None
    prefix: Annotated[
        str | None,
        about("The prefix of the row of the rate card; the country is also that of the row."),
    ]
    connected_seconds: Count
    billed_seconds: Count
    pool_minutes: Annotated[Count, about("What the minute pool paid.")]
    rate_per_minute: Annotated[
        Money | None, about("The price of a minute in the first step; null without a price.")
    ]
    connection_fee: Money | None
    outcome: Outcome
    reason: str | None
    retail_cost: Annotated[Money | None, about("The price by the rate card; null without one.")]
    charge: Annotated[Money, about("What credit paid.")]
    currency: str | None
    flags: list[Flag]
    entries: Annotated[
        list[str], about("The ledger entries that charged the call, and corrected its charge.")
    ]
    revision: Annotated[Count, about("How many entries corrected its charge.")]


class ListedCallsDocument(ReportDocument, frozen=True, kw_only=True):
    """Calls, those of the newest list first."""

    calls: list[ListedCallDocument]
    next: Next
    omits: Omitted = field(default_factory=OMITTED.copy)


class _Place(NamedTuple):
    # What the account had when the first page was read.
    version: int
    entries: int
    calls: CallsPlace = CallsPlace()


@report("calls", CallsPageQuery, ListedCallsDocument)
def answer(
    reader: ReportReader, target: ReportTarget, query: CallsPageQuery
) -> ListedCallsDocument:
    """List the calls of a period, the newest first."""
    account = reader.postings.account(target.organization_id)
    asked = ("calls", target.organization_id, query.period, query.wanted)
    place = _Place(account.version, account.entries)
    if query.cursor is not None:
        place = read_cursor(query.cursor, asked, _Place)
        if place.version > account.version:
            raise foreign(query.cursor)
    question = CallsQuestion(target.organization_id, place.version, query.period, query.wanted)
    page = calls_page(
        reader.postings,
        question,
        limit=query.limit,
        after=place.calls,
        deadline=target.deadline,
    )
    records = _records(reader, target, [usage.call_id for usage in page.usages])
    last_entry = entry_id(place.entries)
    return ListedCallsDocument(
        as_of=target.as_of(place.version),
        calls=[
            _call(target, usage, records[usage.call_id], last_entry=last_entry)
            for usage in page.usages
        ],
        next=page.next and write_cursor(asked, place._replace(calls=page.next)),
    )


def _records(
    reader: ReportReader, target: ReportTarget, call_ids: Sequence[str]
) -> Mapping[str, Usage]:
    # Lists contain neither meetings, nor numbers, nor what corrected a call.
    return reader.retry.call(
        lambda: reader.calls.usages_by_id(target.organization_id, call_ids),
        target.organization_id,
        target.deadline,
    )


def _call(
    target: ReportTarget, usage: ListedUsage, record: Usage, *, last_entry: str
) -> ListedCallDocument:
    number = record.call.rated_number
    # The record may have been corrected since the version that is listed.
    entries = [moved.entry_id for moved in record.movements if moved.entry_id <= last_entry]
    return ListedCallDocument(
        call_id=usage.call_id,
        answered_at=format_instant(usage.answered_at),
        ended_at=format_instant(usage.ended_at),
        meeting_id=record.call.meeting_id,
        organizer_id=usage.organizer_id,
        leg_type=usage.leg_type,
        number=number if target.shows_numbers else masked(number),
        country=usage.country,
        prefix=usage.prefix,
        connected_seconds=usage.connected_seconds,
        billed_seconds=usage.billed_seconds,
        pool_minutes=usage.pool_minutes,
        rate_per_minute=money_text(usage.rate_micros_per_minute),
        connection_fee=money_text(usage.connection_fee_micros),
        outcome=usage.outcome,
        reason=usage.reason,
        retail_cost=money_text(usage.retail_micros),
        charge=format_micros(usage.charge_micros),
        currency=usage.currency,
        flags=list(usage.flags),
        entries=entries,
        revision=sum(corrected.entry_id in entries for corrected in record.adjustments),
    )
