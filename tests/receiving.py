"""A stack that receives call records in each way there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute_local.conditions import parameters_of, present

if TYPE_CHECKING:
    from perminute_local.stack import Template

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
RECEIVING = {
    "DropBucket": "true",
    "ChimeBucket": "calls-of-chime",
    "WebhookSecret": f"{ARN}webhooks-AbCdEf",
    "GraphSecret": f"{ARN}graph-AbCdEf",
}
"""Parameters that ask for all of it."""
STATEMENTS = {"Statements": "true"}
"""The parameter that asks for statements as files."""


def without_records(template: Template) -> Template:
    """Leave out what is there only for call records."""
    return present(template, parameters_of(template, {"Stage": "prod", "ShowDashboard": "true"}))
