"""A Microsoft Graph on loopback that misbehaves as a test wants, and the login before it."""

from __future__ import annotations

import json
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from perminute.adapters import graph
from perminute.adapters.graph import GraphClient, GraphHosts
from perminute.adapters.graph_credentials import GraphCredentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest import MonkeyPatch  # noqa: PT013 - a type

TENANT = "5f9f0b7e-2f3a-4c51-8d7b-6f1f0a9b2c11"
CLIENT_ID = "0a5c7c1e-93f4-4d52-a0c7-0d1f6b8e2a10"
CLIENT_SECRET = "not-a-real~secret"  # noqa: S105 - of a stub


@dataclass(frozen=True)
class Question:
    """A request as it came: `target` is path and query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(frozen=True)
class Answer:
    """What is answered: a document, or bytes as they are."""

    content: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    # Only so many bytes come, although more are promised; then the connection is closed.
    cut_after: int | None = None
    # The content comes over and over again, until the client has enough.
    endless: bool = False
    # Nothing comes until the test has ended.
    silent: bool = False

    @property
    def body(self) -> bytes:
        return (
            self.content
            if isinstance(self.content, bytes)
            else json.dumps(self.content).encode("utf-8", "surrogatepass")
        )


@dataclass
class GraphStub:
    """Gives the `answers` in order; after them, what the `routes` say of a path that they begin."""

    url: str = ""
    answers: deque[Answer] = field(default_factory=deque)
    routes: dict[str, Callable[[Question], Answer]] = field(default_factory=dict)
    # What Graph was asked, and how often there was a login.
    questions: list[Question] = field(default_factory=list)
    logins: list[Question] = field(default_factory=list)
    login_answers: deque[Answer] = field(default_factory=deque)
    # The tokens that are accepted; a test expires them by `tokens.clear()`.
    tokens: set[str] = field(default_factory=set)
    expires_in: int = 3599
    faults: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def page(self, items: Sequence[Any], **links: str) -> Answer:
        """A page of these items: `next_link="/v1.0/…"`, or `delta_link`, of this host."""
        names = {"next_link": "@odata.nextLink", "delta_link": "@odata.deltaLink"}
        return Answer(
            {
                "@odata.context": f"{self.url}/v1.0/$metadata",
                "@odata.count": len(items),
                "value": list(items),
                **{
                    names[name]: f"{self.url}{link}" if link.startswith("/") else link
                    for name, link in links.items()
                },
            }
        )

    @property
    def targets(self) -> list[str]:
        return [question.target for question in self.questions]

    def answer(self, question: Question) -> Answer:
        if question.path.endswith("/oauth2/v2.0/token"):
            return self._login(question)
        self.questions.append(question)
        token = question.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return Answer({"error": {"code": "InvalidAuthenticationToken", "message": "…"}}, 401)
        if self.answers:
            return self.answers.popleft()
        for path, route in self.routes.items():
            if question.path.startswith(path):
                return route(question)
        return Answer({"error": {"code": "UnknownError", "message": question.target}}, 404)

    def _login(self, question: Question) -> Answer:
        self.logins.append(question)
        if self.login_answers:
            return self.login_answers.popleft()
        token = f"token-{len(self.logins)}"
        self.tokens.add(token)
        return Answer(
            {"token_type": "Bearer", "expires_in": self.expires_in, "access_token": token}
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, stub: GraphStub, *args: Any) -> None:
        self._stub = stub
        super().__init__(*args)

    def log_message(self, *_: Any) -> None:
        """Write no log."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers.items())
        try:
            answer = self._stub.answer(Question(self.command, self.path, headers, body))
        except Exception as error:  # noqa: BLE001 - shown where the test ends
            self._stub.faults.append(repr(error))
            answer = Answer(status=599)
        try:
            self._write(answer)
        except OSError:
            self.close_connection = True  # the client had enough

    do_POST = do_GET  # noqa: N815 - as http.server names it

    def _write(self, answer: Answer) -> None:
        if answer.silent:
            self._stub.ended.wait()
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        if answer.endless:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        while answer.endless:
            self.wfile.write(answer.body)
        self.wfile.write(answer.body[: answer.cut_after])
        if answer.cut_after is not None:
            self.close_connection = True


@contextmanager
def graph_stub(monkeypatch: MonkeyPatch) -> Iterator[GraphStub]:
    """Serve a stub, and have all clouds be there."""
    stub = GraphStub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, stub))
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    for cloud in tuple(graph.CLOUDS):
        monkeypatch.setitem(graph.CLOUDS, cloud, GraphHosts(stub.url, stub.url))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
    assert stub.faults == []


class Pauses:
    """A clock that moves only while somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@contextmanager
def client_of(pauses: Pauses, tenant: str = TENANT) -> Iterator[GraphClient]:
    """A client of the stub, which pauses by a clock of its own."""
    credentials = GraphCredentials(tenant, CLIENT_ID, CLIENT_SECRET)
    client = GraphClient(credentials, sleep=pauses.sleep, clock=pauses.clock)
    try:
        yield client
    finally:
        client.close()
