"""`perminute replay`: a folder of events on an embedded AWS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from perminute_local.cli.parameters import COUNT, FOLDER, Parsed, examples, json_option
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path


def _probability(text: str) -> float:
    if re.fullmatch(r"0(\.[0-9]+)?|1(\.0+)?", text) is None:
        msg = "must be a probability from 0 to 1"
        raise ValueError(msg)
    return float(text)


@click.command(
    epilog=examples(
        "perminute replay examples/day",
        "perminute replay examples/day --seed 7 --duplicate 0.2 --shuffle --json",
    )
)
@click.argument(
    "folder", type=FOLDER, metavar="DIR", help="a folder with rates.csv and events.jsonl"
)
@json_option
@click.option(
    "--batch-size",
    type=COUNT,
    help="messages that a function gets at most (default: as the template says)",
)
@click.option("--seed", type=int, metavar="S", help="of the disturbances below")
@click.option(
    "--duplicate",
    type=Parsed("P", _probability),
    default=0.0,
    help="deliver an event once more with this probability",
)
@click.option("--shuffle", is_flag=True, help="shuffle within a second")
def replay(
    *,
    folder: Path,
    batch_size: int | None,
    seed: int | None,
    duplicate: float,
    shuffle: bool,
    as_json: bool,
) -> int:
    """Run a folder of events on an embedded AWS.

    Exit 1: the books differ, or could not be read. The AWS emulator is installed if it is missing.
    """
    if seed is None and (duplicate or shuffle):
        msg = "--duplicate and --shuffle need a --seed, so that the run can be had again"
        raise WrongCall(msg)
    from perminute_local.replay.command import run_replay
    from perminute_local.replay.deliveries import Disturbance

    disturbance = Disturbance(seed or 0, duplicate, shuffle)
    return run_replay(folder, batch_size=batch_size, disturbance=disturbance, as_json=as_json)
