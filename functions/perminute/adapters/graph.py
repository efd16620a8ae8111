"""Microsoft Graph over HTTPS: an application that reads the lists of one tenant.

The application logs in by its secret (learn.microsoft.com/graph/auth-v2-service). Graph is trusted
as little as anybody: an answer has at most `MAX_PAGE_BYTES`, a list at most `MAX_PAGES`, no page
comes twice, and the token goes to no other host. No message contains what was answered, but for
codes: they are logged.
"""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

from msgspec import DecodeError, Raw, Struct, field
from msgspec.json import Decoder
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from perminute.domain.errors import Unavailable
from perminute.ports.graph import GraphLinkExpired, GraphPage, GraphRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from urllib3 import BaseHTTPResponse

    from perminute.adapters.graph_credentials import GraphCredentials

MAX_PAGE_BYTES = 16 * 1024 * 1024
"""What a page may have: 1,000 rows of calls, the most that Graph writes, have 1 MB."""

MAX_PAGES = 20_000
"""How many pages a list may have: 20 million calls."""

MAX_ATTEMPTS = 6
"""How often a page is asked for, as long as Graph is throttling or failing."""

MAX_PAUSE_SECONDS = 300
"""The longest pause that Graph may ask for: whoever asks for more is asked at another time."""

# Without `Retry-After`, as Microsoft recommends: exponentially longer (learn.microsoft.com/graph/
# throttling). The 1st, 2nd, 3rd … pause lasts 1, 2, 4 … s.
_FIRST_PAUSE_SECONDS, _LONGEST_OWN_PAUSE_SECONDS = 1, 30
_CONNECT_SECONDS, _READ_SECONDS = 5, 60
# An answer that comes in drops would never exceed the time between two of them.
_ANSWER_SECONDS = 180
# A token that ends while a request is on its way is refused.
_RENEW_BEFORE_SECONDS = 120
_CHUNK_BYTES = 64 * 1024

_UNAUTHORIZED, _GONE, _THROTTLED = 401, 410, 429
_TRANSIENT = {408, _THROTTLED, 500, 502, 503, 504}
_OK = 200
_CODE = re.compile(r"[A-Za-z0-9_.]{1,80}", re.ASCII)
_REMEDIES = {
    7000215: "the client secret is wrong: store its value, not its id",
    7000222: "the client secret has expired: make a new one and store it",
    700016: "the tenant does not know the application: check clientId and tenant",
    90002: "there is no such tenant in this cloud: check tenant and cloud",
    900023: "the tenant is neither a GUID nor a domain",
}

T = TypeVar("T")


class GraphHosts(NamedTuple):
    """Where the login and Graph of one of Microsoft's clouds are, as scheme and host."""

    login: str
    graph: str


