"""The day of the demo once more, on what is built and deployed: with the very same results.

Events go in at the bus and requests at the API, notifications come out of a subscribed queue; the
functions run in processes of their own, under roles that are enforced.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deployed_stack import DAY, replayed

from perminute_local.deployed.emulated_links import Deployed
from perminute_local.replay.links import InProcess
from perminute_local.replay.plan import Delivery, Disturbance
from perminute_local.replay.run import embedded_stack, read_plan

if TYPE_CHECKING:
    from deployed_stack import Running

    from perminute_local.replay.links import Links
    from perminute_local.replay.run import Plan


def test_what_is_deployed_does_what_was_tested(running: Running) -> None:
    plan = read_plan(DAY, batch_size=None, disturbance=Disturbance())
    links = Deployed(running.deployment, running.time)
    deployed, deployed_reports = replayed(plan, links), reports(plan, links)
    with embedded_stack(receives_records=True) as stack:
        in_process = InProcess(stack)
        tested, tested_reports = replayed(plan, in_process), reports(plan, in_process)
    assert {name: len(part) for name, part in tested.items()} == {
        "organizations": 4,
        "calls": 360,
        "ledger": 144,
        "notifications": 34,
        "responses": 9,
        "differences": 0,
        "unread": 0,
        "rejected": 12,
    }
    for part, content in tested.items():
        assert deployed[part] == content, part
    for name, report in tested_reports.items():
        assert deployed_reports[name] == report, name
        assert "asOf" in report, report


PERIOD = {"from": "2026-11-01", "to": "2026-12-01"}
REPORTS: dict[str, dict[str, Any]] = {
    "overview": {},
    "usage": {**PERIOD, "groupBy": ["organizerId", "legType"]},
    "calls": PERIOD,
    "explanation": {"callId": "contoso-0132"},
    "ledger": PERIOD,
    "statement": {"month": "2026-11", "format": "csv"},
}


def reports(plan: Plan, links: Links) -> dict[str, dict[str, Any]]:
    """Ask for reports when the day is over, by signed requests where it is deployed."""
    answers = {name: ask(links, name, parameters) for name, parameters in REPORTS.items()}
    text = json.dumps(answers)
    for given, own in links.places(plan.deliveries).items():
        text = text.replace(given, own)
    by_own_ids: dict[str, dict[str, Any]] = json.loads(text)
    return by_own_ids


def ask(links: Links, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"organizationId": "contoso", **parameters})
    at = datetime(2026, 11, 4, tzinfo=UTC)
    answer = links.response(Delivery("", "", "request", body, at, request=name)).answer
    # How many versions there were depends on how the events came in batches.
    answer.get("asOf", {}).pop("version", None)
    return answer
