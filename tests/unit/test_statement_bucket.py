"""Where statements are kept, and how one function asks another for one."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.rendering_function import LambdaStatementRenderer
from perminute.adapters.statement_bucket import S3StatementBucket, object_key
from perminute.bootstrap.render_statements import LINKED
from perminute.domain.errors import Unavailable
from perminute.domain.pools.pools import Month
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.reporting.statement import Basis
from perminute.ports.statements import StatementKey, StatementLink

NOW = datetime(2026, 12, 2, 6, 15, tzinfo=UTC)
KEY = StatementKey("contoso", Month(2026, 11), Basis.STATED)


def key_of(organization_id: str) -> str:
    return object_key(KEY._replace(organization_id=organization_id), "pdf")


@given(one=st.text(min_size=1, max_size=MAX_ID_LENGTH), other=st.text(min_size=1, max_size=20))
def test_each_organization_has_keys_of_its_own_that_s3_takes(one: str, other: str) -> None:
    key = key_of(one)
    assert len(key.encode()) <= 1_024
    assert key.count("/") == 2
    assert key.isascii()
    assert (key == key_of(other)) == (one == other)


def test_the_longest_id_is_named_by_a_digest() -> None:
    assert key_of("\N{GRINNING FACE}" * MAX_ID_LENGTH).startswith("sha256=")
    assert key_of("a/b c") == "a%2Fb%20c/2026-11/statement-stated.pdf"


def test_a_link_lasts_a_quarter_of_an_hour() -> None:
    signed: list[tuple[Any, ...]] = []

    def sign(*asked: Any, **more: Any) -> str:
        signed.append((*asked, more))
        return "https://signed"

    client: Any = SimpleNamespace(generate_presigned_url=sign)
    bucket = S3StatementBucket(lambda: client, "statements", clock=lambda: NOW)
    assert bucket.link(KEY, "pdf") == ("https://signed", NOW + timedelta(minutes=15))
    place = {"Bucket": "statements", "Key": "contoso/2026-11/statement-stated.pdf"}
    assert signed == [("get_object", {"Params": place, "ExpiresIn": 900})]


def test_a_link_leads_to_the_region_of_the_bucket() -> None:
    session = Session()
    session.set_credentials("id", "secret")
    client: Any = session.create_client("s3", region_name="eu-central-1", config=LINKED)
    location, _ = S3StatementBucket(lambda: client, "statements").link(KEY, "pdf")
    place = "https://statements.s3.eu-central-1.amazonaws.com/contoso/2026-11/statement-stated.pdf"
    assert location.startswith(f"{place}?X-Amz-Algorithm=AWS4-HMAC-SHA256&")


def renderer(answer: object) -> LambdaStatementRenderer:
    def invoke(**asked: Any) -> dict[str, Any]:
        assert json.loads(asked["Payload"]) == {
            "operation": "renderStatement",
            "organizationId": "contoso",
            "month": "2026-11",
            "basis": "stated",
        }
        if isinstance(answer, Exception):
            raise answer
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    client: Any = SimpleNamespace(invoke=invoke)
    return LambdaStatementRenderer(lambda: client, "render")


def test_a_statement_that_was_made_is_where_the_function_says() -> None:
    answer = {
        "asOf": {"at": "2026-12-02T06:15:00Z", "version": 7},
        "location": "https://signed",
        "expiresAt": "2026-12-02T06:30:00Z",
    }
    made = StatementLink("https://signed", NOW + timedelta(minutes=15), 7)
    assert renderer(answer).render(KEY) == made


@pytest.mark.parametrize(
    "answer",
    [
        {"errorMessage": "2026-12-02 Task timed out after 300.00 seconds"},
        {"error": "unavailable", "message": "…"},
        {"asOf": {"version": 7}, "location": "https://signed", "expiresAt": "soon"},
        [],
        ReadTimeoutError(endpoint_url="https://lambda"),
    ],
)
def test_whatever_the_function_answers_instead_is_no_statement_just_now(answer: object) -> None:
    with pytest.raises(Unavailable):
        renderer(answer).render(KEY)
