"""Build the system for this machine, deploy it, and change what the emulator needs otherwise.

Native code is of one platform and one Python, so the artifact for Lambda cannot run here. The same
Makefiles build another, which gets what Lambda provides: the runtime client, as `bootstrap`. The
built template is deployed as it is. What `adapt` changes afterwards is what an operator could do
to a running stack; the tests in tests/deployed check that it is no more.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore.exceptions import ClientError

from perminute_local.conditions import decided, parameters_of
from perminute_local.deployed.emulated_links import ALIAS
from perminute_local.deployment import resources_of
from perminute_local.embedded_aws import REGION
from perminute_local.packaged import TEMPLATE
from perminute_local.stack import (
    RECORDS_BUCKET,
    Stack,
    Template,
    chosen_for,
    environment_of,
    environment_output,
    load_template,
    resources,
    stack_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute_local.deployment import Resource


ROOT = TEMPLATE.parent
BUILD = ROOT / ".aws-sam" / "for-this-machine"


class ToolError(Exception):
    """A tool is not installed, or failed; the message has what it said."""


def build() -> Path:
    """Build functions and layer; returns the built template, which is deployed as it is."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    variables = {"PLATFORM": _platform(), "PYTHON_VERSION": version, "RUNTIME": f"python{version}"}
    overrides = " ".join(f"{name}={value}" for name, value in variables.items())
    run_sam("build", "--build-dir", str(BUILD), MAKEFLAGS=overrides)
    path = BUILD / "template.yaml"
    template = load_template(path)
    for name, function in resources(template, "AWS::Serverless::Function"):
        bootstrap = BUILD / name / "bootstrap"
        bootstrap.write_text(_bootstrap(layers_of(function, template)), encoding="utf-8")
        bootstrap.chmod(0o755)
    return path


def layers_of(function: Mapping[str, Any], template: Template) -> list[str]:
    """Return the names of the layers of a function: those of all functions, then its own."""
    everywhere = template["Globals"]["Function"]["Layers"]
    return [one["Ref"] for one in (*everywhere, *function["Properties"].get("Layers", ()))]


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


def _bootstrap(layers: Sequence[str]) -> str:
    # Modules are found where Lambda finds them: the function, its layers, then the runtime.
    python = shlex.quote(str(room("lambda") / "bin" / "python"))
    folders = ":".join(shlex.quote(str(BUILD / layer / "python")) for layer in layers)
    return (
        "#!/bin/sh\n"
        f'export PYTHONPATH="$LAMBDA_TASK_ROOT":{folders}\n'
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
    if sys.platform == "darwin":
        major = platform.mac_ver()[0].partition(".")[0]
        return f"macosx_{major}_0_{platform.machine()}"
    return f"manylinux2014_{platform.machine()}"


_NOTHING_MORE: Mapping[str, str] = MappingProxyType({})

RUNTIME = "provided.al2023"
"""The one that runs whatever `bootstrap` says: Amazon's runtime client."""

WITHOUT_CODEDEPLOY = {"GradualDeployment": "false"}
"""Parameters: a version replaces the one before immediately, because there is no CodeDeploy."""

BATCHES = {
    "sns:Publish": "sns:PublishBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:SendMessage": "sqs:SendMessageBatch",
}
"""For requests that are batches the emulator asks for rights that do not exist; AWS asks for that
of a single request."""


def adapt(template: Template, deployed: list[Resource]) -> None:
    """Change a deployed stack for this machine, and leave all else as it is.

    - Functions run by the bootstrap of this machine.
    - Queues are read by our drivers (`emulated_links.py`), not by the emulator; they act as each
      function's role, so its trust has us added to it.
    - Roles get the rights that only the emulator asks for.
    - Tables can be restored if they shall: the emulator's CloudFormation passes over it.
    - Loopback has no TLS, which the bucket's policy asks for.
    """
    names = {resource.logical_id: resource.name for resource in deployed}
    for name, function in resources(template, "AWS::Serverless::Function"):
        _run_by_bootstrap(names[name])
        _adapt_role(names[function["Properties"]["Role"]["Fn::GetAtt"][0]])
    for table, resource in resources(template, "AWS::DynamoDB::Table"):
        recovery = resource["Properties"].get("PointInTimeRecoverySpecification")
        if recovery is not None:
            boto3.client("dynamodb").update_continuous_backups(
                TableName=names[table], PointInTimeRecoverySpecification=recovery
            )
    for _, policy in resources(template, "AWS::S3::BucketPolicy"):
        boto3.client("s3").delete_bucket_policy(Bucket=names[policy["Properties"]["Bucket"]["Ref"]])


def _run_by_bootstrap(function: str) -> None:
    client = boto3.client("lambda")
    client.update_function_configuration(FunctionName=function, Runtime=RUNTIME)
    version = client.publish_version(FunctionName=function)["Version"]
    client.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=version)


