"""The functions as they are, over moto: each call of a botocore client may go wrong.

moto knows no throttling, no conflict and no lost answer, and is slow: good for the adapters and
nothing else. Nor does it cut answers into pages, or leave out a part: `adverse` adds that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

import boto3
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from perminute import aws
from perminute.adapters.dynamodb import licensing_store
from perminute.adapters.dynamodb.account_items import ACCOUNT, event_key, event_of
from perminute.adapters.dynamodb.books import DynamoDBBookChecks
from perminute.adapters.dynamodb.call_items import call_of
from perminute.adapters.dynamodb.calls import DynamoDBCalls
from perminute.adapters.dynamodb.content_keys import DynamoDBContentKeys
from perminute.adapters.dynamodb.counter_items import SPENDING, spending_of
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.digests import COUNTED
from perminute.adapters.dynamodb.erasure import DynamoDBErasure
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.postings import DynamoDBPostings
from perminute.adapters.dynamodb.recorded_content import DynamoDBRecordedContent
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.adapters.dynamodb.timelines import (
    ORGANIZATION,
    USERS,
    subject_of_further,
    timeline_of,
)
from perminute.adapters.s3_rate_cards import S3RateCards
from perminute.application.check_books import CheckBooks
from perminute.application.correct_rates import CorrectRates
from perminute.application.erase_calls import EraseCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.mask_numbers import MaskNumbers
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.retry import RetryPolicy
from perminute.domain.authorization.reservations import Reservation
from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent
from perminute.domain.rating.usage_record import Usage
from perminute.ports.messaging import RunOrganization
from perminute_local.embedded_aws import REGION, environment
from perminute_local.quick_moto import cheap_transactions, quick_moto
from perminute_local.rates.publishing import PreparedCard, publish, store_version
from perminute_local.replay.lambda_runtime import LoadedFunction
from perminute_local.replay.run import table_names
from perminute_local.simulation.backends.adverse import (
    AdverseDynamoDB,
    cancel,
    half_of_batch,
    refuse,
)
from perminute_local.simulation.backends.aws_writes import Answer, AwsWrites
from perminute_local.simulation.backends.backend import (
    MAX_FACTS,
    WHOLE_WITHIN_DAYS,
    Posted,
    Snapshot,
    in_pieces,
    replaced_in_bootstrap,
)
from perminute_local.simulation.backends.rate_cards import at_once
from perminute_local.simulation.faults import Fault, carry_out_unanswered
from perminute_local.simulation.turns import InTurns
from perminute_local.stack import BACKING_TYPES, create_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.application.check_books import BooksReport
    from perminute.application.correct_rates import RateCorrection
    from perminute.application.erase_calls import Erased
    from perminute.application.mask_numbers import MaskedNumbers
    from perminute.application.retry import Deadline
    from perminute.domain.licensing.timelines import Fact
    from perminute_local.simulation.faults import FaultInjector
    from perminute_local.simulation.write_recorder import WriteRecorder
    from perminute_local.stack import Stack, Template

AwsCall = Callable[[BaseClient, str, Answer], Answer]

_KEYS = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
}
_PARTS = {
    "ChangeMessageVisibilityBatch": "Entries",
    "SendMessageBatch": "Entries",
    "PublishBatch": "PublishBatchRequestEntries",
}
"""Operations for several things, of which AWS says in its answer which it did not take."""
_OF_OUR_QUEUES = frozenset({"ChangeMessageVisibilityBatch"})
"""Operations on messages that were delivered: these are in no queue of moto's."""
_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)


