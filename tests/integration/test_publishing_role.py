"""Rate cards are put by the role that publishes them: on an AWS that enforces roles."""

from __future__ import annotations

import copy
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import ClientError

from perminute.adapters.rate_card_bucket import POINTER_KEY
from perminute_local.cli import main
from perminute_local.conditions import decided, parameters_of
from perminute_local.embedded_aws import (
    ROLES_ENFORCED,
    client_environment,
    embedded_aws,
    environment,
    free_port,
)
from perminute_local.stack import BACKING_TYPES, Template, backing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CARD = "leg_type,prefix,country,currency,rate_per_minute\ndialOut,49,DE,USD,0.015\n"
ROLE = "AWS::IAM::Role"
TYPES = BACKING_TYPES | {ROLE, "AWS::Logs::LogGroup", "AWS::S3::BucketPolicy"}
NAMES = ("RateCardBucketName", "CreditTableName")
PUBLISHER, FUNCTION, DEPLOYER = "RateCardPublisherRole", "ChargeCallsRole", "Deployer"


ASSUMED = "arn:${AWS::Partition}:sts::${AWS::AccountId}:assumed-role/${RateCardPublisherRole}/*"


def of_rate_cards(template: Template) -> Template:
    """The roles, the bucket and what else the roles name.

    - Loopback has no TLS, which the bucket's policy asks for.
    - Whose session it is AWS says by the role (`aws:PrincipalArn`), the emulator by the session.
    - A function's role may be assumed here, and is granted all that the bucket is to deny.
    - Somebody deploys who may do everything with buckets.
    """
    changed = copy.deepcopy(template)
    parts = changed["Resources"]
    # It names functions, which are not made here.
    del parts["SchedulerRole"]
    statements = parts["RateCardBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    statements.pop(0)
    if statements[-1]["Sid"] == "OnlyThePublisherSetsPrices":
        statements[-1]["Condition"] = {"ArnNotLike": {"aws:PrincipalArn": {"Fn::Sub": ASSUMED}}}
    for name, part in parts.items():
        if part["Type"] == ROLE and name not in {PUBLISHER, FUNCTION}:
            # What the others may do is not tried: a template that is sent has 51,200 bytes at most.
            part["Properties"].pop("Policies", None)
    publisher, function = (parts[n]["Properties"] for n in (PUBLISHER, FUNCTION))
    function["AssumeRolePolicyDocument"] = publisher["AssumeRolePolicyDocument"]
    everything = {"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}
    function["Policies"][0]["PolicyDocument"]["Statement"].append(everything)
    deployer = {
        "PolicyName": "Deploy",
        "PolicyDocument": {"Version": "2012-10-17", "Statement": [everything]},
    }
    parts[DEPLOYER] = {"Type": ROLE, "Properties": {**publisher, "Policies": [deployer]}}
    made = backing(changed, TYPES)
    # A template that is sent as it is may have 51,200 bytes; functions' settings are many outputs.
    made["Outputs"] = {name: made["Outputs"][name] for name in NAMES} | {
        name: {"Value": {"Fn::GetAtt": [name, "Arn"]}} for name in (PUBLISHER, FUNCTION, DEPLOYER)
    }
    return made


@pytest.fixture(scope="module", params=["false", "true"], ids=["by default", "only the publisher"])
def made(template: Template, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    only = {"OnlyPublisherWritesRateCards": request.param}
    chosen = decided(template, parameters_of(template, only))
    port = free_port()
    ours = client_environment(f"http://127.0.0.1:{port}")
    with embedded_aws(settings={**ours, **ROLES_ENFORCED}, port=port), environment(**ours):
        client = boto3.client("cloudformation")
        client.create_stack(
            StackName="cards",
            TemplateBody=json.dumps(of_rate_cards(chosen)),
            Capabilities=["CAPABILITY_IAM"],
        )
        client.get_waiter("stack_create_complete").wait(
            StackName="cards", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        (stack,) = client.describe_stacks(StackName="cards")["Stacks"]
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        yield {**outputs, "only": request.param}


@contextmanager
def acting_as(arn: str) -> Iterator[None]:
    """Assumes a role, and forgets who one was: boto3 remembers credentials."""
    given = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    role = {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }
    with environment(**role), patch.object(boto3, "DEFAULT_SESSION", None):
        yield


def published(card: Path, bucket: str, version: str) -> int:
    return main(["rates", "publish", str(card), "--bucket", bucket, "--version", version])


def refused(call: Any, **request: str) -> bool:
    try:
        call(**request)
    except ClientError as error:
        return error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}
    return False


def test_the_publisher_publishes_and_does_nothing_else(
    made: dict[str, str], tmp_path: Path
) -> None:
    bucket, card = made["RateCardBucketName"], tmp_path / "rates.csv"
    card.write_text(CARD)
    with acting_as(made[PUBLISHER]):
        assert published(card, bucket, "v1") == 0
        # Once more: the version exists, and is compared.
        assert published(card, bucket, "v1") == 0
        s3 = boto3.client("s3")
        pointer = s3.get_object(Bucket=bucket, Key=POINTER_KEY)["Body"].read()
        assert json.loads(pointer)["version"] == "v1"
        assert refused(s3.put_object, Bucket=bucket, Key="elsewhere")
        assert refused(s3.delete_object, Bucket=bucket, Key=POINTER_KEY)
        assert refused(boto3.client("dynamodb").scan, TableName=made["CreditTableName"])


def test_a_function_reads_cards_and_sets_no_price_whatever_it_is_granted(
    made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket, card = made["RateCardBucketName"], tmp_path / "rates.csv"
    card.write_text(CARD)
    with acting_as(made[PUBLISHER]):
        assert published(card, bucket, "v2") == 0
    with acting_as(made[FUNCTION]):
        s3 = boto3.client("s3")
        assert s3.get_object(Bucket=bucket, Key=POINTER_KEY)["Body"].read()
        assert published(card, bucket, "v3") == 2
        assert refused(s3.put_object, Bucket=bucket, Key=POINTER_KEY)
        assert refused(s3.delete_object, Bucket=bucket, Key=POINTER_KEY)
    assert "cannot be written" in capsys.readouterr().err


def test_who_deploys_publishes_as_who_they_are_until_only_the_publisher_may(
    made: dict[str, str], tmp_path: Path
) -> None:
    card = tmp_path / "rates.csv"
    card.write_text(CARD)
    with acting_as(made[DEPLOYER]):
        may = published(card, made["RateCardBucketName"], "v4") == 0
    assert may is (made["only"] == "false")
