"""How a report is registered, found and asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from perminute.api.http import Endpoint
from perminute.api.reports.documents import AsOf, CsvDocument, LinkDocument, ReportDocument
from perminute.domain.values.times import format_instant
from perminute.fields import Message

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=ReportDocument)

if TYPE_CHECKING:
    Answer = Callable[[ReportReader, "ReportTarget", Q], A | CsvDocument | LinkDocument]

REPORTS = (
    "overview",
    "usage",
    "calls",
    "explanation",
    "ledger",
    "statement",
    "forecast",
    "license-advice",
    "what-if",
    "pstn-usage",
)
"""The names of all reports; that of its module has `_` for `-`."""

PATH = "/reports/organizations/{organizationId}/{report}"
"""One route for all. Not below `/organizations/`: policies of bridges allow what is there."""

_ENDPOINTS: dict[str, Endpoint[ReportDocument]] = {}


class ReportTarget(NamedTuple):
    """Whom a report is about, when it was asked for, and until when it must be answered."""

    organization_id: str
    at: datetime
    deadline: Deadline
    shows_numbers: bool  # else phone numbers are masked

    def as_of(self, version: int) -> AsOf:
        """Say that a report is true as of a version of the account."""
        return AsOf(at=format_instant(self.at), version=version)


def report(name: str, reads: type[Q], answers: type[A]) -> Callable[[Answer[Q, A]], Answer[Q, A]]:
    """Register the function that makes a report; its docstring is the summary."""

    def register(answer: Answer[Q, A]) -> Answer[Q, A]:
        summary = (answer.__doc__ or "").partition("\n")[0].removesuffix(".")
        _ENDPOINTS[name] = Endpoint(name, "GET", PATH, reads, answers, answer, summary)
        return answer

    return register


def endpoint_of(name: str) -> Endpoint[ReportDocument] | None:
    """Return what makes a report; None if there is none of this name.

    Its module is imported when it is first asked for: each start would pay for all reports.
    """
    if name not in REPORTS:
        return None
    if name not in _ENDPOINTS:
        import_module(f"perminute.api.reports.{name.replace('-', '_')}")
    return _ENDPOINTS[name]