class Moto:
    """A backend with the deployed adapters in it."""

    def __init__(
        self, stack: Stack, schema: Tables, injector: FaultInjector, recorder: WriteRecorder
    ) -> None:
        self.stack = stack
        self._schema, self._injector = schema, injector
        self._tables = table_names(stack)
        self._functions = {function.name: function for function in stack.functions}
        queues = {queue.url: name for name, queue in stack.queues.items()}
        self._writes = AwsWrites(recorder, self._tables, queues)
        checks = stack.setting("BOOK_CHECKS_TABLE")
        self._checks = DynamoDBBookChecks(schema.connection, checks)
        self.adverse: AdverseDynamoDB | None = None
        """What DynamoDB may answer otherwise than moto."""

    def load(self, name: str) -> LoadedFunction:
        return LoadedFunction(self._functions[name])

    def publish(self, content: bytes, version: str) -> None:
        bucket = self.stack.setting("RATE_CARD_BUCKET")
        publish(boto3.client("s3"), bucket, PreparedCard.of(content, version))

    def store_version(self, content: bytes, version: str) -> None:
        bucket = self.stack.setting("RATE_CARD_BUCKET")
        store_version(boto3.client("s3"), bucket, PreparedCard.of(content, version))

    def correct_rates(self, organization_id: str, correction: RateCorrection) -> None:
        again = RecordedCalls(
            credit=DynamoDBCreditStore(self._schema),
            calls=DynamoDBCalls(self._schema),
            licensing=LicensingCache(DynamoDBLicensingStore(self._schema)),
            rate_cards=S3RateCards(
                lambda: boto3.client("s3"), self.stack.setting("RATE_CARD_BUCKET"), report=print
            ),
            retry=RetryPolicy(sleep=lambda _: None),
        )
        deque(CorrectRates(again).book(organization_id, correction), maxlen=0)

    def mask_numbers(self, organization_id: str, at: datetime) -> MaskedNumbers:
        content, retry = DynamoDBRecordedContent(self._schema), RetryPolicy(sleep=lambda _: None)
        mask = MaskNumbers(content, self._content_keys, retry, timedelta())
        return mask(RunOrganization(at, organization_id))

    def content_key(self, organization_id: str) -> bytes:
        return self._content_keys.get_or_make(organization_id)

    def erase_calls(self, organization_id: str, user_id: str | None, at: datetime) -> Erased:
        erase = EraseCalls(
            credit=DynamoDBCreditStore(self._schema),
            licensing=DynamoDBLicensingStore(self._schema),
            content=DynamoDBRecordedContent(self._schema),
            erasure=DynamoDBErasure(self._schema),
            keys=self._content_keys,
            reratings=DynamoDBReratings(self._schema),
            retry=RetryPolicy(sleep=lambda _: None),
        )
        return erase(organization_id, user_id, at)

    @property
    def _content_keys(self) -> DynamoDBContentKeys:
        table = self.stack.setting("CONTENT_KEYS_TABLE")
        return DynamoDBContentKeys(self._schema.connection, table)

    def snapshot(self, organization_id: str) -> Snapshot:
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
        return Snapshot(
            statement=credit.statement(organization_id),
            usages={call.call.call_id: call for call in calls if isinstance(call, Usage)},
            posted=Posted.read(DynamoDBPostings(self._schema), organization_id),
            expired=credit.expired_lots(organization_id, since=_EPOCH),
            reservations=[call for call in calls if isinstance(call, Reservation)],
            licensing=store.licensing(organization_id, users)._replace(seats=store.seats(account)),
            facts=facts,
            spend_counters=[
                spending_of(item)
                for item in self._schema.credit.items_of(organization_id, SPENDING)
            ],
            spend_changes=credit.spend_changes(organization_id, after=0, until=account.corrections),
            waiting=len(DynamoDBReratings(self._schema).waiting(organization_id)),
            processed_event=self._processed_event,
            check=self._checks.check(organization_id),
            content_key=self._content_keys.find(organization_id),
            archived=None,
            notifications=partial(self._notifications, organization_id),
        )

    def _notifications(self, organization_id: str) -> object:
        prefixes = "outbox#", COUNTED
        return [[*self._schema.credit.items_of(organization_id, prefix)] for prefix in prefixes]

    def corrupt(self, organization_id: str, micros: int) -> None:
        boto3.client("dynamodb").update_item(
            TableName=self._tables.credit,
            Key={"organizationId": {"S": organization_id}, "record": {"S": ACCOUNT}},
            UpdateExpression="ADD balanceMicros :micros",
            ExpressionAttributeValues={":micros": {"N": str(micros)}},
        )

    # ── Between a client and AWS ─────────────────────────────────────────────────────────────

    def request(self, call: AwsCall, client: BaseClient, operation: str, params: Answer) -> Answer:
        """Have a client make a request, unless a fault happens."""
        make = _hide if operation in _OF_OUR_QUEUES else partial(call, client, operation)
        if self.adverse is not None:
            make = partial(self.adverse.answer, make, operation)
        effect = partial(self._carry_out, make, operation, params)
        failing = partial(self._failing, make, operation, params, effect)
        # A rate card is read under a lock, at which others would wait with their turn.
        keeps_turn = operation == "GetObject"
        return self._injector.carry_out(operation, effect, failing, keeps_turn=keeps_turn)

    def _failing(  # noqa: PLR0911 - one for each kind of fault
        self,
        make: Callable[[Answer], Answer],
        operation: str,
        params: Answer,
        effect: Callable[[], Answer],
        fault: Fault,
    ) -> Callable[[], Answer] | None:
        """Return how a fault shows at an operation, in the words of AWS."""
        match fault:
            case Fault.THROTTLE:
                return partial(refuse, operation, "ThrottlingException")
            case Fault.CONFLICT if operation.startswith("Transact"):
                reasons = ["TransactionConflict", *["None"] * (len(params["TransactItems"]) - 1)]
                return partial(cancel, operation, reasons)
            case Fault.CONFLICT if operation == "PutItem":
                return partial(refuse, operation, "TransactionConflictException")
            case Fault.TIMEOUT_BEFORE:
                return _hang
            case Fault.TIMEOUT_AFTER:
                return partial(_hang, effect)
            case Fault.CUT if operation in _PARTS or operation == "BatchGetItem":
                return partial(self._cut, make, operation, params)
            case Fault.CUT if "IndexName" in params:
                return partial(_lagging, effect)
            case _:
                return None

    def _carry_out(
        self, make: Callable[[Answer], Answer], operation: str, params: Answer
    ) -> Answer:
        answer = make(params)
        self._writes.record(operation, params, answer)
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

    # ── Reading ──────────────────────────────────────────────────────────────────────────────

    def _processed_event(self, key: EventIdentity) -> ProcessedEvent | None:
        if key.kind is not IdentityKind.EVENT:
            return DynamoDBCreditStore(self._schema).processed_event(key)
        item = self._schema.events.get(event_key(key))
        return None if item is None else event_of(key, item)


