"""Commands that need no stack: `perminute quote`, `replay` and `simulate`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

from perminute.domain.rating.calls import MAX_CALL_SECONDS, PHONE_LEG_TYPES, LegType
from perminute_local.cli.parameters import (
    COUNT,
    CURRENCY,
    FILE,
    FOLDER,
    INSTANT,
    NUMBER,
    Choice,
    Parsed,
    examples,
    json_option,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _seconds(text: str) -> int:
    whole = re.fullmatch(r"([0-9]+)(\.0+)?", text)
    if whole is None or int(whole[1]) > MAX_CALL_SECONDS:
        msg = f"must be a whole number from 0 to {MAX_CALL_SECONDS} (24 h)"
        raise ValueError(msg)
    return int(whole[1])


@click.command(
    epilog=examples(
        "perminute quote --rates examples/day/rates.csv --leg-type dialOut "
        "--number +447700900123 --seconds 601",
        "perminute quote --rates examples/day/rates.csv --calls examples/command-line/calls.jsonl "
        "--currency USD --json",
    )
)
@click.option("--rates", required=True, type=FILE, metavar="FILE", help="the rate card, a CSV file")
@click.option(
    "--leg-type",
    type=Choice([one.value for one in PHONE_LEG_TYPES]),
    help="how the attendee joined",
)
@click.option("--number", type=NUMBER, help="E.164, with +; up to four of its last digits may be *")
@click.option("--seconds", type=Parsed("S", _seconds), help="connected time, 0 to 86400")
@click.option("--at", type=INSTANT, help="when the call was answered (default: now)")
@click.option(
    "--calls",
    type=FILE,
    metavar="FILE",
    help="price a file of calls instead: JSON lines of legType, number, seconds and at",
)
@click.option(
    "--currency",
    type=CURRENCY,
    help="the credit's currency: a price in another currency is refused",
)
@json_option
def quote(
    *,
    rates: Path,
    leg_type: str | None,
    number: str | None,
    seconds: int | None,
    at: datetime | None,
    calls: Path | None,
    currency: str | None,
    as_json: bool,
) -> int:
    """Price a call, or a file of calls, by a rate card."""
    from perminute_local.rates import quotes

    card = quotes.load_rate_card(rates)
    if calls is not None:
        if any(part is not None for part in (leg_type, number, seconds, at)):
            msg = "--calls takes the place of --leg-type, --number, --seconds and --at"
            raise WrongCall(msg)
        return quotes.quote_calls(card, calls, currency=currency, as_json=as_json)
    if leg_type is None or number is None or seconds is None:
        msg = "quote needs --leg-type, --number and --seconds, or --calls"
        raise WrongCall(msg)
    call = quotes.QuotedCall(LegType(leg_type), number, seconds, at or datetime.now(UTC))
    return quotes.quote_call(card, call, currency=currency, as_json=as_json)


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
    "folder",
    type=FOLDER,
    metavar="DIR",
    help="a folder with rates.csv, and with events.jsonl or call records",
)
@json_option
@click.option(
    "--batch-size", type=COUNT, help="most messages in a batch (default: as in template.yaml)"
)
@click.option("--seed", type=int, metavar="S", help="random seed for --duplicate and --shuffle")
@click.option(
    "--duplicate",
    type=Parsed("P", _probability),
    default=0.0,
    help="deliver each event or file again with this probability",
)
@click.option("--shuffle", is_flag=True, help="shuffle the events of each second")
def replay(
    *,
    folder: Path,
    batch_size: int | None,
    seed: int | None,
    duplicate: float,
    shuffle: bool,
    as_json: bool,
) -> int:
    """Replay events and records on an emulated AWS.

    Exit code 1: the books differ, or could not be read. The emulator is installed if it is missing.
    """
    if seed is None and (duplicate or shuffle):
        msg = "--duplicate and --shuffle need a --seed, so that the run can be repeated"
        raise WrongCall(msg)
    from perminute_local.replay.command import run_replay
    from perminute_local.replay.plan import Disturbance

    disturbance = Disturbance(seed or 0, duplicate, shuffle)
    return run_replay(folder, batch_size=batch_size, disturbance=disturbance, as_json=as_json)


T = TypeVar("T")


@click.command(
    epilog=examples(
        "perminute simulate --seed 7 --events 100",
        "perminute simulate --seeds 20 --over adverse --events 100 --faults throttle,clock",
    )
)
@click.option(
    "--seed",
    type=int,
    default=0,
    metavar="N",
    help="random seed of the first simulated world (default: 0)",
)
@click.option("--seeds", type=COUNT, default=1, help="how many worlds (default: 1)")
@click.option("--events", type=COUNT, help="events and calls in each world (default: 300)")
@click.option(
    "--faults",
    default="all",
    metavar="KINDS",
    help="which faults: all, none, or a list such as throttle,clock",
)
@click.option(
    "--over",
    type=Choice(["twins", "moto", "adverse"]),
    default="twins",
    help="the AWS that the functions use: twins in memory, moto, or a hostile DynamoDB",
)
@click.option(
    "--items", metavar="NUMBERS", help="only these items of the world's plan, such as 0-5,17"
)
@click.option("--history", is_flag=True, help="print everything that happened")
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
    """Check by simulated faults that no cent is lost."""
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
    # Only the simulator understands these values, and it is not imported to read options.
    try:
        return parse(text)
    except ValueError as error:
        msg = f"{option} {error}"
        raise WrongCall(msg) from error
