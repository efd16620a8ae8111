"""What a charged call costs with few and with many lots, beside all lots in the account item."""

from __future__ import annotations

import importlib
import io
import json
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from perminute.domain.credit import lots
from perminute_local.bench.handler import CONTEXT, RATE_CARD, batch, measure
from perminute_local.bench.imports import SETTINGS
from perminute_local.bench.report import print_result
from perminute_local.bench.transport import InstantAws, funded_account
from perminute_local.embedded_aws import environment
from perminute_local.replay.lambda_runtime import QUIET

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

NUMBERS = (1, 10, 300)
DESCRIPTION = "every lot in the account item, which each charge reads and writes"
_KILOBYTE = 1024
_UNITS_PER_KILOBYTE = 2
"""A transaction pays twice for each started kilobyte that it writes (AWS: TransactWriteItems)."""


def main() -> None:
    """Charge single calls to accounts with these numbers of lots, in both ways."""
    with environment(**SETTINGS, **QUIET), redirect_stdout(io.StringIO()):
        ours = [_measured(number, nullcontext()) for number in NUMBERS]
        naive = [
            _measured(number, patch.object(lots, "MAX_LOTS_IN_ACCOUNT", number))
            for number in NUMBERS
        ]
    print_result(
        "lots",
        "with 300 lots a charged call costs about what it costs with one",
        ours=ours,
        naive=DESCRIPTION,
        naiveFigures=naive,
    )


def _measured(number: int, lots_in_account: AbstractContextManager[Any]) -> dict[str, float]:
    with lots_in_account:
        account = funded_account(number)
    aws = InstantAws(RATE_CARD.read_bytes(), account)
    module = importlib.import_module("charge_calls.handler")
    connection = module.application.connection
    aws.register(connection.client.meta.events)
    aws.register(connection.session.get_component("event_emitter"))
    event = batch(1)
    module.handler(event, CONTEXT)
    size = len(json.dumps(account))
    return {
        "lots": number,
        "microsecondsPerCall": measure(aws, module.handler, event).microseconds,
        "accountBytes": size,
        "accountWriteUnits": _UNITS_PER_KILOBYTE * -(-size // _KILOBYTE),
    }


if __name__ == "__main__":
    main()
