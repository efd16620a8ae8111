"""Commands for admins: who spent what, when and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from perminute.domain.credit.ledger import EntryType
from perminute_local.cli.parameters import COUNT, FILE, Choice, Parsed, ReportGroup, examples
from perminute_local.cli.report_options import (
    AMOUNT,
    CSV,
    DATE_TYPE,
    FILTERS,
    FORMAT,
    FROM,
    GROUP_BY,
    MONTH,
    MONTH_TYPE,
    OUTPUT,
    PAGES,
    PERIOD,
    TO,
    shows,
)
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path

    from perminute_local.cli.report_options import Parameters


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        msg = f"{text!r} is not a whole number from 0 on"
        raise ValueError(msg)
    return int(text)


WHOLE_NUMBER = Parsed("N", _whole_number)

_CONTOSO = "--organization contoso --stack perminute-dev"
_NOVEMBER = "--from 2026-11-01 --to 2026-12-01"
_DAY = "--organization contoso --replay examples/day"


@click.command(
    epilog=examples(f"perminute balance {_CONTOSO}", f"perminute balance {_DAY}"),
)
@shows("overview", CSV)
def balance() -> Parameters:
    """Show the balance, its lots, and what may change it.

    CSV has the lots.
    """
    return {}


@click.command(
    epilog=examples(
        f"perminute usage {_CONTOSO} {_NOVEMBER} --group-by organizerId",
        f"perminute usage {_CONTOSO} {_NOVEMBER} --group-by day,legType --country DE --csv",
    )
)
@shows("usage", *PERIOD, GROUP_BY, *FILTERS, CSV)
def usage(**parameters: object) -> Parameters:
    """Add up calls, minutes and cost of a period."""
    return parameters


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
@shows("calls", *PERIOD, *FILTERS, *PAGES, CSV)
def list_(**parameters: object) -> Parameters:
    """List the calls of a period, the last first.

    A table has the last 50, unless --limit names another number. CSV and JSON have all.
    """
    return parameters


@click.command(epilog=examples(f"perminute explain contoso-0132 {_CONTOSO}"))
@click.argument("call", metavar="CALL", help="the call's id")
@shows("explanation", CSV)
def explain(*, call: str) -> Parameters:
    """Explain why a call cost what it did.

    CSV has a row for each entry that charged or changed the call.

    Exit code 1: the call is not known, or rating it again differs from the record.
    """
    return {"callId": call}


@click.command(
    epilog=examples(
        f"perminute ledger {_CONTOSO} --month 2026-11",
        f"perminute ledger {_CONTOSO} {_NOVEMBER} --csv",
    )
)
@shows(
    "ledger",
    click.option("--month", type=MONTH_TYPE, help="of this month, UTC"),
    FROM(help="or from this date or time on, UTC"),
    TO(help="before this date or time, UTC"),
    click.option(
        "--type",
        type=Choice([entry_type.value for entry_type in EntryType]),
        help="only entries of this type",
    ),
    *PAGES,
    CSV,
)
def ledger(**parameters: object) -> Parameters:
    """List the entries that moved the balance."""
    return parameters


@click.command(
    epilog=examples(
        f"perminute statement {_CONTOSO} --month 2026-11",
        f"perminute statement {_CONTOSO} --month 2026-11 --basis stated --format csv",
        f"perminute statement {_CONTOSO} --month 2026-11 --format pdf --output november.pdf",
    )
)
@shows(
    "statement",
    MONTH,
    click.option(
        "--basis",
        type=Choice(["now", "stated"]),
        help="as it is now, or as it was three days after the month (default: now)",
    ),
    CSV,
    FORMAT,
    OUTPUT,
)
def statement(**parameters: object) -> Parameters:
    """State the credit and the calls of a month.

    CSV has a line for each entry of the ledger; HTML and PDF are to print and to file. Exit code 1:
    the statement does not agree with what is recorded, which CSV does not say.
    """
    return parameters


@click.command("pstn-usage", epilog=examples(f"perminute pstn-usage {_CONTOSO} --month 2026-11"))
@shows("pstn-usage", MONTH, CSV)
def pstn_usage(**parameters: object) -> Parameters:
    """Write a month's calls as Microsoft's export does.

    It is CSV with the 20 columns of the PSTN usage report of Teams.
    """
    return parameters


@click.command(
    epilog=examples(
        f"perminute forecast {_CONTOSO}",
        "perminute forecast --input examples/command-line/forecast-figures.json",
    )
)
@shows(
    "forecast",
    click.option(
        "--horizon-days", "horizonDays", type=COUNT, help="days ahead, 1 to 180 (default: 90)"
    ),
    CSV,
    from_figures=True,
)
def forecast(**parameters: object) -> Parameters:
    """Forecast the month's cost, and when credit runs out.

    CSV and JSON have the balance at the end of each day. docs/reports.md describes the file of
    --input.
    """
    return parameters


@click.command(
    "license-advice",
    epilog=examples(
        f"perminute license-advice {_CONTOSO} --price 4",
        "perminute license-advice --input examples/command-line/license-figures.json",
    ),
)
@shows(
    "license-advice",
    click.option(
        "--price", type=AMOUNT, help="what a subscription costs in a month; there is no default"
    ),
    click.option("--months", type=COUNT, help="complete months that count, 1 to 12 (default: 3)"),
    click.option(
        "--minimum-saving",
        "minimumSaving",
        type=AMOUNT,
        help="leave out changes that save less in a month (default: 0)",
    ),
    click.option(
        "--contracted-until",
        "contractedUntil",
        type=DATE_TYPE,
        help="when subscriptions are renewed; until then they are paid, used or not",
    ),
    CSV,
    from_figures=True,
)
def license_advice(**parameters: object) -> Parameters:
    """Say which subscriptions would cost least. CSV has a line for each user who should change.

    docs/license-advice.md explains the answer, and describes the file of --input.
    """
    return parameters


@click.command(
    "what-if",
    epilog=examples(
        f"perminute what-if {_CONTOSO} --month 2026-11 --rates new.csv",
        f"perminute what-if {_CONTOSO} --month 2026-11 --licenses licenses.csv",
        f"perminute what-if {_CONTOSO} --month 2026-11 --pool 600",
    ),
)
@shows(
    "what-if",
    MONTH,
    click.option("--rates", type=FILE, help="with the prices of this rate card"),
    click.option(
        "--licenses", type=FILE, help="with the licenses of this CSV file: columns user, license"
    ),
    click.option(
        "--pool",
        type=WHOLE_NUMBER,
        help="with this many minutes in the minute pool",
    ),
    CSV,
)
def what_if(*, rates: Path | None, licenses: Path | None, **parameters: object) -> Parameters:
    """Show what a month's calls would have cost.

    They are rated again with other prices, licenses or pool minutes; nothing is changed. At least
    one of --rates, --licenses and --pool is required. CSV has a line for each organizer.
    """
    if rates is None and licenses is None and parameters["pool"] is None:
        msg = "needs --rates FILE, --licenses FILE or --pool N, to say what differs"
        raise WrongCall(msg)
    from perminute_local.reports.what_if_files import card_parameter, license_parameters

    return {
        **parameters,
        "rateCard": None if rates is None else card_parameter(rates),
        "licenses": None if licenses is None else license_parameters(licenses),
    }
