"""A new version of a function takes over step by step, and goes back by itself if it fails."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from translated import translate

from perminute_local.stack import Template, resources

A_TENTH_FIRST = {
    "Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": "Canary10Percent10Minutes"}]
}
SERVING = ("AuthorizeCallsFunction", "ReadReportsFunction")
"""Who answers API Gateway, whose failures one alarm counts."""

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()


@pytest.fixture(scope="module")
def translated(template: Template) -> Template:
    return translate(template, GradualDeployment="true")


def names_in(text: str) -> list[str]:
    return re.findall(r"\(physical (\w+)\)", text)


def of_type(template: Template, resource_type: str) -> dict[str, dict[str, Any]]:
    return dict(resources(template, resource_type))


def test_the_alias_of_every_function_is_moved_by_codedeploy(
    template: Template, translated: Template
) -> None:
    aliases = of_type(translated, "AWS::Lambda::Alias")
    groups = {
        name.removesuffix("Aliaslive"): alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"][
            "DeploymentGroupName"
        ]["Ref"]
        for name, alias in aliases.items()
    }
    assert set(groups) == set(of_type(template, "AWS::Serverless::Function"))
    assert set(groups.values()) == set(of_type(translated, "AWS::CodeDeploy::DeploymentGroup"))
    # The runbook stops a deployment by these names.
    assert set(of_type(translated, "AWS::CodeDeploy::Application")) <= set(names_in(RUNBOOK))
    assert set(groups.values()) & set(names_in(RUNBOOK))


def test_what_fails_brings_the_version_before_back(translated: Template) -> None:
    for group in of_type(translated, "AWS::CodeDeploy::DeploymentGroup").values():
        said = group["Properties"]
        assert said["DeploymentConfigName"] == A_TENTH_FIRST
        assert said["AutoRollbackConfiguration"]["Enabled"] is True
        assert set(said["AutoRollbackConfiguration"]["Events"]) >= {
            "DEPLOYMENT_FAILURE",
            "DEPLOYMENT_STOP_ON_ALARM",
        }


def test_the_failures_of_a_function_bring_it_back(template: Template, translated: Template) -> None:
    bring_back = {}
    for group, resource in of_type(translated, "AWS::CodeDeploy::DeploymentGroup").items():
        said = resource["Properties"].get("AlarmConfiguration", {})
        # A gradual deployment has all alarms (tests/template/test_alarms.py).
        condition, with_all, _ = said.get("Fn::If", ("HasAllAlarms", said, {}))
        assert condition == "HasAllAlarms"
        names = [alarm["Name"]["Ref"] for alarm in with_all.get("Alarms", [])]
        bring_back[group.removesuffix("DeploymentGroup")] = names
    functions = of_type(template, "AWS::Serverless::Function")
    # What runs once a day proves nothing within the ten minutes of a step.
    daily = [
        name
        for name, function in functions.items()
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    ]
    assert bring_back == {
        **{name: [f"{name.removesuffix('Function')}FailsAlarm"] for name in functions},
        **{name: ["AuthorizationsFailAlarm"] for name in SERVING},
        "ReceiveWebhooksFunction": ["WebhooksFailAlarm"],
        **{name: [] for name in daily},
    }


def test_an_alarm_rings_within_the_step_that_it_decides_about(template: Template) -> None:
    for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
        said = alarm["Properties"]
        # Nothing is rolled back by what a schedule runs.
        if said["MetricName"] == "Errors" and not is_scheduled(template, said):
            assert (said["Period"], said["EvaluationPeriods"]) == (60, 5)
            assert said["DatapointsToAlarm"] == 2


def is_scheduled(template: Template, alarm: dict[str, Any]) -> bool:
    function = template["Resources"][alarm["Dimensions"][0]["Value"]["Ref"]]
    kinds = {event["Type"] for event in function["Properties"]["Events"].values()}
    return kinds == {"ScheduleV2"}


def test_who_does_not_ask_for_it_has_a_version_take_over_at_once(template: Template) -> None:
    # It is also the way out for the version that mends what keeps an alarm ringing.
    at_once = translate(template, GradualDeployment="false")
    assert not of_type(at_once, "AWS::CodeDeploy::DeploymentGroup")
    assert not any("UpdatePolicy" in one for one in of_type(at_once, "AWS::Lambda::Alias").values())


def test_production_asks_for_it() -> None:
    config = tomllib.loads((Path(__file__).parents[2] / "samconfig.toml").read_text())
    asked = {
        stage: config[stage]["deploy"]["parameters"]["parameter_overrides"].split()
        for stage in ("dev", "prod")
    }
    assert "GradualDeployment=true" in asked["prod"]
    assert not any("GradualDeployment" in pair for pair in asked["dev"])


def test_every_function_has_the_layer(translated: Template) -> None:
    others = set()
    for name, function in of_type(translated, "AWS::Lambda::Function").items():
        layer, *more = function["Properties"]["Layers"]
        assert layer["Ref"].startswith("DependenciesLayer")
        others |= {(name, one["Ref"][: len("StatementsLayer")]) for one in more}
    assert others == {("RenderStatementsFunction", "StatementsLayer")}


def test_one_version_of_what_may_start_from_a_snapshot_is_retained(translated: Template) -> None:
    policies = {
        name: version["DeletionPolicy"]
        for name, version in of_type(translated, "AWS::Lambda::Version").items()
        if name.startswith("AuthorizeCallsFunction")
    }
    assert list(policies.values()) == ["Delete"]
    starting = [
        function["Properties"]["SnapStart"]
        for function in of_type(translated, "AWS::Lambda::Function").values()
        if "SnapStart" in function["Properties"]
    ]
    assert starting == [{"ApplyOn": {"Ref": "SnapStart"}}]
    assert translated["Parameters"]["SnapStart"]["Default"] == "None"


def test_counting_up_the_configuration_publishes_a_version_of_every_function(
    template: Template, translated: Template
) -> None:
    counted = json.loads(json.dumps(template))
    variables = counted["Globals"]["Function"]["Environment"]["Variables"]
    variables["CONFIGURATION"] = str(int(variables["CONFIGURATION"]) + 1)
    before = set(of_type(translated, "AWS::Lambda::Version"))
    after = set(of_type(translate(counted, GradualDeployment="true"), "AWS::Lambda::Version"))
    assert len(after) == len(before)
    assert after & before == set()


def test_a_parameter_alone_publishes_none(template: Template, translated: Template) -> None:
    # Hence the counter. Should this fail some day, it is not needed any more.
    changed = translate(template, GradualDeployment="true", SnapStart="PublishedVersions")
    assert set(of_type(changed, "AWS::Lambda::Version")) == set(
        of_type(translated, "AWS::Lambda::Version")
    )


def test_whatever_calls_a_function_calls_its_alias(translated: Template) -> None:
    aliases = set(of_type(translated, "AWS::Lambda::Alias"))
    mappings = of_type(translated, "AWS::Lambda::EventSourceMapping").values()
    schedules = of_type(translated, "AWS::Scheduler::Schedule").values()
    targets = [schedule["Properties"]["Target"]["Arn"] for schedule in schedules]
    called = [
        *(mapping["Properties"]["FunctionName"]["Ref"] for mapping in mappings),
        *(arn["Ref"] for arn in targets if "Ref" in arn),
    ]
    integrations = of_type(translated, "AWS::ApiGatewayV2::Integration").values()
    called += [integration["Properties"]["IntegrationUri"]["Ref"] for integration in integrations]
    assert set(called) == aliases
