"""The function that makes statements on demand: invoked by the one that answers with reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from perminute.api.http import Served, invocation_response, not_read, report_served, serve, text_of
from perminute.api.reports.documents import AsOf, LinkDocument
from perminute.api.reports.parameters import read_parameters
from perminute.api.reports.statement import StatementQuery
from perminute.application.retry import Deadline
from perminute.domain.errors import Refused
from perminute.domain.values.times import format_instant
from perminute.fields import Message, OrganizationId
from perminute.observability import lambda_handler, named_run
from perminute.parsing import read_message
from perminute.ports.statements import RENDER, StatementKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.render_statements import RenderStatements


class RenderInvocation(Message, frozen=True, kw_only=True):
    """Whose statement is asked for; its other fields are parameters of the report."""

    organization_id: OrganizationId


def rendering_handler(
    render: RenderStatements,
) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """Return a Lambda handler that makes a statement and answers with a link, or with an error."""

    @lambda_handler
    @named_run
    def answer(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
        served = _serve(render, event, deadline, datetime.now(UTC))
        report_served(served, lambda *_: "StatementsRendered")
        return invocation_response(served.outcome)

    return answer


def _serve(
    render: RenderStatements, event: dict[str, Any], deadline: Deadline, now: datetime
) -> Served:
    if event.get("operation") != RENDER:
        return not_read(Refused("operation", f"must be {RENDER}"))
    organization_id = text_of(event, "organizationId")

    def answer() -> LinkDocument:
        read_message(event, RenderInvocation)
        query = read_parameters(event, StatementQuery)
        key = StatementKey(organization_id, query.begun_by(now), query.basis)
        link = render.on_demand(key, now, deadline)
        return LinkDocument(
            as_of=AsOf(at=format_instant(now), version=link.version),
            location=link.location,
            expires_at=format_instant(link.expires_at),
        )

    return serve(RENDER, organization_id, "", answer)
