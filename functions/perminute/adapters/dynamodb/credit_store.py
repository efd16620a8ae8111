"""Accounts, ledgers and usage on DynamoDB: one transaction moves the money and writes the usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.receipts import insert_receipt, receipt_of
from perminute.adapters.dynamodb.rows import AccountRow, UsageRow
from perminute.adapters.dynamodb.tables import Collided, Failed, Transaction, Written
from perminute.domain.accounts import Account
from perminute.ports import AlreadyKnown, Committed, Moved

if TYPE_CHECKING:
    from pynamodb.expressions.condition import Condition

    from perminute.adapters.dynamodb.rows import Item
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.domain.usage import Usage
    from perminute.ports import CommitResult, Posting, Receipt, ReceiptKey


class DynamoDBCreditStore:
    """`CreditStore` on the credit, usage and events tables."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema

    def account(self, organization_id: str) -> Account:
        """See `CreditStore.account`."""
        row = self._schema.accounts.get(organization_id, records.ACCOUNT)
        return Account(organization_id=organization_id) if row is None else records.account_of(row)

    def commit(self, posting: Posting) -> CommitResult:
        """See `CreditStore.commit`: 2 write units a usage, and 4 for account and entry."""
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

    def _add_account(self, transaction: Transaction, posting: Posting) -> None:
        unchanged = _is_at(posting.before)
        if posting.after is posting.before:
            row = records.account_row(posting.before)
            transaction.checks.append(self._schema.accounts.check(row, unchanged))
            return
        row = records.account_row(posting.after)
        transaction.puts.append(self._schema.accounts.replace(row, unchanged))
        if posting.entry is not None:
            entry = records.entry_row(posting.entry)
            transaction.puts.append(self._schema.entries.insert(entry.serialize()))


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
