"""What is asked of a deployed stack: `perminute reconcile`, `perminute doctor`."""

from __future__ import annotations

import click

from perminute_local.cli.parameters import examples, json_option, stack_option, stack_options
from perminute_local.wrong_call import WrongCall


@click.command(
    epilog=examples(
        "perminute reconcile --stack perminute-dev --organization contoso",
        "perminute reconcile --stack perminute-dev --status --json",
    )
)
@stack_options
@click.option("--status", is_flag=True, help="how far the nightly checks have come; reads no books")
def reconcile(*, stack: str, organizations: tuple[str, ...], status: bool, as_json: bool) -> int:
    """Hold a deployed stack's books against each other."""
    if status:
        from perminute_local.book_checks import run_status

        if organizations:
            msg = "--status is of all organizations; leave out --organization"
            raise WrongCall(msg)
        return run_status(stack, as_json=as_json)
    from perminute_local.reconcile import run_reconcile

    return run_reconcile(stack, organizations, as_json=as_json)


@click.command(epilog=examples("perminute doctor --stack perminute-dev"))
@stack_option
@json_option
def doctor(*, stack: str, as_json: bool) -> int:
    """Find out whether a deployed stack is fit to charge calls."""
    from perminute_local.doctor import run_doctor

    return run_doctor(stack, as_json=as_json)
