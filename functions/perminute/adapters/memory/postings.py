"""The in-memory twin of what reports read: lists and revisions, as transactions wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from perminute.adapters.memory.records import Records, of
from perminute.domain.reporting.postings import ListedUsage, UsageList

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.adapters.memory.store import InMemoryStore
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.reporting.postings import Revision


class Posted(NamedTuple):
    """What transactions of an organization wrote about calls and credit."""

    lists: Sequence[UsageList]
    revisions: Sequence[Revision]
    entries: Sequence[LedgerEntry]


class PostingRecords(Records):
    """Lists and revisions, in dictionaries."""

    def postings_of(self, organization_id: str) -> Posted:
        """Return all of it as it is at one instant, lists in the order of their keys."""
        lists = sorted(of(organization_id, self.lists).items())
        revisions = list(of(organization_id, self.revisions).values())
        entries = [entry for entry in self.entries if entry.organization_id == organization_id]
        return Posted([listed for _, listed in lists], revisions, entries)

    def _post(self, transaction: Transaction) -> None:
        organization_id = transaction.after.organization_id
        for calls in transaction.lists:
            if calls.is_for_reports:
                usages = tuple(map(ListedUsage.of, calls.usages))
                suffix = "#ended" if calls.is_again else ""
                key = f"{_last_end(usages)}#{calls.posting.version:012d}{suffix}"
                listed = UsageList(key, calls.posting, usages, calls.entry)
                self.lists[organization_id, key] = listed
        revision = transaction.revision
        if revision is not None:
            self.revisions[organization_id, revision.posting.version] = revision


@dataclass
class InMemoryPostings:
    """`Postings` over the twin of the stores."""

    store: InMemoryStore

    def account(self, organization_id: str) -> Account:
        return self.store.account(organization_id)

    def usage_lists(
        self,
        organization_id: str,
        *,
        since: datetime,
        until: datetime,
        newest_first: bool = False,
        after: str | None = None,
    ) -> Iterator[UsageList]:
        lists = [
            listed
            for listed in self.store.postings_of(organization_id).lists
            if since <= max(usage.ended_at for usage in listed.usages) < until
        ]
        for listed in reversed(lists) if newest_first else lists:
            if after is None or (listed.key < after if newest_first else listed.key > after):
                yield listed

    def revisions(
        self, organization_id: str, *, since: datetime, until: datetime
    ) -> Iterator[Revision]:
        for revision in self.store.postings_of(organization_id).revisions:
            if since <= max(usage.before.ended_at for usage in revision.usages) < until:
                yield revision

    def entries(self, organization_id: str, *, posted_since: datetime) -> Iterator[LedgerEntry]:
        posted = self.store.postings_of(organization_id)
        listed = {listed.entry.entry_id for listed in posted.lists if listed.entry is not None}
        others = [entry for entry in posted.entries if entry.entry_id not in listed]
        others.sort(key=lambda entry: entry.entry_id, reverse=True)
        return takewhile(lambda entry: entry.was_posted_at >= posted_since, others)


def _last_end(usages: Sequence[ListedUsage]) -> str:
    return max(usage.ended_at for usage in usages).isoformat(timespec="microseconds")
