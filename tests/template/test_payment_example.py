"""`examples/payments/template.yaml`: what is copied must be as sound as what it stands beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_file  # type: ignore[import-untyped] # it ships no annotations
from cfnlint.config import ManualArgs  # type: ignore[import-untyped] # as above

from perminute_local.stack import Template, load_template

PATH = Path(__file__).parents[2] / "examples" / "payments" / "template.yaml"


@pytest.fixture(scope="module")
def example() -> Template:
    return load_template(PATH)


def properties(example: Template, logical_id: str) -> dict[str, Any]:
    found: dict[str, Any] = example["Resources"][logical_id]["Properties"]
    return found


def test_no_linter_finds_anything_but_what_may_stay() -> None:
    matches = lint_file(PATH, config=ManualArgs(append_rules=["cfn_lint_serverless.rules"]))
    assert {(match.rule.id, match.path[1]) for match in matches} == {
        ("WS1004", "PayRechargesFunction"),  # the log group is named by LoggingConfig
        ("ES6000", "RequestsDeadLetters"),  # where redriving ends
    }


def test_only_requests_for_a_recharge_reach_its_queue(example: Template) -> None:
    subscription = properties(example, "RequestsSubscription")
    assert subscription["Endpoint"] == {"Fn::GetAtt": ["RequestsQueue", "Arn"]}
    assert subscription["FilterPolicy"] == {"type": ["RechargeRequested"]}
    assert "FilterPolicyScope" not in subscription


def test_what_fails_is_kept_with_an_alarm(example: Template) -> None:
    dead_letters = {"Fn::GetAtt": ["RequestsDeadLetters", "Arn"]}
    for logical_id in ("RequestsQueue", "RequestsSubscription"):
        redrive = properties(example, logical_id)["RedrivePolicy"]
        assert redrive["deadLetterTargetArn"] == dead_letters
    (dimension,) = properties(example, "RequestsDeadLettersAlarm")["Dimensions"]
    assert dimension["Value"] == {"Fn::GetAtt": ["RequestsDeadLetters", "QueueName"]}


def test_a_message_does_not_come_again_while_the_function_works_on_it(example: Template) -> None:
    timeout = properties(example, "PayRechargesFunction")["Timeout"]
    assert properties(example, "RequestsQueue")["VisibilityTimeout"] >= 6 * timeout


def test_the_topic_alone_may_send_to_the_queues(example: Template) -> None:
    policy = properties(example, "RequestsQueuePolicy")["PolicyDocument"]
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    topic = {"Ref": "NotificationTopicArn"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": topic}}


def test_the_function_may_report_billing_events_on_one_bus_and_little_else(
    example: Template,
) -> None:
    (policy,) = properties(example, "PayRechargesRole")["Policies"]
    statements = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    anywhere = [sid for sid, one in statements.items() if one["Resource"] == "*"]
    assert anywhere == ["SendTraces"]
    actions = [action for one in statements.values() for action in one["Action"]]
    assert sorted(actions) == [
        "events:PutEvents",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    ]
    (report,) = (one for one in statements.values() if one["Action"] == ["events:PutEvents"])
    assert report["Condition"] == {"StringEquals": {"events:source": "perminute.billing"}}


def test_the_stub_is_never_deployed_unless_somebody_says_so(example: Template) -> None:
    assert "Default" not in example["Parameters"]["PaymentService"]
    variables = properties(example, "PayRechargesFunction")["Environment"]["Variables"]
    assert variables == {
        "EVENT_BUS_NAME": {"Ref": "EventBusName"},
        "PAYMENT_SERVICE": {"Ref": "PaymentService"},
    }


def test_its_handler_is_there(example: Template) -> None:
    function = properties(example, "PayRechargesFunction")
    module, _, name = function["Handler"].rpartition(".")
    source = PATH.parent / function["CodeUri"] / f"{module.replace('.', '/')}.py"
    assert f"def {name}(" in source.read_text()
