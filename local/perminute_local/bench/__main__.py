"""Run every benchmark, one after the other."""

from perminute_local.bench import handler, imports, rating, replays, writes

for benchmark in (rating, handler, writes, replays, imports):
    benchmark.main()
