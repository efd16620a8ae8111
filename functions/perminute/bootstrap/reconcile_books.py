"""Build the nightly check of all books."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.books import DynamoDBBookChecks, DynamoDBBooks
from perminute.application.check_books import BooksReport, CheckBooks, ReconcileBooks
from perminute.application.daily_runs import DailyRun, ListOrganizations
from perminute.application.retry import RetryPolicy
from perminute.bootstrap.queues import work

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def reconciliation(aws: AwsResources) -> DailyRun[BooksReport]:
    """Return the run over one connection to AWS."""
    # What is just being booked has a moment to settle.
    retry = RetryPolicy(attempts=3, base_seconds=0.5)
    check_books = CheckBooks(
        books=DynamoDBBooks(aws.tables),
        checks=DynamoDBBookChecks(aws.connection, aws.setting("BOOK_CHECKS_TABLE")),
        reconcile=ReconcileBooks(aws.credit, retry),
        retry=retry,
        whole_within_days=int(aws.setting("BOOKS_READ_WHOLE_WITHIN_DAYS")),
    )
    return DailyRun(ListOrganizations(aws.credit, work(aws)), check_books)
