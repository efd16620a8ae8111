"""Run every benchmark, one after the other."""

from perminute_local.bench import (
    authorization,
    charging,
    dollars,
    handler,
    hot,
    imports,
    late,
    lots,
    nights,
    organizations,
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
    organizations,
    hot,
    lots,
    late,
    nights,
    authorization,
    writes,
    dollars,
    replays,
    imports,
):
    benchmark.main()
