"""What the function that authorizes calls does when it starts, and what it must not do then."""

from __future__ import annotations

import os
import random
import subprocess
import sys

from perminute.application.retry import RetryPolicy
from perminute_local.bench.imports import SETTINGS

IMPORT = """
import gc, random, socket, threading

def refuse(*_, **__):
    raise AssertionError("a connection is opened when the function starts")

socket.socket.connect = refuse
random.seed(5)
before = random.getstate()
import authorize_calls.handler
assert random.getstate() == before, "chance is used when the function starts"
assert threading.active_count() == 1, "a thread is started when the function starts"
assert gc.isenabled() and gc.get_freeze_count(), "garbage is not looked for any more"
import sys
lazy = (
    "perminute.api.call_documents",
    "perminute.domain.credit.booking",
    "perminute.domain.rerating.rerating",
)
for unneeded in ("pydantic", "boto3", *lazy):
    assert unneeded not in sys.modules, f"{unneeded} is not needed to authorize calls"
"""


def test_nothing_that_differs_from_copy_to_copy_is_made_when_it_starts() -> None:
    """A snapshot (SnapStart) is taken then, and every copy begins as it was."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and statement
        [sys.executable, "-c", IMPORT],
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_copies_of_a_snapshot_do_not_pause_as_long_as_each_other() -> None:
    pauses: list[float] = []
    for _ in range(2):
        random.seed(5)
        retry = RetryPolicy(attempts=4, sleep=pauses.append)
        assert list(retry.tries()) == [0, 1, 2, 3]
    assert pauses[:3] != pauses[3:]
