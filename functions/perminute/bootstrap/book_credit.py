"""Build the use case that books billing events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.application.book_credit import BookCredit
from perminute.application.retry import RetryPolicy
from perminute.reports import report_ties

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def book_credit(aws: AwsResources) -> BookCredit:
    """Return the use case over one connection to AWS."""
    return BookCredit(aws.credit, RetryPolicy(), report_ties)
