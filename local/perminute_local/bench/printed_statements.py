"""What it takes to print a statement as PDF: drawn, typeset and tagged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from perminute.api.reports.statement_files import statement_files
from perminute.domain.reporting.statement import Basis, state_month
from perminute_local.bench.report import Row, print_result
from perminute_local.bench.statements import NOVEMBER, account_after, lists_of

if TYPE_CHECKING:
    from perminute.domain.credit.accounts import Account
    from perminute.domain.reporting.statement import Statement

CALLS, CALLS_PER_ENTRY = 2_000, (1, 2)
BASELINE = "the same once more, in a process that has done it before"


def main() -> None:
    """Measure a month of 2,000 calls, with as many entries and with half of them."""
    rows = [_printed(calls_per_entry) for calls_per_entry in CALLS_PER_ENTRY]
    print_result("printed statements", "2 s for 2,000 calls", rows, baseline=BASELINE)


def _printed(calls_per_entry: int) -> Row:
    lists = list(lists_of(CALLS, calls_per_entry))
    account = account_after(lists[-1])
    statement = state_month(
        NOVEMBER,
        Basis.NOW,
        account,
        revisions=(),
        entries=(),
        lists=lists,
        later_lists=(),
        with_details=True,
    )
    first, again = (_cpu_seconds(account, statement) for _ in range(2))
    name = f"s of CPU to print {CALLS:,} calls in {len(lists):,} entries as PDF"
    return Row(name, first, again, "2")


def _cpu_seconds(account: Account, statement: Statement) -> float:
    began = time.process_time()
    statement_files(account, statement, NOVEMBER.end, ("pdf",))
    return round(time.process_time() - began, 2)


if __name__ == "__main__":
    main()
