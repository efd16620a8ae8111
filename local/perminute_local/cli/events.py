"""`perminute send`, which is `perminute calls send` as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from perminute_local.cli.parameters import FILE, examples, json_option, stack_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    epilog=examples(
        "perminute send events.jsonl --stack perminute-dev",
        "perminute send - --stack perminute-dev --json < events.jsonl",
    )
)
@click.argument(
    "files", nargs=-1, required=True, type=FILE, metavar="FILE...", help="one event a line"
)
@stack_option
@json_option
def send(*, files: tuple[Path, ...], stack: str, as_json: bool) -> int:
    """Send events to the bus of a stack.

    One event a line, as `perminute calls convert` writes them, or one alone over several lines. All
    are checked before the first one is sent. What was sent before may be sent again: it counts
    once.

    Exit code 1: some of the events were not sent.
    """
    from perminute_local.send_events import send_events

    return send_events(files, stack, as_json=as_json)
