"""The report `pstn-usage`: calls as the 20 columns of Microsoft's export, in CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from perminute.api.http import NotServed
from perminute.api.reports.documents import CsvDocument
from perminute.api.reports.endpoint import report
from perminute.api.reports.parameters import MonthOrPeriodQuery
from perminute.application.reporting.pstn_usage import (
    MAX_CALLS,
    ExportQuestion,
    TooManyCalls,
    read_export,
)
from perminute.fields import about
from perminute.formats.csv_output import csv_text
from perminute.formats.pstn_usage import COLUMNS, pstn_usage_row

if TYPE_CHECKING:
    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.reader import ReportReader


MAX_VERSION = 2**53 - 1
"""The largest integer that all readers of JSON read exactly (RFC 8259, section 6)."""


class PstnUsageQuery(MonthOrPeriodQuery, frozen=True, kw_only=True):
    """A month, or a part of one: whoever has more calls than one answer asks for days."""

    version: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_VERSION)] | None,
        about("As of this version of the account, which another part was of: so all are of one."),
    ] = None


@report("pstn-usage", PstnUsageQuery, CsvDocument)
def answer(reader: ReportReader, target: ReportTarget, query: PstnUsageQuery) -> CsvDocument:
    """Return calls as the 20 columns of Microsoft's export of PSTN usage, in CSV."""
    question = ExportQuestion(
        organization_id=target.organization_id,
        period=query.period(target.at),
        shows_numbers=target.shows_numbers,
        version=query.version,
    )
    try:
        version, calls = read_export(reader, question, target.deadline)
    except TooManyCalls:
        raise NotServed("tooLarge", _TOO_MANY) from None
    rows = (pstn_usage_row(target.organization_id, call) for call in calls)
    return CsvDocument(as_of=target.as_of(version), csv=csv_text(COLUMNS, rows))


_TOO_MANY = (
    f"there are more than {MAX_CALLS} calls, which is all that one answer contains: ask for parts "
    "by from and to, or use perminute pstn-usage, which does"
)
