"""As many requests to AWS fail as there are events: no cent and no notification is lost or doubled.

DynamoDB is too busy, transactions conflict, what was written is not answered, SNS, SQS and S3 have
trouble of their own. All of it happens between the deployed functions and AWS, by chance.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from deployed_stack import DAY, Running, deployed_among_faults, replayed

from perminute_local.deployed.emulated_links import Deployed
from perminute_local.deployed.faults import Faults, conflicts, lost_answers, outages, throttling
from perminute_local.replay.links import InProcess
from perminute_local.replay.plan import Disturbance
from perminute_local.replay.run import Plan, embedded_stack, read_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


HOW_OFTEN = 0.2
"""Of the requests of each kind; some are of several."""
EVERYTHING_AT_ONCE = 1_000
CALLS = 320
MANY = 300
SELDOM = ("s3 GetObject", "dynamodb TransactGetItems", "dynamodb Query")
"""The card is read once a minute of the machine's clock; the others are few, or fail seldom."""
ORGANIZATIONS = ("contoso", "fabrikam", "northwind", "woodgrove")


@pytest.fixture
def among_faults(artifact: Path, tmp_path: Path) -> Iterator[tuple[Running, Faults]]:
    with deployed_among_faults(artifact, tmp_path) as running:
        yield running


def without_faults(plan: Plan) -> dict[str, Any]:
    with embedded_stack(receives_records=plan.records is not None) as stack:
        return replayed(plan, InProcess(stack))


@contextmanager
def going_wrong(faults: Faults) -> Iterator[Counter[str]]:
    """Gives how often each kind of fault has had its way, when it is over."""
    often, fired = HOW_OFTEN, Counter[str]()
    rules = (conflicts(often), lost_answers(often), outages(often), throttling(often))
    faults.begin([rule for kind in rules for rule in kind])
    yield fired
    fired.update(faults.fired())
    faults.begin([])


def test_a_day_among_faults_has_the_results_of_a_good_day(
    among_faults: tuple[Running, Faults],
) -> None:
    running, faults = among_faults
    plan = without_contradiction(read_plan(DAY, batch_size=None, disturbance=Disturbance()))
    links = Deployed(running.deployment, running.time)
    with going_wrong(faults) as fired:
        disturbed = replayed(plan, links)
    assert fired.total() >= len(plan.deliveries) >= MANY
    assert {name for name in fired if not fired[name] and not name.startswith(SELDOM)} == set()
    tested = without_faults(plan)
    # What comes again comes later: the order of entries may differ, and what a lot had when told.
    for part in ("organizations", "responses", "differences", "rejected"):
        assert disturbed[part] == tested[part], part
    assert [charged(call) for call in disturbed["calls"]] == [
        charged(call) for call in tested["calls"]
    ]
    assert told(disturbed) == told(tested)


def test_calls_that_end_all_at_once_among_faults_are_each_charged_once(
    among_faults: tuple[Running, Faults], tmp_path: Path
) -> None:
    running, faults = among_faults
    plan = a_burst(tmp_path)
    links = Deployed(running.deployment, running.time, at_once=3)
    # All of them wait in the queue before the first is read.
    links.events_at_once = EVERYTHING_AT_ONCE
    with going_wrong(faults) as fired:
        disturbed = replayed(plan, links)
    # A transaction has up to 96 of the calls: there are few, and all that can befall them does.
    assert all(fired[name] for name in fired if name.startswith("dynamodb TransactWriteItems"))
    tested = without_faults(plan)
    assert len(tested["calls"]) == CALLS
    assert {name: account["balance"] for name, account in disturbed["organizations"].items()} == {
        name: account["balance"] for name, account in tested["organizations"].items()
    }
    assert [charged(call) for call in disturbed["calls"]] == [
        charged(call) for call in tested["calls"]
    ]
    assert disturbed["differences"] == disturbed["rejected"] == []
    assert told(disturbed) == told(tested)
    assert set(told(tested).values()) == {1}


def without_contradiction(plan: Plan) -> Plan:
    """Leave out one of two events that contradict each other in one second: chance decides."""
    kept = tuple(one for one in plan.deliveries if one.event_id != "x-conflict")
    return plan._replace(deliveries=kept)


def charged(call: dict[str, Any]) -> tuple[str, ...]:
    return tuple(call[name] for name in ("organizationId", "callId", "outcome", "charge"))


def told(document: dict[str, Any]) -> Counter[tuple[str, ...]]:
    """What admins heard of what; not when, for that may depend on what came before it."""
    about = ("organizationId", "type", "threshold", "callId", "purchaseId")
    return Counter(tuple(str(one.get(name)) for name in about) for one in document["notifications"])


def a_burst(folder: Path) -> Plan:
    """Four organizations have credit for some of their calls, which end within a second."""
    lines = []
    for number, organization in enumerate(ORGANIZATIONS):
        at = "2026-11-02T08:00:00Z"
        facts = {"schemaVersion": "1", "organizationId": organization}
        program = facts | {"name": organization, "licensingProgram": "volume", "effectiveAt": at}
        user = facts | {"userId": "adele", "effectiveAt": at}
        bought = {"purchaseId": f"po-{number}", "amount": "10.00", "currency": "USD"}
        lines += [
            event("licensing", "Organization Changed", at, program),
            event("licensing", "User Changed", at, user | {"country": "US"}),
            event("licensing", "License Assigned", at, user | {"license": "payPerMinute"}),
            event("licensing", "License Assigned", at, user | {"license": "communicationsCredits"}),
            event("billing", "Credit Purchased", at, facts | bought | {"purchasedAt": at}),
        ]
    for number in range(CALLS):
        ended = call(ORGANIZATIONS[number % len(ORGANIZATIONS)], number)
        lines.append(event("telephony", "Call Ended", ended["endedAt"], ended))
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    disturbance = Disturbance(seed=7, duplicate=0.3, shuffle=True)
    return read_plan(folder, batch_size=None, disturbance=disturbance)


def event(source: str, kind: str, at: str, detail: dict[str, Any]) -> dict[str, Any]:
    about = {"id": str(uuid4()), "source": f"perminute.{source}", "detail-type": kind}
    return about | {"time": at, "detail": detail}


def call(organization: str, number: int) -> dict[str, Any]:
    return {
        "schemaVersion": "1",
        "callId": f"{organization}-{number:04d}",
        "organizationId": organization,
        "organizerId": "adele",
        "meetingId": "m-1",
        "meetingType": "scheduled",
        "answeredAt": "2026-11-02T09:50:30Z",
        "endedAt": "2026-11-02T10:00:00Z",
        "legType": "dialOut",
        "serviceNumber": "+46851972000",
        "remoteNumber": "+493023125042",
    }
