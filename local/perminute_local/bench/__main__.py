"""Run every benchmark, one after the other, and print a table of all figures at the end."""

from perminute_local.bench import (
    advice,
    authorization,
    call_records,
    charging,
    dollars,
    forecasts,
    handler,
    hot,
    imports,
    late,
    lists,
    lots,
    nights,
    organizations,
    page,
    printed_statements,
    rate_cards,
    rating,
    replays,
    reports,
    statements,
    writes,
)
from perminute_local.bench.report import print_table

for benchmark in (
    # First: how much memory it takes is measured, and what others have taken is not given back.
    replays,
    rating,
    charging,
    rate_cards,
    handler,
    organizations,
    hot,
    lots,
    late,
    nights,
    authorization,
    writes,
    lists,
    reports,
    page,
    statements,
    advice,
    printed_statements,
    call_records,
    dollars,
    forecasts,
    imports,
):
    benchmark.main()
print_table()
