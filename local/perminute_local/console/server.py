"""Serves the page and its reports on loopback, to the browser that knows the token.

Other pages that this browser has open, and other users of this machine, reach the port too. So the
token is asked for with each report, `Host` must name this server (a name that is bound anew to
127.0.0.1 does not), and a request that says that it comes of another page is refused. The token
stands in the fragment of the address, which no browser sends anywhere.
"""

from __future__ import annotations

import json
import re
import secrets
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote

from perminute.api.reports.endpoint import REPORTS
from perminute_local.console.page import POLICY
from perminute_local.reports.source import Question
from perminute_local.terminal import remark
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute_local.console.page import PageFile
    from perminute_local.reports.source import Answer

LOOPBACK = "127.0.0.1"
TOKEN_HEADER = "Perminute-Token"  # noqa: S105 - a name
_STATUSES = {
    "invalid": HTTPStatus.BAD_REQUEST,
    "forbidden": HTTPStatus.FORBIDDEN,
    "notFound": HTTPStatus.NOT_FOUND,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}
_PATH = re.compile(r"/reports/organizations/([^/]+)/([^/]+)")
_COUNTS = {"limit", "horizonDays", "months", "pool"}
_LISTS = {"groupBy", "licenses"}


class Source(Protocol):
    """Where reports come from."""

    def answer(self, question: Question) -> Answer:
        """Return the answer, or the error as the function returns it. Raises `WrongCall`."""
        ...


class Shown(NamedTuple):
    """What the page offers; without organizations it asks for one."""

    source: str
    organizations: tuple[str, ...]


class Reply(NamedTuple):
    """What is sent to the browser."""

    status: HTTPStatus
    kind: str
    body: bytes
    is_immutable: bool = False


class ConsoleServer(ThreadingHTTPServer):
    """The server of one run. Raises `WrongCall` if the port is taken."""

    daemon_threads = True

    def __init__(
        self, source: Source, shown: Shown, files: Mapping[str, PageFile], *, port: int = 0
    ) -> None:
        try:
            super().__init__((LOOPBACK, port), _Request)
        except OSError as error:
            msg = f"--port: {port} cannot be used: {error.strerror}; name another one"
            raise WrongCall(msg) from error
        self.token = secrets.token_urlsafe(24)
        self._source, self._shown, self._files = source, shown, files
        # Handlers are written for Lambda, which calls each instance with one event at a time.
        self._one_at_a_time = Lock()

    @property
    def host(self) -> str:
        """What `Host` must be."""
        return f"{LOOPBACK}:{self.server_port}"

    @property
    def address(self) -> str:
        """The address of the page, with the token."""
        return f"http://{self.host}/#token={self.token}"

    def reply(self, target: str, headers: Mapping[str, str]) -> Reply:
        """Answer a request for a path, perhaps with a query."""
        origin = headers.get("Origin")
        if headers.get("Host") != self.host or origin not in {None, f"http://{self.host}"}:
            return _error(HTTPStatus.FORBIDDEN, "forbidden", "the request is for another server")
        if headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
            return _error(HTTPStatus.FORBIDDEN, "forbidden", "the request comes of another page")
        path, _, query = target.partition("?")
        if not path.startswith(("/reports/", "/console.json")):
            return self._file(path)
        if not secrets.compare_digest(
            headers.get(TOKEN_HEADER, "").encode("utf-8", "replace"), self.token.encode()
        ):
            why = "open the address that perminute console has printed: its token is missing"
            return _error(HTTPStatus.UNAUTHORIZED, "forbidden", why)
        if path == "/console.json":
            return _json(HTTPStatus.OK, {**self._shown._asdict(), "reports": REPORTS})
        return self._report(path, query)

    def _file(self, path: str) -> Reply:
        file = self._files.get(path.removeprefix("/") or "index.html")
        if file is None:
            return _error(HTTPStatus.NOT_FOUND, "notFound", "there is no such file")
        return Reply(HTTPStatus.OK, *file)

    def _report(self, path: str, query: str) -> Reply:
        named = _PATH.fullmatch(path)
        if named is None or named[2] not in REPORTS:
            return _error(HTTPStatus.NOT_FOUND, "notFound", f"there are {', '.join(REPORTS)}")
        try:
            question = Question(named[2], unquote(named[1]), _parameters(query))
            with self._one_at_a_time:
                answer = self._source.answer(question)
        except ValueError as error:
            return _error(HTTPStatus.BAD_REQUEST, "invalid", str(error))
        except WrongCall as error:
            return _failed(str(error))
        status = HTTPStatus.OK
        if "error" in answer:
            status = _STATUSES.get(str(answer["error"]), HTTPStatus.INTERNAL_SERVER_ERROR)
        return _json(status, answer)


def _parameters(query: str) -> dict[str, object]:
    # As an invocation states them, while a query has only text.
    stated: dict[str, object] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in _COUNTS:
            if re.fullmatch("[0-9]{1,10}", text, re.ASCII) is None:
                msg = f"{name}: must be a whole number"
                raise ValueError(msg)
            stated[name] = int(text)
        else:
            stated[name] = text.split(",") if name in _LISTS else text
    return stated


def _failed(message: str) -> Reply:
    if "AccessDenied" in message or "not authorized" in message:
        return _error(HTTPStatus.FORBIDDEN, "forbidden", message)
    remark(f"perminute: {message}")
    return _error(HTTPStatus.BAD_GATEWAY, "aws", message)


def _json(status: HTTPStatus, document: object) -> Reply:
    return Reply(status, "application/json", json.dumps(document).encode())


def _error(status: HTTPStatus, error: str, message: str) -> Reply:
    return _json(status, {"error": error, "message": message})


class _Request(BaseHTTPRequestHandler):
    server: ConsoleServer
    server_version, sys_version = "perminute", ""

    def do_GET(self) -> None:
        # Their names are the same in upper and lower case.
        headers = {name.title(): str(value) for name, value in self.headers.items()}
        reply = self.server.reply(self.path, headers)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        kept = "private, max-age=31536000, immutable" if reply.is_immutable else "no-store"
        self.send_header("Cache-Control", kept)
        # The browser may have gone on to another month before it got this one.
        with suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Write nothing: a line of a log would have what the browser sent."""
