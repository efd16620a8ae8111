"""A batch of many organizations: wall time, CPU and memory, side by side and in order."""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.application.side_by_side import WORKERS, InThreads, in_order
from perminute.bootstrap.charge_calls import charge_calls
from perminute.bootstrap.queues import redeliveries, rejections
from perminute.events.telephony import parse_ended_call
from perminute.reports import report_charged
from perminute.sqs import sqs_handler
from perminute_local.bench.builders import CONTEXT, RATE_CARD, batch
from perminute_local.bench.report import Row, print_result
from perminute_local.bench.transport import DistantAws, loaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.application.side_by_side import RunAll
    from perminute.aws import AwsResources

CALLS = 100
SECONDS_PER_REQUEST = 0.01
CONCURRENCY = 10
"""Invocations at once: the default of `ChargeCallsConcurrency` (template.yaml)."""
ROUNDS = 5


class Measured(NamedTuple):
    """What one way costs, at best."""

    seconds: float
    cpu_microseconds: float


def main() -> None:
    """Measure both over an AWS that answers each request after 10 ms."""
    aws = DistantAws(RATE_CARD.read_bytes(), SECONDS_PER_REQUEST)
    event = batch(CALLS, [f"organization-{number}" for number in range(CALLS)])
    with loaded("charge_calls") as module:
        aws.answer_for(module.aws.connection)
        one_by_one = _handler(module.aws, run_all=in_order)
        _charge(one_by_one, event)
        requests, resident = aws.requests, _resident_mib()
        _charge(one_by_one, event)
        requests = aws.requests - requests
        _charge(module.handler, event)
        grown = _resident_mib() - resident
        ours, naive = [], []
        for _ in range(ROUNDS):
            ours.append(_charge(module.handler, event))
            naive.append(_charge(one_by_one, event))
        # The licenses of all organizations are read as well.
        first = min(
            _charge(_handler(module.aws, run_all=InThreads()), event).seconds for _ in range(ROUNDS)
        )
    best, best_naive = _best(ours), _best(naive)
    print_result(
        "100 messages of 100 organizations, 10 ms a request",
        "at most 0.4 s, so 2,500 calls per second with ten such batches at once",
        [Row("100 calls of 100 organizations, s", best.seconds, best_naive.seconds, "≤ 0.4")],
        seconds=best.seconds,
        callsPerSecond=round(CONCURRENCY * CALLS / best.seconds),
        secondsIfLicensesAreRead=round(first, 3),
        cpuMicrosecondsPerCall=best.cpu_microseconds,
        workers=WORKERS,
        memoryGrownMiB=round(grown, 1),
        requestsPerCall=requests / CALLS,
        naive="one organization after the other",
        naiveSeconds=best_naive.seconds,
        naiveCallsPerSecond=round(CONCURRENCY * CALLS / best_naive.seconds),
        naiveCpuMicrosecondsPerCall=best_naive.cpu_microseconds,
    )


def _handler(aws: AwsResources, run_all: RunAll) -> Callable[..., Any]:
    return sqs_handler(
        parse=parse_ended_call,
        use_case=replace(charge_calls(aws), run_all=run_all),
        rejections=rejections(aws),
        redeliveries=redeliveries(aws),
        report=report_charged,
    )


def _charge(handler: Callable[..., Any], event: dict[str, Any]) -> Measured:
    started, cpu_started = time.perf_counter(), time.process_time()
    answer = handler(event, CONTEXT)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    if answer["batchItemFailures"]:
        msg = f"the benchmark's calls were not charged: {answer}"
        raise RuntimeError(msg)
    return Measured(seconds, cpu_seconds / CALLS * 1e6)


def _best(rounds: list[Measured]) -> Measured:
    return Measured(
        round(min(one.seconds for one in rounds), 3),
        round(min(one.cpu_microseconds for one in rounds), 1),
    )


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
