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
from perminute.application.charge_calls import CALLS_PER_BATCH, ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted
from perminute.application.retry import RetryPolicy
from perminute.domain.licensing.attributes import license_attribute
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.bench.baseline import DESCRIPTION, charge_one_by_one
from perminute_local.bench.builders import CONTEXT, RATE_CARD, bought, ended_call, licensing_change
from perminute_local.bench.report import Row, print_result
from perminute_local.cost.units import write_units
from perminute_local.replay.run import embedded_stack, table_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynamodb.connection import Connection

BATCHES = (1, 10, 25, CALLS_PER_BATCH)
FORMULA = (
    "2 write units a call, and for all n calls of a transaction together 2 for each started "
    "kilobyte of the account and of their list: 2 + 4/n up to a kilobyte each"
)
NAIVE_CALLS = 10
IDEMPOTENCY_TABLE = "idempotency"

_ANSWERED = datetime(2026, 11, 2, 9, tzinfo=UTC)


@dataclass(slots=True)
class Meter:
    """Counts what DynamoDB says that it consumed."""

    requests: int = 0
    write_units: float = 0
    by_formula: int = 0

    def ask(self, params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - botocore's
        self.by_formula += write_units(model.name, params)
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def count(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:  # noqa: ANN401 - botocore's
        self.requests += 1
        if model.name in {"TransactWriteItems", "PutItem", "UpdateItem"}:
            used = parsed["ConsumedCapacity"]
            tables = used if isinstance(used, list) else [used]
            self.write_units += sum(table["CapacityUnits"] for table in tables)

    @contextmanager
    def over(self, *clients: Any) -> Iterator[None]:  # noqa: ANN401 - botocore's
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
        FORMULA,
        [
            Row(
                f"write units a call, {figure['calls']} at once",
                figure["writeUnitsPerCall"],
                naive["writeUnitsPerCall"],
                f"{figure['byFormula']:g} by the formula",
            )
            for figure in figures
        ],
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
    return {**_figures(meter, size), "byFormula": round(meter.by_formula / size, 3)}


def _measure_naive(connection: Connection, schema: Tables) -> dict[str, float]:
    organization = "organization-naive"
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=IDEMPOTENCY_TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    charging = _charging(schema, organization)
    charge = charge_one_by_one(charging, client, IDEMPOTENCY_TABLE, CONTEXT)
    meter = Meter()
    with meter.over(client, connection.client):
        for call in _calls(organization, NAIVE_CALLS, "call"):
            charge(call)
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
    users = {license_attribute(product): True for product in ("MCOMEETACPEA", "MCOPSTNC")}
    licensing.record(
        organization,
        [
            licensing_change(organization, None, {"licensingProgram": "volume"}),
            licensing_change(organization, "adele", {"country": "DE", **users}),
        ],
    )
    credit.commit(bought(credit.account(organization)))


def _calls(organization: str, count: int, name: str) -> list[EndedCall]:
    # As hard to compress as real identifiers.
    call_ids = (
        str(uuid.uuid5(uuid.NAMESPACE_OID, f"{organization}/{name}/{number}"))
        for number in range(count)
    )
    return [
        ended_call(organization, call_id, "adele", _ANSWERED, seconds=1_799) for call_id in call_ids
    ]


if __name__ == "__main__":
    main()
