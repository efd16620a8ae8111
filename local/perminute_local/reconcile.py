"""`perminute reconcile`: check a stack's books now, or show how far the nightly checks are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.dynamodb.books import DynamoDBBookChecks
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.application.check_books import BooksReport, ReconcileBooks
from perminute.application.retry import RetryPolicy
from perminute.domain.values.printable import counted
from perminute.domain.values.times import format_instant, instant_text
from perminute.settings import read_timeout_seconds
from perminute_local.deployment import calling_aws, deployed_tables, output
from perminute_local.replay.results import difference_document
from perminute_local.terminal import remark, write_json, write_lines
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.reconciliation.book_checks import BooksCheck
    from perminute.settings import TableNames


def run_reconcile(stack_name: str, organizations: Sequence[str], *, as_json: bool) -> int:
    """Reconcile a stack's organizations, all or these; exit code 1 if anything differs."""
    with calling_aws(f"the books of {stack_name} cannot be read"):
        reconciled = list(reconcile(deployed_tables(stack_name), organizations))
    _check_known(reconciled, organizations)
    differences = [difference for books in reconciled for difference in books.differences]
    if as_json:
        document = {
            "organizations": len(reconciled),
            "entries": sum(books.entries for books in reconciled),
            "unread": [books.organization_id for books in reconciled if books.unavailable],
            "differences": [difference_document(difference) for difference in differences],
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
    # A name without an account is most likely misspelt.
    for books in reconciled:
        if books.organization_id in named and books.version == 0 and not books.unavailable:
            msg = f"--organization: {books.organization_id} has no account; check its id"
            raise WrongCall(msg)


def _lines(books: BooksReport) -> Iterator[str]:
    entries = counted(books.entries, "ledger entry", "ledger entries")
    found = f"{books.organization_id}: {entries}"
    if not (books.differences or books.unavailable):
        yield f"{found}, no difference"
    for difference in books.differences:
        named = f" (entries {', '.join(difference.entry_ids)})" if difference.entry_ids else ""
        yield f"{found}: {difference.message}{named}"


MAX_NAMED = 20
"""Organizations that are named one by one: the first night has not checked any."""


class Status(NamedTuple):
    """What is known of the books of all organizations."""

    organizations: Collection[str]
    checks: Mapping[str, BooksCheck]

    @property
    def last_run(self) -> datetime | None:
        """The last run for which some books were checked, or are being read."""
        runs = [check.checked_at for check in self.checks.values()]
        runs += [check.reading.at for check in self.checks.values() if check.reading]
        return max(filter(None, runs), default=None)

    @property
    def unchecked(self) -> list[str]:
        """The organizations whose books were not checked for the last run."""
        last = self.last_run
        return sorted(
            name
            for name in self.organizations
            if last is None or name not in self.checks or self.checks[name].checked_at != last
        )

    @property
    def differing(self) -> list[BooksCheck]:
        """Books that differed when they were checked last."""
        return [one for _, one in sorted(self.checks.items()) if one.differences]

    @property
    def being_read(self) -> list[BooksCheck]:
        """Books that are being read whole."""
        return [one for _, one in sorted(self.checks.items()) if one.reading]

    @property
    def whole_since(self) -> datetime | None:
        """Since when all books have been read whole once; None, some never were."""
        known = [
            self.checks[organization].whole_at
            for organization in self.organizations
            if organization in self.checks
        ]
        whole = [check for check in known if check is not None]
        return min(whole, default=None) if len(whole) == len(self.organizations) else None


def run_status(stack_name: str, *, as_json: bool) -> int:
    """Show how far the checks have come; exit code 1 if books differ."""
    with calling_aws(f"what is known of the books of {stack_name} cannot be read"):
        status = _read_status(stack_name)
    if as_json:
        write_json(_status_document(status))
    else:
        write_lines(_status_lines(status))
    return 1 if status.differing else 0


def _read_status(stack_name: str) -> Status:
    schema = Tables.bind(connect(), deployed_tables(stack_name))
    checks = DynamoDBBookChecks(schema.connection, output(stack_name, "BookChecksTableName"))
    organizations = set(DynamoDBCreditStore(schema).organizations())
    return Status(organizations, {check.organization_id: check for check in checks.all()})


def _status_lines(status: Status) -> Iterator[str]:
    organizations = counted(len(status.organizations), "organization")
    if status.last_run is None:
        yield f"none of {organizations} has been checked yet"
        return
    checked = len(status.organizations) - len(status.unchecked)
    yield (
        f"run of {format_instant(status.last_run)}: {checked} of {organizations} checked, "
        f"{counted(len(status.differing), 'differs', 'differ')}, "
        f"{counted(len(status.being_read), 'is', 'are')} being read"
    )
    if status.whole_since is None:
        yield "some books have never been read whole"
    else:
        yield f"all books have been read whole since {format_instant(status.whole_since)}"
    for check in status.differing[:MAX_NAMED]:
        agreed = (
            f"agreed up to entry {check.checkpoint.entries}" if check.whole_at else "never agreed"
        )
        yield f"{check.organization_id}: {counted(check.differences, 'difference')}, {agreed}"
    for check in status.being_read[:MAX_NAMED]:
        if check.reading is not None:
            sums = check.reading.sums
            read = f"{sums.entries} of {sums.until} entries and {counted(sums.calls, 'call')}"
            yield f"{check.organization_id}: being read, {read} so far"
    for name in status.unchecked[:MAX_NAMED]:
        yield f"{name}: not checked"
    if len(status.unchecked) > MAX_NAMED:
        yield f"… and {len(status.unchecked) - MAX_NAMED} more"


def _status_document(status: Status) -> dict[str, Any]:
    return {
        "run": instant_text(status.last_run),
        "organizations": len(status.organizations),
        "checked": len(status.organizations) - len(status.unchecked),
        "wholeSince": instant_text(status.whole_since),
        "differing": [
            {
                "organizationId": check.organization_id,
                "differences": check.differences,
                "agreedUpTo": check.checkpoint.entries,
            }
            for check in status.differing
        ],
        "beingRead": [
            {
                "organizationId": check.organization_id,
                "since": instant_text(check.reading.at),
                "entries": check.reading.sums.entries,
                "ofEntries": check.reading.sums.until,
                "calls": check.reading.sums.calls,
            }
            for check in status.being_read
            if check.reading is not None
        ],
        "unchecked": status.unchecked,
    }
