"""`perminute calls convert` and `perminute directory`: records of other systems."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from perminute.domain.reference.directory import SOURCE_FAMILIES
from perminute_local.cli.parameters import (
    FILE,
    IDENTIFIER,
    Choice,
    CommandGroup,
    Parsed,
    bucket_of,
    examples,
    json_option,
    published_to,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path

    from perminute.sources.stated_call import SourceOptions

DIRECTORY = "examples/call-records/directory.csv"
TENANT = "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10"


@click.group(cls=CommandGroup)
def directory() -> None:
    """Check and publish the directory of call records."""


@directory.command(epilog=examples(f"perminute directory check {DIRECTORY} --json"))
@click.argument("file", type=FILE, help="the directory")
@json_option
def check(*, file: Path, as_json: bool) -> int:
    """List the faults of a directory."""
    from perminute_local.records.call_records import check_directory

    return check_directory(file, as_json=as_json)


@directory.command(
    epilog=examples(
        f"perminute directory publish {DIRECTORY} --stack perminute-dev --version 2026-11",
        f"perminute directory publish {DIRECTORY} --bucket your-rate-cards --version 2026-11",
    )
)
@click.argument("file", type=FILE, help="the directory")
@published_to
@json_option
def publish(
    *, file: Path, bucket: str | None, stack: str | None, version: str, as_json: bool
) -> int:
    """Put a directory in force."""
    from perminute_local.records.publish_directory import publish_directory

    return publish_directory(file, bucket_of(bucket, stack), version, as_json=as_json)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        msg = f"{name!r} is not a time zone; write its name in the IANA database, as Europe/Berlin"
        raise ValueError(msg) from None


def source_options(
    tenant: str | None,
    timezone: ZoneInfo | None,
    auth_token_env: str | None,
    *,
    no_value_encoding: bool,
) -> SourceOptions:
    """Return what records do not say; raises `WrongCall` if there is no such variable."""
    from perminute.sources.stated_call import SourceOptions

    return SourceOptions(
        tenant=tenant,
        timezone=timezone,
        auth_token=_auth_token(auth_token_env) if auth_token_env else None,
        encoded_values=not no_value_encoding,
    )


def _auth_token(variable: str) -> str:
    token = os.environ.get(variable)
    if not token:
        msg = f"--auth-token-env: the environment variable {variable} is not set"
        raise WrongCall(msg)
    return token


@click.command(
    epilog=examples(
        f"perminute calls convert --from teams-csv --tenant {TENANT} --directory {DIRECTORY} "
        "examples/call-records/teams-csv/PSTN.calls.2026-11-05.csv",
    )
)
@click.argument(
    "files", nargs=-1, required=True, type=FILE, metavar="FILE...", help="files of call records"
)
@click.option(
    "--from", "source", required=True, type=Choice(list(SOURCE_FAMILIES)), help="what wrote them"
)
@click.option(
    "--directory", required=True, type=FILE, metavar="FILE", help="the directory, a CSV file"
)
@click.option(
    "--tenant", type=IDENTIFIER, metavar="KEY", help="the directory's key, where records name none"
)
@click.option(
    "--timezone", type=Parsed("ZONE", _zone), help="of times without an offset, as Europe/Berlin"
)
@click.option(
    "--auth-token-env",
    metavar="NAME",
    help="the environment variable with the token that signs records",
)
@click.option(
    "--no-value-encoding",
    is_flag=True,
    help="FreeSWITCH: the values of variables are not URL-encoded",
)
@json_option
def convert(
    *,
    files: tuple[Path, ...],
    source: str,
    directory: Path,
    tenant: str | None,
    timezone: ZoneInfo | None,
    auth_token_env: str | None,
    no_value_encoding: bool,
    as_json: bool,
) -> int:
    """Turn call records of other systems into Call Ended events.

    Exit code 1: an operator must look at some of the records.
    """
    from perminute_local.records.call_records import convert_records

    options = source_options(tenant, timezone, auth_token_env, no_value_encoding=no_value_encoding)
    return convert_records(source, files, directory, options, as_json=as_json)
