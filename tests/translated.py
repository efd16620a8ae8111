"""What SAM makes of the template: what CloudFormation is given in the end."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perminute_local.stack import Template

TRANSLATE = """
import json, sys
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
template, parameters = json.load(sys.stdin)
json.dump(transform(template, parameters, ManagedPolicyLoader(None)), sys.stdout)
"""


def translate(template: Template, **parameters: str) -> Template:
    """Ask SAM's own translator, which lives with the emulator: it wants another pydantic."""
    packaged = {**template, "Resources": _packaged(template["Resources"])}
    translated: Template = json.loads(_translated(json.dumps([packaged, parameters])))
    return translated


@cache
def _translated(asked: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own environment's interpreter
        [Path(sys.prefix) / "ministack" / "bin" / "python", "-c", TRANSLATE],
        input=asked,
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _packaged(resources_: dict[str, Any]) -> dict[str, Any]:
    """What `sam package` does: code becomes a place in a bucket."""
    code = {
        "AWS::Serverless::Function": ("CodeUri", "s3://bucket/code"),
        "AWS::Serverless::LayerVersion": ("ContentUri", "s3://bucket/layer"),
    }
    changed = {}
    for logical_id, resource in resources_.items():
        name, place = code.get(resource["Type"], ("", ""))
        properties = {**resource.get("Properties", {}), **({name: place} if name else {})}
        changed[logical_id] = {**resource, "Properties": properties}
    return changed