def _adapt_role(role: str) -> None:
    client = boto3.client("iam")
    account = boto3.client("sts").get_caller_identity()["Account"]
    trust: Any = client.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    statement["Principal"]["AWS"] = f"arn:aws:iam::{account}:root"
    client.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    for name in client.list_role_policies(RoleName=role)["PolicyNames"]:
        policy: Any = client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for granting in policy["Statement"]:
            granting["Action"] += _batches(granting)
        client.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))


def _batches(statement: Mapping[str, Any]) -> list[str]:
    return [BATCHES[action] for action in statement["Action"] if action in BATCHES]


class Deployment(NamedTuple):
    """A deployed stack, as the template describes it, and its physical names by logical ids."""

    stack: Stack
    names: Mapping[str, str]


def deploy(
    template_file: Path,
    stage: str = "dev",
    asked_for: Mapping[str, str] = _NOTHING_MORE,
    named: str | None = None,
) -> Deployment:
    """Deploy a stage by `samconfig.toml`, with whatever emulator the environment points at.

    `asked_for` are parameters that somebody who deploys it sets besides; `named` is the stack, if
    it has another name than that of the stage.
    """
    stack_name = named or f"perminute-{stage}"
    config = ("--config-file", str(ROOT / "samconfig.toml"), "--config-env", stage)
    chosen = {**chosen_for(stage), **WITHOUT_CODEDEPLOY, **asked_for}
    overrides = " ".join(f"{name}={value}" for name, value in chosen.items())
    try:
        # No confirmation is asked for: nothing on the emulator costs or lasts.
        options = ("--region", REGION, "--no-confirm-changeset", "--parameter-overrides", overrides)
        name = ("--stack-name", stack_name)
        run_sam("deploy", "--template-file", str(template_file), *config, *name, *options)
    except ToolError as error:
        msg = "\n".join([str(error), *_what_failed(stack_name)])
        raise ToolError(msg) from error
    template = load_template(template_file)
    template = decided(template, parameters_of(template, chosen))
    adapt(template, resources_of(stack_name))
    return deployed(template, stack_name)


def _what_failed(stack_name: str) -> Iterator[str]:
    # SAM does not print which resource could not be created, and why.
    try:
        events = boto3.client("cloudformation").describe_stack_events(StackName=stack_name)
    except ClientError:
        return
    for event in events["StackEvents"]:
        if event["ResourceStatus"].endswith("FAILED"):
            yield f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"


def deployed(template: Template, stack_name: str) -> Deployment:
    """Describe a stack that has been deployed from this template."""
    names = {resource.logical_id: resource.name for resource in resources_of(stack_name)}
    return Deployment(stack_of(template, dict(_outputs(template, names))), names)


def _outputs(template: Template, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    sqs, dynamodb, functions = boto3.client("sqs"), boto3.client("dynamodb"), boto3.client("lambda")
    for queue, _ in resources(template, "AWS::SQS::Queue"):
        url = names[queue]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        yield f"{queue}Url", url
        yield f"{queue}Arn", attributes["Attributes"]["QueueArn"]
    for table, _ in resources(template, "AWS::DynamoDB::Table"):
        found = dynamodb.describe_table(TableName=names[table])["Table"]
        if "LatestStreamArn" in found:
            yield f"{table}StreamArn", found["LatestStreamArn"]
    for bus, _ in resources(template, "AWS::Events::EventBus"):
        yield "BusName", names[bus]
    for output, said in template["Outputs"].items():
        if output == RECORDS_BUCKET:
            yield output, names[said["Value"]["Ref"]]
    for function, resource in resources(template, "AWS::Serverless::Function"):
        found_function = functions.get_function_configuration(FunctionName=names[function])
        variables = found_function["Environment"]["Variables"]
        for name in environment_of(resource, template):
            yield environment_output(function, name), variables[name]
