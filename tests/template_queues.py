"""The queues of the template."""

from __future__ import annotations

from perminute_local.stack import Template, resources


def read_queues(template: Template) -> set[str]:
    """Name those that functions read."""
    return {
        event["Properties"]["Queue"]["Fn::GetAtt"][0]
        for _, function in resources(template, "AWS::Serverless::Function")
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == "SQS"
    }
