"""Who may put which events on the bus; tests/integration/test_access_policies.py tries it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from perminute_local.conditions import parameters_of, present
from perminute_local.documents.event_documents import schema
from perminute_local.stack import resources

if TYPE_CHECKING:
    from perminute_local.stack import Template

SOURCES = ("Billing", "Licensing", "Telephony")
MOST_BYTES = 10_240
"""EventBridge: what the policy of a bus may have."""


@pytest.fixture
def statements(template: Template) -> dict[str, dict[str, Any]]:
    policy = template["Resources"]["EventBus"]["Properties"]["Policy"]
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def events_by_source() -> dict[str, list[str]]:
    """What functions read, by source."""
    whole = schema()
    found: dict[str, list[str]] = {}
    for reference in whole["anyOf"]:
        event = whole["$defs"][reference["$ref"].rpartition("/")[2]]["properties"]
        found.setdefault(event["source"]["const"], []).append(event["detail-type"]["const"])
    return found


def test_a_source_sends_exactly_the_events_that_are_read(
    statements: dict[str, dict[str, Any]],
) -> None:
    # A new event must be let through here, too.
    may = {}
    for name in SOURCES:
        condition = statements[f"{name}SendsNothingButItsEvents"]["Condition"]
        source = condition["ForAnyValue:StringEquals"]["events:source"]
        may[source] = sorted(condition["StringNotEquals"]["events:detail-type"])
    assert may == {source: sorted(kinds) for source, kinds in events_by_source().items()}
    other = statements["NobodySendsOfAnotherSource"]["Condition"]["ForAnyValue:StringNotEquals"]
    assert sorted(other["events:source"]) == sorted(may)


def test_an_archive_keeps_the_events_of_all_sources_once_if_it_is_asked_for(
    template: Template,
) -> None:
    archives = {
        days: dict(resources(present(template, chosen), "AWS::Events::Archive"))
        for days in ("0", "35")
        for chosen in [parameters_of(template, {"EventArchiveDays": days})]
    }
    assert archives["0"] == {}
    archive = archives["35"]["EventArchive"]["Properties"]
    assert archive["SourceArn"] == {"Fn::GetAtt": ["EventBus", "Arn"]}
    assert archive["RetentionDays"] == {"Ref": "EventArchiveDays"}
    pattern = archive["EventPattern"]
    assert sorted(pattern["source"]) == sorted(events_by_source())
    # AWS: what a replay sends has the name of the replay.
    assert pattern["replay-name"] == [{"exists": False}]


def test_each_rule_has_its_source_and_each_source_its_producers(
    template: Template, statements: dict[str, dict[str, Any]]
) -> None:
    for name in SOURCES:
        pattern = template["Resources"][f"{name}Rule"]["Properties"]["EventPattern"]
        condition = statements[f"Only{name}ProducersSend{name}Events"]["Condition"]
        source = condition["ForAnyValue:StringEquals"]["events:source"]
        assert pattern == {"source": [source]}
        producers = {"Ref": f"{name}Producers"}
        who = {"Fn::If": [f"{name}OfThisAccount", [{"Ref": "AWS::AccountId"}], producers]}
        keys = ("aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID")
        allowed = dict.fromkeys(keys, who)
        if name == "Licensing":
            allowed["aws:PrincipalArn"] = with_our_own(who)
        assert condition["StringNotEquals"] == allowed


def with_our_own(who: dict[str, Any]) -> dict[str, Any]:
    """Return who may send licensing events where a function of ours asks Graph for them."""
    chosen, anybody, named = who["Fn::If"]
    role = {"Fn::GetAtt": ["PullGraphLicensesRole", "Arn"]}
    together = {"Fn::Split": [",", {"Fn::Join": [",", [{"Fn::Join": [",", named]}, role]]}]}
    return {"Fn::If": [chosen, anybody, {"Fn::If": ["HasGraph", together, named]}]}


def test_what_denies_spares_aws_itself_and_nobody_else(
    statements: dict[str, dict[str, Any]],
) -> None:
    denying = [one for one in statements.values() if one["Effect"] == "Deny"]
    assert len(denying) == 2 * len(SOURCES) + 1
    for statement in denying:
        assert statement["Principal"] == "*"
        assert statement["Condition"]["BoolIfExists"] == {"aws:PrincipalIsAWSService": "false"}


def test_a_policy_of_a_bus_lets_in_other_accounts_only(
    statements: dict[str, dict[str, Any]],
) -> None:
    # In this account it would let in who has no policy of its own.
    allowing = [one for one in statements.values() if one["Effect"] == "Allow"]
    for statement in allowing:
        ours = statement["Condition"]["StringNotEquals"]
        assert ours == {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}
        assert len(statement["Condition"]["StringEquals"]) == 1
    assert len(allowing) == 3


@pytest.mark.parametrize("name", [f"{name}Producers" for name in SOURCES])
@pytest.mark.parametrize(
    ("value", "may"),
    [
        ("thisAccount", True),
        ("123456789012", True),
        ("o-a1b2c3d4e5", True),
        ("arn:aws:iam::123456789012:role/billing", True),
        ("arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/Admin_0a", True),
        ("arn:aws-cn:iam::123456789012:user/somebody", True),
        ("", False),
        ("*", False),
        ("12345678901", False),
        ("arn:aws:iam::123456789012:root", False),
        ("arn:aws:iam::123456789012:role/*", False),
        ("arn:aws:sts::123456789012:assumed-role/billing/session", False),
    ],
)
def test_a_producer_is_named_exactly(
    template: Template, name: str, value: str, *, may: bool
) -> None:
    parameter = template["Parameters"][name]
    assert (re.fullmatch(parameter["AllowedPattern"], value) is not None) is may
    assert parameter["Default"] == "thisAccount"


def test_the_policy_has_room_for_as_many_producers_as_the_documents_say(
    template: Template,
) -> None:
    role = f"arn:aws:iam::123456789012:role/{'r' * 20}"
    text = json.dumps(_resolved(template["Resources"]["EventBus"]["Properties"]["Policy"], role))
    assert len(text) <= MOST_BYTES


def _resolved(node: Any, role: str) -> Any:
    """Give each source five roles, and put in what CloudFormation does."""
    match node:
        case {"Fn::If": [_, _, _]}:
            return [role] * 5
        case {"Fn::Split": _}:
            return [role] * 15
        case {"Fn::Sub": _} | {"Ref": _}:
            return f"arn:aws:events:us-east-1:123456789012:event-bus/{'p' * 20}"
        case dict():
            return {key: _resolved(value, role) for key, value in node.items()}
        case list():
            return [_resolved(value, role) for value in node]
    return node
