"""Commands for a deployed stack: `perminute reconcile`, `doctor`, `dlq` and `graph`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from perminute_local.cli.parameters import (
    FILE,
    IDENTIFIER,
    INSTANT,
    STACK,
    Choice,
    CommandGroup,
    examples,
    json_option,
    stack_option,
    stack_options,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    epilog=examples(
        "perminute reconcile --stack perminute-dev --organization contoso",
        "perminute reconcile --stack perminute-dev --status --json",
    )
)
@stack_options
@click.option(
    "--status", is_flag=True, help="show how far the nightly checks are, without checking"
)
def reconcile(*, stack: str, organizations: tuple[str, ...], status: bool, as_json: bool) -> int:
    """Check that a stack's accounts, ledger and calls agree."""
    if status:
        from perminute_local.reconcile import run_status

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
    """Check whether a deployed stack can charge calls."""
    from perminute_local.doctor import run_doctor

    return run_doctor(stack, as_json=as_json)


WITH_SOURCE = (
    "CallsDeadLetters",
    "CreditDeadLetters",
    "ExpiriesDeadLetters",
    "LicensingDeadLetters",
    "MaskingsDeadLetters",
    "ReconciliationsDeadLetters",
    "RecordsDeadLetters",
    "ReratingsDeadLetters",
    "StatementsDeadLetters",
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
    """Show, send back or discard dead letters.

    A dead letter is a message that could not be processed.
    """


@dlq.command("list", epilog=examples("perminute dlq list --stack perminute-dev"))
@stack_option
@click.option(
    "--queue", type=_ALL, metavar="NAME", help="only this queue, such as CallsDeadLetters"
)
@json_option
def list_(*, stack: str, queue: str | None, as_json: bool) -> int:
    """Show the dead letters and why they failed."""
    from perminute_local.dead_letters import run_list

    return run_list(stack, queue, as_json=as_json)


@dlq.command(
    epilog=examples("perminute dlq redrive --stack perminute-dev --queue CallsDeadLetters")
)
@stack_option
@click.option("--queue", required=True, type=_ALL, metavar="NAME", help="such as CallsDeadLetters")
@click.option(
    "--message", "messages", multiple=True, metavar="ID", help="only this message; may be repeated"
)
@json_option
def redrive(*, stack: str, queue: str, messages: tuple[str, ...], as_json: bool) -> int:
    """Send messages back to the queue that they came from."""
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
        "perminute dlq discard --stack perminute-dev --queue CallsDeadLetters --message ID",
        "perminute dlq discard --stack perminute-dev --queue CallsDeadLetters --all --yes",
    )
)
@stack_option
@click.option("--queue", required=True, type=_ALL, metavar="NAME", help="such as CallsDeadLetters")
@click.option(
    "--message", "messages", multiple=True, metavar="ID", help="this message; may be repeated"
)
@click.option("--all", "every", is_flag=True, help="all messages that wait when it runs")
@click.option("--yes", is_flag=True, help="delete all; without it they are only shown")
@json_option
def discard(
    *, stack: str, queue: str, messages: tuple[str, ...], every: bool, yes: bool, as_json: bool
) -> int:
    """Delete messages that need no more processing."""
    from perminute_local.dead_letters import run_discard

    if every is bool(messages):
        msg = "needs either --message ID for each message to delete, or --all"
        raise WrongCall(msg)
    if every and not yes:
        from perminute_local.dead_letters import run_list
        from perminute_local.terminal import remark

        run_list(stack, queue, as_json=as_json)
        remark("nothing is deleted; the same command with --yes deletes all that wait then")
        return 0
    return run_discard(stack, queue, messages, as_json=as_json)


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
@click.option(
    "--organization", required=True, type=IDENTIFIER, help="the organization of the users"
)
@click.option(
    "--stack",
    type=STACK,
    help="compare with what this stack has recorded (default: everything is new)",
)
@click.option("--at", type=INSTANT, help="when Graph was asked (default: now)")
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
    """Turn users of Microsoft Graph into licensing events."""
    if send and not stack:
        msg = "--send needs a --stack to send to"
        raise WrongCall(msg)
    from perminute_local.microsoft_graph import run_graph

    return run_graph(
        file,
        organization_id=organization,
        stack_name=stack,
        seen_at=at or datetime.now(UTC),
        send=send,
        as_json=as_json,
    )
