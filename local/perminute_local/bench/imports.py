"""CPU time of importing a function, beside `import boto3; boto3.client("dynamodb")`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from tempfile import TemporaryDirectory

from perminute_local.bench.report import Row, print_result

ROUNDS = 11
UNIT = 'import boto3; boto3.client("dynamodb")'
HANDLERS = (
    "authorize_calls.handler",
    "charge_calls.handler",
    "apply_licensing.handler",
    "book_credit.handler",
    "rerate_calls.handler",
    "queue_reratings.handler",
    "expire_credit.handler",
    "reconcile_books.handler",
    "mask_numbers.handler",
    "publish_notifications.handler",
    "read_reports.handler",
    "receive_webhooks.handler",
    "pull_graph_calls.handler",
    "pull_graph_licenses.handler",
    "render_statements.handler",
)
SETTINGS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "CREDIT_TABLE": "credit",
    "USAGE_TABLE": "usage",
    "LICENSING_TABLE": "licensing",
    "EVENTS_TABLE": "events",
    "RATE_CARD_BUCKET": "rate-cards",
    "QUEUE_URL": "http://127.0.0.1/queue",
    "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1/dead-letters",
    "RERATING_HORIZON_DAYS": "400",
    "ORGANIZATION_CLAIM": "organizationId",
    "TOKENS_REQUIRED": "false",
    "RERATING_QUEUE_URL": "http://127.0.0.1/reratings",
    "WORK_QUEUE_URL": "http://127.0.0.1/work",
    "BOOK_CHECKS_TABLE": "book-checks",
    "CONTENT_KEYS_TABLE": "content-keys",
    "NUMBERS_KEPT_DAYS": "90",
    "USAGE_ARCHIVE_BUCKET": "archive",
    "BOOKS_READ_WHOLE_WITHIN_DAYS": "28",
    "NOTIFICATION_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:notifications",
    "RECORDS_QUEUE_URL": "http://127.0.0.1/records",
    "WEBHOOK_SECRET": "webhooks",
    "WEBHOOK_URL": "https://hooks.example.com",
    "STACK_NAME": "perminute",
    "RECORDS_BUCKET": "records",
    "GRAPH_SECRET": "graph",
    "GRAPH_COSTS": "compared",
    "STATEMENTS_BUCKET": "statements",
    "NOTIFY_OF_STATEMENTS": "true",
    "EVENT_BUS": "perminute",
    "POWERTOOLS_SERVICE_NAME": "bench",
}


def main() -> None:
    """Import each handler in fresh processes; its client is made at import, as the unit's is.

    In turns, so that a machine that is slow for a while is so for all of them.
    """
    statements = {UNIT: UNIT, **{name: f"import {name}" for name in HANDLERS}}
    with TemporaryDirectory() as bytecode:
        # The first round compiles all of it, as the build does.
        _, *taken = [
            {n: _milliseconds(one, bytecode) for n, one in statements.items()}
            for _ in range(1 + ROUNDS)
        ]
    medians = {n: round(statistics.median(one[n] for one in taken), 1) for n in statements}
    unit = medians.pop(UNIT)
    print_result(
        "imports",
        "at most 1.4 times the unit, authorize_calls at most 1.3; CPU of fresh processes",
        [
            Row(f"start of {name.partition('.')[0]}, ms of CPU", median, unit, f"≤ {aim} times")
            for name, median in medians.items()
            for aim in (1.3 if name == HANDLERS[0] else 1.4,)
        ],
        rounds=ROUNDS,
        unit=UNIT,
        unitMilliseconds=unit,
        handlerMilliseconds=medians,
        timesTheUnit={name: round(median / unit, 2) for name, median in medians.items()},
    )


def _milliseconds(statement: str, bytecode: str) -> float:
    code = (
        f"import time; started = time.process_time(); {statement}; "
        "print((time.process_time() - started) * 1000)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and statement
        [sys.executable, "-c", code],
        env={
            **os.environ,
            **SETTINGS,
            "PYTHONPYCACHEPREFIX": bytecode,
            "PYTHONDONTWRITEBYTECODE": "",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()
