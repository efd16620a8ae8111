"""An AWS that answers immediately, so that only our own CPU and the SDK's are measured."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from perminute.adapters.dynamodb.account_items import account_item
from perminute.adapters.dynamodb.timelines import TimelineItem, fact_text, timeline_item
from perminute.adapters.rate_card_bucket import POINTER_KEY, Pointer
from perminute.domain.credit.accounts import Account
from perminute_local.bench.builders import ORGANIZATION, ORGANIZERS, bought, facts
from perminute_local.bench.imports import SETTINGS
from perminute_local.embedded_aws import environment
from perminute_local.replay.lambda_runtime import load_module, log_errors_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.hooks import BaseEventHooks
    from pynamodb.connection import Connection

    from perminute.domain.licensing.attributes import FactValue


_ORGANIZATION = re.compile(rb'"organization-[0-9]+"')


class _Body:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [self.content]

    def read(self, *_: object) -> bytes:
        content, self.content = self.content, b""
        return content


@contextmanager
def loaded(name: str) -> Iterator[Any]:
    """Load a function under the settings of the benchmarks; what it prints is not shown."""
    with environment(**SETTINGS), redirect_stdout(StringIO()):
        module = load_module(f"{name}.handler", SETTINGS)
        log_errors_only()
        yield module


class InstantAws:
    """Answers DynamoDB with one entitled organization that has credit, and S3 with a card."""

    def __init__(self, rate_card: bytes, account: dict[str, Any] | None = None) -> None:
        # Answers are prepared here, so that no measurement includes them.
        self._rate_card = rate_card
        self.requests = 0
        account = account or funded_account()
        self._account, self._account_item = json.dumps({"Item": account}).encode(), account
        # Of calls nobody has asked yet: there is no item of theirs.
        found = {"Responses": {"credit": [account]}, "UnprocessedKeys": {}}
        self._together = json.dumps(found).encode()
        self._timelines = {row["subject"]["S"]: row for row in _timelines()}

    def register(self, events: BaseEventHooks) -> None:
        """Answer every request of the clients that share these event hooks."""
        # botocore's annotations have all handlers return nothing; this hook's answer is used.
        events.register("before-send.*.*", self.answer)  # type: ignore[arg-type]

    def answer_for(self, connection: Connection) -> None:
        """Answer every request of a function's connection to DynamoDB, and of its session."""
        self.register(connection.client.meta.events)
        self.register(connection.session.get_component("event_emitter"))

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:  # noqa: ANN401 - botocore's
        self.requests += 1
        target = request.headers.get("X-Amz-Target", b"")
        operation = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
        if operation == "BatchGetItem":
            return response_to(request, self._together)
        if operation == "TransactGetItems":
            return response_to(request, self._asked_for(json.loads(body_of(request))))
        if operation == "Query":
            return response_to(request, b'{"Items": []}')
        if operation:
            return response_to(request, self._account if operation == "GetItem" else b"{}")
        if request.url.endswith(POINTER_KEY):
            return response_to(request, Pointer.of("bench", self._rate_card).content())
        return response_to(request, self._rate_card)

    def _asked_for(self, question: dict[str, Any]) -> bytes:
        items = {**self._timelines, "account": self._account_item}
        keys = [get["Get"]["Key"] for get in question["TransactItems"]]
        names = [(key.get("subject") or key["record"])["S"] for key in keys]
        rows = [{"Item": items[name]} if name in items else {} for name in names]
        return json.dumps({"Responses": rows}).encode()


class DistantAws(InstantAws):
    """Answers some milliseconds later, about the organization of the request."""

    def __init__(self, rate_card: bytes, seconds: float) -> None:
        super().__init__(rate_card)
        self._seconds = seconds

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:  # noqa: ANN401 - botocore's
        # As waiting for a socket does, this lets other threads run.
        time.sleep(self._seconds)
        response = super().answer(request)
        if request.body and (asked := _ORGANIZATION.search(body_of(request))):
            body: Any = response.raw
            body.content = body.content.replace(f'"{ORGANIZATION}"'.encode(), asked[0])
        return response


def response_to(request: AWSPreparedRequest, content: bytes) -> AWSResponse:
    """Answer a request with JSON."""
    headers = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
    return AWSResponse(request.url, 200, headers, _Body(content))


def body_of(request: AWSPreparedRequest) -> bytes:
    """Return the JSON of a request."""
    body = request.body
    if not isinstance(body, bytes):
        msg = f"a DynamoDB request has a body of bytes, not {type(body)}"
        raise TypeError(msg)
    return body


def funded_account(lots: int = 1) -> dict[str, Any]:
    """Make an account as the store writes it, with credit for as long as anybody measures."""
    account = Account(organization_id=ORGANIZATION, version=6, entries=2)
    for number in range(lots):
        account = bought(account, micros=50_000_000_000, number=number).after
    return account_item(account)


def _timelines() -> list[dict[str, Any]]:
    def timeline(subject: str, **values: FactValue) -> dict[str, Any]:
        return timeline_item(
            TimelineItem(ORGANIZATION, subject, tuple(map(fact_text, facts(values))))
        )

    user_facts: dict[str, FactValue] = {
        "license:MCOMEETACPEA": True,
        "license:MCOPSTNC": True,
        "country": "DE",
    }
    return [
        timeline("organization", licensingProgram="volume"),
        *(timeline(f"user#{organizer}", **user_facts) for organizer in ORGANIZERS),
    ]
