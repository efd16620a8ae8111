"""Check that a request was sent by Twilio: www.twilio.com/docs/usage/security, validating requests.

The signature is the HMAC-SHA1, by the account's auth token, of the URL as Twilio called it and of
the form in the body. Of a JSON body the URL has the hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode

from perminute.sources.own_parameters import query_pairs

_URL = re.compile(r"(https?)(://[^/?#:]*)(:[0-9]*)?(.*)", re.IGNORECASE | re.DOTALL)
_PORTS = {"http": ":80", "https": ":443"}


def is_signed(signature: str, auth_token: str, url: str, body: bytes) -> bool:
    """Return whether `X-Twilio-Signature` is that of a request.

    `url` is the public one with its query, from configuration and never from the header `Host`,
    which anybody can set.
    """
    digest = query_of(url).get("bodySHA256")
    form = set[tuple[str, str]]()
    if digest is None:
        form.update(query_pairs(body.decode("utf-8", "surrogateescape")))
    elif not _are_equal(hashlib.sha256(body).hexdigest(), digest):
        return False
    text = "".join(f"{name}{value}" for name, value in sorted(form))
    # Twilio signs a URL with or without its port.
    return any(_are_equal(_signature(auth_token, of + text), signature) for of in _urls(url))


def query_of(url: str) -> dict[str, str]:
    """Return the parameters in the query of a URL."""
    return dict(query_pairs(url.partition("?")[2].partition("#")[0]))


def _urls(url: str) -> list[str]:
    match = _URL.fullmatch(url)
    if match is None:
        return [url]
    scheme, host, port, rest = match.groups()
    return [f"{scheme}{host}{rest}", f"{scheme}{host}{port or _PORTS[scheme.lower()]}{rest}"]


def _signature(auth_token: str, signed: str) -> str:
    content = signed.encode("utf-8", "surrogateescape")
    return b64encode(hmac.digest(auth_token.encode(), content, "sha1")).decode()


def _are_equal(one: str, other: str) -> bool:
    # Of texts, `compare_digest` takes ASCII only.
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))
