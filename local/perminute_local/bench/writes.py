"""Write units and requests per charged call, as the embedded DynamoDB counts them."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from perminute.adapters.dynamodb.calls import DynamoDBCalls
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.adapters.memory import PublishedRateCards
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted
from perminute.application.retry import RetryPolicy
from perminute.domain.credit.booking import Purchase, purchase
from perminute.domain.credit.lots import twelve_months_after
from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent
from perminute.domain.licensing.attributes import FactValue, license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.licensing.timelines import Fact
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.bench.baseline import DESCRIPTION, charge_one_by_one
from perminute_local.bench.handler import RATE_CARD
from perminute_local.bench.report import print_result
from perminute_local.replay.lambda_runtime import Context
from perminute_local.replay.run import embedded_stack, table_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynamodb.connection import Connection

BATCHES = (1, 10, 25, 96)
NAIVE_CALLS = 10
IDEMPOTENCY_TABLE = "idempotency"

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_ANSWERED = datetime(2026, 11, 2, 9, tzinfo=UTC)
_ENDED = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


@dataclass(slots=True)
class Meter:
    """Counts what DynamoDB says that it consumed."""

    requests: int = 0
    write_units: float = 0

    def ask(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: ANN401 - botocore's
        """Have every request tell what it consumes."""
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def count(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:  # noqa: ANN401 - botocore's
        """Take in one answer."""
        self.requests += 1
        if model.name in {"TransactWriteItems", "PutItem", "UpdateItem"}:
            used = parsed["ConsumedCapacity"]
            tables = used if isinstance(used, list) else [used]
            self.write_units += sum(table["CapacityUnits"] for table in tables)

    @contextmanager
    def over(self, *clients: Any) -> Iterator[None]:  # noqa: ANN401 - botocore's
        """Count while the context lasts."""
        for client in clients:
            client.meta.events.register("provide-client-params.dynamodb.*", self.ask)
            client.meta.events.register("after-call.dynamodb.*", self.count)
        yield
        for client in clients:
            client.meta.events.unregister("provide-client-params.dynamodb.*", self.ask)
            client.meta.events.unregister("after-call.dynamodb.*", self.count)


def main() -> None:
    """Charge one batch of each size to an organization of its own."""
    with embedded_stack() as stack:
        connection = connect()
        schema = Tables.bind(connection, table_names(stack))
        figures = [_measure(connection, schema, size) for size in BATCHES]
        naive = _measure_naive(connection, schema)
    print_result(
        "write units and requests",
        "at most 2 + 4/n write units per charged call in a batch of n",
        batches=figures,
        naive=DESCRIPTION,
        naiveBatch=naive,
    )


def _measure(connection: Connection, schema: Tables, size: int) -> dict[str, float]:
    organization = f"organization-{size}"
    charge = _charging(schema, organization)
    charge(_calls(organization, 1, "warm"))
    meter = Meter()
    with meter.over(connection.client):
        results = charge(_calls(organization, size, "call"))
    if not all(isinstance(result, Accepted) for result in results):
        msg = f"the benchmark's calls were not charged: {results}"
        raise RuntimeError(msg)
    return {**_figures(meter, size), "aim": round(2 + 4 / size, 3)}


def _measure_naive(connection: Connection, schema: Tables) -> dict[str, float]:
    organization = "organization-naive"
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=IDEMPOTENCY_TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    context = Context(function_name="bench", invoked_function_arn="arn:bench")
    charging = _charging(schema, organization)
    charge = charge_one_by_one(charging, client, IDEMPOTENCY_TABLE, context)
    meter = Meter()
    with meter.over(client, connection.client):
        for one in _calls(organization, NAIVE_CALLS, "call"):
            charge(one)
    return _figures(meter, NAIVE_CALLS)


def _figures(meter: Meter, calls: int) -> dict[str, float]:
    return {
        "calls": calls,
        "writeUnitsPerCall": round(meter.write_units / calls, 3),
        "requestsPerCall": round(meter.requests / calls, 3),
    }


def _charging(schema: Tables, organization: str) -> ChargeCalls:
    credit, licensing = DynamoDBCreditStore(schema), DynamoDBLicensingStore(schema)
    _fund(credit, licensing, organization)
    card = read_rate_card(RATE_CARD.read_bytes(), version="0123456789ab")
    return ChargeCalls(
        credit,
        DynamoDBCalls(schema),
        LicensingCache(licensing),
        PublishedRateCards(card),
        RetryPolicy(),
    )


def _fund(
    credit: DynamoDBCreditStore, licensing: DynamoDBLicensingStore, organization: str
) -> None:
    def change(user_id: str | None, **values: FactValue) -> tuple[LicensingChange, ProcessedEvent]:
        identity = f"{organization}-{user_id}"
        facts = tuple(
            Fact(
                attribute=attribute,
                value=value,
                effective_at=_SINCE,
                issued_at=_SINCE,
                event_id=identity,
            )
            for attribute, value in values.items()
        )
        key = EventIdentity(IdentityKind.EVENT, organization, identity)
        return LicensingChange(organization, user_id, facts), ProcessedEvent(key, "{}")

    held = {license_attribute(product): True for product in ("MCOMEETACPEA", "MCOPSTNC")}
    licensing.record(
        organization,
        [change(None, licensingProgram="volume"), change("adele", country="DE", **held)],
    )
    account = credit.account(organization)
    bought = Purchase(
        purchase_id="po-1001",
        amount_micros=10**9,
        currency="USD",
        purchased_at=_SINCE,
        expires_at=twelve_months_after(_SINCE),
    )
    booking = purchase(account, bought, at=_SINCE, cause="purchase#po-1001")
    credit.commit(booking)


def _calls(organization: str, count: int, name: str) -> list[EndedCall]:
    # Identifiers like real ones: as long, and as hard to compress.
    return [
        EndedCall(
            Call(
                organization_id=organization,
                call_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{organization}/{name}/{number}")),
                organizer_id="adele",
                meeting_id="19:meeting_MzQ0ZjI2YmMtYjBlYi00ZjY4LWI2ZGQ",
                meeting_type=MeetingType.SCHEDULED,
                leg_type=LegType.DIAL_OUT,
                service_number="+493023125100",
                remote_number="+493023125042",
                answered_at=_ANSWERED,
                ended_at=_ENDED,
                billable_seconds=1_799,
            ),
            _ENDED,
        )
        for number in range(count)
    ]


if __name__ == "__main__":
    main()
