"""The report `statement`: what moved the credit in a month, and what its calls cost."""

from __future__ import annotations

from itertools import islice, starmap
from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, UnsetType

from perminute.api.reports.documents import AsOf, CsvDocument, LinkDocument, ReportDocument
from perminute.api.reports.endpoint import report
from perminute.api.reports.parameters import MonthQuery, one_of
from perminute.api.reports.usage import UsageRowDocument, usage_row
from perminute.api.values import Count, Instant, Money
from perminute.application.reporting.statement import StatementQuestion, read_statement
from perminute.domain.credit.ledger import EntryType
from perminute.domain.errors import Refused
from perminute.domain.reporting.statement import BROKEN_DOWN_BY, Basis, stated_at
from perminute.domain.reporting.usage_sums import GroupKey, UsageRow
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute.fields import Message, about
from perminute.formats.csv_output import csv_text
from perminute.formats.ledger_texts import describe
from perminute.formats.statement_csv import COLUMNS, statement_rows
from perminute.observability import count, logger
from perminute.parsing import text_type
from perminute.ports.statements import StatementKey

if TYPE_CHECKING:
    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.reader import ReportReader
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.reporting.month_ledger import LotSums
    from perminute.domain.reporting.postings import ListedUsage
    from perminute.domain.reporting.statement import Bridge, ChangedUsage, Statement

MAX_CHANGED_SHOWN = 200
"""Calls that changed since the month was stated, as far as an answer names them."""

_FORMATS = ("json", "csv", "pdf")


def _read_format(text: str) -> str:
    if text not in _FORMATS:
        msg = "must be json, csv or pdf; perminute statement --format html writes a page to print"
        raise ValueError(msg)
    return text


if TYPE_CHECKING:
    RequestedBasis = Basis
    Format = str
else:
    RequestedBasis = one_of(Basis, "basis")
    Format = text_type(_read_format, "format", enum=list(_FORMATS))


class StatementQuery(MonthQuery, frozen=True, kw_only=True):
    """A month, and how it is stated."""

    basis: Annotated[
        RequestedBasis,
        about(
            "`stated`: by what was received until three days after the month; it changes only "
            "until all of that is booked."
        ),
    ] = Basis.NOW
    format: Format = "json"
    details: Annotated[
        bool, about("Whether JSON also has the month's entries, and its usage by day.")
    ] = False


class SumsDocument(Message, frozen=True, kw_only=True):
    """What the entries of the month add up to, by their type; signed."""

    purchase: Money
    charge: Money
    expiry: Money
    adjustment: Money


class BridgeDocument(Message, frozen=True, kw_only=True):
    """How the entries of the month lead to what its calls cost."""

    charged: Annotated[Money, about("What the entries of the month charged for calls.")]
    for_other_months: Annotated[
        Money, about("The part of it for calls that ended in other months; to subtract.")
    ]
    booked_later: Annotated[
        Money, about("What entries of other months charged for calls of the month; to add.")
    ]
    usage: Annotated[Money, about("What the calls of the month cost by these lines.")]


class LotUseDocument(Message, frozen=True, kw_only=True):
    """What moved a lot in the month."""

    purchase_id: str
    bought: Annotated[Money, about("What was bought, less debt that the purchase paid.")]
    used: Annotated[Money, about("What calls used, less what was refunded.")]
    expired: Annotated[Money, about("What expired, less what was reversed for late calls.")]
    adjusted: Annotated[Money, about("The sum of adjustments, with its sign.")]


class CallStateDocument(Message, frozen=True, kw_only=True):
    """A call as a statement counts it."""

    ended_at: Instant
    outcome: str
    reason: str | None
    pool_minutes: Count
    charge: Money


class ChangedCallDocument(Message, frozen=True, kw_only=True):
    """A call that has changed since the month was stated; null if it is not a call of the month."""

    call_id: str
    stated: CallStateDocument | None
    now: CallStateDocument | None


class StatedEntryDocument(Message, frozen=True, kw_only=True):
    """An entry of the month, as a line of a statement."""

    entry_id: str
    at: Instant
    type: EntryType
    description: str
    calls: Annotated[Count, about("The number of calls that it charged or corrected.")]
    amount: Money
    balance: Money


class StatementDocument(ReportDocument, frozen=True, kw_only=True):
    """The statement of a month, in the currency of the credit."""

    month: str
    basis: Basis
    stated_at: Annotated[
        Instant, about("What is posted from then on changes the basis `now`, and never `stated`.")
    ]
    currency: str | None
    opening: Annotated[Money, about("The balance before the month.")]
    closing: Annotated[Money, about("The balance after the month.")]
    sums: SumsDocument
    usage: Annotated[UsageRowDocument, about("All calls that ended in the month.")]
    by_leg_type: list[UsageRowDocument]
    by_country: list[UsageRowDocument]
    by_organizer: list[UsageRowDocument]
    by_day: Annotated[
        list[UsageRowDocument] | UnsetType,
        about("Usage by day and type of call; only with `details`."),
    ] = UNSET
    entries: Annotated[
        list[StatedEntryDocument] | UnsetType,
        about("The entries of the month; only with `details`."),
    ] = UNSET
    bridge: BridgeDocument
    lots: Annotated[list[LotUseDocument], about("In the order in which they were opened.")]
    debt: Annotated[Money, about("By how much the debt grew; negative: purchases paid it.")]
    changed_calls: Annotated[Count, about("Calls that differ between the two bases.")]
    changed: Annotated[
        list[ChangedCallDocument], about(f"These calls, {MAX_CHANGED_SHOWN} at most.")
    ]
    agrees: Annotated[bool, about("Whether balances, entries and calls agree.")]
    differences: Annotated[list[str], about("What does not agree, in sentences.")]


