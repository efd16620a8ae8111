"""The console of a stack: its page's requests become signed invocations of one function."""

from __future__ import annotations

import io
import json
import threading
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from report_stack import refuse, stack_that

from perminute_local.console.page import page_files
from perminute_local.console.server import LOOPBACK, ConsoleServer, Shown
from perminute_local.embedded_aws import environment
from perminute_local.reports.source import StackReports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest

USAGE = "/reports/organizations/contoso/usage?from=2026-11-01&to=2026-12-01&groupBy=day,legType"
STACK = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
<DescribeStacksResult><Stacks><member><StackName>s</StackName>
<CreationTime>2026-11-01T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>
<Outputs><member><OutputKey>ReadReportsFunctionArn</OutputKey><OutputValue>reports</OutputValue>
</member></Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""


@contextmanager
def console() -> Iterator[ConsoleServer]:
    with ConsoleServer(StackReports("s"), Shown("stack s", ()), page_files(None)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: ConsoleServer, target: str, **headers: str) -> tuple[int, Any]:
    sent = {"Perminute-Token": server.token}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = HTTPConnection(LOOPBACK, server.server_port)
    connection.request("GET", target, headers=sent)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_report_is_asked_of_the_function_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_that(monkeypatch, lambda _: {"rows": []})
    with console() as server:
        assert ask(server, USAGE) == (200, {"rows": []})
    period = {"from": "2026-11-01", "to": "2026-12-01", "groupBy": ["day", "legType"]}
    assert stack.asked == [{"operation": "usage", "organizationId": "contoso", **period}]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Perminute_Token": "guessed"}, 401),
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
    ],
)
def test_for_nobody_else_is_anything_asked_with_the_users_credentials(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], status: int
) -> None:
    stack = stack_that(monkeypatch, lambda _: {"rows": []})
    with console() as server:
        assert ask(server, USAGE, **headers)[0] == status
    assert stack.asked == []


@pytest.mark.parametrize("path", ["/organizations/contoso/calls", "/reports/organizations/contoso"])
def test_only_reports_are_asked_for(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    stack = stack_that(monkeypatch, lambda _: {})
    with console() as server:
        assert ask(server, path)[0] == 404
    assert stack.asked == []


def test_credentials_that_may_not_invoke_it_are_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "User: x is not authorized to perform: lambda:InvokeFunction on resource: reports"
    stack_that(monkeypatch, lambda _: refuse("AccessDeniedException", words))
    with console() as server:
        status, answer = ask(server, USAGE)
    assert (status, answer["error"]) == (403, "forbidden")
    assert "lambda:InvokeFunction" in answer["message"]


def test_what_is_sent_to_aws_is_signed_with_the_users_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(request)
        text = STACK if "cloudformation" in request.url else '{"rows": []}'
        raw = io.BytesIO(text.encode())
        monkeypatch.setattr(raw, "stream", raw.readlines, raising=False)
        return AWSResponse(request.url, 200, HTTPHeaders(), raw)

    session = boto3.Session("AKIDUSER", "secret", region_name="eu-west-1")
    session.events.register("before-send.*.*", answer)  # type: ignore[arg-type]
    monkeypatch.setattr(boto3, "client", session.client)
    with environment(AWS_EC2_METADATA_DISABLED="true"), console() as server:
        assert ask(server, USAGE) == (200, {"rows": []})
    signed = [str(request.headers["Authorization"]) for request in sent]
    assert ["Credential=AKIDUSER/" in one for one in signed] == [True, True]
    assert sent[-1].url.endswith("/functions/reports/invocations")
