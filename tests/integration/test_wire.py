"""What is sent and what is made of answers, against a client of botocore that is left as it is."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st
from scripted_dynamodb import KEYS, Body

from perminute.adapters.dynamodb import tables, wire
from perminute.adapters.dynamodb.tables import connect
from perminute_local.embedded_aws import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Sent(NamedTuple):
    """What arrives of a request, without the id that botocore makes for each."""

    method: str
    url: str
    headers: dict[str, str]
    document: Any


class Answered(NamedTuple):
    status: int
    content: bytes
    headers: dict[str, str]


NOTHING = Answered(200, b"{}", {})


class Side:
    """A client over a DynamoDB that answers every request alike, and remembers it."""

    def __init__(self) -> None:
        self.client: Any = connect().client
        self.answer: Answered | Exception = NOTHING
        self.sent: list[Sent] = []
        hooks: Any = self.client.meta.events
        hooks.register("before-send.*.*", self._answer)

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        assert isinstance(request.body, bytes)
        arrived: Any = request.headers
        headers: dict[str, str] = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in arrived.items()
        }
        assert int(headers.pop("content-length")) == len(request.body)
        assert headers.pop("authorization") == _signed(self.client, request, headers)
        del headers["amz-sdk-invocation-id"]
        # botocore names its features in any order; Powertools, if it is imported, adds its name.
        headers["user-agent"] = "".join(sorted(headers["user-agent"].partition(" PT/")[0]))
        document = json.loads(request.body)
        self.sent.append(Sent(request.method, request.url, headers, document))
        if isinstance(self.answer, Exception):
            raise self.answer
        status, content, more = self.answer
        return AWSResponse(request.url, status, HTTPHeaders.from_dict(more), Body(content))

    def ask(
        self, operation: str, parameters: dict[str, Any], answer: Answered | Exception
    ) -> tuple[Any, list[Sent]]:
        """Return what the caller gets, an answer or an error, and what was sent for it."""
        self.answer, self.sent = answer, []
        try:
            got: Any = getattr(self.client, operation)(**parameters)
        except ClientError as error:
            got = type(error).__name__, str(error), error.response
        except (BotoCoreError, AttributeError, KeyError, TypeError, UnicodeError) as error:
            got = type(error), str(error)
        return got, self.sent


def _signed(client: Any, request: AWSPreparedRequest, headers: dict[str, str]) -> str:
    """Sign what has arrived as botocore would: bodies differ in their spaces."""
    signed = {"x-amz-target", "content-type", "x-amz-date", "x-amz-security-token"} & {*headers}
    again = AWSRequest(
        request.method, request.url, {name: headers[name] for name in signed}, request.body
    )
    credentials = client._request_signer._credentials  # noqa: SLF001 - it has no other use
    SigV4Auth(credentials, "dynamodb", client.meta.region_name).add_auth(again)
    authorization: str = again.headers["Authorization"]
    return authorization


class Both(NamedTuple):
    ours: Side
    botocores: Side

    def agree(
        self,
        operation: str,
        parameters: dict[str, Any],
        answer: Answered | Exception = NOTHING,
    ) -> Any:
        """Ask both the same; return what the caller gets."""
        got, sent = self.ours.ask(operation, parameters, answer)
        assert (got, sent) == self.botocores.ask(operation, parameters, answer)
        assert sent
        return got


def both(**settings: str) -> Both:
    with environment(**{**KEYS, **settings}):
        ours = Side()
        with patch.object(tables, "simplify"):
            botocores = Side()
    return Both(ours, botocores)


@contextmanager
def _at(now: datetime) -> Iterator[None]:
    """Let no time pass between two tries, nor between both sides: it is part of requests."""
    naive = now.replace(tzinfo=None)
    with (
        patch("botocore.auth.get_current_datetime", lambda: naive),
        patch("botocore.endpoint.get_current_datetime", lambda: naive),
        patch.object(wire, "get_current_datetime", lambda: naive),
    ):
        yield


@pytest.fixture(scope="module", autouse=True)
def _at_noon() -> Iterator[None]:
    with _at(NOW), patch("botocore.endpoint.time.sleep"):
        yield


@pytest.fixture(scope="module")
def sides(_at_noon: None) -> Both:
    return both(AWS_SESSION_TOKEN="session/token=")  # noqa: S106 - of nobody


names = st.just("B") | st.text(min_size=1, max_size=5)
# With halves of surrogate pairs, which JSON can write and UTF-8 cannot.
texts = st.text(st.characters(exclude_categories=()))
attributes = st.recursive(
    st.one_of(
        texts.map(lambda text: {"S": text}),
        st.integers().map(lambda number: {"N": str(number)}),
        st.binary().map(lambda content: {"B": content}),
        st.booleans().map(lambda flag: {"BOOL": flag}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: {"L": values}),
        st.dictionaries(names, inner, max_size=3).map(lambda fields: {"M": fields}),
    ),
    max_leaves=5,
)
items = st.dictionaries(names, attributes, max_size=5)
conditions = st.fixed_dictionaries(
    {"TableName": st.sampled_from(["credit", "usage"])},
    optional={
        "ConditionExpression": texts,
        "ExpressionAttributeNames": st.dictionaries(names, names, max_size=2),
        "ExpressionAttributeValues": items,
        "ReturnValuesOnConditionCheckFailure": st.just("ALL_OLD"),
    },
)
operations = st.one_of(
    *(
        st.builds(
            lambda kind, key, item, under, more: {kind: {**under, key: item, **more}},
            st.just(kind),
            st.just(key),
            items,
            conditions,
            st.fixed_dictionaries({"UpdateExpression": texts}) if kind == "Update" else st.just({}),
        )
        for kind, key in {
            "ConditionCheck": "Key",
            "Delete": "Key",
            "Put": "Item",
            "Update": "Key",
        }.items()
    )
)


@given(st.lists(operations, max_size=4), st.none() | names)
def test_a_transaction_is_sent_as_botocore_sends_it(
    sides: Both, transaction: list[dict[str, Any]], token: str | None
) -> None:
    # Else each side makes a token of its own.
    parameters = {"TransactItems": transaction, "ClientRequestToken": token or "token"}
    sides.agree("transact_write_items", parameters)


def test_a_transaction_without_a_token_is_sent_with_one_and_repeated_with_the_same(
    sides: Both,
) -> None:
    lost = ReadTimeoutError(endpoint_url="http://127.0.0.1:9")
    _, (first, second) = sides.ours.ask("transact_write_items", {"TransactItems": []}, lost)
    assert first.document["ClientRequestToken"] == second.document["ClientRequestToken"] != ""


KEY = {"organizationId": {"S": "contoso"}}
REQUESTS: dict[str, dict[str, Any]] = {
    "get_item": {"TableName": "credit", "Key": KEY, "ConsistentRead": True},
    "transact_get_items": {"TransactItems": [{"Get": {"TableName": "credit", "Key": KEY}}]},
    "batch_get_item": {"RequestItems": {"credit": {"Keys": [KEY], "ConsistentRead": True}}},
    "query": {
        "TableName": "credit",
        "KeyConditionExpression": "organizationId = :organization",
        "ExpressionAttributeValues": {":organization": {"S": "contoso"}},
        "Limit": 25,
        "ExclusiveStartKey": KEY,
    },
    "scan": {"TableName": "credit"},
    "describe_table": {"TableName": "credit"},
    "put_item": {"TableName": "credit", "Item": KEY, "ConditionExpression": "a = b"},
    "transact_write_items": {
        "TransactItems": [{"Put": {"TableName": "credit", "Item": KEY}}],
        "ClientRequestToken": "token",
    },
}


def answered(status: int, document: Any, **headers: str) -> Answered:
    return Answered(status, json.dumps(document).encode(), headers)


def failed(code: str, **more: Any) -> Answered:
    return answered(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **more})


def canceled(*codes: str) -> Answered:
    reasons = [{"Code": code, "Message": "why", "Item": STORED} for code in codes]
    reasons.append({"Code": "None"})
    return failed("TransactionCanceledException", Message="no", CancellationReasons=reasons)


STORED = {
    **KEY,
    "calls": {"B": "AAECAw=="},
    "facts": {"L": [{"S": "B"}, {"M": {"B": {"S": "B"}, "L": {"B": "/w=="}}}, {"N": "1e125"}]},
    "B": {"S": "ü\ud83d\ude00"},
}
ANSWERS: dict[str, Answered | Exception] = {
    "nothing": answered(200, {}),
    "no content at all": Answered(200, b"", {}),
    "null": answered(200, {"Item": None, "Items": None, "Responses": None}),
    "headers": answered(200, {}, **{"x-amzn-RequestId": "R1", "x-amz-crc32": "2745614147"}),
    "a wrong checksum": answered(200, {}, **{"x-amz-crc32": "1"}),
    **{
        f"canceled by {code}": canceled(code)
        for code in (
            "ConditionalCheckFailed",
            "DuplicateItem",
            "ItemCollectionSizeLimitExceeded",
            "ProvisionedThroughputExceeded",
            "ThrottlingError",
            "TransactionConflict",
            "ValidationError",
        )
    },
    "canceled by two": canceled("ConditionalCheckFailed", "TransactionConflict"),
    **{
        code: failed(code, message="no")
        for code in (
            "AccessDeniedException",
            "ConditionalCheckFailedException",
            "IdempotentParameterMismatchException",
            "InternalServerError",
            "ItemCollectionSizeLimitExceededException",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "ResourceNotFoundException",
            "ThrottlingException",
            "TransactionConflictException",
            "TransactionInProgressException",
            "UnrecognizedClientException",
            "ValidationException",
        )
    },
    "a condition with its item": failed(
        "ConditionalCheckFailedException", message="no", Item=STORED
    ),
    "500": answered(500, {"__type": "InternalServerError", "message": "sorry"}),
    "500 with the time": answered(500, {}, Date="Sat, 28 Nov 2026 12:00:07 GMT"),
    "503 of a proxy": Answered(503, b"<html>Service Unavailable</html>", {}),
    "too large": Answered(413, b"", {}),
    "garbage": Answered(200, b"<html>log in</html>", {}),
    "bytes": Answered(200, b"\xff\xfe", {}),
    "a list": Answered(200, b"[1]", {}),
    "cut off": Answered(200, b'{"Item": {"organizationId"', {}),
    "cut off while it failed": Answered(400, b'{"__type": "Thr', {}),
    "timed out": ReadTimeoutError(endpoint_url="http://127.0.0.1:9"),
    "closed": ConnectionClosedError(endpoint_url="http://127.0.0.1:9"),
    "unreachable": EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
}


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
def test_an_answer_is_read_as_botocore_reads_it(
    sides: Both, operation: str, answer: Answered | Exception
) -> None:
    sides.agree(operation, REQUESTS[operation], answer)


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        ("get_item", {"Item": STORED, "Later": 1}),
        ("query", {"Items": [STORED, {}], "Count": 2, "LastEvaluatedKey": KEY}),
        ("scan", {"Items": [STORED], "Count": 1}),
        ("transact_get_items", {"Responses": [{"Item": STORED}, {}]}),
        ("batch_get_item", {"Responses": {"B": [STORED], "a": []}, "UnprocessedKeys": {}}),
        ("batch_get_item", {"Responses": {}, "UnprocessedKeys": {"B": {"Keys": [STORED]}}}),
        ("describe_table", {"Table": {"CreationDateTime": 1.5}}),
    ],
)
def test_items_are_read_as_botocore_reads_them(
    sides: Both, operation: str, document: dict[str, Any]
) -> None:
    got = sides.agree(operation, REQUESTS[operation], answered(200, document))
    assert "ResponseMetadata" in got


@given(items)
def test_an_item_is_read_as_it_was_written(sides: Both, item: dict[str, Any]) -> None:
    document = json.dumps({"Item": item}, default=lambda content: b64encode(content).decode())
    got = sides.agree("get_item", REQUESTS["get_item"], Answered(200, document.encode(), {}))
    assert got["Item"] == item


def test_the_key_of_signatures_is_that_of_the_day_and_of_the_credentials(sides: Both) -> None:
    sides.agree("get_item", REQUESTS["get_item"])
    with _at(NOW + timedelta(days=1)):
        sides.agree("get_item", REQUESTS["get_item"])
        for side in sides:
            side.client._request_signer._credentials = Credentials("other", "key", "token")  # noqa: SLF001 - as if they had expired
        sides.agree("get_item", REQUESTS["get_item"])


def test_nothing_is_sent_without_credentials() -> None:
    for side in both():
        side.client._request_signer._credentials = None  # noqa: SLF001 - as if none were found
        got, sent = side.ask("get_item", REQUESTS["get_item"], NOTHING)
        assert (got[0], sent) == (NoCredentialsError, [])


@pytest.mark.parametrize(
    "settings",
    [
        {"AWS_ENDPOINT_URL": "", "AWS_DEFAULT_REGION": "eu-central-1"},
        {"AWS_ENDPOINT_URL": "", "AWS_ACCOUNT_ID": "123456789012"},
        {"AWS_ENDPOINT_URL": "", "AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_ENDPOINT_URL": "http://[::1]:4566/aws/"},
        {"AWS_ENDPOINT_URL": "http://LOCALHOST:80/a b/../é"},
    ],
    ids=str,
)
def test_requests_go_where_botocore_sends_them(settings: dict[str, str]) -> None:
    sides = both(**settings)
    for operation in ("get_item", "transact_write_items", "get_item"):
        sides.agree(operation, REQUESTS[operation])
