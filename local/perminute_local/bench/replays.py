"""Calls a second of a whole replay on the embedded AWS, and whether that stays as it grows.

CPU time is that of both processes, one after the other for most of a replay: with two cores to
themselves they take little longer. The emulator's includes its start.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from perminute.domain.values.times import format_instant
from perminute_local.bench.builders import RATE_CARD
from perminute_local.bench.report import Row, print_result
from perminute_local.example_day import DESTINATIONS, SETTING_UP, WORKING_DAY, Day, Event
from perminute_local.replay.links import InProcess
from perminute_local.replay.plan import Disturbance
from perminute_local.replay.run import System, embedded_stack, read_plan

SIZES = (10_000, 100_000)
NAIVE_SIZE = 500
CALLS_A_SECOND = 200
ORGANIZERS = 20


def main() -> None:
    """Replay both sizes with the template's batches, and a part with a batch for each call."""
    figures = [_measure(size, None) for size in SIZES]
    naive = _measure(NAIVE_SIZE, 1)
    print_result(
        "replay",
        "at least 2,000 calls a second end to end, and flat; set-up aside",
        [
            Row(
                f"replay of {one['calls']:,} calls, calls/s",
                one["callsPerSecond"],
                naive["callsPerSecond"],
                "≥ 2,000",
            )
            for one in figures
        ],
        replays=figures,
        naive="one call a batch, hence one transaction a call",
        naiveReplay=naive,
    )


def _measure(calls: int, batch_size: int | None) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rates.csv").write_bytes(RATE_CARD.read_bytes())
        with (folder / "events.jsonl").open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(event) + "\n" for event in _events(calls))
        plan = read_plan(folder, batch_size=batch_size, disturbance=Disturbance())
    before = _emulators_seconds()
    with embedded_stack() as stack:
        system = System(InProcess(stack), plan.rate_card)
        started, began = time.perf_counter(), time.process_time()
        results = system.replay(plan, advance=lambda _: None)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - began
    charged = sum(1 for usage in results.usages if usage.charge_micros)
    if charged != calls:
        msg = f"{charged} of {calls} calls were charged"
        raise RuntimeError(msg)
    return {
        "calls": calls,
        "seconds": round(seconds, 2),
        "callsPerSecond": round(calls / seconds),
        "cpuSeconds": round(cpu_seconds, 2),
        "emulatorsCpuSeconds": round(_emulators_seconds() - before, 2),
        "peakMegabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
    }


def _emulators_seconds() -> float:
    """Return the CPU time of all emulators that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _events(calls: int) -> list[Event]:
    day = Day(seed=0)
    day.organization("contoso", SETTING_UP, licensingProgram="volume")
    for user in range(ORGANIZERS):
        licenses = "payPerMinute", "communicationsCredits"
        day.user("contoso", f"organizer-{user}", "DE", SETTING_UP, *licenses)
    day.purchase("contoso", "po-1", "1000000", SETTING_UP)
    for call in range(calls):
        ended = WORKING_DAY + timedelta(seconds=2 * (call // CALLS_A_SECOND))
        day.call(
            f"call-{call}",
            "contoso",
            f"organizer-{call % ORGANIZERS}",
            meetingId=f"meeting-{call // 7}",
            legType="dialOut",
            remoteNumber=DESTINATIONS[call % len(DESTINATIONS)],
            answeredAt=format_instant(ended - timedelta(seconds=60 + call % 1_800)),
            endedAt=format_instant(ended),
        )
    return day.events


if __name__ == "__main__":
    main()
