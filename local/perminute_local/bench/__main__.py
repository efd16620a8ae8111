"""Run every benchmark, one after the other."""

from perminute_local.bench import (
    authorization,
    handler,
    imports,
    late,
    lots,
    rating,
    replays,
    writes,
)

for benchmark in (rating, handler, lots, late, authorization, writes, replays, imports):
    benchmark.main()
