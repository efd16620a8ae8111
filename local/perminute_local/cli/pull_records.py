"""`perminute calls pull`: fetch call records from the systems that offer them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from perminute_local.cli.parameters import (
    DATE_OR_INSTANT,
    FILE,
    FOLDER,
    Choice,
    CommandGroup,
    Parsed,
    examples,
    json_option,
)
from perminute_local.wrong_call import WrongCall, WrongFile

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from perminute.adapters.graph_credentials import Cloud

_SECRET_VARIABLE = "GRAPH_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_TENANT = "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10"
_CLIENT = "7c1e0a5c-93f4-4d52-a0c7-6b8e2a100d1f"


@click.group(cls=CommandGroup)
def pull() -> None:
    """Fetch call records from the system that has them."""


def _tenant(text: str) -> str:
    from perminute.adapters.graph_credentials import check_tenant

    return check_tenant(text)


def _client_id(text: str) -> str:
    from perminute.adapters.graph_credentials import check_client_id

    return check_client_id(text)


def _secret(variable: str | None, file: Path | None) -> str:
    from perminute.adapters.graph_credentials import check_client_secret

    kind: type[WrongCall]
    if variable and file:
        msg = "name the secret by --secret-env or by --secret-file, not by both"
        raise WrongCall(msg)
    if file:
        where, kind = f"{file}", WrongFile
        text = file.read_bytes().decode("utf-8-sig", "replace").strip()
    else:
        variable = variable or _SECRET_VARIABLE
        where, kind = f"the environment variable {variable}", WrongCall
        text = os.environ.get(variable, "").strip()
        if not text:
            msg = f"{where} is not set; it must contain the client secret, or use --secret-file"
            raise WrongCall(msg)
    try:
        return check_client_secret(text)
    except ValueError as error:
        msg = f"{where} {error}"
        raise kind(msg) from None


@pull.command(
    "graph-pstn",
    epilog=examples(
        f"perminute calls pull graph-pstn --tenant {_TENANT} --client-id {_CLIENT} "
        "--from 2026-11-01 --to 2026-12-01 --into records"
    ),
)
@click.option("--tenant", required=True, type=Parsed("GUID", _tenant), help="the Entra tenant")
@click.option(
    "--client-id",
    required=True,
    type=Parsed("GUID", _client_id),
    help="the application that may read its calls",
)
@click.option(
    "--from",
    "begin",
    required=True,
    type=DATE_OR_INSTANT,
    help="calls that began then or later: a date, or an instant, UTC",
)
@click.option(
    "--to", "end", required=True, type=DATE_OR_INSTANT, help="and until then: a date is its begin"
)
@click.option(
    "--into", required=True, type=FOLDER, metavar="FOLDER", help="where the files are written"
)
@click.option(
    "--secret-env",
    metavar="NAME",
    help=f"the environment variable with the client secret (default: {_SECRET_VARIABLE})",
)
@click.option("--secret-file", type=FILE, metavar="FILE", help="a file with it instead")
@click.option(
    "--cloud",
    type=Choice(["global", "usGov", "usGovDoD"]),
    default="global",
    help="usGov: US Government L4; usGovDoD: L5 (default: global)",
)
@json_option
def graph_pstn(
    *,
    tenant: str,
    client_id: str,
    begin: datetime,
    end: datetime,
    into: Path,
    secret_env: str | None,
    secret_file: Path | None,
    cloud: Cloud,
    as_json: bool,
) -> int:
    """Save a tenant's phone calls as Microsoft Graph has them.

    Each page becomes a file that `perminute calls convert --from graph-pstn` reads. The same period
    pulled again replaces its files.
    """
    from perminute.adapters.graph_credentials import GraphCredentials
    from perminute_local.records.pull_records import pull_graph_calls

    if end <= begin:
        msg = "--to must be later than --from"
        raise WrongCall(msg)
    credentials = GraphCredentials(tenant, client_id, _secret(secret_env, secret_file), cloud)
    return pull_graph_calls(credentials, begin, end, into, as_json=as_json)
