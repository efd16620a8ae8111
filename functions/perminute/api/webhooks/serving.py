"""From a posted request to a message of the queue of call records, and its answer.

A sender gets 2xx once SQS has confirmed its records, and not before. What is in them is read
later, by `ingest_records`, which also keeps what is damaged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.api.http import NotServed, error_document, http_response, read_request, request_id_of
from perminute.api.webhooks.freeswitch import read_cdr
from perminute.api.webhooks.requests import NotVerified, WebhookRequest
from perminute.api.webhooks.twilio import read_callback, read_events
from perminute.application.correlation import caused_by, correlation_id
from perminute.domain.errors import Refused, SecretUnreadable, Unavailable
from perminute.observability import count, logger
from perminute.parsing import check_text
from perminute.sources.stated_call import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.api.webhooks.requests import PostedRecords
    from perminute.formats.webhook_secret import WebhookSecret
    from perminute.ports.secrets import Secret

    Read = Callable[[WebhookRequest, bytes, str, WebhookSecret], PostedRecords]

MAX_BODY_BYTES = 190 * 1024
"""In base64 it fits into a message of 256 KB, with all that is beside it."""

MAX_MESSAGE_BYTES = 256 * 1024
"""Of SQS (AWS: "Amazon SQS message quotas"; it takes more by now)."""

ROUTES: Mapping[str, Read] = {
    "POST /webhooks/twilio/callback": read_callback,
    "POST /webhooks/twilio/events": read_events,
    "POST /webhooks/freeswitch/cdr": read_cdr,
}
_METRICS: dict[type[Exception], str] = {
    NotVerified: "WebhooksForbidden",
    NotServed: "WebhooksInvalid",
    Refused: "WebhooksInvalid",
    Unavailable: "WebhooksNotQueued",
}


class _TooLarge(NotServed):
    """A body that no message can contain."""

    def __init__(self) -> None:
        kilobytes = MAX_BODY_BYTES // 1024
        super().__init__("tooLarge", f"body: must have {kilobytes} KB at most (docs/webhooks.md)")


class Webhooks(NamedTuple):
    """What serves webhooks."""

    secret: Secret[WebhookSecret]
    write: Callable[[str, str, bytes, SourceOptions], str]  # `events.records.records_body`
    send: Callable[[str], None]  # a message to the queue of call records; raises `Unavailable`
    # The public one, from configuration: the header Host is whatever a sender writes.
    base_url: str

    def answer(self, event: Any, _context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON can say
        """Answer a request that came over HTTP."""
        request = event if isinstance(event, dict) else {}
        with caused_by(request_id_of(request)):
            return self._answer(request)

    def _answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        named = event.get("routeKey")
        route = named if isinstance(named, str) and named in ROUTES else "none"
        try:
            self._queue(event)
        except (NotVerified, NotServed, Refused, Unavailable) as error:
            _report_unanswered(route, error)
            if isinstance(error, NotVerified):
                # Which part it was is for the operator's log alone.
                error = NotServed("forbidden", "the request is not signed or authorized")
            return http_response(error_document(error))
        # No line of the log: API Gateway writes one of each request.
        count("WebhooksQueued", 1)
        return {"statusCode": 204, "headers": {"cache-control": "no-store"}}

    def _queue(self, event: Mapping[str, Any]) -> None:
        request = read_request(event, WebhookRequest)
        check_text(request.raw_query_string)
        read = ROUTES.get(request.route_key)
        if read is None:
            raise NotServed("notFound", "there is no such route; only POST is served")
        content = request.content()
        # First of all: checking a signature takes time that grows with the body.
        if len(content) > MAX_BODY_BYTES:
            raise _TooLarge
        path = request.route_key.removeprefix("POST ")
        records = self._verified(read, request, content, path)
        at = f"{path} {correlation_id()}".strip()
        options = SourceOptions(tenant=records.tenant)
        message = self.write(records.source, at, records.content, options)
        if len(message) > MAX_MESSAGE_BYTES:
            raise _TooLarge
        self.send(message)

    def _verified(
        self, read: Read, request: WebhookRequest, content: bytes, path: str
    ) -> PostedRecords:
        query = request.raw_query_string
        url = f"{self.base_url}{path}{'?' if query else ''}{query}"
        secret = self.secret.current()
        try:
            return read(request, content, url, secret)
        except NotVerified:
            # It may have been rotated since it was read.
            renewed = self.secret.renewed()
            if renewed is secret:
                raise
        return read(request, content, url, renewed)


def _report_unanswered(route: str, error: Exception) -> None:
    account = error.account if isinstance(error, NotVerified) else ""
    described = {
        "route": route,
        "account": account,
        "correlationId": correlation_id(),
        "reason": str(error),
    }
    # What keeps us from taking it is ours to mend; whom we refuse may be anybody.
    log = logger.error if isinstance(error, Unavailable) else logger.warning
    log("webhook not queued", extra=described)
    # One that cannot be read is counted by what tries to read it.
    if not isinstance(error, SecretUnreadable):
        metric = next(name for kind, name in _METRICS.items() if isinstance(error, kind))
        count("WebhooksTooLarge" if isinstance(error, _TooLarge) else metric, 1)
