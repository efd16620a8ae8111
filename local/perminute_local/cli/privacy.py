"""Commands about what is stored: `perminute erase` and `perminute restore`."""

from __future__ import annotations

import click

from perminute.domain.values.identifiers import read_id
from perminute_local.cli.parameters import (
    IDENTIFIER,
    Parsed,
    examples,
    json_option,
    stack_option,
)


@click.command(
    epilog=examples(
        "perminute erase --stack perminute-dev --organization contoso --user adele@example.com",
        "perminute erase --stack perminute-dev --organization contoso --yes",
    )
)
@stack_option
@click.option("--organization", required=True, type=IDENTIFIER, help="the organization's id")
@click.option("--user", type=Parsed("ID", read_id), help="only this user; without it, all of them")
@click.option(
    "--yes", is_flag=True, help="erase it, for good; without it, what would be is only counted"
)
@json_option
def erase(*, stack: str, organization: str, user: str | None, yes: bool, as_json: bool) -> int:
    """Erase who made calls, and leave what they cost.

    Numbers, organizers and meetings are erased permanently, so nobody can find out whose calls they
    were. Charges, statements and minute pools stay as they are.
    """
    from perminute_local.erase_calls import run_erase

    return run_erase(stack, organization, user, erase=yes, as_json=as_json)


@click.command(
    epilog=examples(
        "perminute restore --stack perminute-dev --credit-copy credit-1 --usage-copy usage-1 "
        "--licensing-copy licensing-1 --events-copy events-1",
    )
)
@stack_option
@click.option("--credit-copy", required=True, metavar="TABLE", help="the restored CreditTable")
@click.option("--usage-copy", required=True, metavar="TABLE", help="the restored UsageTable")
@click.option(
    "--licensing-copy", required=True, metavar="TABLE", help="the restored LicensingTable"
)
@click.option("--events-copy", required=True, metavar="TABLE", help="the restored EventsTable")
@click.option("--yes", is_flag=True, help="write it; without it, what differs is only counted")
@json_option
def restore(*, stack: str, yes: bool, as_json: bool, **copies: str) -> int:
    """Make a stack's tables what restored copies are.

    All four are restored to one time, while no function runs: docs/restoring.md says how.
    """
    from perminute_local.restore_tables import run_restore

    restored = {name.removesuffix("_copy"): table for name, table in copies.items()}
    return run_restore(stack, restored, write=yes, as_json=as_json)
