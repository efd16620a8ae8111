"""What commands that show reports have in common: of whom, from where, in which form, of when.

Options are named after the parameters of the API, and reach it under these names.
"""

from __future__ import annotations

import functools
import re
import sys
from itertools import chain
from typing import TYPE_CHECKING

import click

from perminute.domain.rating.calls import PHONE_LEG_TYPES
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.countries import check_country
from perminute.domain.reporting.usage_sums import GroupKey
from perminute.domain.values.money import parse_micros
from perminute_local.cli.parameters import (
    COUNT,
    FILE,
    FOLDER,
    IDENTIFIER,
    NEW_FILE,
    STACK,
    Choice,
    Parsed,
    with_options,
)
from perminute_local.reports.forms import Form, Source
from perminute_local.user_input import date_or_instant, did_you_mean
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., int]
    Option = Callable[[Command], Command]
    Parameters = dict[str, object]

GROUPS = [str(key) for key in GroupKey]


def _groups(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in GROUPS:
            msg = f"{name!r} is none of {', '.join(GROUPS)}.{did_you_mean(name, GROUPS)}"
            raise ValueError(msg)
    return names


def _date(text: str) -> str:
    try:
        date_or_instant(text)
    except ValueError:
        msg = f"{text!r} is not a date or time; write it as 2026-11-02 or 2026-11-02T09:00:00Z"
        raise ValueError(msg) from None
    # As it was written: an answer that refuses a period repeats it.
    return text


def _amount(text: str) -> str:
    if parse_micros(text) < 0:
        msg = f"{text!r} is below 0"
        raise ValueError(msg)
    return text


def _month(text: str) -> str:
    if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text, re.ASCII) is None:
        msg = f"{text!r} is not a month; write it as 2026-11"
        raise ValueError(msg)
    return text


def _form(name: str, form: Form, words: str) -> Option:
    return click.option(name, "form", flag_value=form, type=click.UNPROCESSED, help=words)


DATE_TYPE = Parsed("DATE", _date)
AMOUNT = Parsed("AMOUNT", _amount)
MONTH_TYPE = Parsed("MONTH", _month)

_ORGANIZATION = functools.partial(
    click.option, "--organization", type=IDENTIFIER, help="the organization's id"
)
_SUBJECT = (
    click.option("--stack", type=STACK, help="read what this deployed stack has recorded"),
    click.option(
        "--replay",
        "folder",
        type=FOLDER,
        metavar="DIR",
        help="or replay this folder of events first, and read what that records",
    ),
)
_INPUT = click.option(
    "--input",
    "figures",
    type=FILE,
    help="or compute from the figures in this JSON file, without an organization",
)
FROM, TO = (
    functools.partial(click.option, "--from", "from", type=DATE_TYPE),
    functools.partial(click.option, "--to", "to", type=DATE_TYPE),
)
PERIOD = (
    FROM(required=True, help="from this date or time on, UTC"),
    TO(required=True, help="before this date or time, UTC"),
)
MONTH = click.option("--month", required=True, type=MONTH_TYPE, help="of this month, UTC")
GROUP_BY = click.option(
    "--group-by",
    "groupBy",
    multiple=True,
    type=Parsed("NAMES", _groups),
    callback=lambda _context, _option, lists: list(dict.fromkeys(chain.from_iterable(lists))),
    help=f"a line for each {', '.join(GROUPS[:-1])} or {GROUPS[-1]}, or for several with commas",
)
FILTERS = (
    click.option(
        "--organizer-id", "organizerId", type=IDENTIFIER, help="only calls of this organizer"
    ),
    click.option(
        "--leg-type",
        "legType",
        type=Choice([leg_type.value for leg_type in PHONE_LEG_TYPES]),
        help="only calls that were joined in this way",
    ),
    click.option(
        "--country",
        type=Parsed("CC", check_country),
        help="only calls at the prices of this country",
    ),
    click.option(
        "--outcome",
        type=Choice([outcome.value for outcome in Outcome if outcome is not Outcome.FREE]),
        help="only calls with this outcome",
    ),
)
PAGES = (
    click.option("--limit", type=COUNT, help="write so many at most"),
    click.option("--cursor", metavar="TEXT", help="continue where an answer says next"),
)
CSV = _form("--csv", Form.CSV, "write CSV for spreadsheets instead of text")
FORMAT = click.option(
    "--format",
    "named_form",
    type=Choice([form.value for form in Form]),
    help="the form by its name",
)
OUTPUT = click.option(
    "--output", type=NEW_FILE, metavar="FILE", help="write to this file, not to standard output"
)
_JSON = _form("--json", Form.JSON, "write one JSON document instead of text")


def shows(
    report: str, *options: Option, from_figures: bool = False
) -> Callable[[Callable[..., Parameters]], Command]:
    """Make a command that shows a report of what returns the parameters of its options.

    Adds these options, and `--organization`, `--stack`, `--replay` and `--json`; `--input` if it
    can be made from figures in a file.
    """

    def make(parameters: Callable[..., Parameters]) -> Command:
        @functools.wraps(parameters)
        def command(
            *,
            organization: str | None,
            stack: str | None,
            folder: Path | None,
            figures: Path | None = None,
            form: Form | None,
            named_form: str | None = None,
            limit: int | None = None,
            output: Path | None = None,
            **stated: object,
        ) -> int:
            source = _source(organization, Source(stack, folder, figures))
            if form is not None and named_form not in {None, form}:
                msg = f"--format {named_form} and --{form} name two forms; leave out one"
                raise WrongCall(msg)
            shown_as = form or Form(named_form or Form.TEXT)
            if shown_as is Form.PDF and output is None and sys.stdout.isatty():
                msg = "--format pdf needs --output FILE: a terminal cannot show it"
                raise WrongCall(msg)
            from perminute_local.reports.output import writing_to
            from perminute_local.reports.show import show_from
            from perminute_local.reports.source import Question

            question = Question(report, organization or str(figures), parameters(**stated))
            with writing_to(output):
                return show_from(source, question, shown_as, at_most=limit)

        whose = (_ORGANIZATION(required=not from_figures), *_SUBJECT)
        given = (_INPUT,) if from_figures else ()
        return with_options((*whose, *given, *options, _JSON), command)

    return make


def _source(organization: str | None, source: Source) -> Source:
    where = (source.stack, source.folder)
    if source.figures is not None:
        if organization or any(where):
            msg = "--input FILE states all figures; leave out --organization, --stack and --replay"
            raise WrongCall(msg)
    elif organization is None:
        msg = "needs --organization ID, or --input FILE with the figures of any"
        raise WrongCall(msg)
    elif None not in where or not any(where):
        msg = "needs either --stack NAME, or --replay DIR for a folder of events, and not both"
        raise WrongCall(msg)
    return source
