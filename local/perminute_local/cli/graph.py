"""`perminute graph`: users of Microsoft Graph as events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from perminute_local.cli.parameters import FILE, IDENTIFIER, INSTANT, STACK, examples, json_option
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    epilog=examples(
        "perminute graph examples/command-line/graph-users.json --organization contoso",
        "perminute graph examples/command-line/graph-users.json --organization contoso "
        "--stack perminute-dev --send",
    )
)
@click.argument(
    "file",
    type=FILE,
    help="users with assignedPlans, assignedLicenses and usageLocation: an export, a delta, "
    "notifications",
)
@click.option("--organization", required=True, type=IDENTIFIER, help="whose users they are")
@click.option(
    "--stack",
    type=STACK,
    help="the stack that knows the users (default: none; then all is news)",
)
@click.option("--at", type=INSTANT, help="when Graph said so (default: now)")
@click.option("--send", is_flag=True, help="send the events to the stack instead of writing them")
@json_option
def graph(
    *,
    file: Path,
    organization: str,
    stack: str | None,
    at: datetime | None,
    send: bool,
    as_json: bool,
) -> int:
    """Turn what Microsoft Graph says of users into events."""
    if send and not stack:
        msg = "--send needs a --stack to send to"
        raise WrongCall(msg)
    from perminute_local.graph_sync import run_graph

    return run_graph(
        file,
        organization_id=organization,
        stack_name=stack,
        seen_at=at or datetime.now(UTC),
        send=send,
        as_json=as_json,
    )
