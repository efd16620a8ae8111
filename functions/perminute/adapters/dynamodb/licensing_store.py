"""Licensing timelines on DynamoDB: facts are appended without being read."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, assert_never

from pynamodb.expressions.condition import size

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.receipts import insert_receipt, receipt_of
from perminute.adapters.dynamodb.rows import AccountRow, TimelineRow
from perminute.adapters.dynamodb.tables import Collided, Failed, Transaction, Written, readable
from perminute.domain.errors import Contended
from perminute.domain.licensing import Licensing, Seats
from perminute.domain.timelines import MAX_FACTS, Timeline
from perminute.ports import AlreadyKnown, Committed, Full, Moved

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from perminute.adapters.dynamodb.rows import Item
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.adapters.dynamodb.tables import Operation
    from perminute.domain.accounts import Account
    from perminute.domain.licensing import LicensingChange
    from perminute.domain.rerating import Rerating
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

    def seats(self, account: Account) -> Seats:
        """See `LicensingStore.seats`.

        The users are read by a query, which may see a part of a transaction. But facts are only
        added, and the account counts those about users: if as many are found, none is missing;
        and if one has come that was not counted, the account has moved meanwhile.
        """
        organization_id = account.organization_id
        items = self._schema.timelines.query(
            "organizationId = :organization AND begins_with(subject, :users)",
            {":organization": organization_id, ":users": records.USERS},
            ConsistentRead=True,
        )
        with readable(f"the licenses of {organization_id}"):
            users = [records.timeline_of(TimelineRow.from_raw_data(item)) for item in items]
        found = sum(len(user.facts) for user in users)
        if found != account.user_facts:
            msg = (
                f"of {account.user_facts} facts about users of {organization_id} {found} were "
                "found: they are just being changed, or facts about users are missing"
            )
            raise Contended(msg)
        return Seats(users)

    def record(
        self,
        organization_id: str,
        changes: Sequence[tuple[LicensingChange, Receipt]],
        rerating: Rerating | None = None,
    ) -> RecordResult:
        """See `LicensingStore.record`: nothing is read, so nothing read can be out of date."""
        facts: defaultdict[str | None, list[str]] = defaultdict(list)
        for change, _ in changes:
            facts[change.user_id] += map(records.fact_text, change.facts)
        of_users = sum(len(texts) for user_id, texts in facts.items() if user_id is not None)
        transaction = Transaction(self._schema.connection)
        transaction.puts += [insert_receipt(self._schema, receipt) for _, receipt in changes]
        if rerating is not None:
            row = records.rerating_row(rerating).serialize()
            transaction.puts.append(self._schema.reratings.insert(row))
        transaction.updates += [
            *(self._append(organization_id, user_id, texts) for user_id, texts in facts.items()),
            self._next_version(organization_id, of_users),
        ]
        match transaction.write():
            case Written():
                return Committed()
            case Collided(why):
                return Moved(why)
            case Failed(items):
                receipts = [receipt for _, receipt in changes]
                return _refused(receipts, list(facts), items, first=len(transaction.puts))
            case never:
                assert_never(never)

    def _append(self, organization_id: str, user_id: str | None, texts: list[str]) -> Operation:
        row = TimelineRow(
            organization_id=organization_id, subject=records.subject_of(user_id), facts=[]
        )
        grown = (TimelineRow.facts | []).append(texts)
        room = TimelineRow.facts.does_not_exist() | (size(_FACTS) <= MAX_FACTS - len(texts))  # type: ignore[no-untyped-call]
        return self._schema.timelines.update(row, [TimelineRow.facts.set(grown)], room)

    def _next_version(self, organization_id: str, of_users: int) -> Operation:
        """Count up the account's versions, whatever they are: the receipts make it happen once."""
        row = AccountRow(organization_id=organization_id, record=records.ACCOUNT)
        counts = (
            (AccountRow.version, 1),
            (AccountRow.licensing_version, 1),
            (AccountRow.user_facts, of_users),
        )
        actions = [count.set((count | 0) + more) for count, more in counts]
        return self._schema.accounts.update(row, actions)


def _refused(
    receipts: Sequence[Receipt],
    subjects: Sequence[str | None],
    items: dict[int, Item],
    *,
    first: int,
) -> RecordResult:
    """Read which conditions failed: the receipts stand first, the timelines after all puts."""
    known = {
        receipt.key: receipt_of(receipt.key, items[position])
        for position, receipt in enumerate(receipts)
        if position in items
    }
    if known:
        return AlreadyKnown(receipts=known)
    full = (subject for position, subject in enumerate(subjects, first) if position in items)
    return Full(frozenset(full))
