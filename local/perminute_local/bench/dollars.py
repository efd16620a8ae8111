"""Dollars for a million calls: reported together, beside one event a call."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from perminute_local.bench.report import Row, print_result
from perminute_local.cost.calls import BATCHES, arrivals, call_costs
from perminute_local.stack import load_template

if TYPE_CHECKING:
    from perminute_local.cost.calls import Arrival
    from perminute_local.stack import Template


def main() -> None:
    """Count what AWS bills while the function charges calls that arrive in each way."""
    template = load_template()
    separate, together, direct = (_totals(template, way) for way in arrivals())
    print_result(
        "dollars",
        "at most 4.5, 1.75 and 1.5 dollars for a million calls that are reported together",
        [
            Row(f"dollars for a million calls, {size} at once, {way}", ours, one_by_one, aim)
            for way, totals in (("Calls Ended", together), ("to the queue", direct))
            for size, ours, one_by_one, aim in zip(
                BATCHES, totals, separate, ("≤ 4.5", "≤ 1.75", "≤ 1.5"), strict=True
            )
        ],
        callsOfAnOrganization=BATCHES,
        callsEnded=together,
        messagesToTheQueue=direct,
        oneEventACall=separate,
    )


def _totals(template: Template, ways: list[Arrival]) -> list[float]:
    costs = (call_costs(template, arrival) for arrival in ways)
    return [round(float(sum((one.dollars for one in some), Decimal())), 3) for some in costs]


if __name__ == "__main__":
    main()
