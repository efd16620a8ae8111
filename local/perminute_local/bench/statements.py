"""What a statement of a busy month takes, list by list, beside all calls of the month at once."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.lots import LotShare
from perminute.domain.pools.pools import Month
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.exported_calls import ExportedCall
from perminute.domain.reporting.postings import ListedUsage, Posting, UsageList
from perminute.domain.reporting.statement import BROKEN_DOWN_BY, Basis, state_month
from perminute.domain.reporting.usage_sums import group_usage
from perminute.formats.csv_output import csv_text
from perminute.formats.pstn_usage import COLUMNS, pstn_usage_row
from perminute_local.bench.builders import ORGANIZATION
from perminute_local.bench.report import Row, best_cpu_seconds, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

CALLS = 100_000
CALLS_PER_LIST = (96, 8)
ORGANIZERS = 150
ROUNDS = 3
EXPORTED = 5_000
NOVEMBER = Month(2026, 11)
CHARGE_MICROS = 150_000
BASELINE = "all lists of the month in memory, and a pass over all calls for each break-down"


def main() -> None:
    """Measure a month whose calls were charged in large and in small transactions."""
    rows = [row for number in CALLS_PER_LIST for row in _statement_of(number)]
    print_result(
        "statements",
        "a second of CPU for 100,000 calls, whatever they are charged by",
        [*rows, _export()],
        baseline=BASELINE,
    )


def _statement_of(calls_per_list: int) -> Iterator[Row]:
    name = f"to state a month of {CALLS:,} calls, {calls_per_list} a transaction"
    last, ours, naive = _seconds(calls_per_list)
    yield Row(f"s of CPU {name}", ours, naive, "1")
    yield Row(
        f"MB of memory {name}",
        _peak_megabytes(lambda: _state(lists_of(CALLS, calls_per_list), last)),
        _peak_megabytes(lambda: _all_at_once(list(lists_of(CALLS, calls_per_list)))),
    )


def _seconds(calls_per_list: int) -> tuple[UsageList, float, float]:
    lists = list(lists_of(CALLS, calls_per_list))
    last = lists[-1]
    ours = best_cpu_seconds(lambda: _state(iter(lists), last), ROUNDS)
    naive = best_cpu_seconds(lambda: _all_at_once(lists), ROUNDS)
    return last, round(ours, 3), round(naive, 3)


def lists_of(calls: int, calls_per_list: int) -> Iterator[UsageList]:
    """Yield the lists of a month with this many calls, which are spread over it."""
    balance_micros = calls * CHARGE_MICROS
    apart = (NOVEMBER.end - NOVEMBER.start) / calls
    for number, first in enumerate(range(0, calls, calls_per_list), 1):
        at = NOVEMBER.start + apart * first
        usages = tuple(_usage(n, at) for n in range(first, min(calls, first + calls_per_list)))
        amount_micros = -CHARGE_MICROS * len(usages)
        balance_micros += amount_micros
        entry = LedgerEntry(
            organization_id=ORGANIZATION,
            entry_id=entry_id(number),
            type=EntryType.CHARGE,
            amount_micros=amount_micros,
            balance_after_micros=balance_micros,
            at=at,
            lots=(LotShare(entry_id(1), "po-1", amount_micros),),
        )
        yield UsageList(str(number), Posting(number, at, entry.entry_id, at), usages, entry)


def _usage(number: int, at: datetime) -> ListedUsage:
    return ListedUsage(
        call_id=f"call-{number}",
        organizer_id=f"user-{number % ORGANIZERS}@contoso.example",
        leg_type=LegType.DIAL_OUT,
        answered_at=at - timedelta(minutes=10),
        ended_at=at,
        connected_seconds=600,
        billed_seconds=600,
        prefix="49",
        country="DE",
        rate_micros_per_minute=15_000,
        connection_fee_micros=0,
        currency="USD",
        outcome=Outcome.CHARGED,
        reason=None,
        charge_micros=CHARGE_MICROS,
        retail_micros=CHARGE_MICROS,
        pool_minutes=0,
        flags=(),
    )


def account_after(last: UsageList) -> Account:
    """Return the account that has charged all lists up to this one."""
    return Account(
        ORGANIZATION,
        currency="USD",
        version=last.posting.version,
        entries=last.posting.version,
        as_of=last.posting.posted_at,
    )


def _state(lists: Iterator[UsageList], last: UsageList) -> None:
    statement = state_month(
        NOVEMBER,
        Basis.NOW,
        account_after(last),
        revisions=(),
        entries=(),
        lists=lists,
        later_lists=(),
    )
    if statement.differences or statement.usage.calls != CALLS:
        raise RuntimeError(*statement.differences)


def _all_at_once(lists: Sequence[UsageList]) -> None:
    usages = [usage for usage_list in lists for usage in usage_list.usages]
    for key in BROKEN_DOWN_BY:
        group_usage(usages, [key])
    by_entry = Counter[str | None]()
    for usage_list in lists:
        for usage in usage_list.usages:
            by_entry[usage_list.posting.entry_id] += usage.charge_micros


def _export() -> Row:
    calls = [
        ExportedCall(_usage(number, NOVEMBER.start), "meeting", "+493023125042", "DE", frozenset())
        for number in range(EXPORTED)
    ]
    rows = [pstn_usage_row(ORGANIZATION, call) for call in calls]

    def plain() -> None:
        csv.writer(io.StringIO()).writerows([COLUMNS, *rows])

    ours = best_cpu_seconds(lambda: csv_text(COLUMNS, rows), ROUNDS)
    return Row(
        f"ms of CPU to write {EXPORTED:,} exported calls as CSV, and without looking at cells",
        round(ours * 1_000, 1),
        round(best_cpu_seconds(plain, ROUNDS) * 1_000, 1),
    )


def _peak_megabytes(work: Callable[[], object]) -> float:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 1_000_000, 1)


if __name__ == "__main__":
    main()
