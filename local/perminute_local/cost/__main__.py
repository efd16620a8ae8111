"""Print what the stages of `samconfig.toml` cost: `python -m perminute_local.cost`."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import TYPE_CHECKING

from perminute_local.cost.archive import EVENTS, archive_costs
from perminute_local.cost.calls import BATCHES, REQUEST_MILLISECONDS, arrivals, call_costs
from perminute_local.cost.console import console_costs
from perminute_local.cost.idle import idle_costs
from perminute_local.cost.prices import AS_OF
from perminute_local.cost.records import WAYS, record_costs
from perminute_local.cost.reports import overview, overview_costs
from perminute_local.cost.usage_archive import FILES, usage_archive_costs
from perminute_local.stack import load_template, stage_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perminute_local.cost.idle import Cost

STAGES = ("dev", "prod")


def main() -> None:
    """Print a table for each stage, and one for each size of batches."""
    template = load_template()
    sys.stdout.write(f"Dollars, by list prices of {AS_OF} in us-east-1 without any free tier\n")
    for stage in STAGES:
        costs = idle_costs(template, stage_parameters(template, stage))
        _print(f"{stage}: a month of 30 days in which nothing is sent", costs)
    for way in arrivals():
        for size, arrival in zip(BATCHES, way, strict=True):
            title = f"a million calls by {arrival.name}, {size} of an organization at a time"
            _print(title, call_costs(template, arrival))
    for way_of_records in WAYS:
        title = f"a million calls by {way_of_records.name}, until they are queued"
        _print(title, record_costs(template, way_of_records))
    for archived in EVENTS:
        title = f"a million calls by {archived}, archived, and all sent again once"
        _print(title, archive_costs(archived))
    for together in FILES:
        title = f"a million calls, archived before they are masked: {together}"
        _print(title, usage_archive_costs(together))
    one = overview()
    _print("a million overviews", overview_costs(template, one))
    _print("a million visits of the console that a stack serves", console_costs(template, one))
    sys.stdout.write(
        f"\nA request to AWS is taken to last {REQUEST_MILLISECONDS} ms. Beside that, each"
        "\nmetric of ours has its price by the hours with data, and one trace a second its own.\n"
    )


def _print(title: str, costs: Iterable[Cost]) -> None:
    costs = list(costs)
    sys.stdout.write(f"\n{title}\n")
    sys.stdout.writelines(_lines(costs))
    total = sum((cost.dollars for cost in costs), Decimal())
    sys.stdout.write(f"  {'in all':<20}{total:>8.3f}\n")


def _lines(costs: Iterable[Cost]) -> Iterator[str]:
    for cost in costs:
        yield f"  {cost.kind:<20}{cost.dollars:>8.3f}  {cost.counted}\n"


if __name__ == "__main__":
    main()
