"""Who may send, publish, subscribe and charge: the template's policies, held to by the emulator.

Principals of this account and of others try it, each by a session of a role. The emulator has no
data of buses across accounts: who is let in from there is told that there is no such bus.
"""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from deployed_stack import clocked_emulator
from joserfc import jwt
from joserfc.jwk import RSAKey

from perminute.api.endpoints import ENDPOINTS
from perminute.api.reports.endpoint import endpoint_of
from perminute_local.embedded_aws import REGION, ROLES_ENFORCED
from perminute_local.stack import STACK_NAME, Template, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

US, BILLING, PHONES, BRIDGES, STRANGER = (str(number) * 12 for number in (0, 1, 2, 3, 9))
"""Accounts: ours, and those of others."""

KEPT = {
    *("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Authorizer", "AWS::ApiGatewayV2::Integration"),
    *("AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Stage", "AWS::DynamoDB::Table"),
    "AWS::Events::EventBus",
    *("AWS::Logs::LogGroup", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SQS::Queue"),
}
ROLES = ("BridgeRole", "PublishNotificationsRole")
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ROOT = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
PURCHASE = ("perminute.billing", "Credit Purchased")
LICENSE = ("perminute.licensing", "License Assigned")
CALL = ("perminute.telephony", "Call Ended")
CALLS = ("perminute.telephony", "Calls Ended")


class Who(NamedTuple):
    """A role of an account; what its own policy says is said when it is made."""

    account: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role/{self.name}"


CREDITS = Who(US, "billing")
FREE = Who(US, "may-do-anything")
NOTHING = Who(US, "may-do-nothing")
BUYS = Who(BILLING, "billing")
BUYS_TOO = Who(BILLING, "something-else")
RINGS = Who(PHONES, "telephony")
RINGS_NOT = Who(PHONES, "something-else")
BRIDGE = Who(BRIDGES, "bridge")
UNKNOWN = Who(STRANGER, "may-do-anything")
MEMBER = Who("4" * 12, "member")
EVERYBODY = (CREDITS, FREE, BUYS, BUYS_TOO, RINGS, RINGS_NOT, BRIDGE, UNKNOWN, MEMBER)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What is made of the template for producers, subscribers and bridges in other accounts."""
    with clocked_emulator(tmp_path_factory.mktemp("policies"), ROLES_ENFORCED):
        for who in EVERYBODY:
            make_role(who, ANYTHING)
        make_role(NOTHING)
        organization = as_root("organizations", MEMBER.account).describe_organization()
        yield create(
            STACK_NAME,
            BillingProducers=f"{CREDITS.arn},{BUYS.arn}",
            LicensingProducers=US,
            TelephonyProducers=f"{PHONES},{organization['Organization']['Id']}",
            NotificationSubscribers=f"{BILLING},{RINGS.arn}",
            Bridges=BRIDGE.arn,
        )


@pytest.fixture(scope="module")
def default(stack: dict[str, str]) -> dict[str, str]:  # noqa: ARG001 - on the same emulator
    """What is made of the template where nobody says who may do what."""
    return create(f"{STACK_NAME}-default")


def create(name: str, **parameters: str) -> dict[str, str]:
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName=name,
        Capabilities=["CAPABILITY_IAM"],
        TemplateBody=json.dumps(without_functions(load_template())),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
    )
    made = client.describe_stacks(StackName=name)["Stacks"][0]
    while made["StackStatus"].endswith("IN_PROGRESS"):
        time.sleep(0.05)
        made = client.describe_stacks(StackName=name)["Stacks"][0]
    assert made["StackStatus"] == "CREATE_COMPLETE", made
    return {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}


def without_functions(template: Template) -> Template:
    kept = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] in KEPT or name in ROLES
    }
    # Nobody answers: a request that is let in ends there.
    for name in ("AuthorizeCallsIntegration", "ReadReportsIntegration"):
        kept[name]["Properties"]["IntegrationUri"] = "arn:aws:lambda:::none"
    # What only Lambda may assume we assume as well.
    trust = kept["PublishNotificationsRole"]["Properties"]["AssumeRolePolicyDocument"]
    trust["Statement"][0]["Principal"]["AWS"] = ROOT
    outputs = ("EventBusArn", "NotificationTopicArn", "BridgeRoleArn")
    return {
        **{part: template[part] for part in ("Parameters", "Conditions", "Mappings")},
        "Resources": kept,
        "Outputs": {
            **{name: template["Outputs"][name] for name in outputs},
            "Publisher": {"Value": {"Fn::GetAtt": ["PublishNotificationsRole", "Arn"]}},
            "Api": {"Value": {"Ref": "ChargingApi"}},
        },
    }


def make_role(who: Who, *statements: Mapping[str, str]) -> None:
    iam = as_root("iam", who.account)
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": who.account}}
    iam.create_role(RoleName=who.name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    if statements:
        policy = json.dumps({"Statement": statements})
        iam.put_role_policy(RoleName=who.name, PolicyName="own", PolicyDocument=policy)


def as_root(service: str, account: str) -> Any:
    """Act as an account itself: the emulator takes its number for a key."""
    return boto3.client(service, aws_access_key_id=account, aws_secret_access_key="any")  # noqa: S106 - opens nothing


def session(arn: str, by: boto3.Session | None = None) -> boto3.Session:
    """Assume a role, by the root of its account or by another session."""
    account = arn.split(":")[4]
    sts = by.client("sts") if by else as_root("sts", account)
    given = sts.assume_role(RoleArn=arn, RoleSessionName="tries-it")["Credentials"]
    return boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def refusal(who: str, do: str, service: str, **request: Any) -> str | None:
    """Do something as a role; returns why it may not, if so."""
    try:
        getattr(session(who).client(service), do)(**request)
    except ClientError as error:
        return str(error)
    return None


def denied(bus: str, who: Who, *events: tuple[str, str]) -> str | None:
    entries = [
        {"EventBusName": bus, "Source": source, "DetailType": kind, "Detail": "{}"}
        for source, kind in events
    ]
    return refusal(who.arn, "put_events", "events", Entries=entries)


@pytest.mark.parametrize(
    ("who", "event"),
    [
        (CREDITS, PURCHASE),
        (CREDITS, LICENSE),
        (FREE, LICENSE),
        (BUYS, PURCHASE),
        (RINGS, CALL),
        (RINGS, CALLS),
        (MEMBER, CALL),
    ],
)
def test_a_producer_may_send_the_events_of_its_source(
    stack: dict[str, str], who: Who, event: tuple[str, str]
) -> None:
    assert denied(stack["EventBusArn"], who, event) is None


EXPLICIT = "explicit deny in a resource-based policy"
NO_POLICY = "no identity-based policy allows"


@pytest.mark.parametrize(
    ("who", "event"),
    [
        (FREE, PURCHASE),
        (FREE, CALL),
        (CREDITS, CALL),
        (BUYS, CALL),
        (BUYS, LICENSE),
        (BUYS_TOO, PURCHASE),
        (RINGS, PURCHASE),
        (MEMBER, PURCHASE),
        (MEMBER, LICENSE),
        (UNKNOWN, PURCHASE),
        (UNKNOWN, CALL),
        (UNKNOWN, LICENSE),
    ],
)
def test_nobody_else_may_whatever_its_own_policy_says(
    stack: dict[str, str], who: Who, event: tuple[str, str]
) -> None:
    assert EXPLICIT in (denied(stack["EventBusArn"], who, event) or "")


@pytest.mark.parametrize(
    "event",
    [
        ("perminute.billing", "Call Ended"),
        ("perminute.licensing", "Calls Ended"),
        ("perminute.billing", "Credit Minted"),
        ("perminute.telefony", "Call Ended"),
        ("perminute", "Credit Purchased"),
        ("aws.s3", "Object Created"),
    ],
)
def test_a_producer_may_send_nothing_else(stack: dict[str, str], event: tuple[str, str]) -> None:
    assert EXPLICIT in (denied(stack["EventBusArn"], CREDITS, event) or "")


def test_one_event_that_may_not_be_sent_is_not_sent_among_others(stack: dict[str, str]) -> None:
    assert EXPLICIT in (denied(stack["EventBusArn"], BUYS, PURCHASE, CALL) or "")


def test_in_this_account_a_producer_needs_a_policy_of_its_own(stack: dict[str, str]) -> None:
    # That the account is named lets nobody in.
    assert NO_POLICY in (denied(stack["EventBusArn"], NOTHING, LICENSE) or "")


@pytest.mark.parametrize("event", [PURCHASE, LICENSE, CALL])
def test_by_default_policies_of_this_account_decide_and_nobody_else_may(
    default: dict[str, str], event: tuple[str, str]
) -> None:
    assert denied(default["EventBusArn"], FREE, event) is None
    assert NO_POLICY in (denied(default["EventBusArn"], NOTHING, event) or "")
    for other in (BUYS, RINGS, MEMBER, UNKNOWN):
        assert EXPLICIT in (denied(default["EventBusArn"], other, event) or "")


def test_only_the_function_publishes_notifications(stack: dict[str, str]) -> None:
    topic = stack["NotificationTopicArn"]
    said = {"TopicArn": topic, "Message": "{}"}
    assert refusal(stack["Publisher"], "publish", "sns", **said) is None
    for who in (FREE, BUYS, UNKNOWN):
        assert "not authorized" in (refusal(who.arn, "publish", "sns", **said) or "")


@pytest.mark.parametrize(
    ("who", "protocol", "may"),
    [
        (BUYS, "sqs", True),
        (RINGS, "lambda", True),
        (FREE, "sqs", True),
        (BUYS, "email", False),
        (UNKNOWN, "sqs", False),
        (RINGS_NOT, "sqs", False),
    ],
)
def test_who_is_named_may_subscribe(
    stack: dict[str, str], who: Who, protocol: str, *, may: bool
) -> None:
    endpoint = {
        "sqs": f"arn:aws:sqs:{REGION}:{who.account}:queue",
        "lambda": f"arn:aws:lambda:{REGION}:{who.account}:function:f",
        "email": "somebody@example.com",
    }[protocol]
    asked = {"Protocol": protocol, "Endpoint": endpoint}
    why = refusal(who.arn, "subscribe", "sns", TopicArn=stack["NotificationTopicArn"], **asked)
    assert (why is None) is may, why


def test_by_default_nobody_of_another_account_subscribes(default: dict[str, str]) -> None:
    for who in (BUYS, RINGS, UNKNOWN):
        asked = {"Protocol": "sqs", "Endpoint": f"arn:aws:sqs:{REGION}:{who.account}:queue"}
        topic = default["NotificationTopicArn"]
        assert "not authorized" in (
            refusal(who.arn, "subscribe", "sns", TopicArn=topic, **asked) or ""
        )


def test_a_bridge_assumes_its_role_and_reaches_the_routes_of_calls(stack: dict[str, str]) -> None:
    role = session(stack["BridgeRoleArn"], by=session(BRIDGE.arn))
    calls = "/organizations/contoso/calls"
    for method, path in (
        ("POST", f"{calls}/c-1/authorize"),
        ("POST", f"{calls}/c-1/update"),
        ("POST", f"{calls}/c-1/release"),
        ("GET", f"{calls}/c-1"),
        ("GET", calls),
    ):
        assert status(stack["Api"], role, method, path) not in {401, 403, 404}, path
    for path in (
        "/organizations/contoso/balance",
        "/organizations/contoso/price",
        "/reports/organizations/contoso/usage",
        "/reports/organizations/contoso/calls",
    ):
        assert status(stack["Api"], role, "GET", path) == 403


def test_nobody_else_assumes_the_role_of_bridges(
    stack: dict[str, str], default: dict[str, str]
) -> None:
    for who in (FREE, UNKNOWN, BUYS):
        with pytest.raises(ClientError, match="AccessDenied"):
            session(stack["BridgeRoleArn"], by=session(who.arn))
    assert "BridgeRoleArn" not in default


def status(api: str, who: boto3.Session | str | None, method: str, path: str) -> int:
    """Request something of the API as a role or with a token; returns the status of the answer."""
    endpoint = boto3.client("apigatewayv2").meta.endpoint_url
    headers = {"Host": f"{api}.execute-api.localhost"}
    if isinstance(who, str):
        headers["Authorization"] = f"Bearer {who}"
    request = AWSRequest(method, endpoint + path, headers=headers)
    if isinstance(who, boto3.Session):
        keys = who.get_credentials()
        assert keys is not None
        SigV4Auth(keys, "execute-api", REGION).add_auth(request)
    return URLLib3Session().send(request.prepare()).status_code


AUDIENCE = "perminute"


class Issuer:
    """Issues tokens, and publishes the key that these are verified by."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "key"})
        published = json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(published)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def token(self, scope: str, key: RSAKey | None = None, **changed: object) -> str:
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "bridge", "exp": 2**32, "scope": scope}
        return jwt.encode({"alg": "RS256", "kid": "key"}, {**claims, **changed}, key or self.key)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    Thread(target=issuer.server.serve_forever, daemon=True).start()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


