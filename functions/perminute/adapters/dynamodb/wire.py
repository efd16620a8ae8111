"""What botocore's client for DynamoDB works out for each request, done once or more directly.

botocore walks every request along a model of the service, evaluates rules for its address, and
composes its own name letter by letter. For a transaction of 96 usages that took longer than to
decide what they cost. Our requests are JSON already, and neither address nor name ever changes.
Everything else remains botocore's: its events, retries, connections and errors.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from msgspec.json import encode

if TYPE_CHECKING:
    from collections.abc import Callable


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
