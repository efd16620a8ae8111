"""What ministack leaves out when it evaluates policies (`AUTH=true`), and AWS does not.

It runs in ministack's own environment, where `clocked_emulator.py` installs it.

- The policy of a bus decides on `PutEvents`: entry by entry, by source and detail type. It is the
  one that the template gives the bus, which the emulator's CloudFormation ignores.
- `sns:Protocol` of a request to subscribe is known.
- `aws:PrincipalArn` of a session is its role, not the session.
- Signatures of tokens (RS256) are verified without the package that the emulator's environment
  lacks, and without which it turns all tokens away.
"""

from __future__ import annotations

import importlib
import json
from base64 import urlsafe_b64decode
from contextvars import ContextVar
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUS = "AWS::Events::EventBus"
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
"""Says in a signature that a SHA-256 digest follows (RFC 8017, 9.2)."""
_SAID: ContextVar[dict[str, Any]] = ContextVar("said")
"""The condition keys of the entry or request that is being decided on."""


def install() -> None:
    """Make the emulator evaluate all of that."""
    evaluator = importlib.import_module("ministack.core.iam_evaluator")
    _know_what_is_said(vars(evaluator))
    _keep_policies_of_buses(
        vars(importlib.import_module("ministack.services.eventbridge")),
        vars(importlib.import_module("ministack.services.cloudformation.provisioners")),
    )
    gateway = vars(importlib.import_module("ministack.services.apigateway"))
    gateway["_verify_rs256_signature"] = is_signed_by
    vars(evaluator)["_RESOURCE_POLICY_LOOKUPS"]["events"] = ("eventbridge", "policy_of_bus")


def is_signed_by(token: str, key: Mapping[str, str]) -> bool:
    """Verify the signature of a token (RFC 7518, RS256; RFC 8017, 8.2.2)."""
    signed, _, signature = token.rpartition(".")
    modulus = int.from_bytes(_base64url(key["n"]))
    size = (modulus.bit_length() + 7) // 8
    power = int.from_bytes(_base64url(key["e"]))
    shown = pow(int.from_bytes(_base64url(signature)), power, modulus).to_bytes(size)
    digest = _SHA256 + sha256(signed.encode()).digest()
    return shown == b"\x00\x01".ljust(size - len(digest) - 1, b"\xff") + b"\x00" + digest


def _base64url(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _know_what_is_said(evaluator: dict[str, Any]) -> None:
    enforce, resolve = evaluator["enforce"], evaluator["_resolve_condition_key"]

    def enforce_each(key: str, action: str, *more: Any, **context: Any) -> Any:  # noqa: ANN401 - the emulator's own
        # The first check of a request takes what was signed.
        signed = evaluator["_signed_request"].get()
        for said in _said(action, b"" if signed is None else signed.body):
            _SAID.set(said)
            denied = enforce(key, action, *more, **context)
            if denied is not None:
                return denied
        return None

    def resolve_all(key: str, context: Any) -> Any:  # noqa: ANN401 - the emulator's own
        if key.lower() == "aws:principalarn":
            return _role_of(context.principal_arn)
        value = resolve(key, context)
        return _SAID.get({}).get(key.lower()) if value is None else value

    evaluator |= {"enforce": enforce_each, "_resolve_condition_key": resolve_all}


def _said(action: str, body: bytes) -> Iterator[dict[str, Any]]:
    match action if body else None:
        case "events:PutEvents":
            for entry in json.loads(body)["Entries"]:
                detail_type = entry["DetailType"]
                yield {"events:source": [entry["Source"]], "events:detail-type": detail_type}
        case "sns:Subscribe":
            yield {"sns:protocol": parse_qs(body.decode())["Protocol"][0]}
        case _:
            yield {}


def _role_of(arn: str) -> str:
    # None of our roles has a path, and neither has a session.
    if ":assumed-role/" not in arn:
        return arn
    role, _, _ = arn.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").rpartition("/")
    return role


def _keep_policies_of_buses(events: dict[str, Any], provisioners: dict[str, Any]) -> None:
    handlers = provisioners["_RESOURCE_HANDLERS"][BUS]
    create, policies = handlers["create"], events["_event_bus_policies"]

    def create_with_policy(logical_id: str, properties: dict[str, Any], stack: str) -> Any:  # noqa: ANN401 - the emulator's own
        made = create(logical_id, properties, stack)
        if "Policy" in properties:
            policies[made[0]] = properties["Policy"]
        return made

    def policy_of_bus(arn: str) -> tuple[dict[str, Any], str] | None:
        _, _, _, region, account, name = arn.split(":", 5)
        policy = policies.get_scoped(account, region, name.removeprefix("event-bus/"))
        return None if policy is None else (policy, account)

    handlers["create"] = create_with_policy
    events["policy_of_bus"] = policy_of_bus
