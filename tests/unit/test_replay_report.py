"""What the tables of a replay say of calls that credit did not pay."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from builders import LONG_AGO, ORGANIZATION, ORGANIZER, holds, phone_call, volume
from builders import card as rates
from rich.console import Console

from perminute.domain.credit.accounts import Account
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute_local.replay.report import report
from perminute_local.replay.results import Results

if TYPE_CHECKING:
    from perminute.domain.rating.usage_record import Usage

NOBODY = RatingContext(Licensing(volume()), rates(), "USD", LONG_AGO)
LICENSED = NOBODY._replace(
    licensing=Licensing(volume(), {ORGANIZER: holds("payPerMinute", "communicationsCredits")}),
)


def shown_of(*usages: Usage) -> tuple[str, str]:
    """What is shown of calls, and of those that credit did not pay."""
    file = io.StringIO()
    account = Account(organization_id=ORGANIZATION)
    for part in report(Results([account], list(usages), [])):
        Console(file=file, width=200).print(part)
    calls, _, unpaid = file.getvalue().partition("calls that credit did not pay")
    return calls, unpaid


def rows(*usages: Usage) -> list[list[str]]:
    """The cells of each row of calls that credit did not pay."""
    _, table = shown_of(*usages)
    lines = [line.strip() for line in table.splitlines() if ORGANIZATION not in line]
    return [re.split("  +", line) for line in lines]


def test_retail_costs_in_two_currencies_are_not_added_up() -> None:
    of_germany = [rate_call(phone_call(call_id=f"{n}"), NOBODY).usage() for n in range(2)]
    to_france = phone_call(remote_number="+33199001234")
    of_france = rate_call(to_france, NOBODY).usage()
    unrated = rate_call(to_france, LICENSED).usage()
    shown = rows(*of_germany, of_france, unrated)
    assert ["not entitled", "no license", "2", "0.300000", "USD"] in shown
    assert ["not entitled", "no license", "1", "0.160000", "EUR"] in shown
    assert ["unrated", "currency mismatch", "1", "-", "EUR"] in shown


def test_billed_minutes_are_said_to_be_those_of_charged_calls() -> None:
    usages = [rate_call(phone_call(), context).usage() for context in (NOBODY, LICENSED)]
    calls, _ = shown_of(*usages)
    cells = [re.split("  +", line.strip()) for line in calls.splitlines()]
    minutes = str(usages[0].price.billed_seconds // 60)
    assert ["call", "calls", "charged", "their billed minutes", "pool", "cost"] in cells
    assert [row[:4] for row in cells if row[0] == "all"] == [["all", "2", "1", minutes]]
