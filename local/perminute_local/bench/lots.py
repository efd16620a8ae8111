"""What a charged call costs with few and with many lots, beside all lots in the account item."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from perminute.domain.credit import lots
from perminute_local.bench.builders import CONTEXT, RATE_CARD, batch
from perminute_local.bench.handler import measure
from perminute_local.bench.report import Row, print_result
from perminute_local.bench.transport import InstantAws, funded_account, loaded

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

NUMBERS = (1, 10, 300)
DESCRIPTION = "every lot in the account item, which each charge reads and writes"
_KILOBYTE = 1024
_UNITS_PER_KILOBYTE = 2
"""A transaction pays twice for each started kilobyte that it writes (AWS: TransactWriteItems)."""


def main() -> None:
    """Charge single calls to accounts with these numbers of lots, in both ways."""
    ours = [_measured(number, nullcontext()) for number in NUMBERS]
    naive = [
        _measured(number, patch.object(lots, "MAX_LOTS_IN_ACCOUNT", number)) for number in NUMBERS
    ]
    print_result(
        "lots",
        "with 300 lots a charged call costs about what it costs with one",
        [
            Row(
                f"charged call, account with {fast['lots']} lots, µs of CPU",
                fast["microsecondsPerCall"],
                slow["microsecondsPerCall"],
            )
            for fast, slow in zip(ours, naive, strict=True)
        ],
        ours=ours,
        naive=DESCRIPTION,
        naiveFigures=naive,
    )


def _measured(number: int, lots_in_account: AbstractContextManager[Any]) -> dict[str, float]:
    with lots_in_account:
        account = funded_account(number)
    aws = InstantAws(RATE_CARD.read_bytes(), account)
    event, size = batch(1), len(json.dumps(account))
    with loaded("charge_calls") as module:
        aws.answer_for(module.aws.connection)
        module.handler(event, CONTEXT)
        microseconds = measure(aws, module.handler, event).microseconds
    return {
        "lots": number,
        "microsecondsPerCall": microseconds,
        "accountBytes": size,
        "accountWriteUnits": _UNITS_PER_KILOBYTE * -(-size // _KILOBYTE),
    }


if __name__ == "__main__":
    main()
