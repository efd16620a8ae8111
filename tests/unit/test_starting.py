"""What functions do when they start, and what they must not do then."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from perminute.application.retry import RetryPolicy
from perminute_local.bench.imports import HANDLERS, SETTINGS

START = """
import gc, random, socket, sys, threading

def refuse(*_, **__):
    raise AssertionError("a connection is opened when the function starts")

socket.socket.connect = refuse
random.seed(5)
before = random.getstate()
import {handler}
assert random.getstate() == before, "chance is used when the function starts"
assert threading.active_count() == 1, "a thread is started when the function starts"
assert gc.isenabled() and gc.get_freeze_count(), "garbage is not looked for any more"
print(*sys.modules)
"""
# What takes time to import, and the functions that need it when they start.
NEEDED_BY = {
    "boto3": "",
    "pydantic": "",
    # What makes statements is loaded when the first one is made.
    "typst": "",
    "vl_convert": "",
    "perminute.adapters.dynamodb.books": "reconcile_books",
    "perminute.adapters.notification_documents": (
        "expire_credit publish_notifications queue_reratings"
    ),
    "perminute.api.call_documents": "",
    "perminute.api.endpoints": "authorize_calls",
    "perminute.api.http": "authorize_calls read_reports receive_webhooks render_statements",
    "perminute.api.messages": "authorize_calls",
    "perminute.api.reports.overview": "",
    "perminute.api.reports.responses": "read_reports",
    "perminute.domain.authorization.authorization": "authorize_calls",
    "perminute.domain.credit.booking": (
        "book_credit charge_calls expire_credit pull_graph_calls render_statements rerate_calls"
    ),
    "perminute.domain.rating.rating": "authorize_calls charge_calls expire_credit rerate_calls",
    "perminute.domain.reconciliation": "reconcile_books",
    "perminute.domain.rerating.corrections": "charge_calls expire_credit rerate_calls",
    "perminute.formats.rate_card_csv": "",
}


def modules_after(handler: str) -> set[str]:
    done = subprocess.run(  # noqa: S603 - our own interpreter and statements
        [sys.executable, "-c", START.format(handler=handler)],
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


@pytest.mark.parametrize("handler", HANDLERS)
def test_nothing_that_differs_from_copy_to_copy_is_made_when_a_function_starts(
    handler: str,
) -> None:
    """A snapshot (SnapStart) is taken then, and every copy begins as it was."""
    function = handler.removesuffix(".handler")
    modules = modules_after(handler)
    built = {name.removeprefix("perminute.bootstrap.") for name in modules if "bootstrap." in name}
    others = {"charge_calls"} if function == "expire_credit" else set[str]()
    assert built <= {function, "queues", "graph", "content_keys"} | others, (
        "use cases of other functions are imported"
    )
    needed = {name for name, functions in NEEDED_BY.items() if function in functions.split()}
    assert modules & NEEDED_BY.keys() == needed


def test_copies_of_a_snapshot_do_not_pause_as_long_as_each_other() -> None:
    pauses: list[float] = []
    for _ in range(2):
        random.seed(5)
        retry = RetryPolicy(attempts=4, sleep=pauses.append)
        assert list(retry.tries()) == [0, 1, 2, 3]
    assert pauses[:3] != pauses[3:]
