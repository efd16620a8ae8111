"""What commands that send events have in common: where they go, and whether to ask before."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from perminute_local.cli.parameters import (
    DATE_OR_INSTANT,
    FILE,
    IDENTIFIER,
    INSTANT,
    STACK,
    json_option,
    with_options,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from perminute_local.admin.drafts import Statement

_IN_AUTO_RECHARGE = {
    "auto_recharge": "autoRecharge.enabled",
    "trigger_amount": "autoRecharge.triggerAmount",
    "recharge_amount": "autoRecharge.rechargeAmount",
    "monthly_limit": "autoRecharge.monthlyLimit",
    "minimum_purchase": "autoRecharge.minimumPurchase",
}
"""Fields of an object within the detail, by the parameters that state them."""

_GOAL = (
    click.option("--organization", required=True, type=IDENTIFIER, help="the organization's id"),
    click.option("--stack", type=STACK, help="send the events to the bus of this stack"),
    click.option(
        "--print", "printed", is_flag=True, help="write the events, one per line, and send nothing"
    ),
    click.option("--yes", is_flag=True, help="send without asking, for scripts"),
    json_option,
)
_IDENTITY = (
    click.option(
        "--change-id",
        type=IDENTIFIER,
        help="an id: the event counts once, however often it is sent (default: a new one)",
    ),
    click.option("--issued-at", type=INSTANT, help="when it was decided (default: now)"),
)
_EFFECTIVE = click.option(
    "--effective-at",
    type=DATE_OR_INSTANT,
    help="when it takes effect, a time or a date, UTC (default: when it was decided)",
)
_USERS = (
    click.option("--user", "user_ids", multiple=True, help="the user's id; may be repeated"),
    click.option("--users", "users_file", type=FILE, help="a file of user ids, one per line"),
)


def sends_events(state: Callable[..., Statement]) -> Callable[..., int]:
    """Make a command of what returns the `Statement` of its options and of `now`.

    Adds the options `--organization`, which it is handed as well, `--stack`, `--print`, `--yes`
    and `--json`.
    """

    @functools.wraps(state)
    def command(
        *, stack: str | None, printed: bool, yes: bool, as_json: bool, **options: object
    ) -> int:
        if (stack is None) is not printed:
            msg = "needs either --stack NAME, to send the events, or --print, to write them"
            raise WrongCall(msg)
        from perminute_local.admin.run import SendOptions, run_drafts

        now = datetime.now(UTC)
        drafts, again = state(now=now, **options)
        return run_drafts(drafts, SendOptions(stack, again, yes=yes, as_json=as_json), now=now)

    return with_options(_GOAL, command)


def states_change(state: Callable[..., Statement]) -> Callable[..., int]:
    """Make a command, as `sends_events`, of a decision that counts once under its change id.

    The decision is handed on as `change`.
    """
    return sends_events(with_options(_IDENTITY, _with_change(state)))


def states_change_from(state: Callable[..., Statement]) -> Callable[..., int]:
    """Make a command of a decision that also has an instant from which it holds."""
    return sends_events(with_options((_EFFECTIVE, *_IDENTITY), _with_change(state)))


def states_change_of_users(state: Callable[..., Statement]) -> Callable[..., int]:
    """Make a command of a decision about `users`, from an instant on."""

    @functools.wraps(state)
    def with_users(
        *, user_ids: tuple[str, ...], users_file: Path | None, **options: object
    ) -> Statement:
        from perminute_local.admin.drafts import users_named

        return state(users=users_named(user_ids, users_file), **options)

    return states_change_from(with_options(_USERS, with_users))


def fields_of(options: Mapping[str, object]) -> dict[str, object]:
    """Return what options state, by the names of the event's fields; None is not stated."""
    from pydantic.alias_generators import to_camel

    from perminute.domain.values.times import format_instant

    stated = {
        _IN_AUTO_RECHARGE.get(name) or to_camel(name): value for name, value in options.items()
    }
    return {
        name: format_instant(value) if isinstance(value, datetime) else value
        for name, value in stated.items()
    }


def _with_change(state: Callable[..., Statement]) -> Callable[..., Statement]:
    @functools.wraps(state)
    def with_change(
        *,
        organization: str,
        now: datetime,
        change_id: str | None,
        issued_at: datetime | None,
        effective_at: datetime | None = None,
        **options: object,
    ) -> Statement:
        from perminute_local.admin.drafts import Change

        change = Change(
            organization_id=organization,
            now=now,
            change_id=change_id,
            issued_at=issued_at,
            effective_at=effective_at,
        )
        return state(change=change, **options)

    return with_change
