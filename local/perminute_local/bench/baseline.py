"""The way most would write it first: Powertools idempotency, one transaction for each call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

from perminute.domain.credit.charging import charge as book_charge
from perminute.domain.credit.transaction import ReplacedUsage
from perminute.domain.limits.spending import SpendCounters
from perminute.domain.pools.pools import MinutePools
from perminute.domain.rating.rating import RatingContext, rate_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.application.charge_calls import ChargeCalls, EndedCall
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.replay.lambda_runtime import Context

DESCRIPTION = "Powertools idempotency, one transaction per call"


def charge_one_by_one(
    use_case: ChargeCalls,
    client: Any,  # noqa: ANN401 - boto3's clients are made at run time
    table: str,
    context: Context,
) -> Callable[[EndedCall], object]:
    """Put an idempotency record around a transaction of three, for one call at a time."""
    config = IdempotencyConfig(event_key_jmespath="[organization_id, call_id]")
    # Our context has what Powertools reads of Lambda's.
    config.register_lambda_context(context)  # type: ignore[arg-type]

    @idempotent_function(  # type: ignore[untyped-decorator] # Powertools leaves it so
        data_keyword_argument="key",
        persistence_store=DynamoDBPersistenceLayer(table_name=table, boto3_client=client),
        config=config,
    )
    def charge_once(*, key: dict[str, str], one: EndedCall) -> dict[str, int]:  # noqa: ARG001
        return {"chargeMicros": _charge(use_case, one).charge_micros}

    def charge(one: EndedCall) -> object:
        key = {"organization_id": one.call.organization_id, "call_id": one.call.call_id}
        return charge_once(key=key, one=one)

    return charge


def _charge(use_case: ChargeCalls, one: EndedCall) -> Usage:
    call = one.call
    account = use_case.credit.account(call.organization_id)
    licensing = use_case.licensing.store.licensing(call.organization_id, [call.organizer_id])
    card = use_case.rate_cards.current()
    context = RatingContext.of(account, licensing, card)
    pools = MinutePools({}, licensing)
    spend_counters = SpendCounters(account.days, {})
    ratings = [rate_call(call, context)]
    booking = book_charge(
        account, ratings, pools=pools, spend_counters=spend_counters, at=one.reported_at
    )
    transaction = booking
    # Put over what may stand there: no condition, and no list by which the call is found again.
    replaced = tuple(ReplacedUsage(usage, usage) for usage in transaction.usages)
    use_case.credit.commit(transaction._replace(usages=(), replaced=replaced))
    return booking.usages[0]
