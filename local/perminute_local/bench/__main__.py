"""Run every benchmark, one after the other, and print a table of all figures at the end.

Each has a process of its own: what others took of memory is not given back, and what they have
warmed up would be measured.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from perminute_local.bench.report import print_table, rows_of

BENCHMARKS = (
    "rating",
    "charging",
    "rate_cards",
    "handler",
    "organizations",
    "hot",
    "lots",
    "late",
    "nights",
    "authorization",
    "writes",
    "lists",
    "reports",
    "page",
    "statements",
    "advice",
    "printed_statements",
    "call_records",
    "dollars",
    "forecasts",
    "replays",
    "imports",
)


if __name__ == "__main__":
    with ProcessPoolExecutor(
        max_workers=1, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as one_by_one:
        print_table(row for rows in one_by_one.map(rows_of, BENCHMARKS) for row in rows)
