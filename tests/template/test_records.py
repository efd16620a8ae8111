"""Records outlive mistakes: nothing that holds money, usage or rates can be lost with the stack."""

from __future__ import annotations

from builders import ENDED, charge, holding, rating

from perminute.adapters.dynamodb.account_items import ACCOUNTS_INDEX, account_item
from perminute.adapters.dynamodb.call_items import FORGET_AT, usage_item
from perminute_local.stack import Template, resources

TABLES = {
    "CreditTable": ["organizationId", "record"],
    "UsageTable": ["organizationId", "callId"],
    "LicensingTable": ["organizationId", "subject"],
    "EventsTable": ["eventId"],
    "BookChecksTable": ["organizationId"],
    "ContentKeysTable": ["organizationId"],
}
SAFE = {
    "DeletionPolicy": "Retain",
    "UpdateReplacePolicy": "Retain",
    "BillingMode": "PAY_PER_REQUEST",
    "DeletionProtectionEnabled": True,
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    "SSESpecification": {"SSEEnabled": True},
}


def test_every_table_is_kept_protected_restorable_encrypted_and_on_demand(
    template: Template,
) -> None:
    kept = {
        name: {key: (table | table["Properties"]).get(key) for key in SAFE}
        for name, table in resources(template, "AWS::DynamoDB::Table")
    }
    # A key that is destroyed with what was erased must be gone.
    without_backups = {**SAFE, "PointInTimeRecoverySpecification": None}
    assert kept == {**dict.fromkeys(TABLES, SAFE), "ContentKeysTable": without_backups}


def test_no_table_forgets_what_was_charged(template: Template) -> None:
    # The row of a call is what makes its next delivery harmless, however late it comes. Only a
    # call that has not ended has the attribute by which it is forgotten.
    expiring = {
        name: table["Properties"]["TimeToLiveSpecification"]["AttributeName"]
        for name, table in resources(template, "AWS::DynamoDB::Table")
        if "TimeToLiveSpecification" in table["Properties"]
    }
    assert expiring == {"UsageTable": FORGET_AT}
    (usage,) = charge(holding(), [rating("a", 3)], at=ENDED).usages
    assert FORGET_AT not in usage_item(usage)


def test_every_table_has_the_keys_that_the_adapters_write(template: Template) -> None:
    keys = {
        name: [key["AttributeName"] for key in table["Properties"]["KeySchema"]]
        for name, table in resources(template, "AWS::DynamoDB::Table")
    }
    assert keys == TABLES


def test_rate_cards_are_versioned_encrypted_private_and_kept(template: Template) -> None:
    bucket = template["Resources"]["RateCardBucket"]
    (encryption,) = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert bucket["Properties"]["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }


def test_rate_cards_are_read_over_tls_only(template: Template) -> None:
    policy = template["Resources"]["RateCardBucketPolicy"]["Properties"]["PolicyDocument"]
    statement, *_ = policy["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Condition"]) == (
        "Deny",
        "*",
        {"Bool": {"aws:SecureTransport": False}},
    )


def test_the_index_of_accounts_and_the_stream_are_what_the_adapters_read(
    template: Template,
) -> None:
    credit = template["Resources"]["CreditTable"]["Properties"]
    (index,) = credit["GlobalSecondaryIndexes"]
    assert index["IndexName"] == ACCOUNTS_INDEX
    assert [key["AttributeName"] for key in index["KeySchema"]] == [
        "listedAs",
        "dueAt",
    ]
    assert {"listedAs", "dueAt"} <= account_item(holding()).keys()
    # Whatever else it projected, every charge would write as well.
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert credit["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
