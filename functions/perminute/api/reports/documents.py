"""What all answers of reports have in common."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from perminute.api.values import Instant, Money
from perminute.fields import Message, about


class AsOf(Message, frozen=True, kw_only=True):
    """As of when a report is true."""

    at: Annotated[Instant, about("When the request came.")]
    version: Annotated[
        int, Meta(ge=0, description="The version of the account: what it counts is in the report.")
    ]


class ReportDocument(Message, frozen=True, kw_only=True):
    """A report; `as_of` is its first field (see `responses`)."""

    as_of: AsOf


class CsvDocument(ReportDocument, frozen=True, kw_only=True):
    """A report as CSV: over HTTP the body itself, in an invocation within the answer."""

    csv: str


class ShareDocument(Message, frozen=True, kw_only=True):
    """What a movement put into the credit of one purchase; negative: what it took out of it."""

    purchase_id: str
    amount: Money
