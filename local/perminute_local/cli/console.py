"""The command that serves the page of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from perminute_local.cli.parameters import (
    FOLDER,
    NEW_FILE,
    STACK,
    Parsed,
    examples,
    json_option,
    organizations_option,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LAST_PORT = 65_535


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LAST_PORT):
        msg = f"{text!r} is not a port; write a number of 0 to {_LAST_PORT}"
        raise ValueError(msg)
    return int(text)


@click.command(
    epilog=examples("perminute console examples/day", "perminute console --stack perminute-dev")
)
@click.argument(
    "folder",
    metavar="[DIR]",
    type=FOLDER,
    required=False,
    help="show what a replay of this folder of events records; it runs first",
)
@click.option("--stack", type=STACK, help="or show what this deployed stack has recorded")
@organizations_option
@click.option(
    "--port",
    type=Parsed("PORT", _port),
    default=0,
    help="listen on this port (default: a free one)",
)
@click.option("--no-open", is_flag=True, help="only print the address, and open no browser")
@click.option(
    "--write",
    metavar="DIR",
    type=NEW_FILE,
    help="write the page that the stack serves under ConsoleDomain, and serve nothing",
)
@json_option
def console(
    *,
    folder: Path | None,
    stack: str | None,
    organizations: Sequence[str],
    port: int,
    no_open: bool,
    write: Path | None,
    as_json: bool,
) -> int:
    """Show reports in a browser, on a page of this machine.

    Requests to a stack use your AWS credentials. The address contains a token; do not pass it on:
    it opens the reports. Ctrl-C ends the command.
    """
    origin = stack or folder
    if origin is None or (stack and folder):
        msg = "needs either DIR, a folder of events, or --stack NAME, and not both"
        raise WrongCall(msg)
    from perminute_local.console.command import run_console, run_write

    if write is not None:
        if stack is None:
            msg = "--write: needs --stack NAME, whose page it is"
            raise WrongCall(msg)
        return run_write(stack, write, as_json=as_json)
    return run_console(origin, organizations, port=port, opens_browser=not no_open, as_json=as_json)
