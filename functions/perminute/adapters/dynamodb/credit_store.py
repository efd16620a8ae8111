"""Accounts, ledgers and usage on DynamoDB: one transaction moves the money and writes the usage."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, assert_never

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.receipts import insert_receipt, receipt_of, receipt_record
from perminute.adapters.dynamodb.rows import AccountRow, EntryRow, UsageRow
from perminute.adapters.dynamodb.tables import Collided, Failed, Transaction, Written, readable
from perminute.domain.accounts import Account
from perminute.domain.ledger import entry_id
from perminute.domain.reconciliation import Statement
from perminute.ports import AlreadyKnown, Committed, Moved, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pynamodb.expressions.condition import Condition

    from perminute.adapters.dynamodb.rows import Item
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.domain.usage import Usage
    from perminute.ports import CommitResult, Posting, ReceiptKey


class DynamoDBCreditStore:
    """`CreditStore` on the credit, usage and events tables."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema

    def account(self, organization_id: str) -> Account:
        """See `CreditStore.account`."""
        with readable(f"the account of {organization_id}"):
            row = self._schema.accounts.get(organization_id, records.ACCOUNT)
            if row is not None:
                return records.account_of(row)
        return Account(organization_id=organization_id)

    def commit(self, posting: Posting) -> CommitResult:
        """See `CreditStore.commit`: 2 write units a usage, 4 for account and entry."""
        transaction = Transaction(self._schema.connection)
        transaction.puts += [
            *(self._schema.usages.insert(records.usage_item(usage)) for usage in posting.usages),
            *(insert_receipt(self._schema, receipt) for receipt in posting.receipts),
        ]
        self._add_account(transaction, posting)
        match transaction.write():
            case Written():
                return Committed()
            case Collided(why):
                return Moved(why)
            case Failed(items):
                return _already_known(posting, items, first=len(transaction.checks))
            case never:
                assert_never(never)

    def receipt(self, key: ReceiptKey) -> Receipt | None:
        """See `CreditStore.receipt`."""
        row = self._schema.receipts.get(key.organization_id, receipt_record(key))
        return None if row is None else Receipt(key, row.content, row.entry_id)

    def organizations(self, *, due_by: datetime | None = None) -> Iterator[str]:
        """See `CreditStore.organizations`."""
        condition, values = "listedAs = :account", {":account": records.ACCOUNT}
        if due_by is not None:
            condition += " AND dueAt <= :due"
            values[":due"] = records.due_text(due_by)
        rows = self._schema.accounts.query(condition, values, IndexName=records.ACCOUNTS_INDEX)
        for item in rows:
            yield item["organizationId"]["S"]

    def statement(self, organization_id: str) -> Statement:
        """See `CreditStore.statement`: the account first, then no entries but those it counts."""
        account = self.account(organization_id)
        items = self._schema.entries.query(
            "organizationId = :organization AND #record BETWEEN :first AND :last",
            {
                ":organization": organization_id,
                ":first": records.entry_record(entry_id(0)),
                ":last": records.entry_record(entry_id(account.entries)),
            },
            ExpressionAttributeNames={"#record": "record"},
            ConsistentRead=True,
        )
        with readable(f"the ledger or usage of {organization_id}"):
            return Statement(
                account=account,
                entries=tuple(records.entry_of(EntryRow.from_raw_data(item)) for item in items),
                charges_micros=self._charges(organization_id, account.entries),
            )

    def _charges(self, organization_id: str, entries: int) -> Counter[str | None]:
        """Sum what calls cost by their entry; later entries than the account's are left out."""
        charges_micros: Counter[str | None] = Counter()
        usages = self._schema.usages.query(
            "organizationId = :organization",
            {":organization": organization_id},
            ProjectionExpression="entryId, chargeMicros",
            ConsistentRead=True,
        )
        for item in usages:
            entry = item["entryId"]["S"] if "entryId" in item else None
            if entry is None or entry <= entry_id(entries):
                charges_micros[entry] += int(item["chargeMicros"]["N"])
        return charges_micros

    def _add_account(self, transaction: Transaction, posting: Posting) -> None:
        """Write or check the account, then what it explains itself by: entries and the outbox."""
        schema = self._schema
        unchanged = _is_at(posting.before)
        row = records.account_row(posting.after)
        if posting.after is posting.before:
            transaction.checks.append(schema.accounts.check(row, unchanged))
        else:
            transaction.puts.append(schema.accounts.replace(row, unchanged))
        transaction.puts += (
            schema.entries.insert(records.entry_row(entry).serialize()) for entry in posting.entries
        )
        if posting.notifications:
            outbox = records.outbox_row(posting.notifications)
            transaction.puts.append(schema.outbox.insert(outbox.serialize()))


def _is_at(account: Account) -> Condition:
    if account.version == 0:
        return AccountRow.organization_id.does_not_exist()
    return AccountRow.version == account.version


def _already_known(posting: Posting, items: dict[int, Item], *, first: int) -> CommitResult:
    """Tell records that exist from an account that moved on, which is all that can fail else."""
    usages: dict[str, Usage] = {}
    receipts: dict[ReceiptKey, Receipt] = {}
    for position, usage in enumerate(posting.usages, first):
        if position in items:
            row = UsageRow.from_raw_data(items[position])
            usages[usage.leg.call_id] = records.usage_of(row)
    for position, receipt in enumerate(posting.receipts, first + len(posting.usages)):
        if position in items:
            receipts[receipt.key] = receipt_of(receipt.key, items[position])
    return AlreadyKnown(usages, receipts) if usages or receipts else Moved()
