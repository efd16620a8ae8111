"""Notifications: what was decided is published, each crossing once, and says what is recorded."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

from perminute.application.book_credit import CreditEvent, FailedRecharge
from perminute.application.charge_calls import EndedCall
from perminute.application.correlation import traceable
from perminute.domain.credit.booking import Purchase
from perminute.domain.credit.charging import notifications_of_call
from perminute.domain.licensing.attributes import NAME
from perminute.domain.pools.pools import THRESHOLDS
from perminute.domain.values.money import format_micros, parse_micros
from perminute.domain.values.times import format_instant
from perminute_local.simulation.invariants.digests import no_call_forgotten
from perminute_local.simulation.invariants.invariant import everything_settles, invariant
from perminute_local.simulation.invariants.organization import organization_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.backends.backend import Snapshot
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.invariants.organization import ReadEvent
    from perminute_local.simulation.write_recorder import WriteRecorder

_OF_RECHARGES = {"RechargeFailed", "RechargeSucceeded"}
_COPIED = ("organizerId", "legType", "number", "answeredAt", "retailCost")
"""What a notification of a call copies from its record."""


def broken(
    recorder: WriteRecorder, snapshots: Mapping[str, Snapshot], events: Iterable[ReadEvent]
) -> Iterator[Broken]:
    """Check all invariants of notifications when nothing is under way."""
    yield from _published(recorder)
    yield from _one_id(recorder, snapshots)
    unsettled = (
        f"{organization_id} waits for pools that are settled"
        for organization_id, stored in snapshots.items()
        if stored.account.provisional is not None
    )
    yield from everything_settles(*unsettled)
    yield from _outcomes_are_notified(recorder, snapshots)
    yield from _as_recorded(recorder)
    yield from _named(recorder, snapshots)
    yield from _traced(recorder, events)


@invariant
def _published(recorder: WriteRecorder) -> Iterator[str]:
    """What was committed is published."""
    for name in recorder.decided.keys() - recorder.published.keys():
        document = recorder.decided[name]
        yield f"{document['type']} {name} of {document['organizationId']} was never published"


@invariant
def _one_id(recorder: WriteRecorder, snapshots: Mapping[str, Snapshot]) -> Iterator[str]:
    """One id for each crossing."""
    yield from _of_thresholds(recorder)
    yield from _of_pools(recorder, snapshots)
    requested = Counter(
        document["organizationId"]
        for document in recorder.decided.values()
        if document["type"] == "RechargeRequested" and document["attempt"] == 1
    )
    for organization_id, stored in snapshots.items():
        requests = stored.account.recharge.requests
        if requested[organization_id] != requests:
            times = requested[organization_id]
            yield f"{organization_id} requested {requests} recharges, and was notified of {times}"


def _of_thresholds(recorder: WriteRecorder) -> Iterator[str]:
    notified = Counter(
        (
            document["organizationId"],
            document["type"],
            parse_micros(str(document.get("threshold", "0"))),
        )
        for document in recorder.decided.values()
        if document["type"] in {"LowBalance", "BalanceExhausted"}
    )
    crossings = recorder.thresholds.crossings
    for key in notified.keys() | crossings.keys():
        if notified[key] != crossings[key]:
            organization_id, kind, micros = key
            what = f"{notified[key]} times of {kind} {format_micros(micros)}"
            passed = f"which was passed {crossings[key]} times"
            yield f"{organization_id} was notified {what}, {passed}"


def _of_pools(recorder: WriteRecorder, snapshots: Mapping[str, Snapshot]) -> Iterator[str]:
    notified = Counter(
        (document["organizationId"], document["month"], document["percent"])
        for document in recorder.decided.values()
        if document["type"] == "MinutePoolThreshold"
    )
    for organization_id, stored in snapshots.items():
        for pool in stored.statement.pools:
            for percent in THRESHOLDS:
                times = notified[organization_id, str(pool.month), percent]
                # Where licenses change, a pool may pass a threshold several times.
                is_often = times > 1 and organization_id in recorder.authorizing
                if is_often or (times == 0 and pool.notified_percent >= percent):
                    what = f"{percent} % in {pool.month}"
                    yield f"{organization_id} was notified {times} times of {what}"


@invariant
def _outcomes_are_notified(
    recorder: WriteRecorder, snapshots: Mapping[str, Snapshot]
) -> Iterator[str]:
    """Admins are notified of the outcome of each call."""
    decided = {
        (group.organization_id, call_id, group.type, group.reason)
        for group, calls in recorder.digests.decided.items()
        for call_id in calls
    }
    for organization_id, stored in snapshots.items():
        for call_id, usage in stored.usages.items():
            kinds = {
                (type(body).__name__, body.reason.value) for body in notifications_of_call(usage)
            }
            missing = [kind for kind in kinds if (organization_id, call_id, *kind) not in decided]
            if usage.notifications_held or missing:
                yield f"{organization_id} was never notified that {call_id} is {usage.outcome}"


def notified_in_the_end(
    recorder: WriteRecorder, snapshots: Mapping[str, Snapshot]
) -> Iterator[Broken]:
    """Check that all calls were notified of, when all days are over."""
    for organization_id, stored in snapshots.items():
        is_due = stored.account.digests_due_at is not None
        yield from no_call_forgotten(
            recorder.digests, organization_id, stored.usages.values(), is_due=is_due
        )


@invariant
def _as_recorded(recorder: WriteRecorder) -> Iterator[str]:
    """A notification of a call says what is recorded."""
    for document, usage in recorder.recorded_with:
        said = {name: document.get(name) for name in _COPIED}
        if said != _recorded(usage):
            call_id = usage.call.call_id
            yield f"{document['type']} of {call_id} says {said}, not {_recorded(usage)}"


def _recorded(usage: Usage) -> dict[str, str | None]:
    call, number = usage.call, usage.call.rated_number
    retail_micros = usage.stated_price.retail_micros
    return {
        "organizerId": call.organizer_id,
        "legType": call.leg_type.value,
        # What is masked already ends with as many asterisks.
        "number": f"{number[:-4]}****" if number else None,
        "answeredAt": format_instant(call.answered_at) if call.answered_at else None,
        "retailCost": None if retail_micros is None else format_micros(retail_micros),
    }


@invariant
def _named(recorder: WriteRecorder, snapshots: Mapping[str, Snapshot]) -> Iterator[str]:
    """A notification has the name of its organization."""
    for organization_id, stored in snapshots.items():
        known = {
            fact.value for user, fact in stored.facts if user is None and fact.attribute == NAME
        }
        shown = recorder.names.get(organization_id, ())
        # The first ones may be sent before any event has stated the name.
        for name in dropwhile(lambda name: name is None, shown):
            if name not in known:
                yield f"{organization_id} is called {name}, and not one of {known}"


@invariant
def _traced(recorder: WriteRecorder, events: Iterable[ReadEvent]) -> Iterator[str]:
    """A notification names the event that caused it."""
    by_id: defaultdict[str, list[ReadEvent]] = defaultdict(list)
    for event in events:
        by_id[traceable(event.event_id)].append(event)
    for name, document in recorder.decided.items():
        # A run, whose id the simulator does not know, is behind what time changes.
        correlation_id = document.get("correlationId", "")
        found = by_id[correlation_id]
        what = f"{document['type']} of {document['organizationId']} names {correlation_id}"
        if not correlation_id:
            yield f"{document['type']} {name} names nothing"
        elif found and not any(organization_of(e) == document["organizationId"] for e in found):
            yield f"{what}, which is about another organization"
        elif name in recorder.of_new_calls and not any(_reports(e, document) for e in found):
            yield f"{what}, which says nothing of call {document['callId']}"
        elif document["type"] in _OF_RECHARGES and not any(_pays(e, document) for e in found):
            yield f"{what}, which says nothing of recharge {document['rechargeId']}"


def _reports(event: ReadEvent, document: Mapping[str, Any]) -> bool:
    return (
        isinstance(event, EndedCall)
        and event.call.organization_id == document["organizationId"]
        and event.call.call_id == document["callId"]
    )


def _pays(event: ReadEvent, document: Mapping[str, Any]) -> bool:
    match event:
        case CreditEvent(change=Purchase(recharge_id=name) | FailedRecharge(recharge_id=name)):
            recharge = document["organizationId"], document["rechargeId"]
            return (event.organization_id, name) == recharge
        case _:
            return False
