"""Write calls that were read from records as `Calls Ended` events, for the queue of calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from perminute.domain.values.times import format_instant
from perminute.events.calls_ended import MAX_EVENT_BYTES
from perminute.events.telephony import MAX_CALLS_IN_EVENT, TELEPHONY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perminute.sources.outcomes import Leg

# The rest is for what is around the calls.
_MAX_BYTES_OF_CALLS = MAX_EVENT_BYTES - 1024


class _WrittenCall(NamedTuple):
    leg: Leg
    detail: str


def calls_ended_bodies(legs: Iterable[Leg]) -> Iterator[str]:
    """Yield events with the calls, in their order: of as many as one event may have.

    The same calls in the same order become the same events, with the same ids.
    """
    calls, size = list[_WrittenCall](), 0
    for leg in legs:
        call = _WrittenCall(leg, json.dumps(leg.detail(), separators=(",", ":")))
        length = len(call.detail) + 1
        if calls and (len(calls) == MAX_CALLS_IN_EVENT or size + length > _MAX_BYTES_OF_CALLS):
            yield _body(calls)
            calls, size = [], 0
        calls.append(call)
        size += length
    if calls:
        yield _body(calls)


def _body(calls: Sequence[_WrittenCall]) -> str:
    details = ",".join(call.detail for call in calls)
    event = {
        "id": str(uuid5(NAMESPACE_URL, details)),
        "source": TELEPHONY.name,
        "detail-type": "Calls Ended",
        # No call may have ended after it.
        "time": format_instant(max(call.leg.ended_at for call in calls)),
    }
    return f'{json.dumps(event)[:-1]}, "detail": {{"schemaVersion": "1", "calls": [{details}]}}}}'
