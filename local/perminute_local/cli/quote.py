"""`perminute quote`: what calls would cost."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from perminute.domain.rating.calls import MAX_CALL_SECONDS, PHONE_LEG_TYPES, LegType
from perminute_local.cli.parameters import (
    CURRENCY,
    FILE,
    INSTANT,
    NUMBER,
    Choice,
    Parsed,
    examples,
    json_option,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
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
@click.option("--rates", required=True, type=FILE, metavar="FILE", help="the rate card")
@click.option(
    "--leg-type",
    type=Choice([one.value for one in PHONE_LEG_TYPES]),
    help="how the attendee joined",
)
@click.option("--number", type=NUMBER, help="E.164, with +; up to four * for its last digits")
@click.option("--seconds", type=Parsed("S", _seconds), help="connected time, 0 to 86400")
@click.option("--at", type=INSTANT, help="when the call was answered (default: now)")
@click.option(
    "--calls",
    type=FILE,
    metavar="FILE",
    help="instead of one call, JSON lines of legType, number, seconds and at",
)
@click.option(
    "--currency",
    type=CURRENCY,
    help="the currency of the credit: a price in another one is none",
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
    from perminute_local import quotes
    from perminute_local.commands import load_rate_card

    card = load_rate_card(rates)
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
