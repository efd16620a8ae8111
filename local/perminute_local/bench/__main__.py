"""Run every benchmark, one after the other."""

from perminute_local.bench import authorization, handler, imports, lots, rating, replays, writes

for benchmark in (rating, handler, lots, authorization, writes, replays, imports):
    benchmark.main()
