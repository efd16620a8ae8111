"""Status callbacks of Twilio, and events of its Event Streams: both are signed.

All records of a request must be of an account by whose token it is signed: the token of one
customer vouches for no other's calls.
"""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

from perminute.api.webhooks.requests import Doubt, NotVerified, PostedRecords
from perminute.sources import values
from perminute.sources.json_files import json_documents
from perminute.sources.outcomes import Rejected
from perminute.sources.own_parameters import query_pairs
from perminute.sources.stated_call import InputFile
from perminute.sources.twilio_signature import is_signed, query_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.api.webhooks.requests import WebhookRequest
    from perminute.formats.webhook_secret import WebhookSecret

    Tokens = Mapping[str, tuple[str, ...]]

_ACCOUNT = "AccountSid"
# What may be logged of a name that anybody may have sent.
_SID = re.compile(r"AC[0-9A-Za-z]{1,32}", re.ASCII)


def read_callback(
    request: WebhookRequest, content: bytes, url: str, secret: WebhookSecret
) -> PostedRecords:
    """Verify a status callback; `url` is the one that was called. Raises `NotVerified`."""
    body = content.decode("utf-8", "surrogateescape")
    # Of several values the last, as the reader of callbacks takes it.
    account = dict(query_pairs(body)).get(_ACCOUNT, "")
    _signers(request, content, url, _tokens_of(account, secret))
    # Its signature is checked, and not stored: the reader would need the token for it.
    line = {"method": "POST", "url": url, "headers": {}, "body": body}
    return PostedRecords("twilio-callback", json.dumps(line).encode(), account)


def read_events(
    request: WebhookRequest, content: bytes, url: str, secret: WebhookSecret
) -> PostedRecords:
    """Verify a list of events; `url` is the one that was called. Raises `NotVerified`."""
    if "bodySHA256" not in query_of(url):
        # Without it the body would be taken for a form, whose spelling is not signed.
        raise NotVerified(Doubt.NO_HASH, _only(secret.twilio))
    # Before anything of it is read: what somebody damaged on purpose takes seconds.
    signers = _signers(request, content, url, secret.twilio)
    accounts = set(_accounts(content))
    if len(accounts) > 1:
        raise NotVerified(Doubt.SEVERAL_ACCOUNTS)
    # An event that tests a sink names none.
    account = accounts.pop() if accounts else signers[0]
    tokens = _tokens_of(account, secret)
    if account not in signers:
        raise NotVerified(Doubt.WRONG_SIGNATURE, _only(tokens))
    return PostedRecords("twilio-event-stream", content, account)


def _accounts(content: bytes) -> Iterator[str]:
    # Read by what reads the events later, so that the two never see different ones.
    for _, event, fault in json_documents(InputFile("body", io.BytesIO(content))):
        if fault:
            continue
        try:
            request = values.nested(values.nested(event, "data"), "request")
            form = values.nested(request, "parameters")
            account = values.identifier(form, _ACCOUNT)
        except Rejected:
            continue
        if account:
            yield account


def _tokens_of(account: str, secret: WebhookSecret) -> Tokens:
    tokens = secret.twilio.get(account)
    if tokens is None:
        known = account if _SID.fullmatch(account) else ""
        raise NotVerified(Doubt.UNKNOWN_ACCOUNT, known)
    return {account: tokens}


def _signers(request: WebhookRequest, content: bytes, url: str, tokens: Tokens) -> Sequence[str]:
    """Return the accounts by whose tokens a request is signed. Raises `NotVerified`."""
    signature = request.header("x-twilio-signature")
    # All are tried, so that how long it takes says nothing.
    signers = [
        account
        for account, some in tokens.items()
        for token in some
        if is_signed(signature, token, url, content)
    ]
    if not signers:
        raise NotVerified(Doubt.WRONG_SIGNATURE if signature else Doubt.NOT_SIGNED, _only(tokens))
    return signers


def _only(tokens: Tokens) -> str:
    return next(iter(tokens)) if len(tokens) == 1 else ""
