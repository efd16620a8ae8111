"""An organization that may call, and the functions that it is asked and told by, on moto."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perminute.api.endpoints import BY_NAME
from perminute.api.reports.endpoint import PATH
from perminute_local.replay.lambda_runtime import LoadedFunction, SQSMessage
from perminute_local.replay.run import publish_rate_card
from perminute_local.stack import QueueTrigger

if TYPE_CHECKING:
    from perminute_local.stack import Function, Stack

ROOT = Path(__file__).parents[1]


def sample(name: str, **changed: Any) -> str:
    event = json.loads((ROOT / "events" / f"{name}.v1.json").read_text())
    return json.dumps({**event, "detail": {**event["detail"], **changed}})


class System:
    """The function that answers, and those that tell it what to know."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._loaded: dict[str, LoadedFunction] = {}
        self.http = json.loads((ROOT / "events" / "authorize-call.http.v1.json").read_text())

    def loaded(self, function: Function) -> LoadedFunction:
        if function.name not in self._loaded:
            self._loaded[function.name] = LoadedFunction(function)
        return self._loaded[function.name]

    def send(self, queue: str, *bodies: str) -> None:
        (function,) = (
            f
            for f in self.stack.functions
            if any(isinstance(t, QueueTrigger) and t.queue == queue for t in f.triggers)
        )
        messages = [SQSMessage(body) for body in bodies]
        assert not self.loaded(function).invoke(messages, self.stack.queues[queue].arn)

    def raw(self, event: Any) -> dict[str, Any]:
        report = f"GET {PATH}"
        is_report = isinstance(event, dict) and event.get("routeKey") == report
        function = self.stack.serving(report if is_report else BY_NAME["balance"].route_key)
        answer = self.loaded(function).call(event)
        assert answer is not None
        return answer

    def ask(
        self,
        operation: str,
        body: dict[str, Any] | str | None = None,
        *,
        method: str = "POST",
        after_seconds: int = 0,
        **changed: Any,
    ) -> tuple[int, dict[str, Any]]:
        """Ask over HTTP, so long after the sample's time; gives status and body."""
        below = f"calls/{{callId}}/{operation}" if method == "POST" else operation
        event = {
            **self.http,
            "routeKey": f"{method} /organizations/{{organizationId}}/{below}",
            "body": body if isinstance(body, str | None) else json.dumps(body),
            "requestContext": {
                **self.http["requestContext"],
                "timeEpoch": self.http["requestContext"]["timeEpoch"] + after_seconds * 1_000,
            },
            **changed,
        }
        answer = self.raw(event)
        assert answer["headers"]["content-type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"])

    def authorize(self, **changed: Any) -> tuple[int, dict[str, Any]]:
        body = json.loads(self.http["body"])
        body = {k: v for k, v in {**body, **changed}.items() if v is not ...}
        return self.ask("authorize", body)

    def balance(self) -> dict[str, Any]:
        status, document = self.ask("balance", method="GET")
        assert status == 200
        return document


def make_ready(moto_stack: Stack) -> None:
    """Give it an organization with credit, and an organizer who pays by the minute."""
    publish_rate_card((ROOT / "examples" / "day" / "rates.csv").read_bytes(), moto_stack)
    system = System(moto_stack)
    credits_license = json.loads(sample("license-assigned", license="communicationsCredits"))
    system.send(
        "LicensingQueue",
        sample("organization-changed"),
        sample("user-changed"),
        sample("license-assigned"),
        json.dumps({**credits_license, "id": "e-2"}),
    )
    system.send("CreditQueue", sample("credit-purchased"))
