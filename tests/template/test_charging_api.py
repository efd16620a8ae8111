"""Who reaches the charging API, and how much of it: what the routes of the template say."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from perminute.api.endpoints import ENDPOINTS
from perminute.api.http import http_response
from perminute.api.reports import serving
from perminute.api.reports.endpoint import PATH
from perminute.api.serving import serve_http
from perminute.application.retry import NEVER
from perminute.domain.errors import MissingSetting
from perminute.settings import TokenSettings
from perminute_local.documents.openapi import CHARGE, READ, SCOPES
from perminute_local.stack import Template, environment_of, resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.api.endpoints import ChargingApi
    from perminute.application.reporting.reader import ReportReader

REPORTS_ROUTE = f"GET {PATH}"
CHARGING_PAGE = (Path(__file__).parents[2] / "docs" / "charging-api.md").read_text()


def routes(template: Template) -> Iterator[dict[str, Any]]:
    for _, route in resources(template, "AWS::ApiGatewayV2::Route"):
        if route["Properties"]["ApiId"] == {"Ref": "ChargingApi"}:
            yield route["Properties"]


def test_every_endpoint_has_its_route_and_no_route_leads_nowhere(template: Template) -> None:
    assert {route["RouteKey"]: route["Target"]["Fn::Sub"] for route in routes(template)} == {
        **{e.route_key: "integrations/${AuthorizeCallsIntegration}" for e in ENDPOINTS},
        REPORTS_ROUTE: "integrations/${ReadReportsIntegration}",
    }
    for name in ("AuthorizeCalls", "ReadReports"):
        integration = template["Resources"][f"{name}Integration"]["Properties"]
        assert integration["PayloadFormatVersion"] == "2.0"
        assert integration["IntegrationUri"] == {"Ref": f"{name}Function.Alias"}
        timeout = 1_000 * function(template, name)["Timeout"]
        # API Gateway waits for thirty seconds at most.
        assert timeout < integration["TimeoutInMillis"] < 30_000


def test_nobody_is_let_in_without_a_signature_or_a_token(template: Template) -> None:
    for route in routes(template):
        assert route["AuthorizationType"] == {"Fn::If": ["HasJwt", "JWT", "AWS_IAM"]}
        token = {"Ref": "JwtAuthorizer"}
        assert route["AuthorizerId"] == {"Fn::If": ["HasJwt", token, {"Ref": "AWS::NoValue"}]}
    assert template["Conditions"]["HasJwt"] == {"Fn::Not": [{"Fn::Equals": [_ISSUER, ""]}]}
    assert template["Parameters"]["JwtIssuer"]["Default"] == ""


def test_the_function_itself_requires_a_token_where_the_routes_do(template: Template) -> None:
    for name in ("AuthorizeCallsFunction", "ReadReportsFunction"):
        variables = environment_of(template["Resources"][name], template)
        assert variables["TOKENS_REQUIRED"] == {"Fn::If": ["HasJwt", "true", "false"]}
    for value, required in (("true", True), ("false", False), ("yes", True)):
        settings = TokenSettings.from_environment({**ENVIRONMENT, "TOKENS_REQUIRED": value})
        assert settings == TokenSettings("organizationId", required)
    with pytest.raises(MissingSetting, match="TOKENS_REQUIRED is not set"):
        TokenSettings.from_environment(ENVIRONMENT)


PARAMETERS = {"JwtChargeScope": CHARGE, "JwtReadScope": READ}


def test_every_route_asks_a_token_for_a_scope(template: Template) -> None:
    names = {endpoint.route_key: endpoint.name for endpoint in ENDPOINTS}
    asked = {
        names[one["RouteKey"]]: one["AuthorizationScopes"]
        for one in routes(template)
        if one["RouteKey"] != REPORTS_ROUTE
    }
    named = {scope: {"Ref": parameter} for parameter, scope in PARAMETERS.items()}
    assert asked == {
        name: {"Fn::If": ["HasJwt", [named[one] for one in scopes], {"Ref": "AWS::NoValue"}]}
        for name, scopes in SCOPES.items()
    }
    defaults = {name: template["Parameters"][name]["Default"] for name in PARAMETERS}
    assert defaults == PARAMETERS


AUTHORIZERS_OF_OTHERS: tuple[dict[str, Any] | None, ...] = (
    None,
    {},
    {"jwt": None},
    {"jwt": {"claims": {}}},
    {"jwt": {"claims": {"organizationId": "fabrikam"}}},
    {"jwt": {"claims": {"organizationId": "CONTOSO"}}},
    {"jwt": {"claims": {"organizationId": ["contoso", "fabrikam"]}}},
    {"iam": {"userArn": "arn:aws:iam::123456789012:user/bridge"}},
)


def test_every_route_turns_away_a_token_of_another_organization(template: Template) -> None:
    tokens = TokenSettings("organizationId", required=True)
    # There is no API behind them: whoever got that far would fail.
    api, reader = cast("ChargingApi", None), cast("ReportReader", None)
    for route in routes(template):
        for authorizer in AUTHORIZERS_OF_OTHERS:
            event = {
                "routeKey": route["RouteKey"],
                "requestContext": {"timeEpoch": 1, "authorizer": authorizer},
                "pathParameters": {"organizationId": "contoso", "callId": "c-1", "report": "usage"},
            }
            if route["RouteKey"] == REPORTS_ROUTE:
                served = serving.serve_http(reader, event, NEVER, tokens)
            else:
                served = serve_http(api, event, NEVER, tokens)
            assert http_response(served.outcome)["statusCode"] == 403, route["RouteKey"]


ENVIRONMENT = {"ORGANIZATION_CLAIM": "organizationId"}
_ISSUER = {"Ref": "JwtIssuer"}


def test_a_policy_can_name_the_one_organization_that_a_caller_may_ask_for() -> None:
    # IAM looks at method and path: what lies beneath an organization's path is that one's alone.
    assert all(e.path.startswith("/organizations/{organizationId}/") for e in ENDPOINTS)
    assert PATH.startswith("/reports/organizations/{organizationId}/")


def test_no_policy_of_bridges_allows_reports(template: Template) -> None:
    """Not that of our role, nor those that the page shows; `*` is also what contains a slash."""
    role = json.dumps(template["Resources"]["BridgeRole"])
    shown = re.findall(r'execute-api:[^"]*(/\$default/[^"]*)"', f"{role} {CHARGING_PAGE}")
    assert len(shown) >= 5
    for name in ("contoso", "calls", "x/calls/y"):
        asked = f"/$default/GET/reports/organizations/{name}/usage"
        assert not [pattern for pattern in shown if fnmatchcase(asked, pattern)]


def test_requests_are_limited_in_number_and_logged_without_what_they_ask(
    template: Template,
) -> None:
    stage = template["Resources"]["ChargingStage"]["Properties"]
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ApiRequestsPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "ApiBurst"},
    }
    assert stage["RouteSettings"] == {
        REPORTS_ROUTE: {
            "ThrottlingRateLimit": {"Ref": "ReportsPerSecond"},
            "ThrottlingBurstLimit": {"Ref": "ReportBurst"},
        }
    }
    assert template["Resources"]["ChargingStage"]["DependsOn"] == "ReportRoute"
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    said = " ".join(logged.values()).lower()
    assert not [word for word in ("path", "query", "body", "header") if word in said]
    assert logged == {
        "requestId": "$context.requestId",
        "at": "$context.requestTime",
        "route": "$context.routeKey",
        "status": "$context.status",
        "latency": "$context.responseLatency",
        "sourceIp": "$context.identity.sourceIp",
        "userArn": "$context.identity.userArn",
        "subject": "$context.authorizer.claims.sub",
        "error": "$context.error.message",
        "authorizerError": "$context.authorizer.error",
        "integrationStatus": "$context.integration.status",
        "integrationError": "$context.integrationErrorMessage",
        "functionRequestId": "$context.integration.requestId",
    }


def test_the_api_may_invoke_its_function_and_nobody_else_is_let_in(template: Template) -> None:
    permissions = [one["Properties"] for _, one in resources(template, "AWS::Lambda::Permission")]
    asking = {
        "AuthorizeCallsFunction.Alias": "ChargingApi",
        "ReadReportsFunction.Alias": "ChargingApi",
        "ReceiveWebhooksFunction.Alias": "WebhookApi",
    }
    assert {permission["FunctionName"]["Ref"] for permission in permissions} == set(asking)
    for permission in permissions:
        assert permission["Principal"] == "apigateway.amazonaws.com"
        api = asking[permission["FunctionName"]["Ref"]]
        assert permission["SourceArn"]["Fn::Sub"].endswith(f":${{{api}}}/*/*")


def test_the_function_may_start_from_a_snapshot(template: Template) -> None:
    assert function(template)["SnapStart"] == {"ApplyOn": {"Ref": "SnapStart"}}
    assert template["Parameters"]["SnapStart"]["Default"] == "None"


def function(template: Template, name: str = "AuthorizeCalls") -> dict[str, Any]:
    properties: dict[str, Any] = template["Resources"][f"{name}Function"]["Properties"]
    return properties


def test_its_log_lies_where_the_policy_for_api_gateway_need_not_name_it(
    template: Template,
) -> None:
    """Below this prefix (AWS: "Enable logging from AWS services"); forgotten like the others."""
    stage = template["Resources"]["ChargingStage"]["Properties"]
    destination = {"Fn::GetAtt": ["ChargingApiLog", "Arn"]}
    assert stage["AccessLogSettings"]["DestinationArn"] == destination
    assert template["Resources"]["ChargingApiLog"]["Properties"] == {
        "LogGroupName": {"Fn::Sub": "/aws/vendedlogs/${AWS::StackName}/charging-api"},
        "RetentionInDays": {"Fn::FindInMap": ["Stages", {"Ref": "Stage"}, "LogRetentionDays"]},
    }


def test_a_domain_of_the_operator_is_added_only_with_its_certificate(template: Template) -> None:
    of_domain = {"ApiDomainName", "ApiDomainMapping"}
    assert {
        name
        for name, resource in template["Resources"].items()
        if resource.get("Condition") == "HasApiDomain"
    } == of_domain
    named, certified = (
        {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}
        for parameter in ("ApiDomain", "ApiCertificate")
    )
    assert template["Conditions"]["HasApiDomain"] == {"Fn::And": [named, certified]}
    assert template["Parameters"]["ApiDomain"]["Default"] == ""
    rule = template["Rules"]["DomainNeedsCertificate"]
    assert rule["RuleCondition"] == named
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == certified


def test_the_domain_accepts_no_old_encryption_and_leads_to_the_one_stage(
    template: Template,
) -> None:
    domain, mapping = (
        template["Resources"][name]["Properties"] for name in ("ApiDomainName", "ApiDomainMapping")
    )
    (configuration,) = domain["DomainNameConfigurations"]
    assert configuration["SecurityPolicy"] == "TLS_1_2"
    assert configuration["CertificateArn"] == {"Ref": "ApiCertificate"}
    assert mapping == {
        "ApiId": {"Ref": "ChargingApi"},
        "DomainName": {"Ref": "ApiDomainName"},
        "Stage": {"Ref": "ChargingStage"},
    }
    # It stays reachable where it was: a caller that is not told of the domain is not refused.
    assert "DisableExecuteApiEndpoint" not in template["Resources"]["ChargingApi"]["Properties"]
