"""The samples of `events/` in three further forms, so that nobody writes them by hand.

`make documents` writes them beside the samples; a test compares them. `samples.jsonl` has the
events in the order in which they end in a charged call, for `perminute send`. `put-events` has what
`aws events put-events --entries file://…` takes, for the bus of the stage `dev`. `sqs` has what
Lambda hands to the function that reads the queue, for `sam local invoke`; so has `records/sqs` of
the messages in `records`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perminute.domain.values.times import parse_instant
from perminute_local.embedded_aws import REGION
from perminute_local.replay.lambda_runtime import SQSMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

BUS = "perminute-dev"
"""A bus has the name of its stack, and this is the stack of samconfig.toml's stage `dev`."""

_RECORDS_QUEUE = "RecordsQueue"
_ACCOUNT, _SENT_AT = "123456789012", "2026-11-03T09:05:00Z"
"""Of messages of call records, most of which name neither."""

QUEUES = {
    "perminute.telephony": "CallsQueue",
    "perminute.licensing": "LicensingQueue",
    "perminute.billing": "CreditQueue",
}

IN_ORDER = (
    "organization-changed",
    "licenses-purchased",
    "user-changed",
    "license-assigned",
    # Before the settings: credit that is set up without any leaves a call that overtakes the
    # purchase to be paid as debt, and asks for a recharge.
    "credit-purchased",
    "credits-configured",
    "call-ended",
    "calls-ended",
    "recharge-failed",
    "credit-adjusted",
    "license-removed",
)
"""Sent in this order, they end in a charged call."""

Event = dict[str, Any]


def put_events_entries(event: Event) -> list[dict[str, str]]:
    """Return the entries that put an event on the bus; EventBridge gives it another id."""
    return [
        {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Time": event["time"],
            "EventBusName": BUS,
            "Detail": json.dumps(event["detail"]),
        }
    ]


def lambda_event(event: Event) -> dict[str, Any]:
    """Return the event with which Lambda invokes the function that reads this event's queue."""
    queue = QUEUES.get(event.get("source", ""), _RECORDS_QUEUE)
    queue_arn = f"arn:aws:sqs:{REGION}:{event.get('account', _ACCOUNT)}:{BUS}-{queue}"
    message = SQSMessage(
        json.dumps(event),
        sent_at=parse_instant(event.get("time", _SENT_AT)),
        id=event["id"],
        receive_count=1,
    )
    return {"Records": [message.record(queue_arn)]}


def further_forms(folder: Path) -> dict[Path, str]:
    """Return the text of each file that is made from a sample of this folder."""
    made: dict[Path, str] = {}
    for path in sorted(folder.glob("*.v1.json")):
        event = json.loads(path.read_text(encoding="utf-8"))
        if "detail-type" in event:
            made[folder / "put-events" / path.name] = _text(put_events_entries(event))
            made[folder / "sqs" / path.name] = _text(lambda_event(event))
    made[folder / "samples.jsonl"] = "".join(map(_line, _events_of(folder)))
    for path in sorted(folder.glob("records/*.v1.json")):
        event = json.loads(path.read_text(encoding="utf-8"))
        made[path.parent / "sqs" / path.name] = _text(lambda_event(event))
    return made


def _events_of(folder: Path) -> Iterator[Event]:
    for name in IN_ORDER:
        yield json.loads((folder / f"{name}.v1.json").read_text(encoding="utf-8"))


def _line(event: Event) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"


def _text(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file, text in further_forms(Path(sys.argv[1])).items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
