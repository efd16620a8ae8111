"""The picture of the system shows what the template has, and how that is connected."""

from __future__ import annotations

from typing import Any

from pictures import arrows_of, picture

from perminute_local.stack import Template, resources

OUTSIDE = {"telephony", "licensing", "billing", "bridge", "daily", "nightly", "subscribers"}
SHOWN = (
    "AWS::ApiGatewayV2::Api",
    "AWS::DynamoDB::Table",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::Serverless::Function",
)
ARROWS = arrows_of(picture("The system"))


def test_all_that_events_pass_through_is_in_the_picture(template: Template) -> None:
    shown = {end for arrow in ARROWS for end in arrow}
    real = {name for kind in SHOWN for name, _ in resources(template, kind)}
    assert shown - OUTSIDE == real


def test_what_feeds_a_function_is_drawn(template: Template) -> None:
    for name, function in resources(template, "AWS::Serverless::Function"):
        for event in function["Properties"].get("Events", {}).values():
            match event["Type"]:
                case "SQS":
                    assert (event["Properties"]["Queue"]["Fn::GetAtt"][0], name) in ARROWS
                case "DynamoDB":
                    assert (event["Properties"]["Stream"]["Fn::GetAtt"][0], name) in ARROWS
    for name, rule in resources(template, "AWS::Events::Rule"):
        for target in rule["Properties"]["Targets"]:
            assert (name, target["Arn"]["Fn::GetAtt"][0]) in ARROWS
            assert (name, target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]) in ARROWS


def test_an_arrow_leads_from_each_function_to_just_what_its_role_names(template: Template) -> None:
    for name, function in resources(template, "AWS::Serverless::Function"):
        role = template["Resources"][function["Properties"]["Role"]["Fn::GetAtt"][0]]
        drawn = {end for start, end in ARROWS if start == name}
        fed_by = {start for start, end in ARROWS if end == name}
        assert named_by(role) - fed_by - drawn == set(), name
        assert drawn - named_by(role) - {"ChargingApi"} == set(), name


def named_by(role: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            match statement["Resource"]:
                case {"Fn::GetAtt": [str(name), "Arn"]} | {"Ref": str(name)}:
                    found.add(name)
                case {"Fn::Sub": str(text)}:
                    found.add(text.removeprefix("${").partition(".")[0])
    return {name for name in found if not name.endswith("Log")}
