"""Reports as they are sent: compressed, and with a tag that stays while nothing changes."""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec.json import encode

from perminute.api.http import http_response as error_response
from perminute.api.reports.documents import CsvDocument, LinkDocument
from perminute.domain.errors import Refused
from perminute.fields import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute.api.reports.documents import ReportDocument

MAX_ANSWER_BYTES = 6 * 1024**2 - 16_384
"""Lambda answers with 6 MB at most ("Lambda quotas"); headers and the JSON around are the rest."""

MIN_COMPRESSED_BYTES = 1_400
"""A shorter answer fits into one packet as it is."""

_GZIP = 31  # the window of zlib that makes it write a header of gzip
_LEVEL = 3  # half the CPU of level 6, for an eighth more bytes
_ACCEPTS_GZIP = re.compile(
    r"(^|,)\s*gzip\s*(;\s*q=(1(\.0*)?|0?\.\d*[1-9]\d*)\s*)?(,|$)", re.IGNORECASE
)


class Response(Message, frozen=True, kw_only=True):
    """What is sent to API Gateway."""

    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str]
    body: str = ""
    is_base64_encoded: bool = False

    def event(self) -> dict[str, Any]:
        """Write it as API Gateway reads it (payload 2.0)."""
        return {
            "statusCode": int(self.status),
            "headers": self.headers,
            "body": self.body,
            "isBase64Encoded": self.is_base64_encoded,
        }


def http_response(outcome: Message) -> dict[str, Any]:
    """Return what API Gateway is answered with: a report, or why there is none."""
    return outcome.event() if isinstance(outcome, Response) else error_response(outcome)


def response_of(document: ReportDocument, headers: Mapping[str, str]) -> Response:
    """Write a report for a caller who sent these headers. Raises `Refused` if it is too large."""
    as_of = encode(document.as_of)
    if isinstance(document, LinkDocument):
        # Every link is a new one, and expires.
        answered = {"cache-control": "no-store", "perminute-as-of": as_of.decode()}
        # A script cannot read where a browser is sent (fetch.spec.whatwg.org, "opaque-redirect
        # filtered response"), so it asks for the address itself.
        if "application/json" in headers.get("accept", ""):
            answered["content-type"] = "application/json"
            return Response(headers=answered, body=encode(document).decode())
        answered["location"] = document.location
        return Response(status=HTTPStatus.SEE_OTHER, headers=answered)
    if isinstance(document, CsvDocument):
        kind, body = "text/csv; charset=utf-8", document.csv.encode()
    else:
        kind, body = "application/json", encode(document)
    tag = _tag(document, body)
    answered = {
        "content-type": kind,
        # The caller alone may store it, and asks each time whether it is still right.
        "cache-control": "private, no-cache",
        "vary": "accept-encoding, authorization",
        "etag": tag,
        "perminute-as-of": as_of.decode(),
    }
    if _matches(headers.get("if-none-match", ""), tag):
        return Response(status=HTTPStatus.NOT_MODIFIED, headers=answered)
    accepted = headers.get("accept-encoding", "")
    if len(body) >= MIN_COMPRESSED_BYTES and _ACCEPTS_GZIP.search(accepted):
        text = b64encode(zlib.compress(body, _LEVEL, _GZIP)).decode()
        check_size(len(text))
        answered["content-encoding"] = "gzip"
        return Response(headers=answered, body=text, is_base64_encoded=True)
    text = body.decode()
    check_size(len(encode(text)))
    return Response(headers=answered, body=text)


def check_size(size: int) -> None:
    """Raise `Refused` if a function cannot answer with so many bytes."""
    if size > MAX_ANSWER_BYTES:
        megabytes = f"{size / 1024**2:.1f} MB, more than the 6 MB that can be sent"
        raise Refused(
            "answer",
            f"would have {megabytes}; ask for a shorter period or for fewer groups, or accept gzip",
        )


def _tag(document: ReportDocument, body: bytes) -> str:
    # Weak, since `asOf.at` differs: of JSON it is in the first field. CSV does not contain it.
    at = encode(document.as_of.at)
    content = body.replace(at, b"", 1) if not isinstance(document, CsvDocument) else body
    digest = sha256(b"%d\n%b" % (document.as_of.version, content)).hexdigest()
    return f'W/"{digest[:32]}"'


def _matches(if_none_match: str, tag: str) -> bool:
    known = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known
