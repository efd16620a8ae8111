"""Dollars for a million calls: reported together, beside one event a call."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from perminute_local.bench.report import print_result
from perminute_local.cost.calls import BATCHES, arrivals, call_costs
from perminute_local.stack import load_template

if TYPE_CHECKING:
    from perminute_local.cost.calls import Arrival
    from perminute_local.stack import Template


def main() -> None:
    """Count what AWS bills while the function charges calls that arrive in each way."""
    template = load_template()
    separate, together, direct = arrivals()
    print_result(
        "dollars",
        "at most 4.5, 1.75 and 1.5 dollars for a million calls that are reported together",
        callsOfAnOrganization=BATCHES,
        callsEnded=_totals(template, together),
        messagesToTheQueue=_totals(template, direct),
        oneEventACall=_totals(template, separate),
    )


def _totals(template: Template, ways: list[Arrival]) -> list[float]:
    costs = (call_costs(template, arrival) for arrival in ways)
    return [round(float(sum((one.dollars for one in some), Decimal())), 3) for some in costs]


if __name__ == "__main__":
    main()
