"""`perminute rates`: rate cards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from perminute.domain.rating.calls import PHONE_LEG_TYPES, LegType
from perminute.formats.csv_tables import SEPARATORS
from perminute_local.cli.parameters import (
    CURRENCY,
    DATE_OR_INSTANT,
    FILE,
    NEW_FILE,
    NUMBER,
    VERSION,
    Choice,
    CommandGroup,
    Parsed,
    bucket_of,
    examples,
    json_option,
    published_to,
    stack_options,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path


@click.group(cls=CommandGroup)
def rates() -> None:
    """Check, convert, publish and correct rate cards."""


@rates.command(epilog=examples("perminute rates check examples/day/rates.csv --json"))
@click.argument("file", type=FILE, help="the rate card")
@json_option
def check(*, file: Path, as_json: bool) -> int:
    """List the faults and warnings of a rate card."""
    from perminute_local.rates.rate_card_warnings import check_rates

    return check_rates(file, as_json=as_json)


def _columns(text: str) -> dict[str, str]:
    from perminute_local.carrier_price_lists.mapped import read_columns

    return read_columns(text)


@rates.command(
    epilog=examples(
        "perminute rates convert --from acs examples/command-line/acs-prices.csv",
        "perminute rates convert --from acs examples/command-line/acs-prices.csv --block-premium",
        "perminute rates convert --from acs examples/command-line/acs-prices.csv "
        "| perminute rates check -",
        "perminute rates convert --map 'prefix=Prefix,rate=Price / min' --leg-type dialOut "
        "--currency USD examples/command-line/acs-prices.csv",
    )
)
@click.argument("file", type=FILE, help="the carrier's price list")
@click.option(
    "--from",
    "deck",
    type=Choice(["acs", "acs-inbound", "card", "telnyx", "twilio"]),
    help="the carrier whose layout the list has; card: the list is a rate card already",
)
@click.option(
    "--map",
    "columns",
    type=Parsed("FIELD=COLUMN,…", _columns),
    help="for any other list, its columns of prefix, rate, country, description, connection_fee, "
    "initial_increment_seconds, increment_seconds, effective_from, effective_to, leg_type and "
    "currency",
)
@click.option("--map-file", type=FILE, help="read the mapping that --save-map wrote")
@click.option("--save-map", type=NEW_FILE, help="write the mapping to this file, for the next list")
@click.option(
    "--leg-type", type=Choice([one.value for one in PHONE_LEG_TYPES]), help="for all rows"
)
@click.option("--currency", type=CURRENCY, help="for all rows")
@click.option(
    "--separator",
    type=Choice(list(SEPARATORS.values())),
    help="the character between cells (default: ,)",
)
@click.option("--decimal", type=Choice([".", ","]), help="the decimal mark in prices (default: .)")
@click.option(
    "--ranges", is_flag=True, help="a cell may contain several prefixes, such as 43-45 or 43;431"
)
@click.option(
    "--origin",
    type=NUMBER,
    help="the number that dial-outs come from, where prices depend on it (telnyx, twilio)",
)
@click.option(
    "--service-numbers",
    type=FILE,
    help="a CSV of number, country and leg_type: your own numbers (acs-inbound)",
)
@click.option(
    "--block-premium",
    is_flag=True,
    help="block premium-rate, shared-cost, toll-free and other special ranges that the list prices "
    "as ordinary numbers",
)
@json_option
def convert(
    *,
    file: Path,
    leg_type: str | None,
    separator: str | None,
    as_json: bool,
    **said: Any,  # noqa: ANN401 - the fields of the request as they are
) -> int:
    """Turn a carrier's price list into a rate card."""
    from perminute_local.carrier_price_lists.mapped import read_separator
    from perminute_local.rates.convert_rates import ListRequest, convert_rates

    request = ListRequest(
        leg_type=None if leg_type is None else LegType(leg_type),
        separator=None if separator is None else read_separator(separator),
        **said,
    )
    return convert_rates(file, request, as_json=as_json)


@rates.command(
    epilog=examples(
        "perminute rates publish examples/day/rates.csv --stack perminute-dev --version 2026-11",
        "perminute rates publish examples/day/rates.csv --bucket your-rate-cards --version 2026-11",
    )
)
@click.argument("file", type=FILE, help="the rate card")
@published_to
@click.option(
    "--force",
    is_flag=True,
    help="publish even if many prices are missing, or the card in force cannot be read",
)
@json_option
def publish(
    *,
    file: Path,
    bucket: str | None,
    stack: str | None,
    version: str,
    force: bool,
    as_json: bool,
) -> int:
    """Put a rate card in force, and show what it changes."""
    from perminute_local.rates.publish_rates import Publication, publish_rates

    to = Publication(bucket_of(bucket, stack), version, at=datetime.now(UTC), force=force)
    return publish_rates(file, to, as_json=as_json)


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
    help="calls answered from this date or time on, UTC",
)
@click.option(
    "--to",
    "until",
    required=True,
    type=DATE_OR_INSTANT,
    help="calls answered before this date or time, UTC",
)
@click.option("--version", required=True, type=VERSION, help="the version to rate them by")
@stack_options
@click.option("--yes", is_flag=True, help="book the differences; without it they are only shown")
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
    """Rate the calls of a period again by another version."""
    from perminute.application.correct_rates import RateCorrection
    from perminute_local.rates.correct_rates import run_correct_rates

    if since >= until:
        msg = "--to must lie after --from: calls answered at --to are not included"
        raise WrongCall(msg)
    correction = RateCorrection(version=version, since=since, until=until, at=datetime.now(UTC))
    return run_correct_rates(correction, stack, organizations, book=yes, as_json=as_json)
