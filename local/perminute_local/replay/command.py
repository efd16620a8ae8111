"""`perminute replay`: a progress bar while it runs, then the results as tables or as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from perminute_local.commands import WrongCall
from perminute_local.embedded_aws import EmbeddedAwsError
from perminute_local.replay.in_process import InProcess
from perminute_local.replay.report import report
from perminute_local.replay.run import System, embedded_stack, read_plan
from perminute_local.stack import StackError

if TYPE_CHECKING:
    from pathlib import Path

    from perminute_local.replay.deliveries import Disturbance


def run_replay(
    folder: Path, *, batch_size: int | None, disturbance: Disturbance, as_json: bool
) -> int:
    """Replay a folder and show what came of it."""
    plan = read_plan(folder, batch_size=batch_size, disturbance=disturbance)
    screen = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=screen,
        transient=as_json,
        disable=not screen.is_terminal,
    )
    try:
        with bar:
            task = bar.add_task("setting up", total=len(plan.deliveries))
            with embedded_stack() as stack:
                system = System(InProcess(stack), plan.rate_card)
                bar.update(task, description="events")
                results = system.replay(plan, advance=lambda count: bar.advance(task, count))
    except (EmbeddedAwsError, StackError) as error:
        raise WrongCall(str(error)) from error
    if as_json:
        json.dump(results.document(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        Console().print(*report(results), sep="\n")
    return 0
