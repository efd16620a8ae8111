"""What cfn-lint's serverless rules find, each with the reason why it may stay.

Its own rules take eight times as long; `make template` holds the template to them.
"""

from __future__ import annotations

from pathlib import Path

from cfnlint.config import ConfigMixIn  # type: ignore[import-untyped] # it ships no annotations
from cfnlint.rules import Rules  # type: ignore[import-untyped] # as above
from cfnlint.runner import Runner  # type: ignore[import-untyped] # as above

from perminute_local.dead_letters import DEAD_LETTERS, UNKNOWN
from perminute_local.stack import Template, resources

TEMPLATE = Path(__file__).parents[2] / "template.yaml"

NO_LOG_GROUP = "WS1004"
"""The rule knows log groups by the fixed name `/aws/lambda/…`, which two stages would share. Ours
are named by LoggingConfig; the test below holds their retention."""

NO_REDRIVE_OF_QUEUE = "ES6000"
"""A dead-letter queue is where redriving ends: it has an alarm and a heading in the runbook."""

NO_REDRIVE_OF_SUBSCRIPTION = "ES7000"
"""SNS tries an e-mail for six hours; what it told is kept as a row of the account's table besides,
and every other subscription is its subscriber's own."""


def test_nothing_is_found_but_what_may_stay(template: Template) -> None:
    runner = Runner(ConfigMixIn(templates=[str(TEMPLATE)]))
    runner.rules = Rules.create_from_module("cfn_lint_serverless.rules")
    functions = {name for name, _ in resources(template, "AWS::Serverless::Function")}
    queues = {name for name, _ in resources(template, "AWS::SQS::Queue")}
    ends = {name for name in queues if name.endswith(DEAD_LETTERS) or name == UNKNOWN}
    assert {(match.rule.id, match.path[1]) for match in runner.run()} == {
        *((NO_LOG_GROUP, function) for function in functions),
        *((NO_REDRIVE_OF_QUEUE, queue) for queue in ends),
        (NO_REDRIVE_OF_SUBSCRIPTION, "NotificationSubscription"),
    }


def test_every_function_logs_to_a_group_of_its_own_that_forgets(template: Template) -> None:
    groups = dict(resources(template, "AWS::Logs::LogGroup"))
    used = [
        function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
        for _, function in resources(template, "AWS::Serverless::Function")
    ]
    assert sorted(used) == sorted(set(used))
    assert set(used) <= set(groups)
    days = {"Fn::FindInMap": ["Stages", {"Ref": "Stage"}, "LogRetentionDays"]}
    assert all(groups[name]["Properties"]["RetentionInDays"] == days for name in used)
