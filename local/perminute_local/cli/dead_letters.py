"""`perminute dlq`: the dead letters of a deployed stack."""

from __future__ import annotations

import click

from perminute_local.cli.parameters import (
    Choice,
    CommandGroup,
    examples,
    json_option,
    stack_option,
)

WITH_SOURCE = (
    "CallsDeadLetters",
    "CreditDeadLetters",
    "ExpiriesDeadLetters",
    "LicensingDeadLetters",
    "ReconciliationsDeadLetters",
    "ReratingsDeadLetters",
)
"""Queues of messages that a function gave up; they can be sent back to the queue that it reads."""

WITHOUT_SOURCE = (
    "NotificationsDeadLetters",
    "RuleDeadLetters",
    "ScheduledRunsDeadLetters",
    "UnknownEvents",
    "WakeupsDeadLetters",
)
"""Queues of what came from elsewhere; docs/runbook.md says what to do about each."""

_ALL = Choice(sorted((*WITH_SOURCE, *WITHOUT_SOURCE)))


@click.group(cls=CommandGroup)
def dlq() -> None:
    """Show, send back or discard what could not be processed."""


@dlq.command("list", epilog=examples("perminute dlq list --stack perminute-dev"))
@stack_option
@click.option("--queue", type=_ALL, metavar="NAME", help="only this one (CallsDeadLetters)")
@json_option
def list_(*, stack: str, queue: str | None, as_json: bool) -> int:
    """Show what waits, and why; all stays."""
    from perminute_local.dead_letters import run_list

    return run_list(stack, queue, as_json=as_json)


@dlq.command(
    epilog=examples("perminute dlq redrive --stack perminute-dev --queue CallsDeadLetters")
)
@stack_option
@click.option(
    "--queue", required=True, type=_ALL, metavar="NAME", help="CallsDeadLetters, for example"
)
@click.option(
    "--message", "messages", multiple=True, metavar="ID", help="only this one; may be repeated"
)
@json_option
def redrive(*, stack: str, queue: str, messages: tuple[str, ...], as_json: bool) -> int:
    """Send messages back to where they came from."""
    if queue in WITHOUT_SOURCE:
        msg = (
            f"--queue: what waits in {queue} came from no queue; docs/runbook.md says what to do. "
            f"These can be sent back: {', '.join(WITH_SOURCE)}"
        )
        raise click.UsageError(msg)
    from perminute_local.dead_letters import run_redrive

    return run_redrive(stack, queue, messages, as_json=as_json)


@dlq.command(
    epilog=examples(
        "perminute dlq discard --stack perminute-dev --queue CallsDeadLetters --message ID"
    )
)
@stack_option
@click.option(
    "--queue", required=True, type=_ALL, metavar="NAME", help="CallsDeadLetters, for example"
)
@click.option(
    "--message",
    "messages",
    multiple=True,
    required=True,
    metavar="ID",
    help="this one; may be repeated",
)
@json_option
def discard(*, stack: str, queue: str, messages: tuple[str, ...], as_json: bool) -> int:
    """Delete messages that have been dealt with."""
    from perminute_local.dead_letters import run_discard

    return run_discard(stack, queue, messages, as_json=as_json)
