"""The function that makes statements, invoked by another one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from msgspec import ValidationError
from msgspec.json import decode, encode

from perminute.adapters.dynamodb.tables import unavailable
from perminute.domain.errors import Unavailable
from perminute.domain.values.times import parse_instant
from perminute.ports.statements import RENDER, StatementLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_lambda.client import LambdaClient

    from perminute.ports.statements import StatementKey


class LambdaStatementRenderer:
    """`StatementRenderer` by invocation; the client is made when it is first needed."""

    def __init__(self, make_client: Callable[[], LambdaClient], function: str) -> None:
        self._client = cache(make_client)
        self._function = function

    def render(self, key: StatementKey) -> StatementLink:
        asked = {
            "operation": RENDER,
            "organizationId": key.organization_id,
            "month": str(key.month),
            "basis": str(key.basis),
        }
        with unavailable("the function that makes statements cannot be invoked"):
            answer = self._client().invoke(FunctionName=self._function, Payload=encode(asked))
            content = answer["Payload"].read()
        try:
            said = decode(content)
            version = said["asOf"]["version"]
            return StatementLink(said["location"], parse_instant(said["expiresAt"]), version)
        except (ValidationError, KeyError, TypeError, ValueError) as error:
            # Any other answer is an error, which the log of that function explains.
            msg = f"no statement was made: {content[:200]!r}"
            raise Unavailable(msg) from error
