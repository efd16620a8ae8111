"""Dollars for a million visits of the console that a stack serves (`ConsoleDomain`)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from perminute_local.console.page import page_files
from perminute_local.cost.idle import Cost
from perminute_local.cost.prices import MILLION, of_a_million, price
from perminute_local.cost.reports import overview_costs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.cost.calls import Measured
    from perminute_local.stack import Template

# A visit loads everything anew; a browser that was here before is sent little.
MORE_FILES = 2
"""Beside those of the repository: the library of charts, and the settings of the stack."""
PAGE_BYTES = 330_000
"""All files, compressed (`make bench`)."""
REPORTS = 8
"""What it asks for when it is opened: overview, usage thrice, calls, ledger twice, forecast."""
REPORT_BYTES = 30_000
"""All of these, compressed; more than was seen."""
_GIGABYTE = 1_000_000_000


def console_costs(template: Template, one: Measured) -> list[Cost]:
    """Return what each kind costs for a million visits; each report is taken to cost an overview.

    `one` is what an overview asks of AWS.
    """
    return list(_costs(template, one))


def _costs(template: Template, one: Measured) -> Iterator[Cost]:
    files = len(page_files(None)) + MORE_FILES
    requests, size = files + REPORTS, PAGE_BYTES + REPORT_BYTES
    dollars = of_a_million("cloudfront", "million_requests", requests * MILLION)
    dollars += price("cloudfront", "gigabyte_out") * size * MILLION / _GIGABYTE
    yield Cost("CloudFront", dollars, f"{requests} requests and {size} bytes a visit")
    # What CloudFront has, it asks S3 for again: the files may change at any time.
    gets = of_a_million("s3", "million_gets", files * MILLION)
    yield Cost("S3", gets, f"{files} files")
    overview = sum((cost.dollars for cost in overview_costs(template, one)), Decimal())
    reports = overview * REPORTS
    yield Cost("reports", reports, f"{REPORTS}, each taken to cost as much as an overview")
