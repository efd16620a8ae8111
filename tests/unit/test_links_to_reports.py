"""A report that is a file is a redirection to it, and to a script the address itself."""

from __future__ import annotations

import json

import pytest

from perminute.api.reports.documents import AsOf, LinkDocument
from perminute.api.reports.responses import response_of

AS_OF = AsOf(at="2026-11-20T17:00:00Z", version=7)
LINK = LinkDocument(
    as_of=AS_OF, location="https://bucket.example/s.pdf", expires_at="2026-11-20T17:15:00Z"
)


@pytest.mark.parametrize("headers", [{}, {"accept": "*/*"}, {"accept": "application/pdf"}])
def test_a_link_leads_to_its_file(headers: dict[str, str]) -> None:
    answer = response_of(LINK, headers).event()
    assert (answer["statusCode"], answer["headers"]["location"]) == (303, LINK.location)
    assert answer["headers"]["cache-control"] == "no-store"


def test_who_asks_for_json_reads_the_address() -> None:
    answer = response_of(LINK, {"accept": "application/json"}).event()
    assert (answer["statusCode"], answer["headers"]["cache-control"]) == (200, "no-store")
    assert "location" not in answer["headers"]
    assert json.loads(answer["body"]) == {
        "asOf": {"at": "2026-11-20T17:00:00Z", "version": 7},
        "location": "https://bucket.example/s.pdf",
        "expiresAt": "2026-11-20T17:15:00Z",
    }
