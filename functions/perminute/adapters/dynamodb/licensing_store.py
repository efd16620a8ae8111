"""Licensing timelines on DynamoDB: facts are appended without being read."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, assert_never

from pynamodb.expressions.condition import size

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.receipts import insert_receipt, receipt_of
from perminute.adapters.dynamodb.rows import AccountRow, TimelineRow
from perminute.adapters.dynamodb.tables import Collided, Failed, Transaction, Written
from perminute.domain.licensing import Licensing
from perminute.domain.timelines import MAX_FACTS, Timeline
from perminute.ports import AlreadyKnown, Committed, Full, Moved

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from perminute.adapters.dynamodb.rows import Item
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.adapters.dynamodb.tables import Operation
    from perminute.domain.licensing import LicensingChange
    from perminute.ports import Receipt, RecordResult


_FACTS = "facts"


class DynamoDBLicensingStore:
    """`LicensingStore` on the licensing, events and credit tables."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        """See `LicensingStore.licensing`."""
        subjects = {records.subject_of(user_id): user_id for user_id in (None, *user_ids)}
        organization, users = Timeline(), {}
        keys = [(organization_id, subject) for subject in subjects]
        for row in self._schema.timelines.get_snapshot(keys):
            user_id = subjects[row.subject]
            if user_id is None:
                organization = records.timeline_of(row)
            else:
                users[user_id] = records.timeline_of(row)
        return Licensing(organization, users)

    def record(
        self, organization_id: str, changes: Sequence[tuple[LicensingChange, Receipt]]
    ) -> RecordResult:
        """See `LicensingStore.record`: nothing is read, so nothing read can be out of date."""
        facts: defaultdict[str | None, list[str]] = defaultdict(list)
        for change, _ in changes:
            facts[change.user_id] += map(records.fact_text, change.facts)
        transaction = Transaction(self._schema.connection)
        transaction.puts += [insert_receipt(self._schema, receipt) for _, receipt in changes]
        transaction.updates += [
            *(self._append(organization_id, user_id, texts) for user_id, texts in facts.items()),
            self._next_version(organization_id),
        ]
        match transaction.write():
            case Written():
                return Committed()
            case Collided(why):
                return Moved(why)
            case Failed(items):
                return _refused([receipt for _, receipt in changes], list(facts), items)
            case never:
                assert_never(never)

    def _append(self, organization_id: str, user_id: str | None, texts: list[str]) -> Operation:
        row = TimelineRow(
            organization_id=organization_id, subject=records.subject_of(user_id), facts=[]
        )
        grown = (TimelineRow.facts | []).append(texts)
        room = TimelineRow.facts.does_not_exist() | (size(_FACTS) <= MAX_FACTS - len(texts))  # type: ignore[no-untyped-call]
        return self._schema.timelines.update(row, [TimelineRow.facts.set(grown)], room)

    def _next_version(self, organization_id: str) -> Operation:
        """Count up the account's versions, whatever they are: the receipts make it happen once."""
        row = AccountRow(organization_id=organization_id, record=records.ACCOUNT)
        versions = (AccountRow.version, AccountRow.licensing_version)
        return self._schema.accounts.update(row, [v.set((v | 0) + 1) for v in versions])


def _refused(
    receipts: Sequence[Receipt], subjects: Sequence[str | None], items: dict[int, Item]
) -> RecordResult:
    """Read which conditions failed: the receipts stand first, the timelines after them."""
    known = {
        receipt.key: receipt_of(receipt.key, items[position])
        for position, receipt in enumerate(receipts)
        if position in items
    }
    if known:
        return AlreadyKnown(receipts=known)
    full = (
        subject for position, subject in enumerate(subjects, len(receipts)) if position in items
    )
    return Full(frozenset(full))
