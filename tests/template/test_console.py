"""The console in the cloud: there only if asked for, and its page may talk to nobody else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from perminute_local.conditions import decided, parameters_of
from perminute_local.console.page import POLICY

if TYPE_CHECKING:
    from perminute_local.stack import Template

CHOSEN = {
    "ConsoleDomain": "console.example.com",
    "ConsoleCertificate": "arn:aws:acm:us-east-1:123456789012:certificate/0a1b",
    "ConsoleClientId": "console",
    "JwtIssuer": "https://login.example.com/tenant/v2.0",
    "JwtAudience": "perminute",
}
PARTS = {
    "ConsoleBucket",
    "ConsoleBucketPolicy",
    "ConsoleAccess",
    "ConsoleHeaders",
    "ConsoleDistribution",
}
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"


@pytest.fixture
def console(template: Template) -> dict[str, Any]:
    made = decided(template, parameters_of(template, CHOSEN))
    return {name: made["Resources"][name]["Properties"] for name in PARTS}


def test_it_is_there_only_if_it_has_a_domain(template: Template) -> None:
    by_default = decided(template, parameters_of(template, {}))["Resources"]
    assert {name for name in by_default if name.startswith("Console")} == set()
    assert {name for name in template["Resources"] if name.startswith("Console")} == PARTS


def test_a_domain_without_what_it_needs_is_refused(template: Template) -> None:
    rule = template["Rules"]["ConsoleSignsIn"]
    asked = re.findall(r"'Ref': '(\w+)'", str(rule["Assertions"]))
    assert asked == ["JwtIssuer", "ConsoleCertificate", "ConsoleClientId"]
    assert "ConsoleDomain" in str(rule["RuleCondition"])


def test_only_its_distribution_reads_its_bucket(console: dict[str, Any]) -> None:
    statements = console["ConsoleBucketPolicy"]["PolicyDocument"]["Statement"]
    allowed = [one for one in statements if one["Effect"] == "Allow"]
    (read,) = allowed
    assert read["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert read["Action"] == "s3:GetObject"
    source = read["Condition"]["StringEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source.endswith("${AWS::AccountId}:distribution/${ConsoleDistribution}")
    assert all(console["ConsoleBucket"]["PublicAccessBlockConfiguration"].values())
    origin = console["ConsoleDistribution"]["DistributionConfig"]["Origins"][0]
    assert origin["OriginAccessControlId"] == {"Fn::GetAtt": ["ConsoleAccess", "Id"]}
    signing = console["ConsoleAccess"]["OriginAccessControlConfig"]
    assert (signing["SigningBehavior"], signing["SigningProtocol"]) == ("always", "sigv4")


def test_reports_are_only_read_and_never_kept(console: dict[str, Any]) -> None:
    distribution = console["ConsoleDistribution"]["DistributionConfig"]
    (reports,) = distribution["CacheBehaviors"]
    assert reports["PathPattern"] == "/reports/*"
    assert reports["CachePolicyId"] == CACHING_DISABLED
    assert reports["ViewerProtocolPolicy"] == "https-only"
    for behavior in (reports, distribution["DefaultCacheBehavior"]):
        assert behavior["AllowedMethods"] == ["GET", "HEAD"]
        assert behavior["ResponseHeadersPolicyId"] == {"Ref": "ConsoleHeaders"}
    api = distribution["Origins"][1]
    assert api["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert distribution["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"


def test_its_policy_is_that_of_the_local_page_and_allows_the_issuer(
    console: dict[str, Any],
) -> None:
    headers = console["ConsoleHeaders"]["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    text, values = headers["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"]
    asks = " https://${IssuerHost} ${ConsoleTokenOrigin}"
    assert text.replace(asks, "") == POLICY
    assert asks in text
    # The third part of https://host/path/.
    place, split = values["IssuerHost"]["Fn::Select"]
    joined = split["Fn::Split"][1]["Fn::Sub"].replace("${JwtIssuer}", CHOSEN["JwtIssuer"])
    assert joined.split(split["Fn::Split"][0])[int(place)] == "login.example.com"
    assert all(one.get("Override") for one in headers.values())
