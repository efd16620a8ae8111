"""What is deployed, built for this machine: the functions run here as `sam build` leaves them.

Native code is of one platform and one Python, so the artifact for Lambda cannot run here. The same
Makefiles build another, which gets what Lambda brings along: the runtime client, as `bootstrap`.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from perminute_local.stack import TEMPLATE, Template, load_template, resources

ROOT = TEMPLATE.parent
BUILD = ROOT / ".aws-sam" / "for-this-machine"
LAYER = "DependenciesLayer"
RUNTIME = "provided.al2023"
"""The one that runs whatever `bootstrap` says."""

_HAVE_A_BATCH = ("sns:Publish", "sqs:DeleteMessage", "sqs:SendMessage")


class ToolError(Exception):
    """A tool is not installed, or failed; the message has what it said."""


def build() -> Path:
    """Build functions and layer; gives the template that is to be deployed."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    variables = {
        "PLATFORM": _platform(),
        "PYTHON_VERSION": version,
        "RUNTIME": f"python{version}",
    }
    overrides = " ".join(f"{name}={value}" for name, value in variables.items())
    run_sam("build", "--build-dir", str(BUILD), MAKEFLAGS=overrides)
    template = load_template(BUILD / "template.yaml")
    for name, _ in resources(template, "AWS::Serverless::Function"):
        bootstrap = BUILD / name / "bootstrap"
        bootstrap.write_text(_bootstrap(), encoding="utf-8")
        bootstrap.chmod(0o755)
    deployed = BUILD / "template.json"
    deployed.write_text(json.dumps(for_this_machine(template), indent=1), encoding="utf-8")
    return deployed


def run_sam(*arguments: str, **variables: str) -> None:
    """Run the SAM command line in the checkout, as `make` has it."""
    folder = room("sam") / "bin"
    result = subprocess.run(  # noqa: S603 - our own environment's command
        [folder / "sam", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "SAM_CLI_TELEMETRY": "0",
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        msg = f"sam {arguments[0]} failed:\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
        raise ToolError(msg)


def for_this_machine(template: Template) -> Template:
    """Change what this machine and the emulator need otherwise, and leave all else as it is.

    - The runtime is the one of the bootstrap.
    - Queues and schedules are read by our drivers (`emulated_links.py`), which act as each
      function's role: so its trust has us added to it.
    - For requests that are batches the emulator asks for rights that do not exist; AWS asks for
      that of a single request.
    - The emulator has no CodeDeploy, so a version takes the place of the one before at once; nor
      alarms that are computed from several metrics.
    - Loopback has no TLS, which the bucket's policy asks for.
    """
    changed: Template = json.loads(json.dumps(template))
    changed["Globals"]["Function"]["Runtime"] = RUNTIME
    del changed["Globals"]["Function"]["DeploymentPreference"]
    roles = set()
    for _, function in resources(changed, "AWS::Serverless::Function"):
        roles.add(function["Properties"]["Role"]["Fn::GetAtt"][0])
        for event in function["Properties"].get("Events", {}).values():
            event["Properties"] |= _not_by_the_emulator(event["Type"])
    for name, role in resources(changed, "AWS::IAM::Role"):
        if name in roles:
            _adapt(role["Properties"])
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::S3::BucketPolicy" or _is_computed(resource):
            del changed["Resources"][name]
    return changed


def _is_computed(resource: dict[str, Any]) -> bool:
    return resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]


def _not_by_the_emulator(kind: str) -> dict[str, Any]:
    return {"State": "DISABLED"} if kind == "ScheduleV2" else {"Enabled": False}


def _adapt(role: dict[str, Any]) -> None:
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    us = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
    trust["Principal"] = {**trust["Principal"], "AWS": us}
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            statement["Action"] += [
                f"{action}Batch" for action in statement["Action"] if action in _HAVE_A_BATCH
            ]


def _bootstrap() -> str:
    """Look for modules where Lambda does: the function, then its layer, then the runtime's."""
    python = shlex.quote(str(room("lambda") / "bin" / "python"))
    layer = shlex.quote(str(BUILD / LAYER / "python"))
    return (
        "#!/bin/sh\n"
        f'export PYTHONPATH="$LAMBDA_TASK_ROOT":{layer}\n'
        f'exec {python} -m awslambdaric "$_HANDLER"\n'
    )


def room(name: str) -> Path:
    """Find one of the environments beside ours."""
    folder = Path(sys.prefix) / name
    if not (folder / "bin" / "python").exists():
        msg = f"{name} is not installed; run `make .venv/{name}/.ready` once"
        raise ToolError(msg)
    return folder


def _platform() -> str:
    """Name this machine as pip does."""
    if sys.platform == "darwin":
        major = platform.mac_ver()[0].partition(".")[0]
        return f"macosx_{major}_0_{platform.machine()}"
    return f"manylinux2014_{platform.machine()}"
