"""`perminute simulate`: worlds in which everything goes wrong that can."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

from perminute_local.cli.parameters import COUNT, Choice, examples, json_option
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@click.command(
    epilog=examples(
        "perminute simulate --seed 7 --events 100",
        "perminute simulate --seeds 20 --over adverse --events 100 --faults throttle,clock",
    )
)
@click.option("--seed", type=int, default=0, metavar="N", help="of the first world (0)")
@click.option("--seeds", type=COUNT, default=1, help="how many worlds (1)")
@click.option("--events", type=COUNT, help="events and calls of a world (300)")
@click.option(
    "--faults", default="all", metavar="KINDS", help="what goes wrong: all, none, or throttle,…"
)
@click.option(
    "--over",
    type=Choice(["twins", "moto", "adverse"]),
    default="twins",
    help="what the functions run over",
)
@click.option("--items", metavar="NUMBERS", help="only these items of the plan: 0-5,17")
@click.option("--history", is_flag=True, help="print all that happened")
@json_option
def simulate(
    *,
    seed: int,
    seeds: int,
    events: int | None,
    faults: str,
    over: str,
    items: str | None,
    history: bool,
    as_json: bool,
) -> int:
    """Look for a fault that loses or doubles a cent."""
    from perminute_local.simulation.command import faults_named, items_named, run_simulate
    from perminute_local.simulation.world import EVENTS, Over, World

    world = World(
        seed=seed,
        events=events or EVENTS,
        faults=_read("--faults", faults_named, faults),
        over=Over(over),
        items=_read("--items", items_named, items) if items else None,
    )
    return run_simulate(world, seeds, history=history, as_json=as_json)


def _read(option: str, parse: Callable[[str], T], text: str) -> T:
    """Read what only the simulator understands, which is not imported while options are read."""
    try:
        return parse(text)
    except ValueError as error:
        msg = f"{option} {error}"
        raise WrongCall(msg) from error
