"""The functions of a deployed stack, and what acts as each of them, as Lambda does."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from perminute_local.replay.lambda_runtime import LambdaFunction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_lambda.client import LambdaClient

    from perminute_local.stack import Function, Stack

ALIAS = "live"
LONGEST_SECONDS = 900
"""The longest that any function may take."""


class DeployedFunction(LambdaFunction):
    """A function that is asked through Lambda, by the alias that everything else calls too."""

    def __init__(self, function: Function, physical_name: str, client: LambdaClient) -> None:
        """Stand for the function of this name."""
        super().__init__(function)
        self.physical_name = physical_name
        self._client = client

    def call(self, event: Any) -> dict[str, Any] | None:  # noqa: ANN401 - whatever JSON can say
        """Invoke it, and wait for what it answers."""
        answer = self._client.invoke(
            FunctionName=self.physical_name, Qualifier=ALIAS, Payload=json.dumps(event)
        )
        content = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            sys.stderr.write(f"{self.name}: {json.dumps(content, indent=1)}\n")
            return None
        result: dict[str, Any] = content
        return result

    def session(self) -> boto3.Session:
        """Act with its role and no other right, as whoever polls for it does."""
        role = self._client.get_function_configuration(FunctionName=self.physical_name)["Role"]
        given = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName=self.name)
        credentials = given["Credentials"]
        return boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )


def deployed_functions(stack: Stack, names: Mapping[str, str]) -> dict[str, DeployedFunction]:
    """Find all functions of a stack; `names` are the physical ones by logical ids."""
    # An invocation is waited for, and never made twice.
    retry = Config(read_timeout=LONGEST_SECONDS + 60, retries={"total_max_attempts": 1})
    client = boto3.client("lambda", config=retry)
    return {
        function.name: DeployedFunction(function, names[function.name], client)
        for function in stack.functions
    }
