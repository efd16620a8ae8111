"""What a transaction writes, and what exists already if it cannot be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import (
    account_item,
    chargeback_item,
    entry_item,
    event_of,
    expired_lot_item,
    further_lot_item,
    insert_event,
)
from perminute.adapters.dynamodb.call_items import call_of, usage_item
from perminute.adapters.dynamodb.calls import RELISTED, authorized_put, call_list_items
from perminute.adapters.dynamodb.counter_items import correction_item, pool_item, spending_item
from perminute.adapters.dynamodb.writes import WriteRequest
from perminute.domain.authorization.reservations import Reservation
from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.transaction import AccountChanged, AlreadyExists
from perminute.domain.rating.usage_record import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.transaction import Transaction

_NEW_CALL = "attribute_not_exists(outcome) AND attribute_not_exists(held)"
"""Nothing is recorded of a call, or only that it was authorized and has nothing reserved."""

_CALL_TO_SETTLE = (
    "attribute_not_exists(outcome) "
    "AND (attribute_not_exists(sequenceNumber) OR sequenceNumber = :n)"
)
"""The same, but what it has reserved is known; if it is forgotten meanwhile, so much the better."""


def request_of(tables: Tables, transaction: Transaction) -> WriteRequest:
    """Return all that a transaction writes: its usages first, then its processed events."""
    request = WriteRequest(tables.connection)
    events = (insert_event(tables, event) for event in transaction.processed_events)
    request.puts += [*_usages(tables, transaction), *events]
    _add_account(tables, request, transaction)
    _add_lots(tables, request, transaction)
    request.puts += _of_calls(tables, transaction)
    request.puts += _of_reratings(tables, transaction)
    return request


def _usages(tables: Tables, transaction: Transaction) -> Iterator[Operation]:
    reserved = {
        reservation.call.call_id: reservation
        for reservation in transaction.settled
        if reservation.held
    }
    for usage in transaction.usages:
        item = usage_item(usage)
        reservation = reserved.get(usage.call.call_id)
        if reservation is None:
            yield tables.usage.put(item, _NEW_CALL)
        else:
            yield tables.usage.put(item, _CALL_TO_SETTLE, n=reservation.sequence)


def _add_account(tables: Tables, request: WriteRequest, transaction: Transaction) -> None:
    """Write or check the account, then what it explains itself by: entries and the outbox."""
    credit, (unchanged, version) = tables.credit, _is_at(transaction.before)
    item = account_item(transaction.after)
    if transaction.after is transaction.before:
        request.checks.append(credit.check(item, unchanged, **version))
    else:
        request.puts.append(credit.put(item, unchanged, **version))
    request.puts += (
        credit.put(entry_item(entry), credit.is_new)
        for entry in transaction.entries
        if entry.type is not EntryType.CHARGE or not transaction.usages
    )
    if transaction.notifications:
        # Imported where it is needed: few of the calls that are authorized are notified of.
        from perminute.adapters.dynamodb.outbox_items import outbox_item  # noqa: PLC0415

        items = (
            outbox_item(some, transaction.after.version, transaction.causes)
            for some in transaction.outbox
        )
        request.puts += (credit.put(item, credit.is_new) for item in items)


def _add_lots(tables: Tables, request: WriteRequest, transaction: Transaction) -> None:
    """Write lots that are items of their own: the account's version guards them as well."""
    credit, organization_id = tables.credit, transaction.before.organization_id
    stored, removed, forfeited = transaction.lots
    request.deletes += (credit.delete(further_lot_item(organization_id, lot)) for lot in removed)
    request.puts += (credit.put(further_lot_item(organization_id, lot)) for lot in stored)
    request.puts += (credit.put(expired_lot_item(organization_id, lot)) for lot in forfeited)
    if transaction.chargeback is not None:
        request.puts.append(credit.put(chargeback_item(organization_id, transaction.chargeback)))


def _of_calls(tables: Tables, transaction: Transaction) -> Iterator[Operation]:
    """Write what calls bring along: their lists, the pools, and what became of older ones.

    Pools, spending and older usages are overwritten without a condition of their own. Whatever
    changes them makes a new version of the account as well, whose version is checked.
    """
    credit, organization_id = tables.credit, transaction.before.organization_id
    for usage in transaction.rerated:
        yield tables.usage.put(usage_item(usage))
    for pool in transaction.pools:
        step = transaction.steps.get(pool.month)
        yield credit.put(pool_item(pool, step))
    for spending in transaction.spend_counters:
        yield credit.put(spending_item(organization_id, spending))
    for item in call_list_items(transaction.usages, _charge_of(transaction)):
        yield credit.put(item, credit.is_new)
    for item in call_list_items(transaction.relisted, suffix=RELISTED):
        yield credit.put(item, credit.is_new)
    if transaction.corrected:
        item = correction_item(
            organization_id, transaction.after.corrections, transaction.corrected
        )
        yield credit.put(item, credit.is_new)
    if transaction.authorized is not None:
        yield authorized_put(tables, transaction.authorized)


def _of_reratings(tables: Tables, transaction: Transaction) -> Iterator[Operation]:
    if transaction.reratings:
        # Imported where it is needed: who authorizes calls rates none again.
        from perminute.adapters.dynamodb.reratings import rerating_item  # noqa: PLC0415

        credit = tables.credit
        for rerating in transaction.reratings:
            yield credit.put(rerating_item(rerating), credit.is_new)


def _charge_of(transaction: Transaction) -> LedgerEntry | None:
    """Find the entry that is written with the calls that it charges, for they explain it."""
    return next((entry for entry in transaction.entries if entry.type is EntryType.CHARGE), None)


def _is_at(account: Account) -> tuple[str, dict[str, int]]:
    if account.version == 0:
        return "attribute_not_exists(organizationId)", {}
    return "#version = :version", {"version": account.version}


def why_refused(
    transaction: Transaction, items: Mapping[int, Item], *, first: int
) -> AlreadyExists | AccountChanged:
    """Distinguish records that exist from an account that changed: nothing else can fail.

    `items` are stored where conditions failed, by position: usages stand at `first`, then the
    processed events.
    """
    calls = {
        usage.call.call_id: call_of(items[position])
        for position, usage in enumerate(transaction.usages, first)
        if position in items
    }
    events = {
        event.key: event_of(event.key, items[position])
        for position, event in enumerate(
            transaction.processed_events, first + len(transaction.usages)
        )
        if position in items
    }
    if not calls and not events:
        return AccountChanged()
    return AlreadyExists(
        {call_id: call for call_id, call in calls.items() if isinstance(call, Usage)},
        events,
        {call_id: call for call_id, call in calls.items() if isinstance(call, Reservation)},
    )
