"""The samples of `events/` in two further forms, so that nobody writes them by hand.

`make documents` writes both beside the samples; a test compares them. `put-events` has what
`aws events put-events --entries file://…` takes, for the bus of the stage `dev`. `sqs` has what
Lambda hands to the function that reads the queue, for `sam local invoke`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from perminute.domain.values.times import parse_instant
from perminute_local.embedded_aws import REGION
from perminute_local.replay.lambda_runtime import SQSMessage

BUS = "perminute-dev"
"""A bus has the name of its stack, and this is the stack of samconfig.toml's stage `dev`."""

QUEUES = {
    "perminute.telephony": "CallsQueue",
    "perminute.licensing": "LicensingQueue",
    "perminute.billing": "CreditQueue",
}

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
    queue_arn = f"arn:aws:sqs:{REGION}:{event['account']}:{BUS}-{QUEUES[event['source']]}"
    message = SQSMessage(
        json.dumps(event), sent_at=parse_instant(event["time"]), id=event["id"], receive_count=1
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
    return made


def _text(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file, text in further_forms(Path(sys.argv[1])).items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
