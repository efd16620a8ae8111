"""`perminute up` and `down`: a stack on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from perminute_local.cli.parameters import FOLDER, examples, json_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command(epilog=examples("perminute up", "perminute up examples/day --json"))
@click.argument(
    "folder",
    type=FOLDER,
    required=False,
    metavar="[DIR]",
    help="a folder with rates.csv and, if it has one, directory.csv (default: examples/day)",
)
@json_option
def up(*, folder: Path | None, as_json: bool) -> int:
    """Run the deployed system on this machine.

    It is built, deployed on an AWS emulator, and gets the rate card and the directory of DIR. It
    runs until `perminute down`. Every command with --stack takes `local` as its name, and then
    reaches this stack only, whatever AWS account the environment names. Works in a checkout:
    `make up` installs what it needs.
    """
    from perminute_local.local_stack.commands import up as begin

    return begin(folder, as_json=as_json)


@click.command(epilog=examples("perminute down"))
@json_option
def down(*, as_json: bool) -> int:
    """Stop the stack on this machine, and delete its data."""
    from perminute_local.local_stack.commands import down as end

    return end(as_json=as_json)
