"""Reports over a month of calls, beside reading the usage record of each call, or in snapshots.

The function is called as it is deployed, on an AWS that answers at once: CPU time and memory are
ours and the SDK's. Read units follow from the bytes; each way is measured in a process of its own.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.call_items import usage_item, usage_of
from perminute.adapters.dynamodb.list_items import call_list_item
from perminute.adapters.dynamodb.postings import READ_UNITS_PER_SECOND
from perminute.api.reports.endpoint import endpoint_of
from perminute.application.reporting.pstn_usage import MAX_CALLS
from perminute.domain.reporting.postings import ListedUsage
from perminute.domain.reporting.usage_sums import GroupKey, group_usage
from perminute_local.bench.builders import CONTEXT, ORGANIZATION, RATE_CARD
from perminute_local.bench.imports import SETTINGS
from perminute_local.bench.lists import charged
from perminute_local.bench.report import (
    Row,
    best_cpu_seconds,
    forget_peak,
    measured_apart,
    peak_kib,
    print_result,
)
from perminute_local.bench.transport import InstantAws, body_of, loaded, response_to
from perminute_local.cost.units import READ_UNIT_BYTES, size_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Tables
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import Calls

CALLS = (1_000, 100_000)
CALLS_OF_A_LIST = 25
ROUNDS = 3
PAGE_BYTES = 1024**2
"""What DynamoDB returns at once (AWS: "Query")."""
NAIVE, IN_SNAPSHOTS = "naive", " in snapshots"
COMPARED = (
    ("usage", "usage", NAIVE),
    ("first 50", "calls", f"calls{IN_SNAPSHOTS}"),
    ("export", "pstn-usage", f"pstn-usage{IN_SNAPSHOTS}"),
)
"""What is measured, each by a report, and beside what."""
BESIDE = (
    "usage: the record of each call is read and summed; others: records read in snapshots of 25"
)
MONTH = {"organizationId": ORGANIZATION, "from": "2026-11-01", "to": "2026-12-01"}
GROUP_BY = (GroupKey.DAY, GroupKey.ORGANIZER_ID, GroupKey.LEG_TYPE)


class _Copies:
    """Items of one collection that differ in their range key alone."""

    def __init__(self, item: Item, key: str, number: int) -> None:
        self.key, self.number, self.bytes = key, number, size_of(item)
        self._name = item[key]["S"]
        self._text = json.dumps(item, separators=(",", ":"), default=_base64)

    def text(self, number: int) -> str:
        """Write the item of a number."""
        return self._named(f"{self._name}{number:08d}")

    def of(self, key: Item) -> str:
        """Write the item of a key."""
        return self._named(key[self.key]["S"])

    def _named(self, name: str) -> str:
        return self._text.replace(self._name, name)


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


class MonthOfCalls(InstantAws):
    """Answers queries with lists of calls, or with their usage records, page by page."""

    def __init__(self, calls: int) -> None:
        super().__init__(RATE_CARD.read_bytes())
        transaction = charged(CALLS_OF_A_LIST)
        listed = call_list_item(ORGANIZATION, next(iter(transaction.lists)))
        self.lists = _Copies(listed, "record", calls // CALLS_OF_A_LIST)
        self.usages = _Copies(usage_item(transaction.usages[0]), "callId", calls)
        self.read_units = 0

    def answer(self, request: AWSPreparedRequest, **more: Any) -> AWSResponse:  # noqa: ANN401 - botocore's
        asked = json.loads(body_of(request)) if request.body else {}
        keys = [get["Get"]["Key"] for get in asked.get("TransactItems", ())]
        if any("callId" in key for key in keys):
            found = ",".join(f'{{"Item":{self.usages.of(key)}}}' for key in keys)
            return self._answer(request, 2 * len(keys), f'{{"Responses":[{found}]}}')
        for table, of_table in asked.get("RequestItems", {}).items():
            found = ",".join(map(self.usages.of, of_table["Keys"]))
            text = f'{{"Responses":{{"{table}":[{found}]}},"UnprocessedKeys":{{}}}}'
            return self._answer(request, len(of_table["Keys"]), text)
        first = asked.get("ExpressionAttributeValues", {}).get(":first", {"S": ""})["S"]
        if first.startswith("calls#"):
            return self._page(request, asked, self.lists)
        if asked.get("TableName") == SETTINGS["USAGE_TABLE"]:
            return self._page(request, asked, self.usages)
        return super().answer(request, **more)

    def _page(
        self, request: AWSPreparedRequest, asked: dict[str, Any], copies: _Copies
    ) -> AWSResponse:
        start = int(asked.get("ExclusiveStartKey", {}).get(copies.key, {"S": "0"})["S"])
        most = min(asked.get("Limit", copies.number), PAGE_BYTES // copies.bytes)
        end = min(start + most, copies.number)
        read_units = -(-(end - start) * copies.bytes // READ_UNIT_BYTES)
        last = {"LastEvaluatedKey": {copies.key: {"S": f"{end}"}}} if end < copies.number else {}
        document = {"ConsumedCapacity": {"CapacityUnits": read_units}, **last}
        items = ",".join(map(copies.text, range(start, end)))
        text = f'{{"Items":[{items}],{json.dumps(document)[1:]}'
        return self._answer(request, read_units, text)

    def _answer(self, request: AWSPreparedRequest, read_units: int, text: str) -> AWSResponse:
        self.requests += 1
        self.read_units += read_units
        return response_to(request, text.encode())


def main() -> None:
    """Measure usage, a page of calls and the export of both months, each beside another way."""
    measured = partial(measured_apart, "perminute_local.bench.reports")
    compared = [
        (what, calls, measured(way, calls), measured(other, calls))
        for calls in CALLS
        for what, way, other in COMPARED
        if what != "export" or calls <= MAX_CALLS
    ]
    print_result(
        "reports",
        "usage of a month of 1,000 calls in 40 ms, of 100,000 in a second; memory does not grow",
        [
            Row(f"{what} of {calls:,} calls, {unit}", ours[name], others[name], aim)
            for what, calls, ours, others in compared
            for name, unit, aim in (
                ("cpuMilliseconds", "CPU ms", "40" if calls == CALLS[0] else "1,000"),
                ("readUnits", "read units", ""),
                ("requests", "requests", ""),
                ("moreMegabytes", "MB of memory", ""),
            )
        ],
        beside=BESIDE,
        callsOfAList=CALLS_OF_A_LIST,
        figures=compared,
    )


def measure(way: str, calls: int) -> dict[str, Any]:
    """Measure one way in this process."""
    month = MonthOfCalls(calls)
    with loaded("read_reports") as module:
        month.answer_for(module.aws.tables.connection)
        # The pace of reading is not waited for: it takes no CPU.
        module.reader.postings._pace.units_per_second = 10**9  # noqa: SLF001 - the only place
        report = way.removesuffix(IN_SNAPSHOTS)
        if report == NAIVE:
            ask = partial(_naive, module.aws.tables)
        else:
            ask = partial(_ask, module, report)
            endpoint_of(report)  # imports what makes it
        if way != report:
            module.reader.calls.usages_by_id = partial(_in_snapshots, module.reader.calls)
        forget_peak()
        before = peak_kib()
        _check(ask(), report, calls)
        requests, read_units, after = month.requests, month.read_units, peak_kib()
        seconds = best_cpu_seconds(ask, ROUNDS)
    return {
        "cpuMilliseconds": round(seconds * 1_000, 1),
        "requests": requests,
        "readUnits": read_units,
        "secondsAtItsPace": round(read_units / READ_UNITS_PER_SECOND, 2),
        "moreMegabytes": round((after - before) / 1_024, 1),
    }


def _ask(module: Any, report: str) -> int:  # noqa: ANN401 - a module
    event = {"operation": report, **MONTH, **({"groupBy": GROUP_BY} if report == "usage" else {})}
    answer = module.handler(event, replace(CONTEXT, timeout_seconds=600))
    match report:
        case "calls":
            return len(answer["calls"])
        case "pstn-usage":
            return int(answer["csv"].count("\r\n")) - 1
        case _:
            return int(answer["total"]["calls"])


def _in_snapshots(
    calls: Calls, organization_id: str, call_ids: Collection[str]
) -> dict[str, Usage]:
    return {usage.call.call_id: usage for usage in calls.usages(organization_id, call_ids)}


def _naive(tables: Tables) -> int:
    values = {":organization": ORGANIZATION}
    items = tables.usage.query("organizationId = :organization", values, ConsistentRead=True)
    rows = group_usage((ListedUsage.of(usage_of(item)) for item in items), GROUP_BY)
    return sum(row.sums.calls for row in rows)


def _check(found: int, report: str, calls: int) -> None:
    if found != (50 if report == "calls" else calls):
        msg = f"{report} found {found} of {calls} calls"
        raise RuntimeError(msg)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        json.dump(measure(sys.argv[1], int(sys.argv[2])), sys.stdout)
    else:
        main()
