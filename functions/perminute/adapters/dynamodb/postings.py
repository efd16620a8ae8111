"""What reports read on DynamoDB, page by page, and slowly enough for charging.

All items of an organization are in one item collection, which has 3,000 read units a second
(AWS: "Best practices for designing and using partition keys effectively"), to charging as well.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.account_items import ENTRY, entry_in
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.list_items import (
    call_list_record,
    revision_of,
    revision_record,
    usage_list_of,
)
from perminute.adapters.dynamodb.tables import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Tables
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.reporting.postings import Revision, UsageList

READ_UNITS_PER_SECOND = 1_500
"""What an instance reads at most: half of what the item collection of an organization gives. How
many reports are read at the same time is limited by the route (template.yaml: `ReportBurst`)."""
FIRST_PAGE = 50
"""Items of the first page: whoever wants the newest calls needs no more. Each further page may have
four times as many, until one has the megabyte that DynamoDB returns at most: some 250 units."""
MOST_ITEMS = 3_200


@dataclass
class ReadPace:
    """How fast reports read: before each page it waits until those before it are paid off."""

    units_per_second: int = READ_UNITS_PER_SECOND
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    _paid_off_at: float = field(default=0, init=False)

    def begin_page(self) -> None:
        """Wait for the pages before."""
        seconds = self._paid_off_at - self.clock()
        if seconds > 0:
            self.wait(seconds)

    def end_page(self, read_units: float) -> None:
        """Count a page."""
        now = max(self.clock(), self._paid_off_at)
        self._paid_off_at = now + read_units / self.units_per_second


class DynamoDBPostings:
    """`Postings` on the credit table."""

    def __init__(self, tables: Tables, pace: ReadPace | None = None) -> None:
        self._credit, self._pace = tables.credit, pace or ReadPace()
        self._store = DynamoDBCreditStore(tables)

    def account(self, organization_id: str) -> Account:
        return self._store.account(organization_id)

    def usage_lists(
        self,
        organization_id: str,
        *,
        since: datetime,
        until: datetime,
        newest_first: bool = False,
        after: str | None = None,
    ) -> Iterator[UsageList]:
        first, last = call_list_record(since), call_list_record(until)
        if after is not None:
            first, last = (first, min(last, after)) if newest_first else (max(first, after), last)
        items = self._items(organization_id, first, last, newest_first=newest_first)
        for item in items:
            with readable(f"a list of calls of {organization_id}"):
                listed = usage_list_of(item)
            if listed is not None and listed.key != after:
                yield listed

    def revisions(
        self, organization_id: str, *, since: datetime, until: datetime
    ) -> Iterator[Revision]:
        for item in self._items(organization_id, revision_record(since), revision_record(until)):
            with readable(f"a revision of calls of {organization_id}"):
                revision = revision_of(item)
            yield revision

    def entries(self, organization_id: str, *, posted_since: datetime) -> Iterator[LedgerEntry]:
        for item in self._items(organization_id, ENTRY, f"{ENTRY}~", newest_first=True):
            with readable(f"the ledger of {organization_id}"):
                entry = entry_in(item)
            if entry is None or entry.was_posted_at < posted_since:
                return
            yield entry

    def _items(
        self, organization_id: str, first: str, last: str, *, newest_first: bool = False
    ) -> Iterator[Item]:
        # A record has more behind its instant, so none is `last` itself: `until` is excluded.
        condition = "organizationId = :organization AND #record BETWEEN :first AND :last"
        values = {":organization": organization_id, ":first": first, ":last": last}
        options: dict[str, Any] = {
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
            "ReturnConsumedCapacity": "TOTAL",
            "Limit": FIRST_PAGE,
        }
        while first <= last:
            self._pace.begin_page()
            page = self._credit.page(condition, values, **options)
            self._pace.end_page(page.read_units)
            yield from page.items
            if not page.last_key:
                return
            options["ExclusiveStartKey"] = page.last_key
            options["Limit"] = min(options["Limit"] * 4, MOST_ITEMS)
