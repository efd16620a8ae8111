"""Run every benchmark, one after the other."""

from perminute_local.bench import authorization, handler, imports, rating, replays, writes

for benchmark in (rating, handler, authorization, writes, replays, imports):
    benchmark.main()
