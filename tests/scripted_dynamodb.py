"""A DynamoDB that answers what a test wants, beneath the SDK: what no emulator can be made to say.

The request is seen as it would be sent, and the answer goes through botocore and pynamodb.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.settings import TableNames
from perminute_local.embedded_aws import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynamodb.connection import Connection

NAMES = TableNames(credit="credit", usage="usage", licensing="licensing", events="events")
KEYS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}


class Body:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.content


@dataclass
class Scripted:
    """Gives the answers that a test wants, in order; an exception is raised."""

    answers: deque[dict[str, Any] | Exception] = field(default_factory=deque)
    questions: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        assert isinstance(request.body, bytes)
        self.questions.append(json.loads(request.body))
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        headers = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
        status = 400 if "__type" in answer else 200
        content = json.dumps(answer, default=_in_base64).encode()
        return AWSResponse(request.url, status, headers, Body(content))


def _in_base64(value: bytes) -> str:
    return b64encode(value).decode()


@contextmanager
def unreachable() -> Iterator[Connection]:
    """Open a connection that reaches nothing; it takes a fifth of a second."""
    with environment(**KEYS):
        yield connect()


@contextmanager
def scripted_over(connection: Connection) -> Iterator[tuple[Tables, Scripted]]:
    """Have a script answer what is asked over a connection, and bind the tables to it."""
    script = Scripted()
    events = connection.client.meta.events
    # botocore's annotations have all handlers return nothing; this hook's answer is used.
    events.register("before-send.*.*", script.answer)  # type: ignore[arg-type]
    try:
        yield Tables.bind(connection, NAMES), script
    finally:
        events.unregister("before-send.*.*", script.answer)  # type: ignore[arg-type]
