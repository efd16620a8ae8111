"""The day of the demo once more, on what is built and deployed: with the very same results.

Events go in at the bus and requests at the API, notifications come out of a subscribed queue; the
functions run in processes of their own, under roles that are enforced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployed_stack import DAY, replayed

from perminute_local.deployed.emulated_links import Deployed
from perminute_local.replay.links import InProcess
from perminute_local.replay.plan import Disturbance
from perminute_local.replay.run import embedded_stack, read_plan

if TYPE_CHECKING:
    from deployed_stack import Running


def test_what_is_deployed_does_what_was_tested(running: Running) -> None:
    plan = read_plan(DAY, batch_size=None, disturbance=Disturbance())
    deployed = replayed(plan, Deployed(running.deployment, running.time))
    with embedded_stack() as stack:
        tested = replayed(plan, InProcess(stack))
    assert {name: len(part) for name, part in tested.items()} == {
        "organizations": 4,
        "calls": 360,
        "ledger": 144,
        "notifications": 34,
        "responses": 8,
        "differences": 0,
        "unread": 0,
        "rejected": 12,
    }
    for part, content in tested.items():
        assert deployed[part] == content, part
