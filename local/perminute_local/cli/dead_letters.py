"""`perminute dlq`: the dead letters of a deployed stack."""

from __future__ import annotations

import click

from perminute_local.cli.parameters import CommandGroup, examples, json_option, stack_option

_queue_option = click.option("--queue", required=True, metavar="NAME", help="CallsDeadLetters, say")


@click.group(cls=CommandGroup)
def dlq() -> None:
    """Show what a deployed stack could not process, and deal with it."""


@dlq.command("list", epilog=examples("perminute dlq list --stack perminute-dev"))
@stack_option
@click.option("--queue", metavar="NAME", help="only this one (CallsDeadLetters)")
@json_option
def list_(*, stack: str, queue: str | None, as_json: bool) -> int:
    """Show what waits, and why; all stays."""
    from perminute_local.dead_letters import run_list

    return run_list(stack, queue, as_json=as_json)


@dlq.command(
    epilog=examples("perminute dlq redrive --stack perminute-dev --queue CallsDeadLetters")
)
@stack_option
@_queue_option
@click.option(
    "--message", "messages", multiple=True, metavar="ID", help="only this one; may be repeated"
)
def redrive(*, stack: str, queue: str, messages: tuple[str, ...]) -> int:
    """Send messages back to where they came from."""
    from perminute_local.dead_letters import run_redrive

    return run_redrive(stack, queue, messages)


@dlq.command(
    epilog=examples(
        "perminute dlq discard --stack perminute-dev --queue CallsDeadLetters --message ID"
    )
)
@stack_option
@_queue_option
@click.option(
    "--message",
    "messages",
    multiple=True,
    required=True,
    metavar="ID",
    help="this one; may be repeated",
)
def discard(*, stack: str, queue: str, messages: tuple[str, ...]) -> int:
    """Delete messages that have been dealt with."""
    from perminute_local.dead_letters import run_discard

    return run_discard(stack, queue, messages)
