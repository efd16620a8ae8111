"""Who reaches the charging API, and how much of it: what the routes of the template say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from perminute.api.endpoints import ENDPOINTS
from perminute.api.http import http_response
from perminute.api.serving import serve_http
from perminute.application.retry import NEVER
from perminute.domain.errors import MissingSetting
from perminute.settings import TokenSettings
from perminute_local.openapi import CHARGE, READ, SCOPES
from perminute_local.stack import Template, environment_of, resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.api.endpoints import ChargingApi


def routes(template: Template) -> Iterator[dict[str, Any]]:
    return (route["Properties"] for _, route in resources(template, "AWS::ApiGatewayV2::Route"))


def test_every_endpoint_has_its_route_and_no_route_leads_nowhere(template: Template) -> None:
    assert {route["RouteKey"] for route in routes(template)} == {e.route_key for e in ENDPOINTS}
    targets = [route["Target"] for route in routes(template)]
    target = {"Fn::Sub": "integrations/${AuthorizeCallsIntegration}"}
    assert targets == [target] * len(ENDPOINTS)
    integration = template["Resources"]["AuthorizeCallsIntegration"]["Properties"]
    assert integration["PayloadFormatVersion"] == "2.0"
    assert integration["IntegrationUri"] == {"Ref": "AuthorizeCallsFunction.Alias"}
    assert integration["TimeoutInMillis"] > 1_000 * function(template)["Timeout"]


def test_nobody_is_let_in_without_a_signature_or_a_token(template: Template) -> None:
    for route in routes(template):
        assert route["AuthorizationType"] == {"Fn::If": ["HasJwt", "JWT", "AWS_IAM"]}
        token = {"Ref": "JwtAuthorizer"}
        assert route["AuthorizerId"] == {"Fn::If": ["HasJwt", token, {"Ref": "AWS::NoValue"}]}
    assert template["Conditions"]["HasJwt"] == {"Fn::Not": [{"Fn::Equals": [_ISSUER, ""]}]}
    assert template["Parameters"]["JwtIssuer"]["Default"] == ""


def test_the_function_itself_requires_a_token_where_the_routes_do(template: Template) -> None:
    variables = environment_of(template["Resources"]["AuthorizeCallsFunction"], template)
    assert variables["TOKENS_REQUIRED"] == {"Fn::If": ["HasJwt", "true", "false"]}
    for value, required in (("true", True), ("false", False), ("yes", True)):
        settings = TokenSettings.from_environment({**ENVIRONMENT, "TOKENS_REQUIRED": value})
        assert settings == TokenSettings("organizationId", required)
    with pytest.raises(MissingSetting, match="TOKENS_REQUIRED is not set"):
        TokenSettings.from_environment(ENVIRONMENT)


PARAMETERS = {"JwtChargeScope": CHARGE, "JwtReadScope": READ}


def test_every_route_asks_a_token_for_a_scope(template: Template) -> None:
    names = {endpoint.route_key: endpoint.name for endpoint in ENDPOINTS}
    asked = {names[one["RouteKey"]]: one["AuthorizationScopes"] for one in routes(template)}
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
    for route in routes(template):
        for authorizer in AUTHORIZERS_OF_OTHERS:
            event = {
                "routeKey": route["RouteKey"],
                "requestContext": {"timeEpoch": 1, "authorizer": authorizer},
                "pathParameters": {"organizationId": "contoso", "callId": "c-1"},
            }
            # There is no API behind it: whoever got that far would fail.
            served = serve_http(cast("ChargingApi", None), event, NEVER, tokens)
            assert http_response(served.outcome)["statusCode"] == 403, route["RouteKey"]


ENVIRONMENT = {"ORGANIZATION_CLAIM": "organizationId"}
_ISSUER = {"Ref": "JwtIssuer"}


def test_a_policy_can_name_the_one_organization_that_a_caller_may_ask_for() -> None:
    # IAM looks at method and path: what lies beneath an organization's path is that one's alone.
    assert all(e.path.startswith("/organizations/{organizationId}/") for e in ENDPOINTS)


def test_requests_are_limited_in_number_and_logged_without_what_they_ask(
    template: Template,
) -> None:
    stage = template["Resources"]["ChargingStage"]["Properties"]
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ApiRequestsPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "ApiBurst"},
    }
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
    permissions = dict(resources(template, "AWS::Lambda::Permission"))
    (permission,) = (one["Properties"] for one in permissions.values())
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["FunctionName"] == {"Ref": "AuthorizeCallsFunction.Alias"}
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${ChargingApi}/*/*")


def test_the_function_may_start_from_a_snapshot(template: Template) -> None:
    assert function(template)["SnapStart"] == {"ApplyOn": {"Ref": "SnapStart"}}
    assert template["Parameters"]["SnapStart"]["Default"] == "None"


def function(template: Template) -> dict[str, Any]:
    properties: dict[str, Any] = template["Resources"]["AuthorizeCallsFunction"]["Properties"]
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
