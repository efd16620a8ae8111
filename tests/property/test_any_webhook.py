"""Whatever is posted is answered, and what differs from what was signed is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st
from webhooks import CALLBACK, CDR, EVENTS, Received, body_of, sample, with_body

from perminute import sqs
from perminute.api.webhooks.serving import ROUTES
from perminute.application.record_messages import SentRecords
from perminute.events.records import parse_records_message
from perminute.parsing import is_text

texts = st.text(st.characters(codec=None), max_size=30)
headers = st.dictionaries(
    st.sampled_from(["authorization", "x-twilio-signature", "content-type"]) | texts,
    texts | st.sampled_from(["Basic", "Bearer k-2", "Basic Og==", "Basic /////w=="]),
    max_size=3,
)


@given(
    route=st.sampled_from(sorted(ROUTES)),
    content=st.binary(max_size=60)
    | st.sampled_from([body_of(sample(n)) for n in (CALLBACK, EVENTS)]),
    sent=headers,
    query=texts,
)
def test_any_bytes_are_answered(
    route: str, content: bytes, sent: dict[str, str], query: str
) -> None:
    received = Received()
    event = with_body(sample(CDR), content)
    event |= {"routeKey": route, "headers": sent, "rawQueryString": query}
    is_let_in = route.endswith("/cdr") and sent.get("authorization") == "Bearer k-2"
    status = received.status(event)
    if not is_text(query):
        # API Gateway sends none that is not.
        assert status == 400
        return
    assert status == (204 if is_let_in else 403)
    assert len(received.messages) == is_let_in


@st.composite
def changed(draw: st.DrawFn, text: str) -> str:
    """A text of which one character is another, missing or more."""
    at = draw(st.integers(0, len(text) - 1))
    letter = draw(st.sampled_from(["", "0", "&", "=", "x", "/", "?"]))
    return text[:at] + letter + text[at + draw(st.integers(0, 1)) :]


def signed_text(body: str) -> str:
    """What Twilio signs of a form: its encoding and its order are not in it."""
    pairs = sorted(set(parse_qsl(body, keep_blank_values=True)))
    return "".join(f"{name}{value}" for name, value in pairs)


@given(body=changed(body_of(sample(CALLBACK)).decode()))
def test_a_changed_form_is_refused(body: str) -> None:
    received = Received()
    is_same = signed_text(body) == signed_text(body_of(sample(CALLBACK)).decode())
    status = received.status(with_body(sample(CALLBACK), body.encode()))
    # Names and values are signed without a boundary: a form may differ and be signed alike. Its
    # account cannot: then there is no token.
    assert status == 403 or is_same


@given(query=changed(sample(CALLBACK)["rawQueryString"]))
def test_a_changed_query_is_refused(query: str) -> None:
    event = sample(CALLBACK)
    is_same = query == event["rawQueryString"]
    assert Received().status(event | {"rawQueryString": query}) == (204 if is_same else 403)


@given(body=changed(body_of(sample(EVENTS)).decode()))
def test_changed_events_are_refused(body: str) -> None:
    event = sample(EVENTS)
    is_same = body == event["body"]
    assert Received().status(event | {"body": body}) == (204 if is_same else 403)


@given(signature=changed(sample(CALLBACK)["headers"]["x-twilio-signature"]))
def test_a_changed_signature_is_refused(signature: str) -> None:
    event = sample(CALLBACK)
    sent = event["headers"] | {"x-twilio-signature": signature}
    is_same = sent == event["headers"]
    assert Received().status(event | {"headers": sent}) == (204 if is_same else 403)


@given(content=st.binary(max_size=200))
def test_what_is_let_in_is_queued_byte_by_byte(content: bytes) -> None:
    received = Received()
    assert received.status(with_body(sample(CDR), content)) == 204
    [message] = received.messages
    sent = parse_records_message(message, sqs.Received(None, datetime.now(UTC))).content
    assert isinstance(sent, SentRecords)
    assert sent.content == content
