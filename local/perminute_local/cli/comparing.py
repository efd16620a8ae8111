"""`perminute calls compare`: an operator's records beside our calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from perminute_local.cli.call_records import DIRECTORY, TENANT, convert, source_options
from perminute_local.cli.parameters import (
    FILE,
    IDENTIFIER,
    INSTANT,
    NEW_FILE,
    STACK,
    examples,
    json_option,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

_RECORDS = (
    f"--from teams-csv --tenant {TENANT} --directory {DIRECTORY} "
    "examples/call-records/teams-csv/PSTN.calls.2026-11-05.csv"
)
# What records of a source do not say is said to each command that reads them.
_OF_RECORDS = [param for param in convert.params if param.name != "as_json"]


@click.command(
    params=_OF_RECORDS,
    epilog=examples(
        f"perminute calls convert {_RECORDS} | perminute calls compare --calls - {_RECORDS}",
        f"perminute calls compare --stack perminute-dev --csv differences.csv {_RECORDS}",
    ),
)
@click.option(
    "--calls", type=FILE, metavar="FILE", help="our calls: events, or the JSON of a replay"
)
@click.option("--stack", type=STACK, help="or what this deployed stack has recorded")
@click.option(
    "--organization", type=IDENTIFIER, help="only this organization's (default: all of the records)"
)
@click.option(
    "--at", type=INSTANT, help="calls that ended 48 hours before must have a record (default: now)"
)
@click.option("--csv", type=NEW_FILE, metavar="FILE", help="also write the differences here")
@json_option
def compare(
    *,
    files: tuple[Path, ...],
    source: str,
    directory: Path,
    tenant: str | None,
    timezone: ZoneInfo | None,
    auth_token_env: str | None,
    no_value_encoding: bool,
    calls: Path | None,
    stack: str | None,
    organization: str | None,
    at: datetime | None,
    csv: Path | None,
    as_json: bool,
) -> int:
    """Compare an operator's records with our calls.

    Lists calls that only one side has, and other seconds, numbers, organizers and costs.

    Exit code 1: there is a difference, or a record that an operator must look at.
    """
    if (calls is None) == (stack is None):
        msg = "needs either --calls FILE, or --stack NAME, and not both"
        raise WrongCall(msg)
    from perminute_local.records.compare_records import Request
    from perminute_local.records.compare_records import compare as run

    options = source_options(tenant, timezone, auth_token_env, no_value_encoding=no_value_encoding)
    request = Request(
        source=source,
        directory=directory,
        files=files,
        options=options,
        at=at or datetime.now(UTC),
        calls=calls,
        stack=stack,
        organization=organization,
    )
    return run(request, as_json=as_json, csv=csv)
