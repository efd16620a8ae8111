"""The page of a stack signs in by OpenID Connect, with an identity provider that a test plays."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


CLAIMS = {"organizationId": "contoso", "role": "reader", "sub": "anna"}
TOKEN = f"e30.{base64url(json.dumps(CLAIMS).encode())}.signature"


class Provider:
    """Has an issuer below the page's own address, which the local policy allows."""

    def __init__(self, address: str) -> None:
        self.base, self.token = address.split("/#token=")
        self.asked: dict[str, str] = {}
        self.bearers: set[str | None] = set()
        self.exchanged: list[dict[str, str]] = []

    def attach(self, page: Page) -> None:
        issuer = f"{self.base}/idp"
        sign_in = {"issuer": issuer, "clientId": "console", "scope": "openid"}
        sign_in["organizationClaim"] = "organizationId"
        settings = {"source": "stack s", "organizations": [], "reports": [], "signIn": sign_in}
        known = {"authorization_endpoint": f"{issuer}/go", "token_endpoint": f"{issuer}/token"}
        page.route("**/console.json", lambda route: route.fulfill(json=settings))
        page.route("**/idp/.well-known/*", lambda route: route.fulfill(json=known))
        page.route("**/idp/go?*", lambda route: route.fulfill(body="who are you?"))
        page.route("**/idp/token", self._exchange)
        page.route("**/reports/**", self._report)

    def _exchange(self, route: Route) -> None:
        self.exchanged.append(_only(route.request.post_data or ""))
        route.fulfill(json={"access_token": TOKEN, "token_type": "Bearer"})

    def _report(self, route: Route) -> None:
        headers = route.request.headers
        self.bearers.add(headers.get("authorization"))
        route.continue_(headers={**headers, "perminute-token": self.token})


def _only(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


def test_it_signs_in_with_a_proof_and_keeps_the_token_in_memory(
    open_page: Callable[..., Page], address: str
) -> None:
    provider = Provider(address)
    page = open_page(provider.attach, fragment="&ledger")
    page.wait_for_url("**/idp/go?*")
    asked = _only(urlsplit(page.url).query)
    assert (asked["response_type"], asked["client_id"]) == ("code", "console")
    assert asked["redirect_uri"] == f"{provider.base}/"

    page.goto(f"{provider.base}/?code=c-1&state={asked['state']}")
    expect(page.locator("#ledger")).to_be_focused()
    (exchanged,) = provider.exchanged
    proof = hashlib.sha256(exchanged["code_verifier"].encode()).digest()
    assert (asked["code_challenge_method"], asked["code_challenge"]) == ("S256", base64url(proof))
    assert (exchanged["code"], exchanged["client_id"]) == ("c-1", "console")
    assert provider.bearers == {f"Bearer {TOKEN}"}
    assert page.url == f"{provider.base}/#ledger"
    kept: Any = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert TOKEN not in kept
    assert exchanged["code_verifier"] not in kept


def test_a_code_that_was_not_asked_for_is_not_used(
    open_page: Callable[..., Page], address: str
) -> None:
    provider = Provider(address)
    page = open_page(provider.attach)
    page.wait_for_url("**/idp/go?*")
    page.goto(f"{provider.base}/?code=stolen&state=guessed")
    page.wait_for_url("**/idp/go?*")
    assert provider.exchanged == []
    assert provider.bearers == set()


def test_who_cannot_sign_in_reads_why(open_page: Callable[..., Page], address: str) -> None:
    provider = Provider(address)
    page = open_page(provider.attach)
    page.wait_for_url("**/idp/go?*")
    page.goto(f"{provider.base}/?error=access_denied&error_description=not+assigned")
    expect(page.get_by_role("alert")).to_contain_text("signing in failed: not assigned")
    expect(page.locator("#figures")).to_be_hidden()
