"""Nights with 30,000 organizations, and with a million entries, beside the way before.

Requests are answered by a store that makes up what it returns, and take as long as they would on a
clock that is turned on by them: DynamoDB's part is not measured here. CPU time and memory are real,
each way in a process of its own.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from perminute.adapters.memory import InMemoryBookChecks, SentWork
from perminute.application.check_books import BooksReport, CheckBooks, ReconcileBooks
from perminute.application.daily_runs import DailyRun, ListOrganizations
from perminute.application.retry import Deadline, RetryPolicy
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.lots import Lot, LotShare, twelve_months_after
from perminute.domain.errors import Unavailable
from perminute.domain.reconciliation.book_checks import BooksCursor, CallCost
from perminute.domain.reconciliation.reconciliation import AccountTotals, Statement
from perminute.ports.stores import ListedOrganizations
from perminute_local.bench.report import Row, measured_apart, peak_kib, print_result
from perminute_local.stack import load_template, resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.pools.pools import Month
    from perminute.domain.reconciliation.book_checks import PoolUse
    from perminute.ports.messaging import RunOrganization, RunPage

MANY, FEW_ENTRIES = 30_000, 10
ONE, MANY_ENTRIES = 1, 1_000_000
NIGHT = datetime(2026, 11, 3, 1, 35, tzinfo=UTC)
REQUEST_SECONDS = 0.005
"""What a small request to DynamoDB or SQS takes."""
PAGE_SECONDS, ITEMS_ON_A_PAGE = 0.05, 5_000
"""What a page of one megabyte takes, and how many entries, or parts of calls, it has."""
LONGEST_SECONDS = 900
"""What an invocation could take in the way before, and can at most."""
ATTEMPTS = 3
NAIVE = "all organizations in one invocation, all entries of one in memory; three attempts"
WAYS = ("ours", "naive")


@dataclass
class WorkClock:
    """A clock that advances while this process works, and with each request."""

    waited: float = 0.0
    requests: int = 0

    def __call__(self) -> float:
        """Return seconds."""
        return time.process_time() + self.waited

    def request(self, seconds: float = REQUEST_SECONDS) -> None:
        self.requests += 1
        self.waited += seconds


@dataclass
class GeneratedBooks:
    """`Books`, and of `CreditStore` what checks need: organizations that are all alike."""

    clock: WorkClock
    organizations_number: int
    entries_number: int

    def account(self, organization_id: str) -> Account:
        # All that was bought but what calls cost.
        self.clock.request()
        left = 2 * self.entries_number - (self.entries_number - 1)
        lot = Lot(
            lot_id=entry_id(1),
            purchase_id="po",
            purchased_at=NIGHT,
            expires_at=twelve_months_after(NIGHT),
            remaining_micros=left,
        )
        number = self.entries_number
        return Account(
            organization_id=organization_id, entries=number, balance_micros=left, lots=(lot,)
        )

    def account_totals(self, organization_id: str) -> tuple[AccountTotals, bool]:
        account = self.account(organization_id)
        self.clock.request()
        return AccountTotals.of(account, ()), True

    def pools(self, _: str) -> Mapping[Month, PoolUse]:
        self.clock.request()
        return {}

    def entries(self, organization_id: str) -> Iterator[LedgerEntry]:
        balance_micros = 0
        for number in range(1, self.entries_number + 1):
            bought = number == 1
            amount_micros = 2 * self.entries_number if bought else -1
            balance_micros += amount_micros
            yield LedgerEntry(
                organization_id=organization_id,
                entry_id=entry_id(number),
                type=EntryType.PURCHASE if bought else EntryType.CHARGE,
                amount_micros=amount_micros,
                balance_after_micros=balance_micros,
                at=NIGHT,
                lots=(LotShare(entry_id(1), "po", amount_micros),),
            )

    def costs(self) -> Iterator[CallCost]:
        for number in range(2, self.entries_number + 1):
            yield CallCost(f"call-{number:08}", ((entry_id(number), 1),))

    def parts(
        self, organization_id: str, *, after: BooksCursor | None = None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry | CallCost]]:
        # Two queries of the ledger, one of the usages: each is one request at least.
        self.clock.request()
        skipped = int(after.key) if after is not None else 0
        both: Iterator[LedgerEntry | CallCost] = _chained(
            self.entries(organization_id), self.costs(), self.clock
        )
        for number, part in enumerate(islice(both, skipped, None), skipped + 1):
            if number % ITEMS_ON_A_PAGE == 0:
                self.clock.request(PAGE_SECONDS)
            yield BooksCursor("parts", f"{number}"), part

    def other_entries(self, _: str, *, after: int) -> Iterator[LedgerEntry]:
        # Nobody has bought anything today.
        self.clock.request()
        del after
        return iter(())

    def latest_calls(self, _: str) -> Iterator[tuple[Sequence[LedgerEntry], Sequence[CallCost]]]:
        # Nobody has called today.
        self.clock.request()
        return iter(())

    def organizations(self, **_: object) -> Iterator[str]:
        return (f"org-{number:06}" for number in range(self.organizations_number))

    def listed_organizations(
        self, *, limit: int, due_by: datetime | None = None, after: str | None = None
    ) -> ListedOrganizations:
        del due_by
        self.clock.request()
        first = int(after or 0)
        last = min(first + limit, self.organizations_number)
        names = [f"org-{number:06}" for number in range(first, last)]
        return ListedOrganizations(names, f"{last}" if last < self.organizations_number else None)

    def statement(self, organization_id: str) -> Statement:
        # Seven requests, and all in memory.
        account = self.account(organization_id)
        for _ in range(6):
            self.clock.request()
        pages = 2 * self.entries_number // ITEMS_ON_A_PAGE
        self.clock.request(pages * PAGE_SECONDS)
        charges: dict[str | None, int] = {}
        for cost in self.costs():
            for name, micros in cost.movements:
                charges[name] = charges.get(name, 0) + micros
        return Statement(
            account=account, entries=tuple(self.entries(organization_id)), charges_micros=charges
        )


def _chained(
    entries: Iterator[LedgerEntry], costs: Iterator[CallCost], clock: WorkClock
) -> Iterator[LedgerEntry | CallCost]:
    clock.request()
    yield from entries
    clock.request()
    yield from costs


@dataclass
class Counted(InMemoryBookChecks):
    """What is known of books: each reading and writing of it is a request."""

    clock: WorkClock = field(default_factory=WorkClock)

    def check(self, organization_id: str) -> Any:  # noqa: ANN401 - what the twin returns
        self.clock.request()
        return super().check(organization_id)

    def store(self, check: Any) -> bool:  # noqa: ANN401 - what the twin takes
        self.clock.request()
        return super().store(check)


@dataclass
class Queued(SentWork):
    """The queue: ten messages are a request."""

    clock: WorkClock = field(default_factory=WorkClock)

    def send(self, work: Sequence[RunPage | RunOrganization]) -> None:
        for _ in range(-(-len(work) // 10)):
            self.clock.request()
        super().send(work)


def main() -> None:
    """Measure both ways, with many organizations and with a long ledger."""
    figures = {
        name: {way: measured_apart("perminute_local.bench.nights", way, *size) for way in WAYS}
        for name, size in {
            "manyOrganizations": (MANY, FEW_ENTRIES),
            "manyEntries": (ONE, MANY_ENTRIES),
        }.items()
    }
    print_result(
        "nights",
        "any number of organizations, and a million entries in 256 MB; nothing is read twice",
        [
            Row(f"night of {size}, MB", *(figures[name][way]["peakMegabytes"] for way in WAYS))
            for name, size in (
                ("manyOrganizations", f"{MANY:,} organizations"),
                ("manyEntries", f"{MANY_ENTRIES:,} entries"),
            )
        ],
        naive=NAIVE,
        **figures,
    )


def measure(way: str, organizations: int, entries: int) -> dict[str, Any]:
    """Measure one way in this process."""
    started, clock = time.process_time(), WorkClock()
    books = GeneratedBooks(clock, organizations, entries)
    figures = _ours(books, clock) if way == "ours" else _naive(books, clock)
    megabytes = peak_kib() // 1_024
    return {
        "organizations": organizations,
        "entriesOfEach": entries,
        **figures,
        "cpuSeconds": round(time.process_time() - started, 1),
        "peakMegabytes": megabytes,
        "fitsIntoTheFunction": megabytes < load_template()["Globals"]["Function"]["MemorySize"],
    }


def _ours(books: GeneratedBooks, clock: WorkClock) -> dict[str, Any]:
    checks, queue = Counted(clock=clock), Queued(clock=clock)
    retry = RetryPolicy(sleep=lambda _: None)
    check = CheckBooks(books, checks, ReconcileBooks(books, retry), retry)  # type: ignore[arg-type] # all that is used of it
    run = DailyRun(ListOrganizations(books, queue), check)  # type: ignore[arg-type] # the same
    nights = [_night(run, queue, clock, NIGHT + timedelta(days=days)) for days in range(2)]
    return {"firstNight": nights[0], "secondNight": nights[1]}


def _night(
    run: DailyRun[BooksReport], queue: Queued, clock: WorkClock, at: datetime
) -> dict[str, Any]:
    template = load_template()
    function = dict(resources(template, "AWS::Serverless::Function"))["ReconcileBooksFunction"]
    limit = int(function["Properties"]["Timeout"])
    batch = int(function["Properties"]["Events"]["Work"]["Properties"]["BatchSize"])
    run.organizations.begin(at)
    checked, taken, requests = 0, list[float](), clock.requests
    while queue.sent:
        work, queue.sent = queue.sent[:batch], queue.sent[batch:]
        began = clock()
        worked = run(work, Deadline.in_milliseconds(1_000 * limit, clock))
        taken.append(clock() - began)
        checked += sum(not report.goes_on and not report.differences for report in worked.reports)
    at_once = 5
    return {
        "organizationsChecked": checked,
        "invocations": len(taken),
        "longestInvocationSeconds": round(max(taken), 1),
        "secondsWithFiveAtOnce": round(max(*taken, sum(taken) / at_once), 1),
        "requests": clock.requests - requests,
    }


def _naive(books: GeneratedBooks, clock: WorkClock) -> dict[str, Any]:
    reconcile = ReconcileBooks(books, RetryPolicy(sleep=lambda _: None))  # type: ignore[arg-type] # the same
    began = clock()
    checked, ends = 0, "done"
    try:
        deadline = Deadline.in_milliseconds(1_000 * LONGEST_SECONDS, clock)
        for one in reconcile():
            deadline.check()
            checked += not one.differences
    except Unavailable:
        ends = f"out of time; so are its {ATTEMPTS - 1} other attempts, over the same organizations"
    return {
        "organizationsChecked": checked,
        "ends": ends,
        "invocationSeconds": round(clock() - began, 1),
        "requests": clock.requests,
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        json.dump(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])), sys.stdout)
    else:
        main()
