"""What goes wrong between functions and AWS, by a proxy that answers as AWS does when it fails."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from perminute_local.deployed.deploying import ToolError, room
from perminute_local.embedded_aws import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SENDING = ("SendMessage", "SendMessageBatch")

Rule = dict[str, Any]
"""A rule of microburst: which requests, how many of them, and what becomes of these."""


def throttling(probability: float) -> list[Rule]:
    """Turn requests to DynamoDB down: too many of them.

    The runs of a night make many queries, and have three attempts: they get a tenth of it.
    """
    error = {"code": "ThrottlingException", "status": 400}
    often = ("TransactWriteItems", "GetItem", "BatchGetItem")
    return [
        *(_on("dynamodb", operation, probability, error=error) for operation in often),
        _on("dynamodb", "Query", probability / 10, error=error),
    ]


def conflicts(probability: float) -> list[Rule]:
    """Cancel transactions: another client is writing one of the items."""
    reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
    error = {
        "code": "TransactionCanceledException",
        "status": 400,
        "fields": {"CancellationReasons": reasons},
    }
    return [_on("dynamodb", "TransactWriteItems", probability, error=error)]


def lost_answers(probability: float) -> list[Rule]:
    """Carry out what was asked, and cut the connection before that is said."""
    cut = {"abort_bytes": 0}
    return [
        _on("dynamodb", "TransactWriteItems", probability, response=cut),
        _on("sns", "PublishBatch", probability, response=cut),
        *(_on("sqs", operation, probability, response=cut) for operation in _SENDING),
    ]


def outages(probability: float) -> list[Rule]:
    """Fail as services do that are in trouble themselves."""
    unavailable = {"code": "ServiceUnavailable", "status": 503}
    return [
        _on("sns", "PublishBatch", probability, error={"code": "InternalError", "status": 500}),
        _on("sns", "PublishBatch", probability, error={"code": "Throttled", "status": 429}),
        *(_on("sqs", operation, probability, error=unavailable) for operation in _SENDING),
        _on("s3", "GetObject", probability, error={"code": "SlowDown", "status": 503}),
        _on("dynamodb", "TransactGetItems", probability, reset=True),
        _on("dynamodb", "BatchGetItem", probability, reset=True),
    ]


def _on(service: str, operation: str, probability: float, **what: object) -> Rule:
    return {"service": service, "operation": operation, "probability": probability, **what}


def _what(rule: Rule) -> str:
    if "error" in rule:
        return str(rule["error"]["code"])
    return "reset" if rule.get("reset") else "answer lost"


class Faults:
    """A proxy that is running, and what it has done."""

    def __init__(self, endpoint: str) -> None:
        self._control = f"{endpoint}/_microburst"
        self._http = URLLib3Session()

    def begin(self, rules: Sequence[Rule]) -> None:
        """Replace the rules: these faults happen from now on, and no others."""
        self._ask("POST", "rules", rules)

    def fired(self) -> dict[str, int]:
        """Count how often each rule has had its way, by service, operation and what it did."""
        return {
            " ".join((rule["service"], rule["operation"], _what(rule))): rule["fired_count"]
            for rule in self._ask("GET", "rules")
        }

    def _ask(self, method: str, path: str, content: object = None) -> Any:  # noqa: ANN401 - JSON
        data = None if content is None else json.dumps(content)
        headers = {"content-type": "application/json"}
        request = AWSRequest(method, f"{self._control}/{path}", headers=headers, data=data)
        response = self._http.send(request.prepare())
        if response.status_code >= 300:  # noqa: PLR2004 - what HTTP calls a success is below
            msg = f"microburst does not take this: {response.text}"
            raise ToolError(msg)
        return json.loads(response.text)


@contextmanager
def fault_proxy(port: int, upstream: str, folder: Path) -> Iterator[Faults]:
    """Run a proxy on loopback, which passes all requests on until it has rules."""
    program = room("microburst") / "bin" / "microburst"
    command: list[str | Path] = [
        program,
        "--port",
        str(port),
        "--upstream",
        upstream,
        "--no-resign",
    ]
    with serving(command, port, folder, {"PATH": os.defpath, "HOME": str(folder)}):
        yield Faults(f"http://127.0.0.1:{port}")
