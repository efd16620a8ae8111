"""`perminute load`."""

from __future__ import annotations

import click

from perminute_local.cli.parameters import COUNT, examples, json_option, stack_option
from perminute_local.wrong_call import WrongCall

MAX_RATE, MAX_MINUTES, MAX_ORGANIZATIONS = 2_000, 30, 1_000


@click.command(
    epilog=examples(
        "perminute load --stack local --rate 50 --minutes 0.5",
        "perminute load --stack perminute-dev --rate 500 --minutes 5 --organizations 100 "
        "--hot 0.2 --yes-this-costs-money",
    )
)
@stack_option
@click.option("--rate", type=COUNT, default=50, help=f"calls a second, at most {MAX_RATE}")
@click.option(
    "--minutes",
    type=click.FloatRange(0, MAX_MINUTES, min_open=True),
    default=1,
    help=f"how many minutes calls are sent, at most {MAX_MINUTES}",
)
@click.option(
    "--organizations", type=COUNT, default=10, help=f"how many, at most {MAX_ORGANIZATIONS}"
)
@click.option(
    "--hot",
    type=click.FloatRange(0, 1),
    default=0,
    help="the share of the calls that one of them makes (default: all make equally many)",
)
@click.option(
    "--yes-this-costs-money",
    "costs_are_known",
    is_flag=True,
    help="send to AWS; without it, only to this machine",
)
@json_option
def load(
    *,
    stack: str,
    rate: int,
    minutes: float,
    organizations: int,
    hot: float,
    costs_are_known: bool,
    as_json: bool,
) -> int:
    """Send many calls, and measure how soon all are charged.

    New organizations get credit, and calls end at this rate. The result is the throughput, the
    time from an event to the balance, and how many messages were delivered again. Every balance
    must then be right to the cent, and the books must agree. What is booked stays, so a stage with
    customers is refused.

    Exit code 1: calls were not sent or not charged, or books differ.
    """
    from perminute_local.load.command import load_stack
    from perminute_local.load.plan import Load

    for name, value, most in (
        ("--rate", rate, MAX_RATE),
        ("--organizations", organizations, MAX_ORGANIZATIONS),
    ):
        if value > most:
            msg = f"{name}: must be at most {most}"
            raise WrongCall(msg)
    asked = Load(rate, minutes, organizations, hot)
    return load_stack(stack, asked, costs_are_known=costs_are_known, as_json=as_json)
