"""The operations of the charging API: what each reads, does and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perminute.api.call_messages import CallDocument, CallsDocument, CallsQuery
from perminute.api.documents import answer_document, balance_document, price_document
from perminute.api.messages import (
    AnswerDocument,
    AuthorizeBody,
    BalanceDocument,
    PriceDocument,
    PriceQuery,
    ReleaseBody,
    ReportBody,
    UpdateBody,
)
from perminute.application.ask_price import Asking
from perminute.application.authorize_call import Request
from perminute.application.further_lots import further_lots
from perminute.domain.authorization.reservations import ChargingRequest, Operation
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import Call, LegType, MeetingType, read_numbers
from perminute.domain.values.identifiers import canonical_id
from perminute.fields import Message

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from perminute.application.ask_price import AskPrice
    from perminute.application.authorize_call import AuthorizeCall
    from perminute.application.look_up_calls import LookUpCalls
    from perminute.application.retry import Deadline
    from perminute.ports import CreditStore


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a request is about, when it came, and until when it must be answered.

    `call_id` is in its canonical spelling (`perminute.domain.values.identifiers`).
    """

    organization_id: str
    call_id: str
    at: datetime
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class ChargingApi:
    """The use cases behind the endpoints."""

    authorize_call: AuthorizeCall
    ask_price: AskPrice
    credit: CreditStore
    look_up_calls: LookUpCalls

    def authorize(self, target: Target, body: AuthorizeBody) -> AnswerDocument:
        """Ask whether a call may begin."""
        numbers = read_numbers(
            body.leg_type, service_number=body.service_number, remote_number=body.remote_number
        )
        call = Call(
            organization_id=target.organization_id,
            call_id=target.call_id,
            organizer_id=canonical_id(body.organizer_id),
            meeting_id=canonical_id(body.meeting_id),
            meeting_type=body.meeting_type,
            leg_type=body.leg_type,
            service_number=numbers.service_number,
            remote_number=numbers.remote_number,
            answered_at=target.at,
            ended_at=target.at,
        )
        asked = ChargingRequest(Operation.AUTHORIZE, body.sequence, body.requested_seconds)
        return self._ask(target, asked, call)

    def update(self, target: Target, body: UpdateBody) -> AnswerDocument:
        """Report what a call has used, and ask for more."""
        return self._ask(target, _report(Operation.UPDATE, body, body.requested_seconds))

    def release(self, target: Target, body: ReleaseBody) -> AnswerDocument:
        """Report that a call is over."""
        return self._ask(target, _report(Operation.RELEASE, body))

    def price(self, target: Target, query: PriceQuery) -> PriceDocument:
        """Tell what a call would cost."""
        dial_out = query.leg_type is LegType.DIAL_OUT
        call = Call(
            organization_id=target.organization_id,
            call_id="",
            organizer_id=canonical_id(query.organizer_id or ""),
            meeting_id="",
            meeting_type=MeetingType.SCHEDULED,
            leg_type=query.leg_type,
            service_number=None if dial_out else query.number,
            remote_number=query.number if dial_out else None,
            answered_at=target.at,
            ended_at=target.at,
            billable_seconds=query.seconds,
        )
        usage = self.ask_price(Asking(call, target.at))
        return price_document(usage, entitled=query.organizer_id is not None)

    def balance(self, target: Target, _: Message) -> BalanceDocument:
        """Tell how the credit stands."""
        account, at = self.credit.account(target.organization_id), target.at
        needs_all = account.further_expire_by(at)
        return balance_document(
            account, at, further_lots(self.credit, account) if needs_all else ()
        )

    def call(self, target: Target, _: Message) -> CallDocument:
        """Return what is known of a call; raises `NotFound`."""
        # Imported where it is needed: bridges seldom restart, and each start would pay (ADR 11).
        from perminute.api.call_documents import call_document  # noqa: PLC0415

        call = self.look_up_calls.call(target.organization_id, target.call_id)
        return call_document(call, target.at)

    def calls_under_way(self, target: Target, query: CallsQuery) -> CallsDocument:
        """Return a page of the calls under way."""
        from perminute.api.call_documents import calls_document, read_cursor  # noqa: PLC0415

        organization_id, cursor = target.organization_id, query.cursor
        after = None if cursor is None else read_cursor(organization_id, cursor)
        page = self.look_up_calls.page(organization_id, limit=query.limit, after=after)
        return calls_document(organization_id, page, target.at)

    def _ask(
        self, target: Target, asked: ChargingRequest, call: Call | None = None
    ) -> AnswerDocument:
        request = Request(target.organization_id, target.call_id, asked, target.at, call)
        return answer_document(self.authorize_call(request, target.deadline))


