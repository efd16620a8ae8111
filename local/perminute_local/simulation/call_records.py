"""Systems that write call records: objects are dropped, and records posted until they are taken."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from perminute_local.simulation.faults import rng_of
from perminute_local.simulation.plan import (
    DirectoryPublished,
    EventSent,
    Expected,
    ObjectDropped,
    RecordPosted,
    events_in,
)

if TYPE_CHECKING:
    from datetime import datetime

    from perminute_local.simulation.backends.records import SimulatedRecords
    from perminute_local.simulation.invariants.records import RecordLog
    from perminute_local.simulation.plan import OfRecords
    from perminute_local.simulation.queues import MessageBus

RECORDS = "RecordsQueue"
_FUNCTION = "ReceiveWebhooksFunction"
_TAKEN, _FORBIDDEN = 204, 403
_SOON, _MOST_DOUBLINGS = timedelta(minutes=1), 10
"""When a record is first posted again, and how often that time doubles: for most of a day."""


@dataclass(frozen=True, slots=True)
class CallRecordSenders:
    """The systems that write call records, and the operator who publishes the directory."""

    bus: MessageBus
    records: SimulatedRecords
    log: RecordLog

    def begin(self, action: OfRecords, label: str) -> None:
        """Carry out an item of the plan."""
        match action:
            case ObjectDropped():
                self._drop(action, label)
            case RecordPosted():
                self._post(action, label, tries=0)
            case DirectoryPublished(version, content):
                self.records.publish(version, content)
            case never:
                assert_never(never)

    def _drop(self, dropped: ObjectDropped, label: str) -> None:
        stored = self.records.objects.put(dropped.key, dropped.content)
        self.log.drop(f"s3://{stored.bucket}/{stored.key}", dropped)
        detail = {"key": stored.key, "size": stored.size, "etag": stored.etag}
        event = {
            "id": label,
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": stored.bucket}, "object": detail},
        }
        scheduler = self.bus.scheduler
        rng = rng_of(scheduler.seed, "object", label)
        self.bus.queues[RECORDS].send(json.dumps(event), f"object-{label}", rng)
        if dropped.vanishes_after is not None:
            delete = partial(self.records.objects.delete, stored.key)
            scheduler.add(scheduler.now + dropped.vanishes_after, f"delete {label}", delete)

    def _post(self, posted: RecordPosted, label: str, *, tries: int) -> None:
        """Post a record, and again until it is taken, as FreeSWITCH and its operator do."""
        scheduler = self.bus.scheduler
        self.log.post(posted.record, is_taken=False)
        rng = rng_of(scheduler.seed, "post", label, tries)
        request = _request(posted, label, scheduler.now)
        answer = self.bus.functions.run(_FUNCTION, rng, lambda loaded: loaded.call(request))
        status = answer and answer["statusCode"]
        scheduler.log(f"record {posted.record.call_id} is answered {status}")
        if status in {_TAKEN, _FORBIDDEN}:
            self.log.post(posted.record, is_taken=True)
            return
        again = partial(self._post, posted, label, tries=tries + 1)
        later = scheduler.now + _SOON * 2 ** min(tries, _MOST_DOUBLINGS)
        scheduler.add(later, f"post {label} {tries}", again)


def _request(posted: RecordPosted, label: str, at: datetime) -> dict[str, Any]:
    route = "POST /webhooks/freeswitch/cdr"
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": route.removeprefix("POST "),
        "rawQueryString": "",
        "headers": {"authorization": posted.authorization},
        "requestContext": {"requestId": label, "timeEpoch": int(at.timestamp() * 1_000)},
        "body": base64.b64encode(posted.body).decode(),
        "isBase64Encoded": True,
    }


def calls_sent(body: str) -> EventSent:
    """Return what the function that reads records has queued as what telephony sends."""
    return EventSent("telephony", body, of_each=(Expected.TAKEN,) * len(events_in(body)))
