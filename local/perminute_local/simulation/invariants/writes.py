"""What must hold of each transaction, and of each published notification, as it takes effect."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from perminute.domain.pools.pools import PoolStep
from perminute.domain.values.money import format_micros
from perminute_local.simulation.invariants.invariant import invariant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute_local.simulation.write_recorder import CreditWrite, WriteRecorder

_MINUTE = timedelta(minutes=1)
_RENDERED = {"organizationName", "subject", "text"}
"""What is added to a notification when it is published."""


@invariant
def by_our_clock(recorder: WriteRecorder, write: CreditWrite) -> Iterator[str]:
    """Nothing is booked in the future."""
    instants = [entry.at for entry in write.entries]
    if write.account is not None and write.account.as_of is not None:
        instants.append(write.account.as_of)
    # A function that was overtaken may find what was booked a minute later than it began.
    now = recorder.clock()
    if instants and max(instants) > now + _MINUTE:
        yield f"{write.organization_id} is booked at {max(instants)}: it is {now}"


@invariant
def priced_by_its_card(recorder: WriteRecorder, write: CreditWrite) -> Iterator[str]:
    """A call is priced by the card that it was authorized by."""
    for usage in write.usages:
        call, version = usage.call, usage.price.rate_card_version
        key = call.organization_id, call.call_id
        # Once the grant has lapsed another card is allowed, but not for what was reported.
        until = recorder.reserved_until.get(key)
        in_time = until is not None and recorder.clock() <= until
        if (
            key in recorder.cards_of
            and call.call_id in (write.ended_ids if in_time else write.reported_ids)
            and call.connected_seconds
            and version not in recorder.cards_of[key]
        ):
            yield f"{call.call_id} is priced by {version}, which came after it had begun"


@invariant
def books_agree(before: Account, after: Account, entries: Sequence[LedgerEntry]) -> Iterator[str]:
    """Balance = ledger = lots less debt."""
    who, balance = after.organization_id, format_micros(after.balance_micros)
    made_micros = before.balance_micros + sum(entry.amount_micros for entry in entries)
    if after.balance_micros != made_micros:
        yield f"the balance of {who} is {balance}, its entries make {format_micros(made_micros)}"
    lots_micros = after.lots_micros - after.debt_micros
    if after.balance_micros != lots_micros:
        yield f"the balance of {who} is {balance}, lots less debt are {format_micros(lots_micros)}"
    numbers = [int(entry.entry_id) for entry in entries]
    if numbers != list(range(before.entries + 1, before.entries + len(entries) + 1)):
        yield f"{who} has {before.entries} entries, and the next are {numbers}"


@invariant
def stays_above_zero(account: Account, authorizing: set[str]) -> Iterator[str]:
    """Authorized calls never take a balance below zero."""
    if account.organization_id in authorizing and account.balance_micros < 0:
        yield f"{account.organization_id} has {format_micros(account.balance_micros)}"


@invariant
def decided_once(document: Mapping[str, Any], decided: Iterable[str]) -> Iterator[str]:
    """One id for each crossing."""
    if document["id"] in decided:
        what = f"{document['type']} {document['id']}"
        yield f"{what} of {document['organizationId']} was decided twice"


@invariant
def settled_soon(pool: tuple[str, str], item: Item) -> Iterator[str]:
    """An unsettled pool is settled soon."""
    if item.get("step") != {"S": PoolStep.FIRST.value}:
        yield f"{pool[1]} of {pool[0]} became unsettled, and nothing is queued to settle it"


@invariant
def decided(
    document: Mapping[str, Any], shown: Mapping[str, Any], decided: Mapping[str, object]
) -> Iterator[str]:
    """Only what was committed is published."""
    facts = {name: value for name, value in shown.items() if name not in _RENDERED}
    if facts != decided.get(document["id"]):
        yield f"{document['type']} {document['id']} was published and never decided so"


@invariant
def printable(shown: Mapping[str, Any]) -> Iterator[str]:
    """Subjects and texts are printable lines."""
    for part, count in (("subject", 1), ("text", 5)):
        lines = shown[part].split("\n")
        if len(lines) != count or not all(map(str.isprintable, lines)):
            yield f"the {part} of {shown['type']} is {shown[part]!a}"
