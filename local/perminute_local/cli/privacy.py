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
@click.option("--yes", is_flag=True, help="erase, for good; without it, records are only counted")
@json_option
def erase(*, stack: str, organization: str, user: str | None, yes: bool, as_json: bool) -> int:
    """Erase who made calls, and leave what they cost.

    Numbers, organizers and meetings are erased for good, so nobody can find out who made the calls,
    in archived calls as well. Charges, statements and minute pools do not change: docs/retention.md
    says what becomes of what.
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
@click.option("--yes", is_flag=True, help="write; without it, items that differ are only counted")
@json_option
def restore(*, stack: str, yes: bool, as_json: bool, **copies: str) -> int:
    """Write restored copies of tables back to a stack.

    All copies must be of the same second, and no function may run: docs/restoring.md has the steps.
    """
    from perminute_local.restore_tables import run_restore

    restored = {name.removesuffix("_copy"): table for name, table in copies.items()}
    return run_restore(stack, restored, write=yes, as_json=as_json)
