"""CPU time of one request to authorize a call, beside the way most would write it first."""

from __future__ import annotations

import json
import statistics
import time
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)
from aws_lambda_powertools.utilities.parser import BaseModel, parse

from perminute.api.endpoints import BY_NAME
from perminute.domain.rating.rate_card import Quote
from perminute.domain.values.times import parse_instant
from perminute_local.bench.builders import CONTEXT, ORGANIZATION, ORGANIZERS, RATE_CARD
from perminute_local.bench.report import Row, print_result
from perminute_local.bench.transport import InstantAws, loaded
from perminute_local.replay.links import http_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.domain.rating.rate_card import RateCard

ROUNDS = 400
AT = parse_instant("2026-11-02T09:00:00Z")
NAIVE = "Powertools resolver, parser and idempotency; three reads and ADD by the resource API"


def main() -> None:
    """Measure both over an AWS that answers at once."""
    aws = InstantAws(RATE_CARD.read_bytes())
    with loaded("authorize_calls") as module:
        tables = module.api.authorize_call.under_way._tables  # noqa: SLF001 - it has no other use
        aws.answer_for(tables.connection)
        ours = _measure(aws, module.handler)
        card = module.api.authorize_call.rate_cards.current()
        naive = _measure(aws, _naive_handler(aws, card))
    print_result(
        "authorization",
        "at most 0.8 ms of CPU at the median, one read and one conditional write",
        [Row("authorization, median ms of CPU", ours.milliseconds, naive.milliseconds, "≤ 0.8")],
        medianMilliseconds=ours.milliseconds,
        requests=ours.requests,
        naive=NAIVE,
        naiveMedianMilliseconds=naive.milliseconds,
        naiveRequests=naive.requests,
    )


class Measured(NamedTuple):
    """What one way costs."""

    milliseconds: float
    requests: float


def _measure(aws: InstantAws, handler: Callable[..., Any]) -> Measured:
    numbers = count()
    # Until the licenses of all organizers are cached.
    for _ in ORGANIZERS:
        _ask(handler, _event(next(numbers)))
    before, taken = aws.requests, []
    for _ in range(ROUNDS):
        event = _event(next(numbers))
        taken.append(_ask(handler, event))
    requests = (aws.requests - before) / ROUNDS
    return Measured(round(statistics.median(taken) * 1_000, 2), round(requests, 2))


def _ask(handler: Callable[..., Any], event: dict[str, Any]) -> float:
    started = time.process_time()
    answer = handler(event, CONTEXT)
    seconds = time.process_time() - started
    if json.loads(answer["body"])["decision"] != "allow":
        msg = f"the benchmark's call was not allowed: {answer}"
        raise RuntimeError(msg)
    return seconds


def _event(number: int) -> dict[str, Any]:
    body = {
        "sequence": 0,
        "organizerId": ORGANIZERS[number % len(ORGANIZERS)],
        "meetingId": f"meeting-{number % 7}",
        "meetingType": "scheduled",
        "legType": "dialOut",
        "remoteNumber": f"+4930231250{number % 100:02d}",
        "requestedSeconds": 600,
    }
    call_id = f"b6c1a0f4-7a3e-4a5f-8f0a-{number:012d}"
    path = {"organizationId": ORGANIZATION, "callId": call_id}
    return http_event(BY_NAME["authorize"], path, body, AT)


class _Body(BaseModel):
    sequence: int
    organizerId: str  # noqa: N815 - as it is sent
    meetingId: str  # noqa: N815
    meetingType: str  # noqa: N815
    legType: str  # noqa: N815
    remoteNumber: str  # noqa: N815
    requestedSeconds: int  # noqa: N815


def _naive_handler(aws: InstantAws, card: RateCard) -> Callable[..., Any]:
    resource = boto3.resource("dynamodb")
    aws.register(resource.meta.client.meta.events)
    credit, licensing = resource.Table("credit"), resource.Table("licensing")
    app = APIGatewayHttpResolver()

    @app.post("/organizations/<organization>/calls/<_call>/authorize")
    def authorize(organization: str, _call: str) -> dict[str, Any]:
        body = parse(event=app.current_event.json_body, model=_Body)
        credit.get_item(Key={"organizationId": organization, "record": "account"})
        for subject in ("organization", f"user#{body.organizerId}"):
            licensing.get_item(Key={"organizationId": organization, "subject": subject})
        rates = card.rates[0].leg_type
        quote = card.quote(type(rates)(body.legType), body.remoteNumber, 600, AT)
        micros = quote.charge_micros if isinstance(quote, Quote) else 0
        credit.update_item(
            Key={"organizationId": organization, "record": "account"},
            UpdateExpression="ADD reservedMicros :micros, availableMicros :less",
            ConditionExpression="availableMicros >= :micros",
            ExpressionAttributeValues={":micros": micros, ":less": -micros},
        )
        return {"decision": "allow", "grantedSeconds": body.requestedSeconds}

    layer = DynamoDBPersistenceLayer(table_name="idempotency", boto3_client=resource.meta.client)
    config = IdempotencyConfig(event_key_jmespath="rawPath")

    @idempotent(persistence_store=layer, config=config)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's
        answer: dict[str, Any] = app.resolve(event, context)
        return answer

    return handler


if __name__ == "__main__":
    main()
