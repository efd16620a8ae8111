"""What runs at once: the table in the docs names the parameters, and its columns fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perminute_local.stack import Template

PAGE = (Path(__file__).parents[2] / "docs" / "capacity-and-costs.md").read_text()
QUOTAS = (10, 100, 1_000)
LEFT = "left for the charging API, reports, streams and daily runs"
OF_WHAT_IS_LEFT = {
    "ExpireCreditConcurrency",
    "ReconcileBooksConcurrency",
    "MaskNumbersConcurrency",
    "IngestRecordsConcurrency",
    "RenderStatementsConcurrency",
}
"""Some run at night or twice a month, one after the other; most stacks read no call records."""


def table() -> dict[str, list[str]]:
    """The table of the page: default, then a value for each quota, by parameter."""
    row = r"^\| `?([^`|]+?)`? \| (\d*) ?\| (\d+) \| (\d+) \| (\d+) \|$"
    rows = re.findall(row, PAGE, re.MULTILINE)
    return {name: values for name, *values in rows}


def test_the_table_has_every_parameter_of_what_runs_at_once(template: Template) -> None:
    parameters = template["Parameters"]
    limits = {name for name in parameters if name.endswith("Concurrency")}
    limits |= {"ApiRequestsPerSecond", "ApiBurst", "ReportsPerSecond", "ReportBurst"}
    limits |= {"WebhooksPerSecond", "WebhookBurst"}
    assert set(table()) == {*limits, LEFT}
    for name in limits:
        default, *by_quota = map(int, table()[name])
        allowed = parameters[name]
        assert default == allowed["Default"], name
        most = allowed.get("MaxValue", max(by_quota))
        assert all(allowed["MinValue"] <= value <= most for value in by_quota), name


def test_what_the_table_says_of_a_quota_fits_into_it() -> None:
    values = table()
    for column, quota in enumerate(QUOTAS, start=1):
        queues = {name: int(row[column]) for name, row in values.items() if "Concurrency" in name}
        left = int(values[LEFT][column])
        assert sum(queues[name] for name in queues.keys() - OF_WHAT_IS_LEFT) + left == quota
        assert max(queues[name] for name in OF_WHAT_IS_LEFT) <= left
        # More requests at one instant than functions can run would fail.
        assert int(values["ApiBurst"][column]) <= left
        # Each copy of the function answers ten requests a second with room to spare.
        assert int(values["ApiRequestsPerSecond"][column]) <= 10 * left
        assert int(values["WebhookBurst"][column]) <= left
        assert int(values["WebhooksPerSecond"][column]) <= 10 * left
        # Reports are requests of the API, and take a part of what it has.
        assert int(values["ReportBurst"][column]) <= max(1, int(values["ApiBurst"][column]) // 4)
        assert int(values["ReportsPerSecond"][column]) <= int(
            values["ApiRequestsPerSecond"][column]
        )