@contextmanager
def over_moto(
    template: Template,
    card: tuple[bytes, str],
    injector: FaultInjector,
    recorder: WriteRecorder,
    *,
    is_adverse: bool = False,
) -> Iterator[Moto]:
    """Run the template's resources on moto for as long as the context lasts.

    Clients are shared: to make them anew for each instance would take longer than all they do.
    Nobody waits between two tries, and rate cards grow old by the clock of the world.
    """
    patient = partial(RetryPolicy, sleep=lambda _: None, jitter=lambda: 0.0)
    cards = partial(
        S3RateCards,
        clock=lambda: (recorder.clock() - _EPOCH) // _SECOND,
        in_background=at_once,
    )
    original: AwsCall = BaseClient._make_api_call  # type: ignore[attr-defined]  # noqa: SLF001 - all pass there
    with environment(**_KEYS), quick_moto(), mock_aws():
        stack = create_stack(template, BACKING_TYPES - {"AWS::Events::Rule"})
        _without_stream(table_names(stack).credit)
        connection = connect()
        backend = Moto(stack, Tables.bind(connection, table_names(stack)), injector, recorder)
        backend.publish(*card)
        backend.adverse = AdverseDynamoDB(injector) if is_adverse else None
        client = cache(connection.session.create_client)
        with (
            patch.object(BaseClient, "_make_api_call", _intercepting(backend, original)),
            cheap_transactions(),
            replaced_in_bootstrap(
                RetryPolicy=patient, CheckBooks=_check_books, InThreads=lambda: InTurns(injector)
            ),
            patch.object(aws, "S3RateCards", cards),
            patch.object(licensing_store, "MAX_FACTS", MAX_FACTS),
            patch.object(aws, "connect", lambda **_: connection),
            patch.object(aws.AwsResources, "client", lambda _, service: client(service)),
        ):
            yield backend


def _check_books(
    **parts: Any,  # noqa: ANN401 - those of the use case
) -> Callable[[RunOrganization, Deadline], BooksReport]:
    return in_pieces(CheckBooks(**{**parts, "whole_within_days": WHOLE_WITHIN_DAYS}))


def _without_stream(table: str) -> None:
    """What is written is seen here as it is sent; moto would keep it all, and copy it as well."""
    dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[table].stream_shard = None


def _intercepting(backend: Moto, call: AwsCall) -> AwsCall:
    def ask(client: BaseClient, operation: str, params: Answer) -> Answer:
        return backend.request(call, client, operation, params)

    return ask


def _hide(params: Answer) -> Answer:
    return {"Successful": [{"Id": entry["Id"]} for entry in params["Entries"]]}


def _lagging(effect: Callable[[], Answer]) -> Answer:
    answer = effect()
    return {**answer, "Items": answer["Items"][::2]}


def _hang(effect: Callable[[], Answer] | None = None) -> NoReturn:
    if effect is not None:
        carry_out_unanswered(effect)
    raise ReadTimeoutError(endpoint_url="simulated")


def _user_of(subject: str) -> str | None:
    return None if subject == ORGANIZATION else subject.removeprefix(USERS)