CLOUDS: dict[str, GraphHosts] = {
    # learn.microsoft.com/graph/deployments
    "global": GraphHosts("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "usGov": GraphHosts("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    "usGovDoD": GraphHosts("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
}


class _Page(Struct):
    value: list[Raw]
    next_link: str | None = field(default=None, name="@odata.nextLink")
    delta_link: str | None = field(default=None, name="@odata.deltaLink")


class _Token(Struct):
    access_token: str
    expires_in: int


class _Refusal(Struct):
    # Of the login: {"error": "invalid_client", "error_codes": [7000215]}; of Graph: {"error":
    # {"code": "Forbidden"}}.
    error: Raw = Raw(b"null")
    error_codes: list[int] = []


class _GraphError(Struct):
    code: str = ""


class _Answer(NamedTuple):
    status: int
    retry_after: str
    content: bytes


class _TryAgainError(Exception):
    def __init__(self, why: str, pause_seconds: float | None = None) -> None:
        super().__init__(why)
        self.pause_seconds = pause_seconds


_read_page = Decoder(_Page).decode
_read_token = Decoder(_Token).decode
_read_refusal = Decoder(_Refusal).decode
_read_graph_error = Decoder(_GraphError).decode
_read_text = Decoder(str).decode


class GraphClient:
    """`Graph` over HTTPS for one tenant; it logs in when it is first asked."""

    def __init__(
        self,
        credentials: GraphCredentials,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        # `now` is only compared with dates that Graph asks to wait for.
        self._credentials = credentials
        self._hosts = CLOUDS[credentials.cloud]
        self._sleep, self._clock, self._now = sleep, clock, now
        self._http = PoolManager(maxsize=1)
        self._token, self._token_until = "", -math.inf

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._http.clear()

    def pages(
        self, place: str, *, until: float = math.inf, headers: Mapping[str, str] | None = None
    ) -> Iterator[GraphPage]:
        url: str | None = f"{self._hosts.graph}{place}" if place.startswith("/") else place
        seen = set[str]()
        while url is not None:
            self._check_link(url, seen)
            page = self._page(url, headers or {}, until)
            yield GraphPage(tuple(map(bytes, page.value)), page.delta_link, page.next_link)
            url = page.next_link

    def _check_link(self, url: str, seen: set[str]) -> None:
        if not _is_at(url, self._hosts.graph):
            msg = (
                f"Graph names a page that is not at {self._hosts.graph}; it is not read, because "
                "the token must go to no other host"
            )
            raise Unavailable(msg)
        if url in seen:
            msg = f"Graph names a page again that was read before, after {len(seen)} pages"
            raise Unavailable(msg)
        if len(seen) == MAX_PAGES:
            msg = f"Graph's list has more than {MAX_PAGES} pages; ask for a shorter period"
            raise Unavailable(msg)
        seen.add(url)

    def _page(self, url: str, headers: Mapping[str, str], until: float) -> _Page:
        def ask() -> _Page:
            answer = self._asked_with_token(url, headers, until)
            if answer.status != _OK:
                raise _refusal(answer, "Graph", _graph_code)
            return _decoded(_read_page, answer.content)

        return self._trying("Graph", ask, until)

    def _asked_with_token(self, url: str, headers: Mapping[str, str], until: float) -> _Answer:
        token = self._valid_token(until)
        answer = self._ask("GET", url, until, {**headers, "Authorization": f"Bearer {token}"})
        if answer.status == _UNAUTHORIZED:
            # It has ended before its time, or was withdrawn: a new one is accepted, or none is.
            self._token_until = -math.inf
            token = self._valid_token(until)
            answer = self._ask("GET", url, until, {**headers, "Authorization": f"Bearer {token}"})
        return answer

    def _valid_token(self, until: float) -> str:
        if self._clock() >= self._token_until:
            # Within the attempts for a page, of which each failure here takes all that are left.
            token = self._trying("Microsoft's login", lambda: self._new_token(until), until)
            self._token = token.access_token
            self._token_until = self._clock() + token.expires_in - _RENEW_BEFORE_SECONDS
        return self._token

    def _new_token(self, until: float) -> _Token:
        credentials = self._credentials
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
            "scope": f"{self._hosts.graph}/.default",
        }
        answer = self._ask(
            "POST",
            f"{self._hosts.login}/{credentials.tenant}/oauth2/v2.0/token",
            until,
            {"Content-Type": "application/x-www-form-urlencoded"},
            urlencode(form).encode(),
        )
        if answer.status != _OK:
            raise _refusal(answer, "Microsoft's login", _login_code)
        return _decoded(_read_token, answer.content)

    def _trying(self, whom: str, ask: Callable[[], T], until: float) -> T:
        # Not by urllib3's `Retry`, which pauses without looking at a deadline.
        pause_seconds: float = _FIRST_PAUSE_SECONDS
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return ask()
            except _TryAgainError as failed:
                wanted = failed.pause_seconds
                pause = pause_seconds if wanted is None else wanted
                if attempt == MAX_ATTEMPTS:
                    msg = f"{whom} {failed}, {attempt} times in a row"
                    raise Unavailable(msg) from failed
                if pause > MAX_PAUSE_SECONDS or self._clock() + pause >= until:
                    msg = f"{whom} {failed}; there is no time to wait {pause:.0f} s and ask again"
                    raise Unavailable(msg) from failed
            self._sleep(pause)
            pause_seconds = min(2 * pause_seconds, _LONGEST_OWN_PAUSE_SECONDS)
        raise AssertionError(whom)

    def _ask(
        self, method: str, url: str, until: float, headers: Mapping[str, str], body: bytes = b""
    ) -> _Answer:
        left = until - self._clock()
        if left <= 0:
            msg = "no time was left to ask Graph"
            raise Unavailable(msg)
        try:
            response = self._http.request(
                method,
                url,
                headers={"Accept": "application/json", "User-Agent": "perminute", **headers},
                body=body or None,
                timeout=Timeout(connect=min(_CONNECT_SECONDS, left), read=min(_READ_SECONDS, left)),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                content = self._content(response, min(until, self._clock() + _ANSWER_SECONDS))
            finally:
                response.close()
                response.release_conn()
        except HTTPError as error:
            # The name of the error alone: its text repeats the address.
            why = f"did not answer as it should ({type(error).__name__})"
            raise _TryAgainError(why) from error
        answer = _Answer(response.status, response.headers.get("Retry-After", ""), content)
        if answer.status in _TRANSIENT:
            why = f"answered {answer.status}"
            raise _TryAgainError(why, _pause_seconds(answer.retry_after, self._now()))
        return answer

    def _content(self, response: BaseHTTPResponse, until: float) -> bytes:
        content = bytearray()
        # Not `read(n)`, which waits until all of so many bytes have come.
        while chunk := response.read1(_CHUNK_BYTES):
            content += chunk
            if len(content) > MAX_PAGE_BYTES:
                msg = f"Graph's answer is larger than {MAX_PAGE_BYTES // 1024**2} MB"
                raise Unavailable(msg)
            if self._clock() >= until:
                msg = "Graph's answer did not come to its end in time"
                raise Unavailable(msg)
        return bytes(content)


def _is_at(url: str, base: str) -> bool:
    try:
        parts, ours = urlsplit(url), urlsplit(base)
    except ValueError:
        return False
    # The whole authority is compared: also a user, and another port, are another place. A backslash
    # or a space is read by some as the end of the host.
    strange = re.search(r"[\s\\\x00-\x20\x7f-\U0010ffff]", url)
    return strange is None and (parts.scheme, parts.netloc) == (ours.scheme, ours.netloc)


def _decoded(read: Callable[[bytes], T], content: bytes) -> T:
    try:
        return read(content)
    except (DecodeError, UnicodeError, RecursionError) as error:
        # Cut off, or a page of a proxy.
        why = "answered with something else than what was asked for"
        raise _TryAgainError(why) from error


def _refusal(answer: _Answer, whom: str, code_of: Callable[[_Refusal], str]) -> GraphRefused:
    try:
        code = code_of(_read_refusal(answer.content))
    except (DecodeError, UnicodeError, RecursionError):
        code = ""
    msg = f"{whom} refused: status {answer.status}{code and f', {code}'}"
    kind = GraphLinkExpired if answer.status == _GONE else GraphRefused
    return kind(msg, status=answer.status, code=code)


def _graph_code(refusal: _Refusal) -> str:
    code = _read_graph_error(refusal.error).code
    return code if _CODE.fullmatch(code) else ""


def _login_code(refusal: _Refusal) -> str:
    code = _read_text(refusal.error)
    number = refusal.error_codes[0] if refusal.error_codes else 0
    # https://login.microsoftonline.com/error?code=… explains each.
    names = [code if _CODE.fullmatch(code) else "", f"AADSTS{number}" if number else ""]
    remedy = _REMEDIES.get(number)
    return " ".join(filter(None, names)) + (f": {remedy}" if remedy else "")


def _pause_seconds(retry_after: str, now: datetime) -> float | None:
    """Return for how long to wait; None if that is not said (RFC 9110 §10.2.3)."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
