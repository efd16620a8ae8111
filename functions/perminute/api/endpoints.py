"""The operations of the charging API: the route of each, what it reads, does and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from perminute.api.documents import answer_document, balance_document, price_document
from perminute.api.http import Endpoint
from perminute.api.messages import (
    AnswerDocument,
    AuthorizeBody,
    BalanceDocument,
    CallDocument,
    CallsDocument,
    CallsQuery,
    PriceDocument,
    PriceQuery,
    ReleaseBody,
    ReportBody,
    UpdateBody,
)
from perminute.application.authorize_call import ReceivedRequest
from perminute.application.further_lots import further_lots
from perminute.domain.authorization.reservations import ChargingRequest, Operation
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import Call, LegType, MeetingType, read_numbers
from perminute.fields import Message

R = TypeVar("R", bound=Message)
A = TypeVar("A", bound=Message)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from perminute.application.ask_price import AskPrice
    from perminute.application.authorize_call import AuthorizeCall
    from perminute.application.look_up_calls import LookUpCalls
    from perminute.application.retry import Deadline
    from perminute.ports.stores import CreditStore

    Serve = Callable[["ChargingApi", "Target", R], A]

ENDPOINTS: list[Endpoint[Message]] = []
_ORGANIZATION = "/organizations/{organizationId}"
_CALL = f"{_ORGANIZATION}/calls/{{callId}}"


def _serves(
    name: str, method: str, path: str, reads: type[R], answers: type[A]
) -> Callable[[Serve[R, A]], Serve[R, A]]:
    """Register a method of `ChargingApi` for an operation; its docstring is the summary."""

    def register(serve: Serve[R, A]) -> Serve[R, A]:
        summary = (serve.__doc__ or "").removesuffix(".")
        ENDPOINTS.append(Endpoint(name, method, path, reads, answers, serve, summary))
        return serve

    return register


class Target(NamedTuple):
    """Whom a request is about, when it came, and until when it must be answered."""

    organization_id: str
    call_id: str  # in its canonical spelling
    at: datetime
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class ChargingApi:
    """The use cases behind the endpoints."""

    authorize_call: AuthorizeCall
    ask_price: AskPrice
    credit: CreditStore
    look_up_calls: LookUpCalls

    @_serves("authorize", "POST", f"{_CALL}/authorize", AuthorizeBody, AnswerDocument)
    def authorize(self, target: Target, body: AuthorizeBody) -> AnswerDocument:
        """Ask whether a call may begin, and for how long."""
        numbers = read_numbers(
            body.leg_type, service_number=body.service_number, remote_number=body.remote_number
        )
        call = Call(
            organization_id=target.organization_id,
            call_id=target.call_id,
            organizer_id=body.organizer_id,
            meeting_id=body.meeting_id,
            meeting_type=body.meeting_type,
            leg_type=body.leg_type,
            service_number=numbers.service_number,
            remote_number=numbers.remote_number,
            answered_at=target.at,
            ended_at=target.at,
        )
        request = ChargingRequest(Operation.AUTHORIZE, body.sequence, body.requested_seconds)
        return self._answer(target, request, call)

    @_serves("update", "POST", f"{_CALL}/update", UpdateBody, AnswerDocument)
    def update(self, target: Target, body: UpdateBody) -> AnswerDocument:
        """Report what a call has used, and request more."""
        report = _report(Operation.UPDATE, body)
        return self._answer(target, report._replace(requested_seconds=body.requested_seconds))

    @_serves("release", "POST", f"{_CALL}/release", ReleaseBody, AnswerDocument)
    def release(self, target: Target, body: ReleaseBody) -> AnswerDocument:
        """Report that a call is over, and free what it has not used."""
        return self._answer(target, _report(Operation.RELEASE, body))

    @_serves("price", "GET", f"{_ORGANIZATION}/price", PriceQuery, PriceDocument)
    def price(self, target: Target, query: PriceQuery) -> PriceDocument:
        """Return what a call would cost."""
        is_dial_out = query.leg_type is LegType.DIAL_OUT
        call = Call(
            organization_id=target.organization_id,
            call_id="",
            organizer_id=query.organizer_id or "",
            meeting_id="",
            meeting_type=MeetingType.SCHEDULED,
            leg_type=query.leg_type,
            service_number=None if is_dial_out else query.number,
            remote_number=query.number if is_dial_out else None,
            answered_at=target.at,
            ended_at=target.at,
            billable_seconds=query.seconds,
        )
        return price_document(self.ask_price(call), entitled=query.organizer_id is not None)

    @_serves("balance", "GET", f"{_ORGANIZATION}/balance", Message, BalanceDocument)
    def balance(self, target: Target, _: Message) -> BalanceDocument:
        """Return the balance, and what is reserved of it."""
        account, at = self.credit.account(target.organization_id), target.at
        may_expire = account.further_expire_by(at)
        further = further_lots(self.credit, account) if may_expire else ()
        return balance_document(account, at, further)

    @_serves("call", "GET", _CALL, Message, CallDocument)
    def call(self, target: Target, _: Message) -> CallDocument:
        """Return the state of a call."""
        # Imported where it is needed: bridges seldom restart, and each start would pay (ADR 11).
        from perminute.api.call_documents import call_document  # noqa: PLC0415

        call = self.look_up_calls.call(target.organization_id, target.call_id)
        return call_document(call, target.at)

    @_serves("callsUnderWay", "GET", f"{_ORGANIZATION}/calls", CallsQuery, CallsDocument)
    def calls_under_way(self, target: Target, query: CallsQuery) -> CallsDocument:
        """List the calls under way."""
        from perminute.api.call_documents import calls_document, read_cursor  # noqa: PLC0415

        organization_id, cursor = target.organization_id, query.cursor
        after = None if cursor is None else read_cursor(organization_id, cursor)
        page = self.look_up_calls.page(organization_id, limit=query.limit, after=after)
        return calls_document(organization_id, page, target.at)

    def _answer(
        self, target: Target, request: ChargingRequest, call: Call | None = None
    ) -> AnswerDocument:
        received = ReceivedRequest(target.organization_id, target.call_id, request, target.at, call)
        return answer_document(self.authorize_call(received, target.deadline))


BY_ROUTE = {endpoint.route_key: endpoint for endpoint in ENDPOINTS}
BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}


def _report(operation: Operation, body: ReportBody) -> ChargingRequest:
    used, total = body.used_seconds, body.total_used_seconds
    if used is None and total is None:
        raise Refused(
            "usedSeconds",
            "is required: the seconds since the report before; or send "
            "totalUsedSeconds, those since the call was answered",
        )
    if used is not None and total is not None:
        raise Refused("totalUsedSeconds", "says what usedSeconds says as well; send one of them")
    return ChargingRequest(operation, body.sequence, None, used or 0, total)
