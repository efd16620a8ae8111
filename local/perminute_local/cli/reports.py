"""Commands for admins: who spent what, when and why.

Options are named after the parameters of the API, and reach it under these names.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import click

from perminute.domain.rating.calls import PHONE_LEG_TYPES
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.countries import check_country
from perminute_local.cli.parameters import (
    COUNT,
    IDENTIFIER,
    Choice,
    Parsed,
    ReportGroup,
    examples,
    stack_option,
)
from perminute_local.reports.forms import Form
from perminute_local.user_input import date_or_instant, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Run = TypeVar("Run", bound="Callable[..., object]")

GROUPS = ("day", "organizerId", "legType", "country", "prefix", "outcome")


def _groups(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in GROUPS:
            msg = f"{name!r} is none of {', '.join(GROUPS)}.{did_you_mean(name, GROUPS)}"
            raise ValueError(msg)
    return names


def _date(text: str) -> str:
    date_or_instant(text)
    # As it was written: an answer that refuses a period repeats it.
    return text


def _month(text: str) -> str:
    if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text, re.ASCII) is None:
        msg = f"{text!r} is no month; write it as 2026-11"
        raise ValueError(msg)
    return text


def _options(*options: Callable[[Run], Run]) -> Callable[[Run], Run]:
    """Return a decorator that adds options, listed in this order."""

    def add(run: Run) -> Run:
        for option in reversed(options):
            run = option(run)
        return run

    return add


def _form(name: str, form: Form, words: str) -> Callable[[Run], Run]:
    return click.option(name, "form", flag_value=form, type=click.UNPROCESSED, help=words)


_DATE = Parsed("DATE", _date)
_MONTH = Parsed("MONTH", _month)

_organization = _options(
    stack_option,
    click.option(
        "--organization", required=True, type=IDENTIFIER, help="the organization that pays"
    ),
)
_period = _options(
    click.option("--from", "from", required=True, type=_DATE, help="from this date or time, UTC"),
    click.option("--to", "to", required=True, type=_DATE, help="before this date or time, UTC"),
)
_filters = _options(
    click.option(
        "--organizer-id", "organizerId", type=IDENTIFIER, help="only calls of this organizer"
    ),
    click.option(
        "--leg-type",
        "legType",
        type=Choice([one.value for one in PHONE_LEG_TYPES]),
        help="only calls that were joined in this way",
    ),
    click.option(
        "--country",
        type=Parsed("CC", check_country),
        help="only calls at the prices of this country",
    ),
    click.option(
        "--outcome",
        type=Choice([one.value for one in Outcome if one is not Outcome.FREE]),
        help="only calls with this outcome",
    ),
)
_limit_option = click.option("--limit", type=COUNT, help="write so many at most")
_cursor_option = click.option(
    "--cursor", metavar="TEXT", help="continue after the answer that has this as next"
)
_json_option = _form("--json", Form.JSON, "write one JSON document instead of text")
_csv_option = _form("--csv", Form.CSV, "write CSV for spreadsheets instead of text")

_CONTOSO = "--stack perminute-dev --organization contoso"
_NOVEMBER = "--from 2026-11-01 --to 2026-12-01"


@click.command(epilog=examples(f"perminute balance {_CONTOSO}"))
@_organization
@_json_option
def balance(*, stack: str, organization: str, form: Form | None) -> int:
    """Show the balance, its lots, and what may change it."""
    return _show(stack, "overview", organization, {}, form)


@click.command(
    epilog=examples(
        f"perminute usage {_CONTOSO} {_NOVEMBER} --group-by organizerId",
        f"perminute usage {_CONTOSO} {_NOVEMBER} --group-by day,legType --country DE --csv",
    )
)
@_organization
@_period
@click.option(
    "--group-by",
    "groupBy",
    multiple=True,
    type=Parsed("NAMES", _groups),
    callback=lambda _context, _option, lists: list(dict.fromkeys(chain.from_iterable(lists))),
    help=f"a line for each {', '.join(GROUPS[:-1])} or {GROUPS[-1]}, or for several with commas",
)
@_filters
@_json_option
@_csv_option
def usage(*, stack: str, organization: str, form: Form | None, **parameters: object) -> int:
    """Add up calls, minutes and cost of a period."""
    return _show(stack, "usage", organization, parameters, form)


@click.group(cls=ReportGroup)
def calls() -> None:
    """List calls.

    `perminute calls` without a command is `perminute calls list`.
    """


@calls.command(
    "list",
    epilog=examples(
        f"perminute calls {_CONTOSO} {_NOVEMBER} --organizer-id adele",
        f"perminute calls {_CONTOSO} {_NOVEMBER} --csv",
    ),
)
@_organization
@_period
@_filters
@_limit_option
@_cursor_option
@_json_option
@_csv_option
def list_(
    *,
    stack: str,
    organization: str,
    form: Form | None,
    limit: int | None,
    **parameters: object,
) -> int:
    """List the calls of a period, the last first.

    A table has the last 50, unless --limit names another number. CSV and JSON have all.
    """
    at_most = limit or (50 if form is None else None)
    return _show(stack, "calls", organization, parameters, form, at_most)


@click.command(epilog=examples(f"perminute explain contoso-0132 {_CONTOSO}"))
@click.argument("call", metavar="CALL")
@_organization
@_json_option
def explain(*, call: str, stack: str, organization: str, form: Form | None) -> int:
    """Explain why a call cost what it did.

    Exit code 1: the call is not known.
    """
    return _show(stack, "explanation", organization, {"callId": call}, form)


@click.command(
    epilog=examples(
        f"perminute ledger {_CONTOSO} --month 2026-11",
        f"perminute ledger {_CONTOSO} {_NOVEMBER} --csv",
    )
)
@_organization
@click.option("--month", type=_MONTH, help="of this month, UTC")
@click.option("--from", "from", type=_DATE, help="or from this date or time, UTC")
@click.option("--to", "to", type=_DATE, help="before this date or time, UTC")
@_limit_option
@_cursor_option
@_json_option
@_csv_option
def ledger(
    *,
    stack: str,
    organization: str,
    form: Form | None,
    limit: int | None,
    **parameters: object,
) -> int:
    """List the entries that moved the balance."""
    return _show(stack, "ledger", organization, parameters, form, limit)


def _show(  # noqa: PLR0917 - what a command was called with, in the order of the question
    stack: str,
    report: str,
    organization: str,
    parameters: Mapping[str, object],
    form: Form | None,
    at_most: int | None = None,
) -> int:
    from perminute_local.reports.show import show
    from perminute_local.reports.source import Question, StackReports

    question = Question(report, organization, parameters)
    return show(StackReports(stack), question, form or Form.TEXT, at_most=at_most)