def _report(
    operation: Operation, body: ReportBody, requested: int | None = None
) -> ChargingRequest:
    """Read a report, whose bridge says by one figure what was used."""
    used, total = body.used_seconds, body.total_used_seconds
    if used is None and total is None:
        raise Refused(
            "usedSeconds",
            "is required: the seconds since the report before; or send "
            "totalUsedSeconds, those since the call was answered",
        )
    if used is not None and total is not None:
        raise Refused("totalUsedSeconds", "says what usedSeconds says as well; send one of them")
    return ChargingRequest(operation, body.sequence, requested, used or 0, total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation: its route, what it reads and answers, and what does it."""

    name: str
    method: str
    path: str
    summary: str
    reads: type[Message]
    answers: type[Message]
    serve: Callable[[ChargingApi, Target, Any], Message]
    may_find_nothing: bool = False
    """Whether it may be answered that what is asked for is not there."""

    @property
    def route_key(self) -> str:
        """Name the route as API Gateway does."""
        return f"{self.method} {self.path}"


_ORGANIZATION = "/organizations/{organizationId}"
_CALL = f"{_ORGANIZATION}/calls/{{callId}}"

ENDPOINTS = (
    Endpoint(
        name="authorize",
        method="POST",
        path=f"{_CALL}/authorize",
        summary="May a call begin, and for how long?",
        reads=AuthorizeBody,
        answers=AnswerDocument,
        serve=ChargingApi.authorize,
    ),
    Endpoint(
        name="update",
        method="POST",
        path=f"{_CALL}/update",
        summary="Report what a call has used, and be granted more",
        reads=UpdateBody,
        answers=AnswerDocument,
        serve=ChargingApi.update,
    ),
    Endpoint(
        name="release",
        method="POST",
        path=f"{_CALL}/release",
        summary="Report that a call is over, and give back what it has not used",
        reads=ReleaseBody,
        answers=AnswerDocument,
        serve=ChargingApi.release,
    ),
    Endpoint(
        name="price",
        method="GET",
        path=f"{_ORGANIZATION}/price",
        summary="What would a call cost?",
        reads=PriceQuery,
        answers=PriceDocument,
        serve=ChargingApi.price,
    ),
    Endpoint(
        name="balance",
        method="GET",
        path=f"{_ORGANIZATION}/balance",
        summary="How does the credit stand?",
        reads=Message,
        answers=BalanceDocument,
        serve=ChargingApi.balance,
    ),
    Endpoint(
        name="call",
        method="GET",
        path=_CALL,
        summary="What is known of a call?",
        reads=Message,
        answers=CallDocument,
        serve=ChargingApi.call,
        may_find_nothing=True,
    ),
    Endpoint(
        name="callsUnderWay",
        method="GET",
        path=f"{_ORGANIZATION}/calls",
        summary="Which calls are under way?",
        reads=CallsQuery,
        answers=CallsDocument,
        serve=ChargingApi.calls_under_way,
    ),
)
BY_ROUTE = {endpoint.route_key: endpoint for endpoint in ENDPOINTS}
BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}


def check_target(body: Message, target: Target) -> None:
    """Refuse a body that names another organization or call than its path does."""
    call_id = getattr(body, "call_id", None)
    for field, said, meant in (
        ("organizationId", getattr(body, "organization_id", None), target.organization_id),
        ("callId", call_id and canonical_id(call_id), target.call_id),
    ):
        if said is not None and said != meant:
            raise Refused(field, "is another one than in the path; leave it out of the body")
