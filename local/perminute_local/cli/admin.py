"""`perminute credit`, `license`, `user` and `organization`: what an admin decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from perminute_local.cli.event_options import (
    fields_of,
    sends_events,
    states_change,
    states_change_from,
    states_change_of_users,
)
from perminute_local.cli.parameters import (
    CURRENCY,
    DATE_OR_INSTANT,
    IDENTIFIER,
    Choice,
    CommandGroup,
    examples,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute_local.admin.drafts import Change, Statement, User


CLEARABLE = {
    "low-balance-threshold": "lowBalanceThresholds",
    "auto-recharge": "autoRecharge",
    "monthly-limit": "autoRecharge.monthlyLimit",
    "daily-spend-limit": "dailySpendLimit",
    "prefix-hourly-spend-limit": "prefixHourlySpendLimit",
    "max-concurrent-calls": "maxConcurrentCalls",
    "max-grant-seconds": "maxGrantSeconds",
    "failure-handling": "failureHandling",
    "late-usage-hours": "lateUsageHours",
    "monthly-budget": "monthlyBudget",
}
"""Settings that can be taken away, by the names of their options; some then have their default.

They stand here because a command's choices are shown before `drafts` is imported.
"""


_AMOUNT = "AMOUNT"


@click.group(cls=CommandGroup)
def credit() -> None:
    """Configure, buy or adjust an organization's prepaid credit."""


@credit.command(
    epilog=examples(
        "perminute credit configure --organization contoso --currency EUR "
        "--low-balance-threshold 20 --print",
        "perminute credit configure --organization contoso --daily-spend-limit 100 "
        "--stack perminute-dev",
        "perminute credit configure --organization contoso --clear daily-spend-limit "
        "--stack perminute-dev --yes",
    )
)
@click.option("--currency", type=CURRENCY, help="the credit's currency; it cannot be changed later")
@click.option(
    "--low-balance-threshold",
    "low_balance_thresholds",
    multiple=True,
    metavar=_AMOUNT,
    help="notify admins below this balance; may be repeated, and replaces all thresholds",
)
@click.option(
    "--auto-recharge/--no-auto-recharge",
    default=None,
    help="whether to request credit automatically",
)
@click.option("--trigger-amount", metavar=_AMOUNT, help="request credit below this balance")
@click.option("--recharge-amount", metavar=_AMOUNT, help="how much credit to request at a time")
@click.option("--monthly-limit", metavar=_AMOUNT, help="most credit to request in a month")
@click.option(
    "--minimum-purchase",
    metavar=_AMOUNT,
    help="refuse a smaller --recharge-amount now; it is not recorded",
)
@click.option("--daily-spend-limit", metavar=_AMOUNT, help="what calls of a UTC day may cost")
@click.option(
    "--prefix-hourly-spend-limit",
    metavar=_AMOUNT,
    help="what dial-outs to one prefix may cost in an hour",
)
@click.option("--max-concurrent-calls", type=int, help="most concurrent calls")
@click.option("--max-grant-seconds", type=int, help="most seconds that a call is granted at a time")
@click.option(
    "--failure-handling",
    type=Choice(("closed", "open")),
    help="what bridges do with calls when the charging API does not answer",
)
@click.option("--late-usage-hours", type=int, help="how many hours late usage may be reported")
@click.option(
    "--monthly-budget",
    metavar=_AMOUNT,
    help="notify admins when a UTC month is expected to cost more",
)
@click.option(
    "--clear",
    "cleared",
    multiple=True,
    type=Choice(tuple(CLEARABLE)),
    help="remove this setting, or reset it to its default; may be repeated",
)
@states_change
def configure(
    *,
    change: Change,
    cleared: tuple[str, ...],
    low_balance_thresholds: tuple[str, ...],
    **settings: object,
) -> Statement:
    """Change the settings of the credit.

    Settings that are not named stay as they are. With --print the settings in force are not
    known, so settings that are not named are cleared.
    """
    fields = {"low_balance_thresholds": list(low_balance_thresholds) or None, **settings}
    return change.configure(fields_of(fields), cleared)


