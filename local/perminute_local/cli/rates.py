"""`perminute rates`: rate cards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from perminute_local.cli.parameters import (
    DATE_OR_INSTANT,
    FILE,
    NUMBER,
    VERSION,
    Choice,
    CommandGroup,
    examples,
    json_option,
    stack_options,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path


@click.group(cls=CommandGroup)
def rates() -> None:
    """Check, convert, publish and correct rate cards."""


@rates.command(epilog=examples("perminute rates check examples/day/rates.csv"))
@click.argument("file", type=FILE)
@json_option
def check(*, file: Path, as_json: bool) -> int:
    """List every fault of a rate card."""
    from perminute_local import commands

    return commands.check_rates(file, as_json=as_json)


@rates.command(epilog=examples("perminute rates convert --from acs prices.csv > rates.csv"))
@click.argument("file", type=FILE)
@click.option("--from", "deck", required=True, type=Choice(["acs", "twilio"]))
@click.option(
    "--origin",
    type=NUMBER,
    help="the number that dial-outs come from, where prices depend on it (twilio)",
)
def convert(*, file: Path, deck: str, origin: str | None) -> int:
    """Turn a carrier's price list into a rate card."""
    from perminute_local import commands

    return commands.convert_rates(deck, file, origin=origin)


@rates.command(
    epilog=examples("perminute rates publish rates.csv --bucket BUCKET --version 2026-11")
)
@click.argument("file", type=FILE)
@click.option(
    "--bucket", required=True, metavar="NAME", help="RateCardBucketName of the deployed stack"
)
@click.option(
    "--version", required=True, type=VERSION, help="the name of this version, never reused"
)
def publish(*, file: Path, bucket: str, version: str) -> int:
    """Make a rate card the one in force."""
    from perminute_local import commands

    return commands.publish_rates(file, bucket=bucket, version=version)


@rates.command(
    epilog=examples(
        "perminute rates correct --from 2026-11-01 --to 2026-11-03 --version 2026-11-b "
        "--stack perminute-dev",
        "perminute rates correct --from 2026-11-01 --to 2026-11-03 --version 2026-11-b "
        "--stack perminute-dev --yes",
    )
)
@click.option(
    "--from",
    "since",
    required=True,
    type=DATE_OR_INSTANT,
    help="first date or time, UTC, by which calls were answered",
)
@click.option(
    "--to",
    "until",
    required=True,
    type=DATE_OR_INSTANT,
    help="date or time, UTC, by which calls were answered before it",
)
@click.option("--version", required=True, type=VERSION, help="the version to rate them by")
@stack_options
@click.option("--yes", is_flag=True, help="book what differs; else only show it")
def correct(
    *,
    since: datetime,
    until: datetime,
    version: str,
    stack: str,
    organizations: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Rate the calls of a time by another card."""
    from perminute.application.correct_rates import RateCorrection
    from perminute_local.correct_rates import run_correct_rates

    if since >= until:
        msg = "--to must lie after --from: calls answered at --to are not included"
        raise WrongCall(msg)
    correction = RateCorrection(version=version, since=since, until=until, at=datetime.now(UTC))
    return run_correct_rates(correction, stack, organizations, book=yes, as_json=as_json)
