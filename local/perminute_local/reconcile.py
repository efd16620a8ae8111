"""`perminute reconcile`: the nightly check of a deployed stack, whenever somebody wants it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.application.reconcile_books import BooksReport, ReconcileBooks
from perminute.application.retry import RetryPolicy
from perminute.settings import read_timeout_seconds
from perminute_local.aws_errors import calling_aws
from perminute_local.deployment import deployed_tables
from perminute_local.replay.results import difference_document
from perminute_local.terminal import remark, write_json, write_lines
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.settings import TableNames


def run_reconcile(stack_name: str, organizations: Sequence[str], *, as_json: bool) -> int:
    """Reconcile a stack's organizations, all or these; exit code 1 if anything differs."""
    with calling_aws(f"the books of {stack_name} cannot be read"):
        reconciled = list(reconcile(deployed_tables(stack_name), organizations))
    _check_known(reconciled, organizations)
    differences = [one for books in reconciled for one in books.differences]
    if as_json:
        document = {
            "organizations": len(reconciled),
            "entries": sum(books.entries for books in reconciled),
            "unread": [books.organization_id for books in reconciled if books.unavailable],
            "differences": [difference_document(one) for one in differences],
        }
        write_json(document)
    else:
        write_lines(line for books in reconciled for line in _lines(books))
    unread = [books for books in reconciled if books.unavailable]
    for books in unread:
        remark(f"{books.organization_id}: could not be read: {books.unavailable}")
    return 1 if differences or unread else 0


def reconcile(tables: TableNames, organizations: Sequence[str] = ()) -> Iterator[BooksReport]:
    """Reconcile the books in these tables."""
    connection = connect(read_timeout_seconds=read_timeout_seconds(os.environ))
    store = DynamoDBCreditStore(Tables.bind(connection, tables))
    return ReconcileBooks(store, RetryPolicy(attempts=3, base_seconds=0.5))(organizations or None)


def _check_known(reconciled: Sequence[BooksReport], named: Sequence[str]) -> None:
    """A name that no account has is most likely misspelt, and not an account in order."""
    for books in reconciled:
        if books.organization_id in named and books.version == 0 and not books.unavailable:
            msg = f"{books.organization_id} has no account"
            raise WrongCall(msg)


def _lines(books: BooksReport) -> Iterator[str]:
    counted = f"{books.organization_id}: {books.entries} ledger entries"
    if not (books.differences or books.unavailable):
        yield f"{counted}, no difference"
    for one in books.differences:
        entries = f" (entries {', '.join(one.entry_ids)})" if one.entry_ids else ""
        yield f"{counted}: {one.message}{entries}"
