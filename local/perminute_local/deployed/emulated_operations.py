"""What operators do to a running stack, and ministack does not.

It runs in ministack's own environment, where `lasting_emulator.py` installs it.

- CloudFormation makes the archive of a bus, which the emulator's EventBridge can have.
- A stack sets the lifecycle rules of its buckets. They can be read, but no object expires.
- A function that may not run does not run by an alias either: reserved concurrency is of all its
  versions, and the emulator applies it to the latest one only.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

ARCHIVE = "AWS::Events::Archive"
BUCKET = "AWS::S3::Bucket"
_EXPIRATION = {
    "ExpirationInDays": "Days",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
NAME_CHARACTERS = 48  # AWS: CreateArchive


def install() -> None:
    """Make the emulator do all of that."""
    provisioners = vars(importlib.import_module("ministack.services.cloudformation.provisioners"))
    _make_archives(vars(importlib.import_module("ministack.services.eventbridge")), provisioners)
    _give_buckets_rules(vars(importlib.import_module("ministack.services.s3")), provisioners)
    _reserve_for_all_versions(vars(importlib.import_module("ministack.services.lambda_svc")))


def _make_archives(events: dict[str, Any], provisioners: dict[str, Any]) -> None:
    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:  # noqa: ANN401 - the emulator's own
        name = provisioners["_physical_name"](stack, logical_id, max_len=NAME_CHARACTERS)
        status, _, body = events["_create_archive"](
            {
                "ArchiveName": name,
                "Description": properties["Description"],
                "EventSourceArn": properties["SourceArn"],
                "EventPattern": json.dumps(properties["EventPattern"]),
                "RetentionDays": int(properties["RetentionDays"]),
            }
        )
        answer = json.loads(body)
        if "ArchiveArn" not in answer:
            msg = f"{ARCHIVE} {name}: {status} {answer}"
            raise ValueError(msg)
        return name, {"Arn": answer["ArchiveArn"]}

    def delete(name: str, _: dict[str, Any]) -> None:
        events["_delete_archive"]({"ArchiveName": name})

    provisioners["_RESOURCE_HANDLERS"][ARCHIVE] = {"create": create, "delete": delete}


def _give_buckets_rules(s3: dict[str, Any], provisioners: dict[str, Any]) -> None:
    handlers = provisioners["_RESOURCE_HANDLERS"][BUCKET]
    create_bucket = handlers["create"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:  # noqa: ANN401 - the emulator's own
        name, attributes = create_bucket(logical_id, properties, stack)
        if "LifecycleConfiguration" in properties:
            rules = properties["LifecycleConfiguration"]["Rules"]
            s3["_bucket_lifecycle"][name] = list(map(_rule, rules))
        return name, attributes

    provisioners["_RESOURCE_HANDLERS"][BUCKET] = {**handlers, "create": create}


def _rule(declared: dict[str, Any]) -> dict[str, Any]:
    """Return a rule as S3 has it, which calls some of it otherwise than CloudFormation."""
    same = {name: value for name, value in declared.items() if name not in {"Id", *_EXPIRATION}}
    expiration = {_EXPIRATION[name]: declared[name] for name in _EXPIRATION if name in declared}
    return {"ID": declared["Id"], **same, **({"Expiration": expiration} if expiration else {})}


def _reserve_for_all_versions(functions: dict[str, Any]) -> None:
    reserved = functions["_reserved_concurrency"]

    def reserved_for_all(version: dict[str, Any], config: dict[str, Any]) -> Any:  # noqa: ANN401 - the emulator's own
        latest = functions["_functions"].get(config.get("FunctionName"))
        return reserved(latest or version, config)

    functions["_reserved_concurrency"] = reserved_for_all
