"""Writes the events of a command, or shows what they would change, asks, and sends them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute_local.admin.confirming import confirmed, show
from perminute_local.admin.drafts import CREDITS_CONFIGURED
from perminute_local.admin.stack import DeployedStack, RefusedByStack
from perminute_local.aws_errors import calling_aws
from perminute_local.sending import NotSent, Sent, name_of, sender_to
from perminute_local.terminal import remark, write_json, write_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute_local.admin.drafts import Draft
    from perminute_local.admin.stack import Planned
    from perminute_local.sending import Event, Outcome

_REPLACES_ALL = (
    "Credits Configured replaces all settings: what is not named here is cleared, or back to its "
    "default. With --stack the settings in force stay as they are"
)
_DECLINED = NotSent("the answer was no")


class Way(NamedTuple):
    """How a command does what it does.

    Without a `stack` the events are written. `again` are the options with which the same command
    says the same once more.
    """

    stack: str | None
    again: str
    yes: bool = False
    as_json: bool = False


class _Result(NamedTuple):
    """An event, and what became of it; None if it was processed before and not sent again."""

    planned: Planned
    outcome: Outcome | None


def run_drafts(drafts: Sequence[Draft], way: Way, *, now: datetime) -> int:
    """Write or send the events of drafts of one organization.

    Returns 1 if the stack would refuse one, if the answer is no, or if not all were sent. Raises
    `WrongCall` before anything is sent if a value is impossible or the stack cannot be read.
    """
    if way.stack is None:
        return _write(drafts, now, as_json=way.as_json)
    try:
        with calling_aws(way.stack):
            planned = DeployedStack.named(way.stack).plan(drafts, now)
            results = _send(planned, way.stack, yes=way.yes)
    except RefusedByStack as refusal:
        msg = f"{way.stack} would refuse this, so nothing was sent: {refusal}"
        remark(f"perminute: {msg}")
        if way.as_json:
            write_json({"error": "refused", "message": msg})
        return 1
    if way.as_json:
        write_json(_document(results))
    else:
        _report(results)
    _remark_on(results, way.stack, way.again)
    return 1 if any(isinstance(one.outcome, NotSent) for one in results) else 0


def _write(drafts: Sequence[Draft], now: datetime, *, as_json: bool) -> int:
    events = [draft.event(now) for draft in drafts]
    for draft, event in zip(drafts, events, strict=True):
        # How far back licensing events may take effect is the stack's to say.
        draft.read(event, now, None)
    if any(draft.detail_type == CREDITS_CONFIGURED for draft in drafts):
        remark(_REPLACES_ALL)
    if as_json:
        write_json({"events": events})
    else:
        sys.stdout.writelines(json.dumps(event) + "\n" for event in events)
    return 0


def _send(planned: Sequence[Planned], stack: str, *, yes: bool) -> list[_Result]:
    """Show what is new, ask, and send it."""
    send = sender_to(stack)
    new = [one for one in planned if not one.foreseen.recorded]
    outcomes: list[Outcome] = []
    if new:
        rows = [row for one in new for row in one.foreseen.rows]
        warnings = [text for one in new for text in one.foreseen.warnings]
        show(f"{_title([one.event for one in new])}, on {stack}:", rows, warnings)
        agreed = confirmed(f"Send to {stack}?", yes=yes)
        outcomes = send([one.event for one in new]) if agreed else [_DECLINED] * len(new)
    next_outcome = iter(outcomes)
    return [_Result(one, None if one.foreseen.recorded else next(next_outcome)) for one in planned]


def _title(events: Sequence[Event]) -> str:
    organization_id = events[0]["detail"]["organizationId"]
    if len(events) == 1:
        return f"{name_of(events[0])} of {organization_id}"
    return f"{len(events)} events {events[0]['detail-type']} of {organization_id}"


def _report(results: Sequence[_Result]) -> None:
    for planned, outcome in results:
        name = name_of(planned.event)
        match outcome:
            case Sent(event_id):
                write_line(f"sent: {name} (event id {event_id})")
            case NotSent(reason):
                remark(f"not sent: {name}: {reason}")
            case None:
                write_line(f"recorded already, changes nothing: {name}")


def _remark_on(results: Sequence[_Result], stack: str, again: str) -> None:
    """Say what comes next."""
    if any(isinstance(one.outcome, Sent) for one in results):
        remark(
            "in force within seconds; what the stack refuses all the same waits with its reason: "
            f"perminute dlq list --stack {stack}"
        )
    if any(one.outcome is not None and one.outcome is not _DECLINED for one in results):
        remark(f"the same command with {again} counts as one with this, however often it is run")


def _document(results: Sequence[_Result]) -> dict[str, Any]:
    foreseen = [one.planned.foreseen for one in results]
    return {
        "events": [_event_document(one) for one in results],
        "changes": [row._asdict() for one in foreseen for row in one.rows],
        "warnings": [text for one in foreseen for text in one.warnings],
    }


def _event_document(result: _Result) -> dict[str, Any]:
    event = result.planned.event
    match result.outcome:
        case Sent(event_id):
            status = {"status": "sent", "eventId": event_id}
        case NotSent(reason):
            status = {"status": "notSent", "reason": reason}
        case None:
            status = {"status": "alreadyRecorded"}
    return {**status, **{part: event[part] for part in ("source", "detail-type", "detail")}}
