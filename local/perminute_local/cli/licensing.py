"""`perminute license`, `user` and `organization`: what an admin decides about who may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from perminute_local.cli.event_options import (
    fields_of,
    states_change_from,
    states_change_of_users,
)
from perminute_local.cli.parameters import Choice, CommandGroup, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute_local.admin.statements import Change, Statement, User

_license = click.option(
    "--license",
    "license_",
    required=True,
    metavar="LICENSE",
    help="payPerMinute, subscription, communicationsCredits, or a SKU's part number or GUID",
)
_dial_out_policy = click.option(
    "--dial-out-policy",
    metavar="POLICY",
    help="anyDestination, sameCountry, zoneA, none, or a name of Teams' own policies",
)


@click.group("license", cls=CommandGroup)
def license_() -> None:
    """Assign and remove licenses, and state how many there are."""


@license_.command(
    epilog=examples(
        "perminute license assign --organization contoso --user adele@contoso.com "
        "--license payPerMinute --print",
        "perminute license assign --organization contoso --users users.txt "
        "--license payPerMinute --stack perminute-dev",
    )
)
@_license
@states_change_of_users
def assign(*, change: Change, users: Sequence[User], license_: str) -> Statement:
    """Assign a license to users."""
    return change.of_users("License Assigned", users, {"license": license_})


@license_.command(
    epilog=examples(
        "perminute license remove --organization contoso --user adele@contoso.com "
        "--license payPerMinute --effective-at 2026-11-01 --print"
    )
)
@_license
@states_change_of_users
def remove(*, change: Change, users: Sequence[User], license_: str) -> Statement:
    """Remove a license from users."""
    return change.of_users("License Removed", users, {"license": license_})


@license_.command(
    epilog=examples(
        "perminute license purchased --organization contoso --license subscription "
        "--quantity 115 --print"
    )
)
@_license
@click.option("--quantity", required=True, type=int, help="the new total")
@states_change_from
def purchased(*, change: Change, license_: str, quantity: int) -> Statement:
    """State how many licenses of a kind there are by now."""
    stated = {"license": license_, "quantity": quantity}
    return change.of_organization("Licenses Purchased", stated)


@click.group(cls=CommandGroup)
def user() -> None:
    """Change what holds of users."""


@user.command(
    "set",
    epilog=examples(
        "perminute user set --organization contoso --user adele@contoso.com --country DE "
        "--monthly-spend-limit 25 --print"
    ),
)
@click.option("--country", metavar="CODE", help="the usage location, ISO 3166-1 alpha-2")
@click.option(
    "--monthly-spend-limit", metavar="AMOUNT", help="what their meetings may cost in a month"
)
@_dial_out_policy
@click.option(
    "--toll-free-dial-in-allowed/--no-toll-free-dial-in-allowed",
    default=None,
    help="whether toll-free numbers may be used for their meetings",
)
@states_change_of_users
def set_user(*, change: Change, users: Sequence[User], **fields: object) -> Statement:
    """Change what holds of users.

    What is not named stays as it is, and nothing can be unset.
    """
    return change.of_users("User Changed", users, fields_of(fields))


@click.group(cls=CommandGroup)
def organization() -> None:
    """Change what holds of an organization."""


@organization.command(
    "set",
    epilog=examples(
        "perminute organization set --organization contoso --licensing-program volume --print"
    ),
)
@click.option("--name", help="for people; nothing depends on it")
@click.option(
    "--licensing-program",
    type=Choice(("volume", "other")),
    help="pay-per-minute works with volume licensing only",
)
@click.option(
    "--communications-credits-license",
    type=Choice(("perUser", "organization")),
    help="whether each user needs one, or one is enough for all",
)
@_dial_out_policy
@click.option("--pool-minutes-per-license", type=int, help="minutes a month of each subscription")
@click.option(
    "--pool-basis",
    type=Choice(("purchased", "assigned")),
    help="whether bought or assigned subscriptions bring minutes",
)
@click.option(
    "--pool-minutes-used",
    type=int,
    help="minutes of the month of --effective-at that were used in another system",
)
@states_change_from
def set_organization(*, change: Change, **fields: object) -> Statement:
    """Change what holds of an organization.

    What is not named stays as it is.
    """
    return change.of_organization("Organization Changed", fields_of(fields))
