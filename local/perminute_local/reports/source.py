"""Where commands get reports: the function `read_reports` of a deployed stack."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import boto3
from botocore.config import Config

from perminute.application.retry import RetryPolicy
from perminute_local.deployment import calling_aws, output
from perminute_local.wrong_call import AwsFailed, WrongCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_lambda.client import LambdaClient

Answer = dict[str, Any]

FUNCTION = "ReadReportsFunctionArn"
"""The output of a stack that names the function."""
LONGEST_SECONDS = 30
"""AWS: the longest that an HTTP API waits for a function, and so the longest that this one runs."""
RETRY = RetryPolicy(attempts=4, base_seconds=0.5)
"""How often a report is asked for that could not be made just now."""
_NAMES = {
    "organizationId": "--organization",
    "callId": "CALL",
    "answer": "the answer",
    "rateCard": "--rates",
}
"""How the command line calls what is refused, if no option is named after it."""


class TooLarge(AwsFailed):
    """The answer would be larger than a function may answer; parts of it may be asked for."""


class Question(NamedTuple):
    """Which report of an organization is asked for, with the parameters of the API."""

    report: str
    organization_id: str
    parameters: Mapping[str, Any]

    def with_parameters(self, **more: object) -> Question:
        """Return the question with further parameters, or with others."""
        return self._replace(parameters={**self.parameters, **more})

    def __str__(self) -> str:
        """Name the report as a message does."""
        return f"the report {self.report} of {self.organization_id}"


class Reports(Protocol):
    """Answers questions."""

    def ask(self, question: Question) -> Answer:
        """Return the answer; of a call that is not known, `{"error": "notFound", "message": …}`.

        Raises `WrongCall` if a parameter is refused, and `AwsFailed` if there is no answer.
        """


class StackReports:
    """The function of a deployed stack, invoked with the caller's AWS credentials."""

    def __init__(self, stack_name: str) -> None:
        self._stack_name = stack_name

    def ask(self, question: Question) -> Answer:
        """Invoke the function, again while it says that it cannot answer just now."""
        return checked(self.answer(question), question)

    def answer(self, question: Question) -> Answer:
        """Return what the function answers in the end, be it an error."""
        answer: Answer = {}
        for _ in RETRY.tries():
            answer = self._invoke(question)
            if answer.get("error") != "unavailable":
                break
        return answer

    @cached_property
    def _function(self) -> tuple[LambdaClient, str]:
        # A function that takes too long answers with an error, which says more than our time-out.
        config = Config(read_timeout=LONGEST_SECONDS + 10, retries={"mode": "standard"})
        return boto3.client("lambda", config=config), output(self._stack_name, FUNCTION)

    def _invoke(self, question: Question) -> Answer:
        stated = {name: one for name, one in question.parameters.items() if one is not None}
        subject = {"operation": question.report, "organizationId": question.organization_id}
        with calling_aws(f"{question} cannot be read from {self._stack_name}"):
            client, name = self._function
            response = client.invoke(FunctionName=name, Payload=json.dumps({**stated, **subject}))
            answer: Answer = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            msg = f"{question} was not made: {_failure(answer)}"
            raise AwsFailed(msg)
        return answer


def checked(answer: Answer, question: Question) -> Answer:
    """Return an answer that is none of the errors that `Reports.ask` raises."""
    match answer:
        case {"error": "notFound"} if question.report == "explanation":
            return answer
        case {"error": "invalid", "message": message}:
            raise WrongCall(in_words_of_options(str(message), question))
        case {"error": error, "message": message}:
            msg = f"{question} was not made: {message}"
            raise (TooLarge if error == "tooLarge" else AwsFailed)(msg)
    return answer


def in_words_of_options(message: str, question: Question) -> str:
    """Return a message about a parameter as one about the option that stated it."""
    field, colon, rest = message.partition(": ")
    name = field.partition(".")[0]
    if name in question.parameters:
        kebab = re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", name)
        field = _NAMES.get(name, f"--{kebab}")
    return f"{_NAMES.get(field, field)}{colon}{rest}"


def _failure(content: Mapping[str, Any]) -> str:
    message = str(content.get("errorMessage", "the function failed"))
    advice = "ask for a shorter period" if "timed out" in message else "see the log of its function"
    return f"{message}: {advice}"