@report("statement", StatementQuery, StatementDocument)
def answer(
    reader: ReportReader, target: ReportTarget, query: StatementQuery
) -> StatementDocument | CsvDocument | LinkDocument:
    """Return balances, entries and usage of a month, and how they lead to each other."""
    if query.format == "pdf":
        return _rendered(reader, target, query)
    question = StatementQuestion(
        organization_id=target.organization_id,
        month=query.begun_by(target.at),
        basis=query.basis,
        with_details=query.details or query.format == "csv",
    )
    account, statement = read_statement(reader.postings, question, target.deadline)
    report_differences(target.organization_id, statement)
    as_of, currency = target.as_of(account.version), account.currency
    if query.format == "csv":
        return CsvDocument(as_of=as_of, csv=csv_text(COLUMNS, statement_rows(statement, currency)))
    return statement_document(as_of, currency, statement, with_details=query.details)


def _rendered(reader: ReportReader, target: ReportTarget, query: StatementQuery) -> LinkDocument:
    if reader.renderer is None:
        raise Refused(
            "format",
            "pdf is not available here, since the parameter Statements is off; "
            "perminute statement --format pdf makes it on your machine",
        )
    month = query.begun_by(target.at)
    link = reader.renderer.render(StatementKey(target.organization_id, month, query.basis))
    return LinkDocument(
        as_of=AsOf(at=format_instant(target.at), version=link.version),
        location=link.location,
        expires_at=format_instant(link.expires_at),
    )


def statement_document(
    as_of: AsOf, currency: str | None, statement: Statement, *, with_details: bool
) -> StatementDocument:
    """Return a statement; with details, its entries and its usage by day, which it must have."""
    by_type = statement.sums.by_type
    by_leg_type, by_country, by_organizer = (
        [usage_row(row, (key,), currency) for row in statement.broken_down[key]]
        for key in BROKEN_DOWN_BY
    )
    return StatementDocument(
        as_of=as_of,
        month=str(statement.month),
        basis=statement.basis,
        stated_at=format_instant(stated_at(statement.month)),
        currency=currency,
        opening=format_micros(statement.opening_micros),
        closing=format_micros(statement.closing_micros),
        sums=SumsDocument(**{str(type_): format_micros(by_type[type_]) for type_ in EntryType}),
        usage=usage_row(UsageRow((), statement.usage), (), currency),
        by_leg_type=by_leg_type,
        by_country=by_country,
        by_organizer=by_organizer,
        by_day=_by_day(statement, currency) if with_details else UNSET,
        entries=list(starmap(_entry, statement.entries)) if with_details else UNSET,
        bridge=_bridge(statement.bridge),
        lots=[_lot(lot) for _, lot in sorted(statement.sums.lots.items())],
        debt=format_micros(statement.sums.debt_micros),
        changed_calls=len(statement.changed),
        changed=list(starmap(_changed, islice(statement.changed.items(), MAX_CHANGED_SHOWN))),
        agrees=not statement.differences,
        differences=list(statement.differences),
    )


def _by_day(statement: Statement, currency: str | None) -> list[UsageRowDocument]:
    keys = GroupKey.DAY, GroupKey.LEG_TYPE
    return [usage_row(row, keys, currency) for row in statement.by_day]


def _entry(entry: LedgerEntry, calls: int) -> StatedEntryDocument:
    return StatedEntryDocument(
        entry_id=entry.entry_id,
        at=format_instant(entry.at),
        type=entry.type,
        description=describe(entry),
        calls=calls,
        amount=format_micros(entry.amount_micros),
        balance=format_micros(entry.balance_after_micros),
    )


def _bridge(bridge: Bridge) -> BridgeDocument:
    return BridgeDocument(
        charged=format_micros(bridge.charged_micros),
        for_other_months=format_micros(bridge.other_months_micros),
        booked_later=format_micros(bridge.booked_later_micros),
        usage=format_micros(bridge.usage_micros),
    )


def _lot(lot: LotSums) -> LotUseDocument:
    return LotUseDocument(
        purchase_id=lot.purchase_id,
        bought=format_micros(lot.bought_micros),
        used=format_micros(lot.used_micros),
        expired=format_micros(lot.expired_micros),
        adjusted=format_micros(lot.adjusted_micros),
    )


def _changed(call_id: str, changed: ChangedUsage) -> ChangedCallDocument:
    stated, now = changed
    return ChangedCallDocument(
        call_id=call_id, stated=stated and _state(stated), now=now and _state(now)
    )


def _state(usage: ListedUsage) -> CallStateDocument:
    return CallStateDocument(
        ended_at=format_instant(usage.ended_at),
        outcome=usage.outcome,
        reason=usage.reason,
        pool_minutes=usage.pool_minutes,
        charge=format_micros(usage.charge_micros),
    )


def report_differences(organization_id: str, statement: Statement) -> None:
    """Log and count a statement that does not agree with what is recorded."""
    if statement.differences:
        count("StatementsDiffering", 1)
        said = {"organizationId": organization_id, "month": str(statement.month)}
        logger.error("statement differs", extra={**said, "differences": statement.differences})
