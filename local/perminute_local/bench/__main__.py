"""Run every benchmark, one after the other."""

from perminute_local.bench import (
    authorization,
    charging,
    handler,
    hot,
    imports,
    late,
    lots,
    nights,
    rate_cards,
    rating,
    replays,
    writes,
)

for benchmark in (
    rating,
    charging,
    rate_cards,
    handler,
    hot,
    lots,
    late,
    nights,
    authorization,
    writes,
    replays,
    imports,
):
    benchmark.main()
