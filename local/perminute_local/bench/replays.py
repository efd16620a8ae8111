"""Calls a second of a whole replay on the embedded AWS, and whether that stays as it grows.

A replay goes from the first event to the last line of the document. CPU time is that of both
processes: of a single organization they work in turns, so that a replay takes their sum; of several
ones, at the same time in part. The emulator's includes its start, and its memory all tables.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from perminute.domain.values.times import format_instant
from perminute_local.bench.builders import RATE_CARD
from perminute_local.bench.report import Row, forget_peak, peak_kib, print_result
from perminute_local.documents.example_day import DESTINATIONS, SETTING_UP, WORKING_DAY, Day, Event
from perminute_local.replay.links import InProcess
from perminute_local.replay.plan import Disturbance
from perminute_local.replay.run import System, embedded_stack, read_plan
from perminute_local.terminal import write_large_json

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = ((10_000, 1), (100_000, 1), (100_000, 10))
"""Calls, and the organizations that they are of."""
NAIVE_SIZE = 500
CALLS_A_SECOND = 200
ORGANIZERS = 20


def main() -> None:
    """Replay both sizes with the template's batches, and a part with a batch for each call."""
    figures = [_measure(calls, organizations, None) for calls, organizations in SIZES]
    naive = _measure(NAIVE_SIZE, 1, 1)
    print_result(
        "replay",
        "at least 2,000 calls a second end to end, and flat; set-up aside",
        [
            Row(
                f"replay of {figure['calls']:,} calls of {figure['organizations']}, calls/s",
                figure["callsPerSecond"],
                naive["callsPerSecond"],
                "≥ 2,000",
            )
            for figure in figures
        ],
        replays=figures,
        naive="one call a batch, hence one transaction a call",
        naiveReplay=naive,
    )


def _measure(calls: int, organizations: int, batch_size: int | None) -> dict[str, float]:
    before = _emulators_seconds()
    with tempfile.TemporaryDirectory() as name, embedded_stack() as stack:
        folder = Path(name)
        (folder / "rates.csv").write_bytes(RATE_CARD.read_bytes())
        with (folder / "events.jsonl").open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(event) + "\n" for event in _events(calls, organizations))
        plan = read_plan(folder, batch_size=batch_size, disturbance=Disturbance())
        system = System(InProcess(stack), plan.rate_card)
        forget_peak()
        started, began = time.perf_counter(), time.process_time()
        results = system.replay(plan, advance=lambda _: None)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            write_large_json(results.parts())
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - began
    charged = sum(1 for usage in results.usages if usage.charge_micros)
    if charged != calls:
        msg = f"{charged} of {calls} calls were charged"
        raise RuntimeError(msg)
    return {
        "calls": calls,
        "organizations": organizations,
        "seconds": round(seconds, 2),
        "callsPerSecond": round(calls / seconds),
        "cpuSeconds": round(cpu_seconds, 2),
        "emulatorsCpuSeconds": round(_emulators_seconds() - before, 2),
        "peakMegabytes": peak_kib() // 1_024,
    }


def _emulators_seconds() -> float:
    """Return the CPU time of all emulators that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _events(calls: int, organizations: int) -> Iterator[Event]:
    day = Day(seed=0)
    names = [f"organization-{number}" for number in range(organizations)]
    for name in names:
        day.organization(name, SETTING_UP, licensingProgram="volume")
        for user in range(ORGANIZERS):
            licenses = "payPerMinute", "communicationsCredits"
            day.user(name, f"organizer-{user}", "DE", SETTING_UP, *licenses)
        day.purchase(name, f"po-{name}", "1000000", SETTING_UP)
    yield from day.events
    for call in range(calls):
        # Not all at once: this would take more memory than the replay.
        day.events.clear()
        ended = WORKING_DAY + timedelta(seconds=2 * (call // CALLS_A_SECOND))
        day.call(
            f"call-{call}",
            names[call % organizations],
            f"organizer-{call % ORGANIZERS}",
            meetingId=f"meeting-{call // 7}",
            legType="dialOut",
            remoteNumber=DESTINATIONS[call % len(DESTINATIONS)],
            answeredAt=format_instant(ended - timedelta(seconds=60 + call % 1_800)),
            endedAt=format_instant(ended),
        )
        # A day numbers its events by how many it has.
        yield from (event | {"id": f"event-{call}"} for event in day.events)


if __name__ == "__main__":
    main()
