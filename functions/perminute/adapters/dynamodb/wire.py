"""Request DynamoDB with less CPU: what botocore computes for each request is computed once.

botocore walks every request along a model of the service, evaluates rules for its address, and
composes its own name letter by letter. For a transaction of 90 usages that took longer than to
decide what they cost. Our requests are JSON already, and neither address nor name ever changes.
Everything else remains botocore's: its events, retries, connections and errors.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from functools import cache, lru_cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from botocore.auth import SIGNED_HEADERS_BLACKLIST, SIGV4_TIMESTAMP
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.compat import get_current_datetime
from botocore.exceptions import NoCredentialsError
from botocore.handlers import add_retry_headers
from botocore.parsers import JSONParser, ResponseParserFactory
from botocore.utils import normalize_url_path
from msgspec.json import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.credentials import ReadOnlyCredentials
    from botocore.parsers import ResponseParser

_READS = frozenset(
    f"{read}Output" for read in ("BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems")
)
_UNSIGNED = frozenset(SIGNED_HEADERS_BLACKLIST)


def simplify(client: Any) -> None:  # noqa: ANN401 - botocore's clients are made at run time
    """Replace these steps of a client; `tests/integration/test_wire.py` compares both ways."""
    serializer = client._serializer  # noqa: SLF001 - botocore has no other place for it
    serializer.serialize_to_request = partial(_serialize, serializer.serialize_to_request)
    resolver = client._ruleset_resolver  # noqa: SLF001 - the same
    resolve = partial(
        resolver.construct_endpoint,
        # The rules read parameters to find tables that are named by ARNs: none of ours is.
        operation_model=client.meta.service_model.operation_model("GetItem"),
        call_args={},
        request_context={},
    )
    # At the first request, not now: the address may contain the account, which credentials name.
    resolved = cache(resolve)
    resolver.construct_endpoint = lambda *_, **__: resolved()
    agent = client._user_agent_creator  # noqa: SLF001 - the same
    agent.to_string = cache(agent.to_string)
    endpoint = client._endpoint  # noqa: SLF001 - the same
    endpoint.create_request = partial(_create_request, client)
    endpoint._response_parser_factory = _Parsers()  # noqa: SLF001 - the same


def _serialize(
    original: Callable[..., dict[str, Any]],
    parameters: dict[str, Any],
    operation_model: Any,  # noqa: ANN401 - botocore's
) -> dict[str, Any]:
    """Write a request as JSON: but for bytes, its parameters are what DynamoDB reads."""
    try:
        # JSON has no bytes: msgspec writes them in base64, which DynamoDB expects.
        body = encode(parameters)
    except UnicodeEncodeError:
        # Half of a surrogate pair: botocore escapes it, and DynamoDB decides.
        return original(parameters, operation_model)
    return {
        "url_path": "/",
        "query_string": "",
        "method": "POST",
        "headers": {
            "X-Amz-Target": f"DynamoDB_20120810.{operation_model.name}",
            "Content-Type": "application/x-amz-json-1.0",
        },
        "body": body,
    }


class _Parsers(ResponseParserFactory):
    def create_parser(self, protocol_name: str) -> ResponseParser:  # noqa: ARG002 - always JSON
        return _PARSER


class _Parser(JSONParser):
    def _handle_json_body(self, raw_body: bytes, shape: Any) -> Any:  # noqa: ANN401 - botocore's
        """Read items as DynamoDB writes them, and everything else along the model."""
        if shape.name not in _READS:
            return super()._handle_json_body(raw_body, shape)  # type: ignore[misc] # not in stubs
        answer = self._parse_body_as_json(raw_body)  # type: ignore[attr-defined] # not in stubs
        if b'"B"' in raw_body:
            answer = _with_bytes(answer)
        return {name: answer[name] for name in shape.members if answer.get(name) is not None}


_PARSER = _Parser()


def _with_bytes(value: Any) -> Any:  # noqa: ANN401 - any value of JSON
    """Read `{"B": text}` as bytes; a field that has this name is an object. We store no sets."""
    match value:
        case {"B": str(text)}:
            return {"B": b64decode(text)}
        case dict():
            return {name: _with_bytes(inner) for name, inner in value.items()}
        case list():
            return list(map(_with_bytes, value))
    return value


def _create_request(
    client: Any,  # noqa: ANN401 - botocore's clients are made at run time
    parameters: Mapping[str, Any],
    _operation_model: object,
) -> Any:  # noqa: ANN401 - an AWSPreparedRequest, whose stubs want other headers
    """Prepare a request for one attempt: signed, and with the number of the attempt.

    botocore's own copies the headers three times, signs what it has prepared for that purpose, and
    emits `request-created` and `before-sign`: beside it only Powertools listens, to add its name.
    """
    signer = client._request_signer  # noqa: SLF001 - botocore has no other place for it
    if signer._credentials is None:  # noqa: SLF001 - the same
        raise NoCredentialsError
    credentials = signer._credentials.get_frozen_credentials()  # noqa: SLF001 - the same
    context, url, body = parameters["context"], parameters["url"], parameters["body"]
    headers = {
        **parameters["headers"],
        "X-Amz-Date": get_current_datetime().strftime(SIGV4_TIMESTAMP),
    }
    if credentials.token:
        headers["X-Amz-Security-Token"] = credentials.token
    headers["Authorization"] = _authorization(credentials, signer.region_name, url, headers, body)
    headers["Content-Length"] = str(len(body))
    prepared: Any = AWSPreparedRequest
    request = prepared("POST", url, HeadersDict(headers), body, False, context)  # noqa: FBT003 - botocore's
    context["retries"]["max"] = client.meta.config.retries["total_max_attempts"]
    add_retry_headers(request)
    return request


def _authorization(
    credentials: ReadOnlyCredentials, region: str, url: str, headers: dict[str, str], body: bytes
) -> str:
    """Sign a POST without a query by Signature Version 4 (AWS: Create a signed AWS API request)."""
    host, path = _host_and_path(url)
    by_name = {name.lower(): value for name, value in headers.items()} | {"host": host}
    names = sorted(by_name.keys() - _UNSIGNED)
    lines = [f"{name}:{by_name[name]}" for name in names]
    signed = ";".join(names)
    request = "\n".join(["POST", path, "", *lines, "", signed, sha256(body).hexdigest()])
    now = headers["X-Amz-Date"]
    scope = f"{now[:8]}/{region}/dynamodb/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_key, scope)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    sender = f"{credentials.access_key}/{scope}"
    return f"AWS4-HMAC-SHA256 Credential={sender}, SignedHeaders={signed}, Signature={signature}"


@lru_cache(maxsize=4)
def _host_and_path(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    default_port = ":443" if parts.scheme == "https" else ":80"
    path = quote(normalize_url_path(parts.path), safe="/~")
    return parts.netloc.lower().removesuffix(default_port), path


@lru_cache(maxsize=4)
def _signing_key(secret: str, scope: str) -> bytes:
    """Derive the key of a day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
