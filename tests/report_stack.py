"""A stack whose function `read_reports` answers what a test says."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from perminute.application.retry import RetryPolicy
from perminute_local.reports import source

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

AS_OF = {"at": "2026-11-02T18:00:00.25Z", "version": 412}


class ReportStack:
    """Stands in for the clients of CloudFormation and Lambda."""

    def __init__(self, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.outputs = {"ReadReportsFunctionArn": "reports"}
        self._answer = answer

    def client(self, service: str, **_: Any) -> Any:
        assert service in {"cloudformation", "lambda"}
        return self

    def describe_stacks(self, **_: str) -> Any:
        outputs = [{"OutputKey": k, "OutputValue": v} for k, v in self.outputs.items()]
        return {"Stacks": [{"Outputs": outputs}]}

    def invoke(self, **request: str) -> Any:
        assert request.pop("FunctionName") == "reports"
        self.asked.append(json.loads(request.pop("Payload")))
        assert not request
        answer = self._answer(self.asked[-1])
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in answer else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}


def refuse(code: str, message: str) -> Any:
    raise ClientError({"Error": {"Code": code, "Message": message}}, "Invoke")


def stack_that(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[dict[str, Any]], Any]
) -> ReportStack:
    """Have commands find a stack whose function answers by calling `answer` with each event."""
    stack = ReportStack(answer)
    monkeypatch.setattr(boto3, "client", stack.client)
    monkeypatch.setattr(source, "RETRY", RetryPolicy(attempts=4, base_seconds=0))
    return stack
