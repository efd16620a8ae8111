"""The console's server: who is answered, with what, and how a query reaches the reports."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from perminute.api.reports.endpoint import REPORTS
from perminute_local.cli import main
from perminute_local.console.page import page_files
from perminute_local.console.server import ConsoleServer, Shown
from perminute_local.reports.source import Question
from perminute_local.wrong_call import AwsFailed, WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator

OVERVIEW = "/reports/organizations/contoso/overview"


class Reports:
    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.result: dict[str, Any] | WrongCall = {"balance": "194.7081"}

    def answer(self, question: Question) -> dict[str, Any]:
        self.asked.append(question)
        if isinstance(self.result, WrongCall):
            raise self.result
        return self.result


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def server(reports: Reports) -> Iterator[ConsoleServer]:
    shown = Shown("replay of day", ("contoso", "fabrikam"))
    with ConsoleServer(reports, shown, page_files(None)) as server:
        yield server


def ask(server: ConsoleServer, target: str, **headers: str) -> tuple[int, Any]:
    sent = {"Host": server.host, "Perminute-Token": server.token}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    reply = server.reply(target, sent)
    return reply.status, json.loads(reply.body)


def test_a_report_is_answered_as_the_function_answers(
    server: ConsoleServer, reports: Reports
) -> None:
    assert ask(server, OVERVIEW) == (HTTPStatus.OK, {"balance": "194.7081"})
    assert reports.asked == [Question("overview", "contoso", {})]


def test_a_query_reaches_the_reports_as_an_invocation_states_it(
    server: ConsoleServer, reports: Reports
) -> None:
    ask(server, "/reports/organizations/a%20b/usage?groupBy=day,legType&limit=50&country=DE")
    parameters = {"groupBy": ["day", "legType"], "limit": 50, "country": "DE"}
    assert reports.asked == [Question("usage", "a b", parameters)]


def test_lists_and_counts_of_what_if_are_stated_as_such(
    server: ConsoleServer, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perminute_local.console.server.REPORTS", ("what-if",))
    path = "/reports/organizations/contoso/what-if?pool=90&licenses=subscription:adele,none:bo"
    ask(server, path)
    parameters = {"pool": 90, "licenses": ["subscription:adele", "none:bo"]}
    assert reports.asked == [Question("what-if", "contoso", parameters)]


def test_the_page_is_told_which_organizations_and_reports_there_are(server: ConsoleServer) -> None:
    shown = {"source": "replay of day", "organizations": ["contoso", "fabrikam"]}
    shown["reports"] = list(REPORTS)
    assert ask(server, "/console.json") == (HTTPStatus.OK, shown)


@pytest.mark.parametrize("target", [OVERVIEW, "/console.json"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Perminute-Token": ""}, HTTPStatus.UNAUTHORIZED),
        ({"Perminute-Token": "guessed"}, HTTPStatus.UNAUTHORIZED),
        ({"Perminute-Token": "é"}, HTTPStatus.UNAUTHORIZED),
        ({"Host": "evil.example"}, HTTPStatus.FORBIDDEN),
        ({"Host": "127.0.0.1"}, HTTPStatus.FORBIDDEN),
        ({"Origin": "https://evil.example"}, HTTPStatus.FORBIDDEN),
        ({"Origin": "null"}, HTTPStatus.FORBIDDEN),
        ({"Sec-Fetch-Site": "cross-site"}, HTTPStatus.FORBIDDEN),
    ],
)
def test_nobody_else_is_answered(
    server: ConsoleServer,
    reports: Reports,
    target: str,
    headers: dict[str, str],
    status: HTTPStatus,
) -> None:
    answered, document = ask(server, target, **headers)
    assert (answered, document["error"], reports.asked) == (status, "forbidden", [])


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"error": "invalid", "message": "month: x"}, HTTPStatus.BAD_REQUEST),
        ({"error": "notFound", "message": "x"}, HTTPStatus.NOT_FOUND),
        ({"error": "forbidden", "message": "x"}, HTTPStatus.FORBIDDEN),
        ({"error": "unavailable", "message": "x"}, HTTPStatus.SERVICE_UNAVAILABLE),
        ({"error": "internal", "message": "x"}, HTTPStatus.INTERNAL_SERVER_ERROR),
        (AwsFailed("the network is down"), HTTPStatus.BAD_GATEWAY),
        (AwsFailed("AccessDeniedException: lambda:InvokeFunction"), HTTPStatus.FORBIDDEN),
    ],
)
def test_an_error_keeps_its_meaning(
    server: ConsoleServer,
    reports: Reports,
    result: dict[str, Any] | WrongCall,
    status: HTTPStatus,
) -> None:
    reports.result = result
    assert ask(server, OVERVIEW)[0] is status


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/reports/organizations/contoso/secrets", HTTPStatus.NOT_FOUND),
        ("/reports/organizations/contoso/calls/x", HTTPStatus.NOT_FOUND),
        ("/../server.py", HTTPStatus.NOT_FOUND),
        ("/static/../../server.py", HTTPStatus.NOT_FOUND),
        ("/reports/organizations/contoso/calls?limit=many", HTTPStatus.BAD_REQUEST),
        ("http://[", HTTPStatus.NOT_FOUND),
    ],
)
def test_nothing_else_is_there(
    server: ConsoleServer, reports: Reports, target: str, status: HTTPStatus
) -> None:
    assert (ask(server, target)[0], reports.asked) == (status, [])


def test_the_page_is_served_with_a_policy_that_allows_neither_inline_scripts_nor_eval(
    server: ConsoleServer,
) -> None:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with urlopen(f"http://{server.host}/") as answered:
            page, headers = answered.read().decode(), answered.headers
        post = Request(f"http://{server.host}/", data=b"x")
        with pytest.raises(OSError, match="501"):
            urlopen(post)  # noqa: S310 - loopback
    finally:
        server.shutdown()
        thread.join()
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert '<script type="module" src="/main.js">' in page


def test_a_port_that_is_taken_is_refused_with_its_number(server: ConsoleServer) -> None:
    with pytest.raises(WrongCall, match=f"--port: {server.server_port} cannot be used: "):
        ConsoleServer(Reports(), Shown("x", ()), {}, port=server.server_port)


@pytest.mark.parametrize("words", [[], ["examples/day", "--stack", "s"]])
def test_the_command_needs_a_folder_or_a_stack(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["console", *words]) == 2
    message = "perminute: needs either DIR, a folder of events, or --stack NAME, and not both\n"
    assert capsys.readouterr().err == message
