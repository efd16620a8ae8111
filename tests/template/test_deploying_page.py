"""docs/deploying.md says of the template what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perminute_local.stack import resources

if TYPE_CHECKING:
    from perminute_local.stack import Template

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploying.md").read_text()
SERVICES = {
    "ApiGatewayV2": "apigateway",
    "CloudFront": "cloudfront",
    "CloudWatch": "cloudwatch",
    "DynamoDB": "dynamodb",
    "Events": "events",
    "IAM": "iam",
    "Lambda": "lambda",
    "Logs": "logs",
    "S3": "s3",
    "SNS": "sns",
    "SQS": "sqs",
    "Scheduler": "scheduler",
    "Serverless": "lambda",
}
"""By the types of resources, what their actions begin with."""
BY_SAM = {"codedeploy"}
"""What SAM adds to a template, where a version is rolled out step by step."""


def first_cells(header: str) -> list[str]:
    """The first cell of each row of a table."""
    rows = PAGE.partition(header)[2].partition("\n\n")[0].splitlines()[2:]
    return [row.split("|")[1].strip() for row in rows]


def test_whoever_deploys_needs_the_services_that_the_page_names(template: Template) -> None:
    kinds = {one["Type"].split("::")[1] for one in template["Resources"].values()}
    named = {name for cell in first_cells("| service | for |") for name in re.findall(r"\w+", cell)}
    assert named == {SERVICES[kind] for kind in kinds} | BY_SAM


def test_the_parameters_of_several_accounts_are_accepted(template: Template) -> None:
    table = PAGE.partition("| parameter | value | so that |")[2].partition("\n\n")[0]
    stated = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", table, re.MULTILINE)
    deployed = re.findall(r"(\w+)=([^\s\"\\]+)", PAGE.partition("## Production")[2].split("```")[1])
    assert len(stated) == 4
    assert len(deployed) == 7
    for name, value in stated + deployed:
        parameter = template["Parameters"][name]
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value), name
        assert value in parameter.get("AllowedValues", [value])


def test_what_a_stack_leaves_is_what_the_template_retains(template: Template) -> None:
    retained = {
        one["Type"]
        for one in template["Resources"].values()
        if one.get("DeletionPolicy") == "Retain"
    }
    assert retained == {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}
    tables = [one["Properties"] for _, one in resources(template, "AWS::DynamoDB::Table")]
    assert len(tables) == 6
    assert "the six tables and the buckets" in PAGE
    # For this reason it is not RetainExceptOnCreate.
    assert all(one["DeletionProtectionEnabled"] for one in tables)


def test_statements_of_other_accounts_are_policies() -> None:
    blocks: list[list[dict[str, Any]]] = [
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    ]
    actions = [statement["Action"] for block in blocks for statement in block]
    assert actions == ["events:PutEvents", "sts:AssumeRole", "events:PutEvents", "sns:Subscribe"]
    for statement in (one for block in blocks for one in block):
        assert statement["Resource"].split(":")[4] == "111111111111"


def test_what_is_not_tried_says_why() -> None:
    reasons = re.findall(r"<!-- needs an account: (.+) -->\n```bash", PAGE)
    assert len(reasons) == PAGE.count("<!--") == 7
    # What names Amazon's command line is not among what a test runs.
    for block in re.findall(r"(?<!-->\n)```bash\n(.*?)```", PAGE, re.DOTALL):
        assert not re.search(r"^\s*aws |sam deploy|sam delete", block, re.MULTILINE)


def test_a_charged_call_in_the_readme_is_that_of_the_page() -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for line in block.splitlines():
        assert line.replace(".venv/bin/", "") in PAGE, line
