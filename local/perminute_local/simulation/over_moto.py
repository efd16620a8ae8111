"""The functions as they are, over moto: each call of a botocore client may go wrong.

moto knows no throttling, no conflict and no lost answer, and it keeps whole tables in memory, which
it copies for each transaction: so it is slow, and good for the adapters and nothing else. Nor does
it cut answers into pages, or leave out a part: that is added by `adverse`.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

import boto3
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table

from perminute import aws, bootstrap
from perminute.adapters.dynamodb import licensing_store
from perminute.adapters.dynamodb.account_items import ACCOUNT, account_of
from perminute.adapters.dynamodb.book_checks import DynamoDBBookChecks
from perminute.adapters.dynamodb.call_items import OUTCOME, call_of, usage_of
from perminute.adapters.dynamodb.calls import DynamoDBCalls
from perminute.adapters.dynamodb.counter_items import POOL, SPENDING, pool_of, spending_of
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.digests import FIRST_CALL
from perminute.adapters.dynamodb.event_items import event_key, event_of
from perminute.adapters.dynamodb.ledger_items import entry_in
from perminute.adapters.dynamodb.licensing_items import (
    ORGANIZATION,
    USERS,
    subject_of_further,
    timeline_of,
)
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.outbox_items import documents_in
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.adapters.s3_rate_cards import S3RateCards
from perminute.api import bootstrap as api_bootstrap
from perminute.application.check_books import CheckBooks
from perminute.application.correct_rates import CorrectRates
from perminute.application.licensing_cache import LicensingCache
from perminute.application.looking_again import LookingAgain
from perminute.application.retry import RetryPolicy
from perminute.domain.authorization.reservations import Reservation
from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent
from perminute.domain.rating.usage_record import Usage
from perminute.domain.values.times import parse_instant
from perminute_local.embedded_aws import REGION, environment
from perminute_local.publishing import publish, store_version
from perminute_local.replay.lambda_runtime import LoadedFunction
from perminute_local.replay.run import table_names
from perminute_local.simulation.adverse import AdverseDynamoDB, half_of_batch
from perminute_local.simulation.backend import (
    MOST_FACTS,
    WHOLE_WITHIN_DAYS,
    Seen,
    in_pieces,
)
from perminute_local.simulation.bus import OUTBOX, RERATINGS
from perminute_local.simulation.fault_injector import Request
from perminute_local.simulation.faults import Fault
from perminute_local.simulation.write_recorder import Kept, Posted, Sent
from perminute_local.stack import BACKING_TYPES, create_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.application.correct_rates import RateCorrection
    from perminute.application.reconcile_books import BooksReport
    from perminute.domain.credit.accounts import Account
    from perminute.domain.licensing.timelines import Fact
    from perminute_local.simulation.fault_injector import Gate
    from perminute_local.simulation.write_recorder import Effects
    from perminute_local.stack import Stack, Template

Answer = dict[str, Any]
AwsCall = Callable[[BaseClient, str, Answer], Answer]

_KEYS = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
}
_PARTS = {"SendMessageBatch": "Entries", "PublishBatch": "PublishBatchRequestEntries"}
"""Operations for several things, of which AWS says in its answer which it did not take."""
_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)


class Moto:
    """A medium with the deployed adapters in it."""

    def __init__(self, stack: Stack, schema: Tables, gate: Gate, effects: Effects) -> None:
        """Use the resources of a stack, and read its tables."""
        self.stack = stack
        self._schema, self._gate, self._effects = schema, gate, effects
        self._tables = table_names(stack)
        self._functions = {function.name: function for function in stack.functions}
        self._queues = {queue.url: name for name, queue in stack.queues.items()}
        checks = stack.setting("BOOK_CHECKS_TABLE")
        self._checks = DynamoDBBookChecks(schema.connection, checks)
        self.adverse: AdverseDynamoDB | None = None
        """What DynamoDB may answer otherwise than moto; None, nothing."""

    def load(self, name: str) -> LoadedFunction:
        """See `Medium.load`."""
        return LoadedFunction(self._functions[name])

    def publish(self, content: bytes, version: str) -> None:
        """See `Medium.publish`."""
        bucket = self.stack.setting("RATE_CARD_BUCKET")
        publish(boto3.client("s3"), bucket, content, version=version)

    def archive(self, content: bytes, version: str) -> None:
        """See `Medium.archive`."""
        bucket = self.stack.setting("RATE_CARD_BUCKET")
        store_version(boto3.client("s3"), bucket, content, version=version)

    def correct_rates(self, organization_id: str, correction: RateCorrection) -> None:
        """See `Medium.correct_rates`."""
        again = LookingAgain(
            credit=DynamoDBCreditStore(self._schema),
            calls=DynamoDBCalls(self._schema),
            licensing=LicensingCache(DynamoDBLicensingStore(self._schema)),
            rate_cards=S3RateCards(
                lambda: boto3.client("s3"), self.stack.setting("RATE_CARD_BUCKET"), report=print
            ),
            retry=RetryPolicy(sleep=lambda _: None),
        )
        deque(CorrectRates(again).book(organization_id, correction), maxlen=0)

    def seen(self, organization_id: str) -> Seen:
        """See `Medium.seen`."""
        calls = [call_of(item) for item in self._schema.usage.items_of(organization_id)]
        facts: frozenset[tuple[str | None, Fact]] = frozenset(
            (_user_of(subject_of_further(timeline.subject)), fact)
            for item in self._schema.licensing.items_of(organization_id)
            for timeline in [timeline_of(item)]
            for fact in timeline.stated
        )
        credit = DynamoDBCreditStore(self._schema)
        account = credit.account(organization_id)
        store = DynamoDBLicensingStore(self._schema)
        users = {user for user, _ in facts if user is not None}
        return Seen(
            statement=credit.statement(organization_id),
            usages={one.call.call_id: one for one in calls if isinstance(one, Usage)},
            expired=credit.expired_lots(organization_id, since=_EPOCH),
            reservations=[one for one in calls if isinstance(one, Reservation)],
            licensing=replace(store.licensing(organization_id, users), seats=store.seats(account)),
            facts=facts,
            spendings=[
                spending_of(item)
                for item in self._schema.credit.items_of(organization_id, SPENDING)
            ],
            spending_changes=credit.spending_changes(
                organization_id, after=0, until=account.corrections
            ),
            waiting=len(DynamoDBReratings(self._schema).waiting(organization_id)),
            processed_event=self._receipt,
            check=self._checks.check(organization_id),
        )

    def spoil(self, organization_id: str, micros: int) -> None:
        """See `Medium.spoil`."""
        boto3.client("dynamodb").update_item(
            TableName=self._tables.credit,
            Key={"organizationId": {"S": organization_id}, "record": {"S": ACCOUNT}},
            UpdateExpression="ADD balanceMicros :micros",
            ExpressionAttributeValues={":micros": {"N": str(micros)}},
        )

    # ── What stands between a client and AWS ─────────────────────────────────────────────────

    def ask(self, call: AwsCall, client: BaseClient, operation: str, params: Answer) -> Answer:
        """Have a client make a request."""
        make = partial(call, client, operation)
        if self.adverse is not None:
            make = partial(self.adverse.answer, make, operation)
        effect = partial(self._carry_out, make, operation, params)
        cut = partial(self._cut, make, operation, params)
        shows = partial(_shows, operation, params, effect, cut)
        return self._gate.passes(Request(operation, effect, shows))

    def _carry_out(
        self, make: Callable[[Answer], Answer], operation: str, params: Answer
    ) -> Answer:
        answer = make(params)
        match operation:
            case "TransactWriteItems":
                self._note_written(params["TransactItems"])
            case "SendMessageBatch":
                bodies = [one["MessageBody"] for one in _taken(params["Entries"], answer)]
                self._note_sent(self._queues[params["QueueUrl"]], bodies)
            case "SendMessage":
                reason = params["MessageAttributes"]["reason"]["StringValue"]
                queue = self._queues[params["QueueUrl"]]
                self._effects.kept.append(Kept(queue, reason, params["MessageBody"]))
            case "PublishBatch":
                entries = _taken(params["PublishBatchRequestEntries"], answer)
                self._effects.published([_published(entry) for entry in entries])
            case _:
                pass
        return answer

    def _cut(self, make: Callable[[Answer], Answer], operation: str, params: Answer) -> Answer:
        """Carry out the first half, and say of the rest that it was not."""
        if operation == "BatchGetItem":
            return half_of_batch(make, params["RequestItems"])
        name = _PARTS[operation]
        entries = params[name]
        half = len(entries) // 2
        answer: Answer = {"Successful": [], "Failed": []}
        if half:
            answer = self._carry_out(make, operation, {**params, name: entries[:half]})
        failed = [
            {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False}
            for entry in entries[half:]
        ]
        return {**answer, "Failed": [*answer.get("Failed", ()), *failed]}

    def _note_sent(self, queue: str, bodies: Sequence[str]) -> None:
        if queue != RERATINGS:
            self._effects.sent += (Sent(queue, body) for body in bodies)
            return
        self._effects.woken += (
            (message["organizationId"], at and parse_instant(at))
            for message in map(json.loads, bodies)
            for at in [message.get("at")]
        )

    def _note_written(self, operations: Sequence[Mapping[str, Any]]) -> None:
        puts = [operation["Put"] for operation in operations if "Put" in operation]
        credit = [item for table, item in _made(operations) if table == self._tables.credit]
        ended = [
            usage_of(put["Item"])
            for put in puts
            if put["TableName"] == self._tables.usage
            and OUTCOME in put["Item"]
            and "ConditionExpression" in put
        ]
        calls = [call_of(put["Item"]) for put in puts if put["TableName"] == self._tables.usage]
        for item in credit:
            self._effects.put(item, is_new=False)
        owner = next(_owner(operation) for operation in operations)
        self._effects.posted(
            Posted(
                organization_id=owner,
                account=next(map(_account, filter(_is_account, credit)), None),
                entries=sorted(
                    filter(None, map(entry_in, credit)),
                    key=lambda entry: entry.entry_id,
                ),
                told=[
                    document
                    for item in credit
                    if item["record"]["S"].startswith(OUTBOX)
                    and not item["record"]["S"].startswith(FIRST_CALL)
                    for document in documents_in(item)
                ],
                firsts=[
                    document
                    for item in credit
                    if item["record"]["S"].startswith(FIRST_CALL)
                    for document in documents_in(item)
                ],
                call_ids=[usage.call.call_id for usage in ended if not usage.reported_by_bridge],
                reported_ids=[usage.call.call_id for usage in ended if usage.reported_by_bridge],
                usages=[one for one in calls if isinstance(one, Usage)],
                pools=[pool_of(item) for item in credit if item["record"]["S"].startswith(POOL)],
            )
        )

    def _receipt(self, key: EventIdentity) -> ProcessedEvent | None:
        if key.kind is not IdentityKind.EVENT:
            return DynamoDBCreditStore(self._schema).processed_event(key)
        item = self._schema.events.get(event_key(key))
        return None if item is None else event_of(key, item)


@contextmanager
def over_moto(
    template: Template,
    card: tuple[bytes, str],
    gate: Gate,
    effects: Effects,
    *,
    adverse: bool = False,
) -> Iterator[Moto]:
    """Run the template's resources on moto for as long as the context lasts.

    Clients are shared: to make them anew for each instance would take longer than all they do.
    Nobody waits between two tries, and rate cards grow old by the clock of the world.
    """
    patient = partial(RetryPolicy, sleep=lambda _: None, jitter=lambda: 0.0)
    cards = partial(S3RateCards, clock=lambda: (effects.clock() - _EPOCH) // _SECOND)
    original: AwsCall = BaseClient._make_api_call  # type: ignore[attr-defined]  # noqa: SLF001 - all pass there
    with environment(**_KEYS), mock_aws():
        stack = create_stack(template, BACKING_TYPES - {"AWS::Events::Rule"})
        _without_stream(table_names(stack).credit)
        connection = connect()
        medium = Moto(stack, Tables.bind(connection, table_names(stack)), gate, effects)
        medium.publish(*card)
        medium.adverse = AdverseDynamoDB(gate) if adverse else None
        client = cache(connection.session.create_client)
        with (
            patch.object(BaseClient, "_make_api_call", _asking(medium, original)),
            patch.object(Table, "__deepcopy__", _snapshot, create=True),
            patch.object(bootstrap, "RetryPolicy", patient),
            patch.object(api_bootstrap, "RetryPolicy", patient),
            patch.object(aws, "S3RateCards", cards),
            patch.object(bootstrap, "CheckBooks", _check_books),
            patch.object(licensing_store, "MAX_FACTS", MOST_FACTS),
            patch.object(aws, "connect", lambda **_: connection),
            patch.object(aws.AwsResources, "client", lambda _, service: client(service)),
        ):
            yield medium


def _check_books(**parts: Any) -> Callable[..., BooksReport]:  # noqa: ANN401 - the parts of a use case
    return in_pieces(CheckBooks(**{**parts, "whole_within_days": WHOLE_WITHIN_DAYS}))


def _snapshot(table: Table, _: object) -> Table:
    """Copy a table for the case that a transaction is canceled.

    moto copies it for each item that is written, and that with all it holds. Items are put anew
    and never changed, but for those that are updated: accounts and timelines.
    """
    snapshot = copy(table)
    snapshot.items = defaultdict(dict)
    for owner, items in table.items.items():
        if not isinstance(items, dict):
            snapshot.items[owner] = items
            continue
        snapshot.items[owner] = {
            name: deepcopy(item) if name.value == ACCOUNT or "facts" in item.attrs else item
            for name, item in items.items()
        }
    return snapshot


def _without_stream(table: str) -> None:
    """What is written is seen here as it is sent; moto would keep it all, and copy it as well."""
    dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[table].stream_shard = None


def _asking(medium: Moto, call: AwsCall) -> AwsCall:
    def ask(client: BaseClient, operation: str, params: Answer) -> Answer:
        return medium.ask(call, client, operation, params)

    return ask


def _shows(  # noqa: PLR0911 - one for each kind of fault
    operation: str,
    params: Answer,
    effect: Callable[[], Answer],
    cut: Callable[[], Answer],
    fault: Fault,
) -> Callable[[], Answer] | None:
    """Say how a fault shows at an operation, in the words of AWS."""
    match fault:
        case Fault.THROTTLE:
            return partial(_refuse, operation, "ThrottlingException")
        case Fault.CONFLICT if operation.startswith("Transact"):
            return partial(_cancel, operation, len(params["TransactItems"]))
        case Fault.CONFLICT if operation == "PutItem":
            return partial(_refuse, operation, "TransactionConflictException")
        case Fault.TIMEOUT_BEFORE:
            return _hang
        case Fault.TIMEOUT_AFTER:
            return partial(_hang, effect)
        case Fault.CUT if operation in _PARTS or operation == "BatchGetItem":
            return cut
        case Fault.CUT if "IndexName" in params:
            return partial(_lagging, effect)
        case _:
            return None


def _lagging(effect: Callable[[], Answer]) -> Answer:
    """Answer from an index that has not heard of everything."""
    answer = effect()
    return {**answer, "Items": answer["Items"][::2]}


def _refuse(operation: str, code: str) -> NoReturn:
    raise ClientError({"Error": {"Code": code, "Message": "simulated"}}, operation)


def _cancel(operation: str, items: int) -> NoReturn:
    """Cancel a transaction for its first item's sake."""
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "simulated"},
        "CancellationReasons": [
            {"Code": "TransactionConflict"},
            *({"Code": "None"} for _ in range(items - 1)),
        ],
    }
    raise ClientError(response, operation)


