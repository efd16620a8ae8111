"""The archive of calls: there if it is asked for, closed to all, and emptied as it was promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perminute_local.conditions import decided, parameters_of

if TYPE_CHECKING:
    from perminute_local.stack import Template

PARTS = {"UsageArchiveBucket", "UsageArchiveBucketPolicy", "UsageArchiveBucketName"}


def parts(template: Template, **chosen: str) -> set[str]:
    made = decided(template, parameters_of(template, chosen))
    return PARTS & {*made["Resources"], *made["Outputs"]}


@pytest.mark.parametrize(
    ("chosen", "there"),
    [
        ({}, set()),
        ({"NumbersKeptDays": "90"}, set()),
        ({"NumbersKeptDays": "90", "UsageArchiveDays": "3650"}, PARTS),
        ({"UsageArchiveDays": "3650"}, set()),
    ],
)
def test_it_is_there_if_calls_are_masked_and_are_to_be_archived(
    template: Template, chosen: dict[str, str], there: set[str]
) -> None:
    assert parts(template, **chosen) == there


def test_calls_that_are_not_masked_cannot_be_archived(template: Template) -> None:
    rule = template["Rules"]["WhatIsMaskedIsArchived"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "UsageArchiveDays"}, 0]}]}
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "NumbersKeptDays"}, "0"]}]}
    assert template["Parameters"]["UsageArchiveDays"]["Default"] == 0


def test_its_files_are_encrypted_private_versioned_and_forgotten(template: Template) -> None:
    bucket = template["Resources"]["UsageArchiveBucket"]
    said, statements = bucket["Properties"], template["Resources"]["StatementsBucket"]["Properties"]
    same = "BucketEncryption", "OwnershipControls", "PublicAccessBlockConfiguration"
    for name in (*same, "VersioningConfiguration"):
        assert said[name] == statements[name]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    rules = {rule["Id"]: rule for rule in said["LifecycleConfiguration"]["Rules"]}
    assert rules["ForgetCalls"]["ExpirationInDays"] == {"Ref": "UsageArchiveDays"}
    later = rules["ForgetWhatWasDeletedOrForgotten"]["NoncurrentVersionExpiration"]
    assert later == {"NoncurrentDays": 30}
    assert not any("Transitions" in rule for rule in rules.values())
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}


def test_nobody_reaches_it_without_tls(template: Template) -> None:
    policy = template["Resources"]["UsageArchiveBucketPolicy"]["Properties"]
    (denied,) = policy["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    arn = {"Fn::GetAtt": ["UsageArchiveBucket", "Arn"]}
    assert denied["Resource"] == [arn, {"Fn::Sub": "${UsageArchiveBucket.Arn}/*"}]
