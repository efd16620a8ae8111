"""The time of a forecast, compared with simulating the future; and of a daily run of forecasts.

The calls are read as the daily run reads them, from an AWS that answers at once, compared with
reading the usage record of each call.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.call_items import usage_of
from perminute.adapters.dynamodb.postings import DynamoDBPostings
from perminute.application.reporting.forecast import read_spent
from perminute.application.retry import NEVER
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.lots import Lot, twelve_months_after
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.forecast.forecast import HORIZON_DAYS, Forecast, SpentSoFar, forecast
from perminute.domain.forecast.run_out import Credit, walk
from perminute.domain.forecast.spend_model import MAX_DAYS, SpendHistory
from perminute_local.bench.builders import ORGANIZATION
from perminute_local.bench.report import Row, best_cpu_seconds, measured_apart, print_result
from perminute_local.bench.reports import MonthOfCalls
from perminute_local.bench.transport import loaded

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.tables import Tables

TODAY = datetime(2026, 11, 2, 0, 5, tzinfo=UTC)
FUTURES = 1_000
ORGANIZATIONS = 10_000
CALLS = 2_800
"""Of 84 days, of an organization with 1,000 a month."""
ROUNDS = 5
WAYS = ("ours", "naive")
BASELINE = f"{FUTURES:,} futures of days drawn at random; the usage record of each call"


def main() -> None:
    """Measure a forecast, and what the daily run does for an organization."""
    days = [_days_of(week) for week in range(MAX_DAYS // 7)]
    history = SpendHistory(date(2026, 8, 10), tuple(micros for week in days for micros in week))
    credit = _credit()
    ours = best_cpu_seconds(lambda: _forecast(history, credit), ROUNDS)
    naive = best_cpu_seconds(lambda: _drawn(history, credit), 1)
    read, records = (measured_apart("perminute_local.bench.forecasts", way) for way in WAYS)
    milliseconds = read["cpuMilliseconds"] + 1_000 * ours
    print_result(
        "forecasts",
        "a forecast in 5 ms; a daily run of 10,000 organizations within minutes",
        [
            Row("CPU ms of a forecast by 84 days", _in_ms(ours), _in_ms(naive), "5"),
            *(
                Row(f"{unit} to read {CALLS:,} calls for a forecast", read[name], records[name])
                for name, unit in (("cpuMilliseconds", "CPU ms"), ("readUnits", "read units"))
            ),
        ],
        baseline=BASELINE,
        dailyRun={
            "organizations": ORGANIZATIONS,
            "callsOfEach": CALLS,
            "cpuSeconds": round(ORGANIZATIONS * milliseconds / 1_000),
            "readUnits": ORGANIZATIONS * read["readUnits"],
        },
    )


def _in_ms(seconds: float) -> float:
    return round(1_000 * seconds, 2)


def _days_of(week: int) -> list[int]:
    rng = Random(week)  # noqa: S311 - made-up figures
    return [round(rng.uniform(0.5, 1.5) * usual) for usual in (40_000_000,) * 5 + (3_000_000,) * 2]


def _credit() -> Credit:
    lots = (
        Lot(f"{n}", f"{n}", TODAY, twelve_months_after(TODAY) - n * timedelta(days=80), 300_000_000)
        for n in range(4)
    )
    return Credit(tuple(lots), auto_recharge=AutoRecharge(100_000_000, 200_000_000, 400_000_000))


def _forecast(history: SpendHistory, credit: Credit) -> Forecast:
    found = forecast(history, credit, SpentSoFar(0, 0), at=TODAY, horizon_days=HORIZON_DAYS)
    if not isinstance(found, Forecast):
        raise TypeError(found)
    return found


def _drawn(history: SpendHistory, credit: Credit) -> list[date | None]:
    rng = Random(1)  # noqa: S311 - made-up futures
    futures = (rng.choices(history.daily_micros, k=HORIZON_DAYS) for _ in range(FUTURES))
    return [walk(credit, future, since=TODAY).runs_out for future in futures]


def measure(way: str) -> dict[str, Any]:
    """Measure one way to read the calls in this process."""
    calls = MonthOfCalls(CALLS)
    with loaded("expire_credit") as module:
        tables = module.aws.tables
        calls.answer_for(tables.connection)
        read = partial(_ours if way == "ours" else _naive, tables)
        found = read()
        read_units = calls.read_units
        seconds = best_cpu_seconds(read, ROUNDS)
    if not found:
        msg = "the calls cost nothing"
        raise RuntimeError(msg)
    return {"cpuMilliseconds": round(1_000 * seconds, 1), "readUnits": read_units}


def _ours(tables: Tables) -> int:
    postings = DynamoDBPostings(tables)
    # The pace of reading is not simulated, because waiting takes no CPU.
    postings._pace.units_per_second = 10**9  # noqa: SLF001 - as in reports
    account = Account(organization_id=ORGANIZATION, version=10**9)
    spent = read_spent(postings, account, datetime(2026, 11, 30, tzinfo=UTC), NEVER)
    return sum(spent.history.daily_micros)


def _naive(tables: Tables) -> int:
    values = {":organization": ORGANIZATION}
    items = tables.usage.query("organizationId = :organization", values, ConsistentRead=True)
    return sum(usage_of(item).charge_micros for item in items)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        json.dump(measure(sys.argv[1]), sys.stdout)
    else:
        main()