def _hang(effect: Callable[[], Answer] | None = None) -> NoReturn:
    if effect is not None:
        effect()
    raise ReadTimeoutError(endpoint_url="simulated")


def _taken(entries: Sequence[Answer], answer: Answer) -> Iterator[Answer]:
    """Give those of several that AWS has taken."""
    ids = {one["Id"] for one in answer["Successful"]}
    return (entry for entry in entries if entry["Id"] in ids)


def _published(entry: Answer) -> dict[str, Any]:
    document = json.loads(entry["Message"])["default"]
    kind = entry["MessageAttributes"]["type"]["StringValue"]
    return {"id": json.loads(document)["id"], "type": kind, "document": document}


def _account(item: Item) -> Account:
    return account_of(item)


def _is_account(item: Item) -> bool:
    return bool(item["record"]["S"] == ACCOUNT)


def _made(operations: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Item]]:
    """Go through the items that are put, or made by an update (`Table.set_if`)."""
    for operation in operations:
        match operation:
            case {"Put": put}:
                yield put["TableName"], put["Item"]
            case {"Update": {"ConditionExpression": str(condition)} as update} if (
                condition.startswith("attribute_not_exists(")
            ):
                values, names = (
                    update["ExpressionAttributeValues"],
                    update["ExpressionAttributeNames"],
                )
                attributes = {name: values[f":{name}"] for name in names.values()}
                yield update["TableName"], {**update["Key"], **attributes}
            case _:
                pass


def _owner(operation: Mapping[str, Any]) -> str:
    """Tell whose item an operation is about."""
    (one,) = operation.values()
    owner: str = (one.get("Item") or one["Key"])["organizationId"]["S"]
    return owner


def _user_of(subject: str) -> str | None:
    return None if subject == ORGANIZATION else subject.removeprefix(USERS)