@pytest.fixture(scope="module")
def tokens(stack: dict[str, str], issuer: Issuer) -> str:  # noqa: ARG001 - on the same emulator
    """The API of a stack whose callers come with tokens."""
    return create(f"{STACK_NAME}-tokens", JwtIssuer=issuer.url, JwtAudience=AUDIENCE)["Api"]


def let_in(api: str, token: str | None) -> set[str]:
    """Ask for all there is; returns what was not turned away."""
    found = set()
    for endpoint in (*ENDPOINTS, endpoint_of("overview")):
        assert endpoint is not None
        path = endpoint.path.format(organizationId="contoso", callId="c-1", report="overview")
        answer = status(api, token, endpoint.method, path)
        assert answer != 404
        if answer not in {401, 403}:
            found.add(endpoint.name)
    return found


CALLS_OF_ONE = {"call", "callsUnderWay"}


@pytest.mark.parametrize(
    ("scope", "reached"),
    [
        ("perminute/charge", {"authorize", "update", "release", *CALLS_OF_ONE}),
        ("perminute/read", {"price", "balance", *CALLS_OF_ONE}),
        ("openid perminute/read perminute/charge", {endpoint.name for endpoint in ENDPOINTS}),
        ("perminute/admin", set()),
        ("", set()),
    ],
)
def test_a_token_reaches_the_routes_of_its_scopes(
    tokens: str, issuer: Issuer, scope: str, reached: set[str]
) -> None:
    # Whether a token may read reports is in its role, at which the function looks.
    assert let_in(tokens, issuer.token(scope)) == {*reached, "overview"}


def test_a_token_of_somebody_else_or_for_somebody_else_reaches_nothing(
    tokens: str, issuer: Issuer
) -> None:
    scope = "perminute/charge perminute/read"
    forged = issuer.token(scope, RSAKey.generate_key(2048, {"kid": "key"}))
    for token in (
        None,
        "no-token",
        forged,
        issuer.token(scope, aud="another"),
        issuer.token(scope, iss="http://127.0.0.1:1"),
        issuer.token(scope, exp=1),
    ):
        assert let_in(tokens, token) == set()
