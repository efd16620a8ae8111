"""Commands for admins: who spent what, when and why."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import click

from perminute.domain.rating.calls import PHONE_LEG_TYPES
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.countries import check_country
from perminute_local.cli.parameters import (
    IDENTIFIER,
    Choice,
    Parsed,
    examples,
    stack_option,
)
from perminute_local.reports.forms import Form
from perminute_local.user_input import date_or_instant, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Run = TypeVar("Run", bound="Callable[..., object]")


def _date(text: str) -> str:
    date_or_instant(text)
    # As it was written: an answer that refuses a period repeats it.
    return text


GROUPS = ("day", "organizerId", "legType", "country", "prefix", "outcome")


def _groups(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in GROUPS:
            msg = f"{name!r} is none of {', '.join(GROUPS)}.{did_you_mean(name, GROUPS)}"
            raise ValueError(msg)
    return names


_DATE = Parsed("DATE", _date)

_from_option = click.option(
    "--from", "since", required=True, type=_DATE, help="from this date or time on, UTC"
)
_to_option = click.option(
    "--to", "until", required=True, type=_DATE, help="before this date or time, UTC"
)
_json_option = click.option(
    "--json",
    "form",
    flag_value=Form.JSON,
    type=click.UNPROCESSED,
    help="write one JSON document instead of text",
)
_organization_option = click.option(
    "--organization", required=True, type=IDENTIFIER, help="the organization that pays"
)


def _of_organization(run: Run) -> Run:
    return stack_option(_organization_option(run))


def _filters(run: Run) -> Run:
    options = (
        click.option("--organizer-id", type=IDENTIFIER, help="only calls of this organizer"),
        click.option(
            "--leg-type",
            type=Choice([one.value for one in PHONE_LEG_TYPES]),
            help="only calls that attendees joined in this way",
        ),
        click.option("--country", type=Parsed("CC", check_country), help="only calls to or from"),
        click.option(
            "--outcome",
            type=Choice([one.value for one in Outcome if one is not Outcome.FREE]),
            help="only calls with this outcome",
        ),
    )
    for option in reversed(options):
        run = option(run)
    return run


@click.command(
    epilog=examples(
        "perminute usage --stack perminute-dev --organization contoso --from 2026-11-01 "
        "--to 2026-12-01 --group-by organizerId",
        "perminute usage --stack perminute-dev --organization contoso --from 2026-11-01 "
        "--to 2026-12-01 --group-by day,legType --country DE --json",
    )
)
@_of_organization
@_from_option
@_to_option
@click.option(
    "--group-by",
    multiple=True,
    type=Parsed("NAMES", _groups),
    help=f"a line for each of these: {', '.join(GROUPS)}; with commas, or repeated",
)
@_filters
@_json_option
def usage(
    *,
    stack: str,
    organization: str,
    since: str,
    until: str,
    group_by: tuple[tuple[str, ...], ...],
    form: Form | None,
    **filters: str | None,
) -> int:
    """Add up calls, minutes and cost of a period."""
    parameters = {
        "from": since,
        "to": until,
        "groupBy": list(dict.fromkeys(chain.from_iterable(group_by))),
    }
    return _show(stack, "usage", organization, {**parameters, **_camel(filters)}, form)


def _camel(options: Mapping[str, str | None]) -> dict[str, str | None]:
    return {
        re.sub("_[a-z]", lambda found: found[0][1].upper(), name): value
        for name, value in options.items()
    }


def _show(
    stack: str, report: str, organization: str, parameters: Mapping[str, object], form: Form | None
) -> int:
    from perminute_local.reports.show import show
    from perminute_local.reports.source import Question, StackReports

    question = Question(report, organization, parameters)
    return show(StackReports(stack), question, form or Form.TEXT)
