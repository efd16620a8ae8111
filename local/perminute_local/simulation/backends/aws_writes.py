"""What requests to AWS have written, published and queued, for the recorder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.dynamodb.account_items import ACCOUNT, account_of, entry_in
from perminute.adapters.dynamodb.call_items import OUTCOME, call_of, usage_of
from perminute.adapters.dynamodb.counter_items import POOL, pool_of
from perminute.adapters.dynamodb.digests import FIRST_CALL
from perminute.adapters.dynamodb.outbox_items import documents_in
from perminute.domain.rating.usage_record import Usage
from perminute.domain.values.times import parse_instant
from perminute_local.simulation.queues import RERATINGS
from perminute_local.simulation.streams import OUTBOX
from perminute_local.simulation.write_recorder import CreditWrite, QueuedWork, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.settings import TableNames
    from perminute_local.simulation.write_recorder import WriteRecorder

Answer = dict[str, Any]
_HAS_NOT_ENDED = f"attribute_not_exists({OUTCOME})"
"""How the condition begins of a call that is new; a corrected one has another condition."""


class AwsWrites(NamedTuple):
    """Reads from requests that took effect what these did."""

    recorder: WriteRecorder
    tables: TableNames
    queues: Mapping[str, str]
    """Names by URL."""

    def record(self, operation: str, params: Answer, answer: Answer) -> None:
        """Record a request that took effect."""
        match operation:
            case "TransactWriteItems":
                self._record_written(params["TransactItems"])
            case "SendMessageBatch":
                bodies = [one["MessageBody"] for one in _taken(params["Entries"], answer)]
                self._record_sent(self.queues[params["QueueUrl"]], bodies)
            case "ChangeMessageVisibilityBatch":
                self.recorder.redeliveries.schedule(
                    {
                        entry["ReceiptHandle"]: entry["VisibilityTimeout"]
                        for entry in _taken(params["Entries"], answer)
                    }
                )
            case "SendMessage":
                reason = params["MessageAttributes"]["reason"]["StringValue"]
                queue = self.queues[params["QueueUrl"]]
                self.recorder.refused.append(Refusal(queue, reason, params["MessageBody"]))
            case "PublishBatch":
                entries = _taken(params["PublishBatchRequestEntries"], answer)
                self.recorder.publish([_published(entry) for entry in entries])
            case _:
                pass

    def _record_sent(self, queue: str, bodies: Sequence[str]) -> None:
        if queue != RERATINGS:
            self.recorder.queued += (QueuedWork(queue, body) for body in bodies)
            return
        self.recorder.rerating_requests += (
            (message["organizationId"], at and parse_instant(at))
            for message in map(json.loads, bodies)
            for at in [message.get("at")]
        )

    def _record_written(self, operations: Sequence[Mapping[str, Any]]) -> None:
        puts = [operation["Put"] for operation in operations if "Put" in operation]
        credit = [item for table, item in _made(operations) if table == self.tables.credit]
        usages = [put for put in puts if put["TableName"] == self.tables.usage]
        ended = [usage_of(put["Item"]) for put in usages if _has_just_ended(put)]
        calls = [call_of(put["Item"]) for put in usages]
        for item in credit:
            self.recorder.put(item, is_new=False)
        firsts, decided = list[Answer](), list[Answer]()
        for item in credit:
            record = item["record"]["S"]
            if record.startswith(OUTBOX):
                notifications = documents_in(item)
                (firsts if record.startswith(FIRST_CALL) else decided).extend(notifications)
        accounts = (account_of(item) for item in credit if item["record"]["S"] == ACCOUNT)
        self.recorder.write(
            CreditWrite(
                organization_id=next(_organization_id(operation) for operation in operations),
                account=next(accounts, None),
                entries=sorted(
                    filter(None, map(entry_in, credit)),
                    key=lambda entry: entry.entry_id,
                ),
                decided=decided,
                firsts=firsts,
                usages=[call for call in calls if isinstance(call, Usage)],
                new_usages=ended,
                pools=[pool_of(item) for item in credit if item["record"]["S"].startswith(POOL)],
            )
        )


def _has_just_ended(put: Answer) -> bool:
    condition = put.get("ConditionExpression", "")
    return OUTCOME in put["Item"] and condition.startswith(_HAS_NOT_ENDED)


def _taken(entries: Sequence[Answer], answer: Answer) -> Iterator[Answer]:
    ids = {one["Id"] for one in answer["Successful"]}
    return (entry for entry in entries if entry["Id"] in ids)


def _published(entry: Answer) -> dict[str, Any]:
    document = json.loads(entry["Message"])["default"]
    kind = entry["MessageAttributes"]["type"]["StringValue"]
    return {"id": json.loads(document)["id"], "type": kind, "document": document}


def _made(operations: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Item]]:
    """Go through the items that are put, or made by an update (`Table.set`)."""
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


def _organization_id(operation: Mapping[str, Any]) -> str:
    (one,) = operation.values()
    return str((one.get("Item") or one["Key"])["organizationId"]["S"])
