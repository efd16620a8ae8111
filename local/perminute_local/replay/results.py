"""What a replay left behind, read from the tables, dead-letter queues and notifications."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from perminute.adapters.dynamodb.account_items import (
    ACCOUNT,
    FURTHER_LOT,
    account_of,
    entry_in,
    lot_of,
)
from perminute.adapters.dynamodb.call_items import OUTCOME, usage_of
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.application.licensing_cache import LicensingCache
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import LedgerEntry
from perminute.domain.pools.pools import Month, month_of
from perminute.domain.rating.usage_record import Usage
from perminute.domain.values.money import format_micros, money_text
from perminute.domain.values.times import format_instant, parse_instant
from perminute.settings import read_timeout_seconds
from perminute.sqs import event_id_of
from perminute_local.dead_letters import UNKNOWN
from perminute_local.replay.sorted_on_disk import SortedOnDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Table
    from perminute.adapters.notification_documents import Document
    from perminute.application.check_books import BooksReport
    from perminute.domain.credit.lots import Lot, LotShare
    from perminute.domain.reconciliation.reconciliation import Difference
    from perminute.settings import TableNames
    from perminute_local.stack import Stack


class Rejected(NamedTuple):
    """An event that was refused, and why."""

    event_id: str
    reason: str


class Response(NamedTuple):
    """What was asked of an API, when, and what it answered."""

    at: datetime | None
    request: str
    asked: dict[str, Any]
    answer: dict[str, Any]


class PoolUse(NamedTuple):
    """The minutes of a month's pool when the month ends, by what is known, and those used.

    Those are included that were used in another system before the cutover.
    """

    month: Month
    minutes: int
    used: int


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that the run booked, recorded and refused."""

    accounts: list[Account]
    usages: Sequence[Usage] | SortedOnDisk[Usage]
    entries: Sequence[LedgerEntry] | SortedOnDisk[LedgerEntry]
    rejected: list[Rejected] = field(default_factory=list)
    further: Mapping[str, Sequence[Lot]] = field(default_factory=dict)
    """By organization the lots that are not in its account item."""
    pools: Mapping[str, Sequence[PoolUse]] = field(default_factory=dict)
    notifications: list[Document] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    unread: list[BooksReport] = field(default_factory=list)
    """Of which organizations the books could not be read, and why: nothing is known of those."""
    responses: list[Response] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return what `perminute replay --json` prints."""
        parts = self.parts()
        return {**parts, "calls": list(parts["calls"]), "ledger": list(parts["ledger"])}

    def parts(self) -> dict[str, Any]:
        """Return the same with iterators of the calls and of the ledger.

        There may be a million of these: one at a time is in memory.
        """
        return {
            "organizations": {
                account.organization_id: _account_document(
                    account,
                    self.further.get(account.organization_id, ()),
                    self.pools.get(account.organization_id, ()),
                )
                for account in self.accounts
            },
            "calls": map(_usage_document, self.usages),
            "ledger": self._ledger(),
            "notifications": self.notifications,
            "responses": [response.answer for response in self.responses],
            "differences": [difference_document(difference) for difference in self.differences],
            "unread": [books.organization_id for books in self.unread],
            "rejected": [
                {"eventId": event_id, "reason": reason} for event_id, reason in self.rejected
            ],
        }

    def _ledger(self) -> Iterator[dict[str, Any]]:
        calls = SortedOnDisk[str]()
        for usage in self.usages:
            for entry_id, _ in usage.movements:
                calls.add(usage.call.organization_id, entry_id, usage.call.call_id)
        for entry in self.entries:
            named = calls.of(entry.organization_id, entry.entry_id)
            # Of an entry that takes back an expiry, it is the other way round: it names the calls.
            yield _entry_document(entry, [*named] or [*entry.call_ids])


def collect(
    tables: TableNames,
    stack: Stack,
    rejected: list[Rejected],
    own_ids: Callable[[Collection[str]], Mapping[str, str]],
) -> Results:
    """Read the tables whole, in an order that does not depend on the run's.

    `own_ids` returns by ids that functions know those of the folder, where these differ: it goes
    through all events, and is called only if one was refused.
    """
    connection = connect(read_timeout_seconds=read_timeout_seconds(os.environ))
    schema = Tables.bind(connection, tables)
    accounts: dict[str, Account] = {}
    further: defaultdict[str, dict[str, Lot]] = defaultdict(dict)
    entries, usages = SortedOnDisk[LedgerEntry](), SortedOnDisk[Usage]()
    for item in _scan(schema.credit):
        organization_id, record = item["organizationId"]["S"], item["record"]["S"]
        if record == ACCOUNT:
            accounts[organization_id] = account_of(item)
        elif record.startswith(FURTHER_LOT):
            further[organization_id][record] = lot_of(item)
        if entry := entry_in(item):
            entries.add(organization_id, entry.entry_id, entry)
    months: defaultdict[str, set[Month]] = defaultdict(set)
    for item in _scan(schema.usage):
        if OUTCOME in item:
            usage = usage_of(item)
            call = usage.call
            # Of the same length for every call, so that texts have the order of times.
            ended_at = call.ended_at.isoformat(timespec="microseconds")
            usages.add(call.organization_id, f"{ended_at}{call.call_id}", usage)
            called = months[call.organization_id]
            if call.answered_at is not None:
                called.add(month_of(call))
    dead_letters = list(_dead_letters(stack))
    ids = own_ids({dead_letter.event_id for dead_letter in dead_letters}) if dead_letters else {}
    rejected += (
        dead_letter._replace(event_id=ids.get(dead_letter.event_id, dead_letter.event_id))
        for dead_letter in dead_letters
    )
    for organization_id in months.keys() - accounts:
        accounts[organization_id] = Account(organization_id=organization_id)
    return Results(
        further={name: [lots[lot] for lot in sorted(lots)] for name, lots in further.items()},
        pools=_pools(schema, months),
        accounts=[account for _, account in sorted(accounts.items())],
        usages=usages,
        entries=entries,
        # A refused event that is delivered twice is refused twice; it is listed once.
        rejected=list(dict.fromkeys(rejected)),
    )


def _pools(tables: Tables, months: Mapping[str, Collection[Month]]) -> dict[str, list[PoolUse]]:
    # Of months in which there were calls and there were minutes.
    credit, licensing = DynamoDBCreditStore(tables), DynamoDBLicensingStore(tables)
    pools: dict[str, list[PoolUse]] = {}
    for organization_id, called in months.items():
        if not called:
            continue
        account = credit.account(organization_id)
        known = LicensingCache(licensing).for_account(account, ())
        uses = [
            PoolUse(
                month,
                known.pool_minutes(month.clamp(month.end)),
                pool.used + known.pool_minutes_used(month.start),
            )
            for month, pool in sorted(credit.pools(organization_id, called).items())
        ]
        pools[organization_id] = [use for use in uses if use.minutes or use.used]
    return pools


def _scan(table: Table) -> Iterator[Item]:
    client: Any = table.connection.client
    for page in client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):
        yield from page["Items"]


def _dead_letters(stack: Stack) -> Iterator[Rejected]:
    # No function reads the queues that have no dead-letter queue themselves.
    limits = {queue.dead_letter_url: queue.max_receive_count for queue in stack.queues.values()}
    for name, queue in stack.queues.items():
        if queue.dead_letter_url is None:
            for message in drain(queue.url):
                yield _read_dead_letter(name, message, limits.get(queue.url))


def _read_dead_letter(queue: str, message: MessageTypeDef, limit: int | None) -> Rejected:
    attributes = {
        name: value.get("StringValue", "")
        for name, value in message.get("MessageAttributes", {}).items()
    }
    body = message["Body"]
    if "reason" in attributes:
        return Rejected(attributes["eventId"], attributes["reason"])
    if queue == UNKNOWN:
        return Rejected(event_id_of(body), unknown_source(json.loads(body)["source"]))
    if limit is not None:
        return Rejected(event_id_of(body), f"failed {limit} times; see the function's log")
    why = attributes.get("ERROR_MESSAGE", "whoever put it there does not say why")
    return Rejected(event_id_of(body), f"{queue}: {why}")


def unknown_source(source: str) -> str:
    """Return why an event that only the last rule takes is refused."""
    return f"source: {source!r} is not a source that perminute reads"


def drain(queue_url: str, client: SQSClient | None = None) -> Iterator[MessageTypeDef]:
    """Receive and delete every message of a queue."""
    client = client or boto3.client("sqs")
    while messages := client.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        for message in messages:
            yield message
            client.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def difference_document(difference: Difference) -> dict[str, Any]:
    """Write what reconciliation found."""
    return {
        "organizationId": difference.organization_id,
        "message": difference.message,
        "entries": list(difference.entry_ids),
    }


def _account_document(
    account: Account, further: Sequence[Lot], pools: Sequence[PoolUse]
) -> dict[str, Any]:
    return {
        "currency": account.currency,
        "balance": format_micros(account.balance_micros),
        "lots": [
            {
                "purchaseId": lot.purchase_id,
                "remaining": format_micros(lot.remaining_micros),
                "expiresAt": format_instant(lot.expires_at),
            }
            for lot in (*account.lots, *further)
        ],
        "minutePools": {
            str(pool.month): {"minutes": pool.minutes, "used": pool.used} for pool in pools
        },
    }


def _usage_document(usage: Usage) -> dict[str, Any]:
    price = usage.stated_price
    return {
        "organizationId": usage.call.organization_id,
        "callId": usage.call.call_id,
        "outcome": usage.outcome,
        "reason": usage.reason,
        "billedSeconds": price.billed_seconds,
        "poolMinutes": usage.pool_minutes,
        "prefix": price.prefix,
        "country": price.country,
        "ratePerMinute": money_text(price.rate_micros_per_minute),
        "connectionFee": money_text(price.connection_fee_micros),
        "retailCost": money_text(price.retail_micros),
        "charge": format_micros(usage.charge_micros),
        "currency": price.currency,
        "flags": list(usage.flags),
        "lots": [_share_document(share) for share in usage.lots],
    }


def _entry_document(entry: LedgerEntry, calls: list[str]) -> dict[str, Any]:
    return {
        "organizationId": entry.organization_id,
        "entryId": entry.entry_id,
        "type": entry.type,
        "amount": format_micros(entry.amount_micros),
        "balanceAfter": format_micros(entry.balance_after_micros),
        "at": format_instant(entry.at),
        "calls": calls,
        "lots": [_share_document(share) for share in entry.lots],
        "cause": entry.cause,
        "producer": entry.producer and entry.producer._asdict(),
    }


def _share_document(share: LotShare) -> dict[str, str]:
    return {"purchaseId": share.purchase_id, "amount": format_micros(share.amount_micros)}


QUEUE_NAME = "notifications-heard"


class Listener:
    """Hears every notification from now on."""

    def __init__(self, topic_arn: str) -> None:
        sqs = boto3.client("sqs")
        self._queue_url = sqs.create_queue(QueueName=QUEUE_NAME)["QueueUrl"]
        attributes = sqs.get_queue_attributes(
            QueueUrl=self._queue_url, AttributeNames=["QueueArn"]
        )["Attributes"]
        queue_arn = attributes["QueueArn"]
        policy = json.dumps(_only_from(topic_arn, queue_arn))
        sqs.set_queue_attributes(QueueUrl=self._queue_url, Attributes={"Policy": policy})
        boto3.client("sns").subscribe(
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=queue_arn,
            Attributes={"RawMessageDelivery": "true"},
        )

    def heard(self) -> list[Document]:
        """Return each notification once, in the order of time; copies have the same id."""
        documents = [json.loads(message["Body"]) for message in drain(self._queue_url)]
        by_id = {document["id"]: document for document in documents}
        return sorted(by_id.values(), key=lambda d: (parse_instant(d["at"]), d["organizationId"]))


def _only_from(topic_arn: str, queue_arn: str) -> dict[str, Any]:
    # AWS: "Fanout to Amazon SQS queues".
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
            }
        ],
    }
