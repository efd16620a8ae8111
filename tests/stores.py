"""The stores that one contract suite holds to what `ports` says."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import boto3

from perminute.adapters.dynamodb.account_states import DynamoDBAccountStates
from perminute.adapters.dynamodb.books import DynamoDBBookChecks, DynamoDBBooks
from perminute.adapters.dynamodb.calls import DynamoDBCalls, DynamoDBCallsUnderWay
from perminute.adapters.dynamodb.content_keys import DynamoDBContentKeys
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.digests import DynamoDBDigests
from perminute.adapters.dynamodb.erasure import DynamoDBErasure
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.postings import DynamoDBPostings
from perminute.adapters.dynamodb.recorded_content import DynamoDBRecordedContent
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.adapters.memory import (
    InMemoryBookChecks,
    InMemoryBooks,
    InMemoryCalls,
    InMemoryContentKeys,
    InMemoryDigests,
    InMemoryErasure,
    InMemoryPostings,
    InMemoryRecordedContent,
    InMemoryStore,
)
from perminute.adapters.notification_documents import facts_of
from perminute.domain.credit.transaction import NO_CAUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from perminute.domain.credit.transaction import Causes
    from perminute.domain.notifications.notifications import Notification
    from perminute.ports.messaging import Digests
    from perminute.ports.postings import Postings
    from perminute.ports.privacy import ContentKeys, Erasure, RecordedContent
    from perminute.ports.reports import AccountStates
    from perminute.ports.stores import (
        BookChecks,
        Books,
        Calls,
        CallsUnderWay,
        CreditStore,
        LicensingStore,
        Reratings,
    )
    from perminute.settings import TableNames


@dataclass
class Stores:
    """All of one kind, over the same data."""

    credit: CreditStore
    licensing: LicensingStore
    accounts: AccountStates
    calls: Calls
    reratings: Reratings
    under_way: CallsUnderWay
    books: Books
    checks: BookChecks
    outbox: Callable[[str], list[str]]
    """The documents that wait in the outbox of an organization, sorted."""
    digests: Digests
    postings: Postings
    content: RecordedContent
    keys: ContentKeys
    erasure: Erasure
    stored: Callable[[str], str]
    """All that is stored of an organization but its key, as text."""


def twins(twin: InMemoryStore | None = None) -> Stores:
    """In memory."""
    twin = twin or InMemoryStore()
    return Stores(
        twin,
        twin,
        twin,
        InMemoryCalls(twin),
        twin,
        twin,
        InMemoryBooks(twin),
        InMemoryBookChecks(),
        lambda who: documents(
            (one for one in twin.outbox if one.organization_id == who), twin.causes
        ),
        InMemoryDigests(twin),
        InMemoryPostings(twin),
        InMemoryRecordedContent(twin),
        InMemoryContentKeys(),
        InMemoryErasure(twin),
        lambda _: _text_of(twin),
    )


def stores_on(
    tables: TableNames, book_checks: str = "not-asked-for", content_keys: str = "not-asked-for"
) -> Stores:
    """On tables of these names; who needs no others need not say what these are called."""
    schema = Tables.bind(connect(), tables)
    return Stores(
        DynamoDBCreditStore(schema),
        DynamoDBLicensingStore(schema),
        DynamoDBAccountStates(schema),
        DynamoDBCalls(schema),
        DynamoDBReratings(schema),
        DynamoDBCallsUnderWay(schema),
        DynamoDBBooks(schema),
        DynamoDBBookChecks(schema.connection, book_checks),
        lambda who: _stored_outbox(tables.credit, who),
        DynamoDBDigests(schema),
        DynamoDBPostings(schema),
        DynamoDBRecordedContent(schema),
        DynamoDBContentKeys(schema.connection, content_keys),
        DynamoDBErasure(schema),
        lambda who: _stored_text(schema, who),
    )


def documents(
    notifications: Iterable[Notification], causes: Mapping[str, Causes] = MappingProxyType({})
) -> list[str]:
    """Write notifications as they are stored."""
    return sorted(
        json.dumps(facts_of(one, causes.get(one.id, NO_CAUSES).of(one.call_id)))
        for one in notifications
    )


def _stored_outbox(table: str, organization: str) -> list[str]:
    rows = boto3.client("dynamodb").query(
        TableName=table,
        KeyConditionExpression="organizationId = :o AND begins_with(#record, :outbox)",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":o": {"S": organization}, ":outbox": {"S": "outbox#"}},
    )["Items"]
    return sorted(
        json.dumps(document) for row in rows for document in json.loads(row["notifications"]["S"])
    )


def _text_of(twin: InMemoryStore) -> str:
    # Who only reads a timeline leaves an empty one behind.
    records = vars(twin).values()
    return repr(
        [
            {key: one for key, one in some.items() if one} if isinstance(some, dict) else some
            for some in records
        ]
    )


def _stored_text(schema: Tables, organization: str) -> str:
    events = boto3.client("dynamodb").scan(
        TableName=schema.events.name,
        FilterExpression="organizationId = :o",
        ExpressionAttributeValues={":o": {"S": organization}},
    )["Items"]
    tables = schema.credit, schema.usage, schema.licensing
    items = [*events, *(item for table in tables for item in table.items_of(organization))]
    return json.dumps(items, default=lambda value: zlib.decompress(value).decode())