@credit.command(
    epilog=examples(
        "perminute credit buy --organization contoso --amount 50 --currency EUR --print",
        "perminute credit buy --organization contoso --amount 50 --currency EUR "
        "--purchase-id po-1001 --stack perminute-dev",
    )
)
@click.option("--amount", required=True, metavar=_AMOUNT, help="the amount that was bought")
@click.option("--currency", required=True, type=CURRENCY, help="the credit's currency")
@click.option(
    "--purchase-id",
    type=IDENTIFIER,
    help="an id: the event counts once, however often it is sent (default: a new one)",
)
@click.option("--purchased-at", type=DATE_OR_INSTANT, help="a time or a date, UTC (default: now)")
@click.option(
    "--expires-at",
    type=DATE_OR_INSTANT,
    help="a time or a date, UTC (default: 12 calendar months after it was bought)",
)
@click.option(
    "--recharge-id", type=IDENTIFIER, help="the rechargeId of the RechargeRequested that it pays"
)
@sends_events
def buy(
    *, organization: str, purchase_id: str | None, now: datetime, **fields: object
) -> Statement:
    """Book credit that was bought."""
    from perminute_local.admin.drafts import purchase

    return purchase(organization, purchase_id, fields_of(fields), now=now)


@credit.command(
    epilog=examples(
        "perminute credit adjust --organization contoso --amount 5 --reason goodwill --print",
        "perminute credit adjust --organization contoso --amount -50 --purchase-id po-1001 "
        "--reason chargeback --stack perminute-dev",
    )
)
@click.option("--amount", required=True, metavar=_AMOUNT, help="added if above 0, taken if below 0")
@click.option("--reason", required=True, help="shown in the ledger")
@click.option(
    "--purchase-id", type=IDENTIFIER, help="the purchase that a negative amount takes back"
)
@click.option(
    "--adjustment-id",
    type=IDENTIFIER,
    help="an id: the event counts once, however often it is sent (default: a new one)",
)
@sends_events
def adjust(
    *, organization: str, adjustment_id: str | None, now: datetime, **fields: object
) -> Statement:
    """Correct the balance, or take a purchase back."""
    from perminute_local.admin.drafts import adjustment

    del now
    return adjustment(organization, adjustment_id, fields_of(fields))


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
    """Assign and remove licenses, and state purchases."""


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
    """State how many licenses of a kind were purchased."""
    stated = {"license": license_, "quantity": quantity}
    return change.of_organization("Licenses Purchased", stated)


@click.group(cls=CommandGroup)
def user() -> None:
    """Change users."""


@user.command(
    "set",
    epilog=examples(
        "perminute user set --organization contoso --user adele@contoso.com --country DE "
        "--monthly-spend-limit 25 --print"
    ),
)
@click.option("--country", metavar="CODE", help="the usage location, ISO 3166-1 alpha-2")
@click.option(
    "--monthly-spend-limit", metavar="AMOUNT", help="what the user's meetings may cost in a month"
)
@_dial_out_policy
@click.option(
    "--toll-free-dial-in-allowed/--no-toll-free-dial-in-allowed",
    default=None,
    help="whether toll-free numbers may be used for their meetings",
)
@states_change_of_users
def set_user(*, change: Change, users: Sequence[User], **fields: object) -> Statement:
    """Change users' country, limit and policies.

    What is not named stays as it is; a value cannot be removed.
    """
    return change.of_users("User Changed", users, fields_of(fields))


@click.group(cls=CommandGroup)
def organization() -> None:
    """Change an organization."""


@organization.command(
    "set",
    epilog=examples(
        "perminute organization set --organization contoso --licensing-program volume --print"
    ),
)
@click.option("--name", help="the name that people see; nothing depends on it")
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
@click.option(
    "--pool-minutes-per-license", type=int, help="minutes of each subscription license a month"
)
@click.option(
    "--pool-basis",
    type=Choice(("purchased", "assigned")),
    help="whether purchased or assigned licenses count",
)
@click.option(
    "--pool-minutes-used",
    type=int,
    help="minutes of the month of --effective-at that were used in another system",
)
@states_change_from
def set_organization(*, change: Change, **fields: object) -> Statement:
    """Change an organization's policies and minute pool.

    What is not named stays as it is.
    """
    return change.of_organization("Organization Changed", fields_of(fields))
