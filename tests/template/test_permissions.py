"""Each function may do what it does, and nothing else."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from builders import ENDED, charge, holding, lot, rating

from perminute.adapters.dynamodb.call_items import usage_item
from perminute.adapters.dynamodb.recorded_content import CONTENT
from perminute_local.conditions import decided, parameters_of
from perminute_local.stack import Template, resources

ROLES = {
    "AuthorizeCallsFunction": "AuthorizeCallsRole",
    "ChargeCallsFunction": "ChargeCallsRole",
    "ApplyLicensingFunction": "ApplyLicensingRole",
    "BookCreditFunction": "BookCreditRole",
    "QueueReratingsFunction": "QueueReratingsRole",
    "RerateCallsFunction": "RerateCallsRole",
    "ExpireCreditFunction": "ExpireCreditRole",
    "ReconcileBooksFunction": "ReconcileBooksRole",
    "PublishNotificationsFunction": "PublishNotificationsRole",
    "ReadReportsFunction": "ReadReportsRole",
    "IngestRecordsFunction": "IngestRecordsRole",
    "ReceiveWebhooksFunction": "ReceiveWebhooksRole",
    "PullGraphCallsFunction": "PullGraphCallsRole",
    "PullGraphLicensesFunction": "PullGraphLicensesRole",
    "RenderStatementsFunction": "RenderStatementsRole",
    "MaskNumbersFunction": "MaskNumbersRole",
}
SCHEDULER = "SchedulerRole"
GRAPH_SCHEDULER = "GraphSchedulerRole"
STATEMENTS_SCHEDULER = "StatementsSchedulerRole"
MASKING_SCHEDULER = "MaskingSchedulerRole"
SCHEDULERS = {SCHEDULER, GRAPH_SCHEDULER, STATEMENTS_SCHEDULER, MASKING_SCHEDULER}
PUBLISHER = "RateCardPublisherRole"
HEARTBEAT = "StreamHeartbeatRole"
BRIDGES = "BridgeRole"


def statements(template: Template) -> list[tuple[str, dict[str, Any]]]:
    return [
        # Some are there only if there is what they are about.
        (name, statement["Fn::If"][1] if "Fn::If" in statement else statement)
        for name, role in resources(template, "AWS::IAM::Role")
        for policy in role["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def granted(template: Template, resource: object) -> set[tuple[str, str]]:
    """Which role may do what with a resource."""
    return {
        (role, action)
        for role, statement in statements(template)
        if statement["Resource"] == resource
        for action in statement["Action"]
    }


def test_every_function_has_a_role_of_its_own_that_sam_adds_nothing_to(template: Template) -> None:
    functions = dict(resources(template, "AWS::Serverless::Function"))
    roles = {name: f["Properties"]["Role"]["Fn::GetAtt"][0] for name, f in functions.items()}
    managed = {
        name: role["Properties"].get("ManagedPolicyArns")
        for name, role in resources(template, "AWS::IAM::Role")
    }
    assert roles == ROLES
    others = [*SCHEDULERS, PUBLISHER, HEARTBEAT, BRIDGES]
    assert managed == dict.fromkeys([*ROLES.values(), *others])


def test_a_statement_names_what_it_is_for_its_actions_and_one_resource(template: Template) -> None:
    unclear = [
        (role, statement)
        for role, statement in statements(template)
        if not statement.get("Sid")
        or not isinstance(statement["Action"], list)
        or isinstance(statement["Resource"], list)
        or any("*" in action for action in statement["Action"])
    ]
    assert unclear == []


def test_only_traces_go_to_any_resource(template: Template) -> None:
    # X-Ray has no resources that a write could name, so AWS takes nothing else there.
    traces = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
    assert granted(template, "*") == set(itertools.product(ROLES.values(), traces))


def test_money_moves_only_where_this_says(template: Template) -> None:
    assert granted(template, {"Fn::GetAtt": ["CreditTable", "Arn"]}) == {
        ("AuthorizeCallsRole", "dynamodb:BatchGetItem"),
        ("AuthorizeCallsRole", "dynamodb:ConditionCheckItem"),
        ("AuthorizeCallsRole", "dynamodb:GetItem"),
        ("AuthorizeCallsRole", "dynamodb:PutItem"),
        ("AuthorizeCallsRole", "dynamodb:Query"),
        ("ChargeCallsRole", "dynamodb:BatchGetItem"),
        ("ChargeCallsRole", "dynamodb:GetItem"),
        ("ChargeCallsRole", "dynamodb:PutItem"),
        ("ChargeCallsRole", "dynamodb:DeleteItem"),
        ("ChargeCallsRole", "dynamodb:ConditionCheckItem"),
        ("ChargeCallsRole", "dynamodb:Query"),
        # By attributes that are no money: tests/integration/test_least_privilege.py.
        ("ApplyLicensingRole", "dynamodb:UpdateItem"),
        ("BookCreditRole", "dynamodb:GetItem"),
        ("BookCreditRole", "dynamodb:PutItem"),
        ("BookCreditRole", "dynamodb:DeleteItem"),
        ("BookCreditRole", "dynamodb:ConditionCheckItem"),
        ("BookCreditRole", "dynamodb:Query"),
        ("RerateCallsRole", "dynamodb:GetItem"),
        ("RerateCallsRole", "dynamodb:Query"),
        ("RerateCallsRole", "dynamodb:PutItem"),
        ("RerateCallsRole", "dynamodb:DeleteItem"),
        ("ExpireCreditRole", "dynamodb:BatchGetItem"),
        ("ExpireCreditRole", "dynamodb:GetItem"),
        ("ExpireCreditRole", "dynamodb:PutItem"),
        ("ExpireCreditRole", "dynamodb:UpdateItem"),
        ("ExpireCreditRole", "dynamodb:DeleteItem"),
        ("ExpireCreditRole", "dynamodb:Query"),
        ("ReadReportsRole", "dynamodb:GetItem"),
        ("ReadReportsRole", "dynamodb:Query"),
        ("ReconcileBooksRole", "dynamodb:GetItem"),
        ("ReconcileBooksRole", "dynamodb:Query"),
        ("RenderStatementsRole", "dynamodb:GetItem"),
        ("RenderStatementsRole", "dynamodb:Query"),
        # That a statement is there, if organizations are to be notified.
        ("RenderStatementsRole", "dynamodb:PutItem"),
        # The same: notifications.
        ("PublishNotificationsRole", "dynamodb:UpdateItem"),
        (HEARTBEAT, "dynamodb:PutItem"),
        ("PullGraphCallsRole", "dynamodb:GetItem"),
        ("PullGraphCallsRole", "dynamodb:PutItem"),
        ("PullGraphCallsRole", "dynamodb:Query"),
    }


def test_the_heartbeat_can_be_no_account(template: Template) -> None:
    (writing,) = (one for role, one in statements(template) if role == HEARTBEAT)
    assert writing["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["#heartbeat"]},
        "Null": {"dynamodb:LeadingKeys": False},
    }
    target = template["Resources"]["StreamHeartbeat"]["Properties"]["Target"]
    written = json.loads(target["Input"]["Fn::Sub"])
    assert written["Item"]["organizationId"] == {"S": "#heartbeat"}


def test_what_is_known_of_books_is_written_by_who_checks_them(template: Template) -> None:
    assert granted(template, {"Fn::GetAtt": ["BookChecksTable", "Arn"]}) == {
        ("ReconcileBooksRole", "dynamodb:GetItem"),
        ("ReconcileBooksRole", "dynamodb:PutItem"),
    }


def test_keys_of_digests_are_read_and_made_by_who_compares_and_masks(template: Template) -> None:
    assert granted(template, {"Fn::GetAtt": ["ContentKeysTable", "Arn"]}) == {
        ("ChargeCallsRole", "dynamodb:GetItem"),
        ("MaskNumbersRole", "dynamodb:GetItem"),
        ("MaskNumbersRole", "dynamodb:PutItem"),
    }


def test_calls_are_put_into_their_archive_and_no_function_reads_or_deletes_them(
    template: Template,
) -> None:
    files = {"Fn::Sub": "${UsageArchiveBucket.Arn}/*"}
    assert granted(template, files) == {("MaskNumbersRole", "s3:PutObject")}
    assert granted(template, {"Fn::GetAtt": ["UsageArchiveBucket", "Arn"]}) == set()
    without = decided(template, parameters_of(template, {"NumbersKeptDays": "90"}))
    assert granted(without, files) == set()


def test_who_masks_numbers_writes_nothing_about_money(template: Template) -> None:
    (masking,) = (
        statement
        for role, statement in statements(template)
        if role == "MaskNumbersRole" and statement["Action"] == ["dynamodb:UpdateItem"]
    )
    named = masking["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
    assert set(named) == {"organizationId", "callId", *CONTENT}
    (usage,) = charge(holding(lot("a", 3)), [rating("a", 3)], at=ENDED).usages
    assert usage.charge_micros
    assert {"chargeMicros", "entryId", "outcome"} <= usage_item(usage).keys() - set(named)


def test_who_receives_records_may_do_what_it_does(template: Template) -> None:
    """All that they are granted beside their own log and traces; by statement, then resource."""
    common = {"WriteItsOwnLog", "SendTraces"}
    chime = "arn:${AWS::Partition}:s3:::${ChimeBucket}"
    bucket = ({"Fn::GetAtt": ["RecordsBucket", "Arn"]}, {"s3:ListBucket"})
    directory = ({"Fn::Sub": "${RateCardBucket.Arn}/directories/*"}, {"s3:GetObject"})
    state, secret = {"s3:GetObject", "s3:PutObject"}, {"secretsmanager:GetSecretValue"}
    reads_queue = {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    }
    reads_objects = {"s3:GetObject", "s3:GetObjectVersion"}
    sends = {"sqs:SendMessage"}
    bus = (
        "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${AWS::StackName}"
    )

    def queue(name: str) -> dict[str, list[str]]:
        return {"Fn::GetAtt": [name, "Arn"]}

    expected: dict[str, list[tuple[Any, set[str]]]] = {
        "IngestRecordsRole": [
            (queue("RecordsQueue"), reads_queue),
            (queue("RecordsQueue"), sends),
            ({"Fn::Sub": "${RecordsBucket.Arn}/*"}, reads_objects),
            bucket,
            ({"Fn::Sub": f"{chime}/Amazon-Chime-*"}, reads_objects),
            ({"Fn::Sub": chime}, {"s3:ListBucket"}),
            directory,
            (queue("CallsQueue"), sends),
            (queue("RecordsDeadLetters"), sends),
        ],
        "ReceiveWebhooksRole": [
            ({"Ref": "WebhookSecret"}, secret),
            (queue("RecordsQueue"), sends),
        ],
        "PullGraphCallsRole": [
            ({"Ref": "GraphSecret"}, secret),
            directory,
            (
                {"Fn::GetAtt": ["UsageTable", "Arn"]},
                {"dynamodb:BatchGetItem"},
            ),
            (
                {"Fn::GetAtt": ["CreditTable", "Arn"]},
                {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"},
            ),
            ({"Fn::Sub": "${RecordsBucket.Arn}/graph-pstn/*"}, {"s3:PutObject"}),
            ({"Fn::Sub": "${RecordsBucket.Arn}/state/graph/*"}, state),
            bucket,
            (queue("ScheduledRunsDeadLetters"), sends),
        ],
        "PullGraphLicensesRole": [
            ({"Ref": "GraphSecret"}, secret),
            directory,
            ({"Fn::Sub": "${RecordsBucket.Arn}/state/graph-licenses/*"}, state),
            bucket,
            ({"Fn::Sub": bus}, {"events:PutEvents"}),
        ],
    }
    for role, grants in expected.items():
        assert grants == [
            (statement["Resource"], set(statement["Action"]))
            for name, statement in statements(template)
            if name == role and statement["Sid"] not in common
        ]


def test_the_functions_that_nobody_calls_may_do_what_they_do(template: Template) -> None:
    """All that they are granted beside their own log and traces; by statement, then resource."""
    common = {"WriteItsOwnLog", "SendTraces"}
    index = {"Fn::Sub": "${CreditTable.Arn}/index/AccountsByDueDate"}
    stream = {"Fn::Sub": "${CreditTable.Arn}/stream/*"}
    failed_runs = {"Fn::GetAtt": ["ScheduledRunsDeadLetters", "Arn"]}
    unpublished = {"Fn::GetAtt": ["NotificationsDeadLetters", "Arn"]}
    table = {"Fn::GetAtt": ["CreditTable", "Arn"]}
    reads_stream = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
    changes = ("Get", "Put", "Delete")
    reads_and_puts = ("dynamodb:GetItem", "dynamodb:PutItem")
    reads_queue = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}

    def queue(name: str) -> dict[str, list[str]]:
        return {"Fn::GetAtt": [name, "Arn"]}

    expected: dict[str, list[tuple[Any, set[str]]]] = {
        "ExpireCreditRole": [
            (queue("ExpiriesQueue"), reads_queue),
            (queue("ExpiriesQueue"), {"sqs:SendMessage"}),
            (index, {"dynamodb:Query"}),
            (
                table,
                {
                    "dynamodb:BatchGetItem",
                    *reads_and_puts,
                    "dynamodb:UpdateItem",
                    "dynamodb:DeleteItem",
                    "dynamodb:Query",
                },
            ),
            (
                {"Fn::Sub": "${UsageTable.Arn}/index/ReportedCallsByChargeTime"},
                {"dynamodb:Query"},
            ),
            (
                {"Fn::GetAtt": ["UsageTable", "Arn"]},
                {"dynamodb:BatchGetItem", *reads_and_puts},
            ),
            (
                {"Fn::GetAtt": ["LicensingTable", "Arn"]},
                {"dynamodb:GetItem", "dynamodb:Query"},
            ),
            ({"Fn::Sub": "${RateCardBucket.Arn}/rate-cards/*"}, {"s3:GetObject"}),
            (queue("ExpiriesDeadLetters"), {"sqs:SendMessage"}),
            (failed_runs, {"sqs:SendMessage"}),
        ],
        "ReconcileBooksRole": [
            (queue("ReconciliationsQueue"), reads_queue),
            (queue("ReconciliationsQueue"), {"sqs:SendMessage"}),
            (index, {"dynamodb:Query"}),
            (table, {"dynamodb:GetItem", "dynamodb:Query"}),
            (
                {"Fn::GetAtt": ["UsageTable", "Arn"]},
                {"dynamodb:BatchGetItem", "dynamodb:Query"},
            ),
            ({"Fn::GetAtt": ["BookChecksTable", "Arn"]}, set(reads_and_puts)),
            (queue("ReconciliationsDeadLetters"), {"sqs:SendMessage"}),
            (failed_runs, {"sqs:SendMessage"}),
        ],
        "QueueReratingsRole": [
            (stream, {f"dynamodb:{action}" for action in reads_stream}),
            (index, {"dynamodb:Query"}),
            ({"Fn::GetAtt": ["ReratingsQueue", "Arn"]}, {"sqs:SendMessage"}),
            ({"Fn::GetAtt": ["WakeupsDeadLetters", "Arn"]}, {"sqs:SendMessage"}),
            (failed_runs, {"sqs:SendMessage"}),
        ],
        "RerateCallsRole": [
            (
                {"Fn::GetAtt": ["ReratingsQueue", "Arn"]},
                reads_queue | {"sqs:ChangeMessageVisibility"},
            ),
            (table, {f"dynamodb:{action}Item" for action in changes} | {"dynamodb:Query"}),
            (
                {"Fn::GetAtt": ["UsageTable", "Arn"]},
                {"dynamodb:GetItem", "dynamodb:PutItem"},
            ),
            (
                {"Fn::GetAtt": ["LicensingTable", "Arn"]},
                {"dynamodb:GetItem", "dynamodb:Query"},
            ),
            ({"Fn::GetAtt": ["ReratingsDeadLetters", "Arn"]}, {"sqs:SendMessage"}),
        ],
        "PublishNotificationsRole": [
            (stream, {f"dynamodb:{action}" for action in reads_stream}),
            ({"Fn::GetAtt": ["LicensingTable", "Arn"]}, {"dynamodb:GetItem"}),
            (table, {"dynamodb:UpdateItem"}),
            ({"Ref": "NotificationTopic"}, {"sns:Publish"}),
            (unpublished, {"sqs:SendMessage"}),
        ],
        SCHEDULER: [
            ({"Ref": "ExpireCreditFunction.Alias"}, {"lambda:InvokeFunction"}),
            ({"Ref": "QueueReratingsFunction.Alias"}, {"lambda:InvokeFunction"}),
            ({"Ref": "ReconcileBooksFunction.Alias"}, {"lambda:InvokeFunction"}),
            (failed_runs, {"sqs:SendMessage"}),
        ],
    }
    for role, grants in expected.items():
        assert grants == [
            (statement["Resource"], set(statement["Action"]))
            for name, statement in statements(template)
            if name == role and statement["Sid"] not in common
        ]


def test_calls_under_way_are_listed_by_who_answers_bridges_and_nobody_else(
    template: Template,
) -> None:
    index = {"Fn::Sub": "${UsageTable.Arn}/index/CallsUnderWayByStart"}
    assert granted(template, index) == {("AuthorizeCallsRole", "dynamodb:Query")}


def test_who_checks_the_books_may_change_none_of_them(template: Template) -> None:
    own = (
        {"Fn::GetAtt": ["BookChecksTable", "Arn"]},
        {"Fn::GetAtt": ["ReconciliationsQueue", "Arn"]},
    )
    allowed = {
        action
        for role, statement in statements(template)
        if role == "ReconcileBooksRole" and statement["Resource"] not in own
        for action in statement["Action"]
    }
    reading = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}
    reporting = {
        "sqs:SendMessage",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
    }
    assert allowed == reading | reporting


def test_who_reads_reports_may_change_nothing(template: Template) -> None:
    allowed = {
        action
        for role, statement in statements(template)
        if role == "ReadReportsRole" and statement["Sid"] not in {"WriteItsOwnLog", "SendTraces"}
        for action in statement["Action"]
    }
    reading = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}
    # What it has made reads what it reads, and writes into a bucket of its own.
    assert allowed == {*reading, "s3:GetObject", "lambda:InvokeFunction"}


def test_who_makes_statements_may_change_nothing_else(template: Template) -> None:
    common = {"WriteItsOwnLog", "SendTraces"}
    assert [
        (statement["Resource"], set(statement["Action"]))
        for role, statement in statements(template)
        if role == "RenderStatementsRole" and statement["Sid"] not in common
    ] == [
        (
            {"Fn::GetAtt": ["StatementsQueue", "Arn"]},
            {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
        ),
        ({"Fn::GetAtt": ["StatementsQueue", "Arn"]}, {"sqs:SendMessage"}),
        ({"Fn::Sub": "${CreditTable.Arn}/index/AccountsByDueDate"}, {"dynamodb:Query"}),
        ({"Fn::GetAtt": ["CreditTable", "Arn"]}, {"dynamodb:GetItem", "dynamodb:Query"}),
        ({"Fn::GetAtt": ["CreditTable", "Arn"]}, {"dynamodb:PutItem"}),
        ({"Fn::Sub": "${StatementsBucket.Arn}/*"}, {"s3:PutObject", "s3:GetObject"}),
        ({"Fn::GetAtt": ["StatementsDeadLetters", "Arn"]}, {"sqs:SendMessage"}),
        ({"Fn::GetAtt": ["ScheduledRunsDeadLetters", "Arn"]}, {"sqs:SendMessage"}),
    ]


@pytest.mark.parametrize("notifies", ["true", "false"])
def test_who_makes_statements_writes_to_credit_only_to_notify(
    template: Template, notifies: str
) -> None:
    asked_for = {"Statements": "true", "NotifyOfStatements": notifies}
    writes = granted(
        decided(template, parameters_of(template, asked_for)),
        {"Fn::GetAtt": ["CreditTable", "Arn"]},
    )
    assert (("RenderStatementsRole", "dynamodb:PutItem") in writes) == (notifies == "true")


def test_the_scheduler_may_run_what_is_scheduled_and_nothing_else(template: Template) -> None:
    scheduled = {
        (event["Properties"]["RoleArn"]["Fn::GetAtt"][0], f"{name}.Alias")
        for name, function in resources(template, "AWS::Serverless::Function")
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    }
    invoked = {
        (role, statement["Resource"]["Ref"])
        for role, statement in statements(template)
        if statement["Action"] == ["lambda:InvokeFunction"]
    }
    asked = {("ReadReportsRole", "RenderStatementsFunction.Alias")}
    assert invoked == scheduled | asked
    assert {role for role, _ in scheduled} == SCHEDULERS


def test_bridges_of_other_accounts_reach_the_routes_of_calls_and_no_other(
    template: Template,
) -> None:
    place = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${ChargingApi}/"
    reached = {
        (action, statement["Resource"]["Fn::Sub"].removeprefix(place))
        for role, statement in statements(template)
        if role == BRIDGES
        for action in statement["Action"]
    }
    assert reached == {
        ("execute-api:Invoke", "$default/POST/organizations/*/calls/*"),
        ("execute-api:Invoke", "$default/GET/organizations/*/calls/*"),
        ("execute-api:Invoke", "$default/GET/organizations/*/calls"),
    }
    (trust,) = template["Resources"][BRIDGES]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": {"Ref": "Bridges"}}
    assert template["Resources"][BRIDGES]["Condition"] == "HasBridges"


def test_usage_is_never_deleted_and_corrected_by_one_function(template: Template) -> None:
    assert granted(template, {"Fn::GetAtt": ["UsageTable", "Arn"]}) == {
        ("AuthorizeCallsRole", "dynamodb:BatchGetItem"),
        ("AuthorizeCallsRole", "dynamodb:GetItem"),
        ("AuthorizeCallsRole", "dynamodb:PutItem"),
        ("ChargeCallsRole", "dynamodb:BatchGetItem"),
        ("ChargeCallsRole", "dynamodb:GetItem"),
        ("ChargeCallsRole", "dynamodb:PutItem"),
        ("RerateCallsRole", "dynamodb:GetItem"),
        ("RerateCallsRole", "dynamodb:PutItem"),
        ("ExpireCreditRole", "dynamodb:BatchGetItem"),
        ("ExpireCreditRole", "dynamodb:GetItem"),
        ("ExpireCreditRole", "dynamodb:PutItem"),
        # By attributes that are no money: test_who_masks_numbers_writes_nothing_about_money.
        ("MaskNumbersRole", "dynamodb:Query"),
        ("MaskNumbersRole", "dynamodb:UpdateItem"),
        ("ReadReportsRole", "dynamodb:BatchGetItem"),
        ("ReadReportsRole", "dynamodb:GetItem"),
        ("ReconcileBooksRole", "dynamodb:BatchGetItem"),
        ("ReconcileBooksRole", "dynamodb:Query"),
        ("PullGraphCallsRole", "dynamodb:BatchGetItem"),
    }


def test_rate_cards_are_put_by_who_publishes_them_and_that_is_all_they_may(
    template: Template,
) -> None:
    cards = {"Fn::Sub": "${RateCardBucket.Arn}/rate-cards/*"}
    functions = ("AuthorizeCallsRole", "ChargeCallsRole", "ExpireCreditRole", "ReadReportsRole")
    readers = (*functions, PUBLISHER)
    assert granted(template, cards) == {
        *((role, "s3:GetObject") for role in readers),
        (PUBLISHER, "s3:PutObject"),
    }
    directories = {"Fn::Sub": "${RateCardBucket.Arn}/directories/*"}
    asking = ("IngestRecordsRole", "PullGraphCallsRole", "PullGraphLicensesRole", PUBLISHER)
    assert granted(template, directories) == {
        *((role, "s3:GetObject") for role in asking),
        (PUBLISHER, "s3:PutObject"),
    }
    bucket = {"Fn::GetAtt": ["RateCardBucket", "Arn"]}
    # To list it is what makes a pointer that is not there yet differ from one that may not be read.
    assert granted(template, bucket) == {(PUBLISHER, "s3:ListBucket")}
    own = [s["Resource"] for role, s in statements(template) if role == PUBLISHER]
    assert own == [cards, cards, directories, bucket]


def test_the_bucket_refuses_prices_from_functions_and_if_wanted_from_all_but_the_publisher(
    template: Template,
) -> None:
    policy = template["Resources"]["RateCardBucketPolicy"]["Properties"]["PolicyDocument"]
    _, functions, others = policy["Statement"]
    whose = functions["Principal"]["AWS"]
    named = [arn["Fn::If"][1] if "Fn::If" in arn else arn for arn in whose]
    assert sorted(arn["Fn::GetAtt"][0] for arn in named) == sorted(ROLES.values())
    assert "Condition" not in functions
    wanted, statement, otherwise = others["Fn::If"]
    assert (wanted, otherwise) == ("OnlyPublisherWrites", {"Ref": "AWS::NoValue"})
    # Who deploys for the first time publishes as who they are.
    assert template["Parameters"]["OnlyPublisherWritesRateCards"]["Default"] == "false"
    publisher = {"Fn::GetAtt": [PUBLISHER, "Arn"]}
    assert statement["Principal"] == "*"
    assert statement["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": publisher}}
    for denied in (functions, statement):
        assert denied["Effect"] == "Deny"
        assert set(denied["Action"]) == {
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
        }
        assert denied["Resource"] == {"Fn::Sub": "${RateCardBucket.Arn}/*"}
