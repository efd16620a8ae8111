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
from perminute.adapters.dynamodb.call_items import DIGEST, ERASED, call_of, usage_item
from perminute.adapters.dynamodb.calls import authorized_put
from perminute.adapters.dynamodb.counter_items import correction_item, pool_item, spending_item
from perminute.adapters.dynamodb.list_items import call_list_item, revision_item
from perminute.adapters.dynamodb.writes import WriteRequest
from perminute.domain.authorization.reservations import Reservation
from perminute.domain.credit.transaction import AccountChanged, AlreadyExists
from perminute.domain.rating.usage_record import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import ReplacedUsage, Transaction

_NEW_CALL = "attribute_not_exists(outcome) AND attribute_not_exists(held)"
"""Of the call nothing is stored, or only an authorization that has nothing reserved."""

_CALL_TO_SETTLE = (
    "attribute_not_exists(outcome) "
    "AND (attribute_not_exists(sequenceNumber) OR sequenceNumber = :n)"
)
"""The call is under way as it was read: its reservation is released with the charge. If it has been
deleted meanwhile, nothing needs to be released."""


def request_of(tables: Tables, transaction: Transaction) -> WriteRequest:
    """Return all that a transaction writes: its usages first, then its processed events."""
    request, credit = WriteRequest(tables.connection), tables.credit
    events = (insert_event(tables, event) for event in transaction.processed_events)
    request.puts += [*_usage_puts(tables, transaction), *events]
    item = account_item(transaction.after)
    unchanged, version = _unchanged_since(transaction.before)
    if transaction.after is transaction.before:
        request.checks.append(credit.check(item, unchanged, **version))
    else:
        request.puts.append(credit.put(item, unchanged, **version))
    request.puts += (credit.put(item, credit.is_new) for item in _new_items(transaction))
    request.puts += (credit.put(item) for item in _replaced_items(transaction))
    request.puts += (tables.usage.put(*_corrected(usage)) for usage in transaction.replaced)
    if transaction.authorized is not None:
        request.puts.append(authorized_put(tables, transaction.authorized))
    request.deletes += (
        credit.delete(further_lot_item(transaction.before.organization_id, lot))
        for lot in transaction.lots.removed
    )
    return request


def _usage_puts(tables: Tables, transaction: Transaction) -> Iterator[Operation]:
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


def _corrected(usage: ReplacedUsage) -> tuple[Item, str]:
    # A number that was masked since it was read must not be written again, nor an erased call.
    item = usage_item(usage.after)
    if usage.before.is_erased:
        return item, ""
    is_masked = usage.before.content_digest is not None
    return item, f"attribute_not_exists({ERASED if is_masked else DIGEST})"


def _new_items(transaction: Transaction) -> Iterator[Item]:
    """Write what is never changed: entries, the outbox, lists and revisions of calls, and so on."""
    lists = list(transaction.lists)
    in_lists = [calls.entry for calls in lists]
    yield from (entry_item(entry) for entry in transaction.entries if entry not in in_lists)
    if transaction.notifications:
        # Imported where it is needed: few authorizations notify anybody.
        from perminute.adapters.dynamodb.outbox_items import outbox_item  # noqa: PLC0415

        for notifications in transaction.outbox:
            yield outbox_item(notifications, transaction.after.version, transaction.causes)
    organization_id = transaction.after.organization_id
    yield from (call_list_item(organization_id, calls) for calls in lists)
    if (revision := transaction.revision) is not None:
        yield revision_item(organization_id, revision)
    if transaction.corrected:
        number = transaction.after.corrections
        yield correction_item(organization_id, number, transaction.corrected)
    if transaction.reratings:
        # Imported where it is needed: an authorization rates no calls again.
        from perminute.adapters.dynamodb.reratings import rerating_item  # noqa: PLC0415

        yield from map(rerating_item, transaction.reratings)


def _replaced_items(transaction: Transaction) -> Iterator[Item]:
    """Write lots, pools and spend counters, without a condition of their own.

    Each transaction that changes them also checks the account's version, and increases it. The same
    holds for usages that are rated again.
    """
    organization_id = transaction.before.organization_id
    stored, _, forfeited = transaction.lots
    for lot in stored:
        yield further_lot_item(organization_id, lot)
    for lot in forfeited:
        yield expired_lot_item(organization_id, lot)
    if transaction.chargeback is not None:
        yield chargeback_item(organization_id, transaction.chargeback)
    for pool in transaction.pools:
        yield pool_item(pool, transaction.steps.get(pool.month))
    for counter in transaction.spend_counters:
        yield spending_item(organization_id, counter)


def _unchanged_since(account: Account) -> tuple[str, dict[str, int]]:
    if account.version == 0:
        return "attribute_not_exists(organizationId)", {}
    return "#version = :version", {"version": account.version}


def why_refused(
    transaction: Transaction, items: Mapping[int, Item], *, first: int
) -> AlreadyExists | AccountChanged:
    """Distinguish records that exist from an account that changed: no other condition can fail.

    `items` are the stored items whose conditions failed, by their position in the transaction:
    usages begin at `first`, and processed events follow them.
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
