"""Call records that arrive become `Calls Ended` messages, and problems that are shown as rejected.

They are read as `perminute calls convert` reads them, and go to the queue of calls: the function
that charges them is the deployed one.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from perminute.events.calls_ended import MAX_EVENT_BYTES
from perminute.events.telephony import MAX_CALLS_IN_EVENT, TELEPHONY
from perminute.sources.convert import convert
from perminute.sources.outcomes import Leg, Problem
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile
from perminute_local.replay.results import Rejected
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perminute.domain.reference.directory import Directory
    from perminute.sources.outcomes import Outcome
    from perminute_local.replay.arrivals import Arrival
    from perminute_local.replay.plan import Delivery


class EndedCalls(NamedTuple):
    """A message for the queue of calls, and the places of its calls by the ids that they go by."""

    body: str
    places: dict[str, str]


def converted(
    batch: Iterable[Delivery], directory: Directory, places: dict[str, str]
) -> tuple[dict[str, str], list[Rejected]]:
    """Return the messages of the calls that arrive, with where they came from; and the problems.

    The places of calls are added to `places`. Raises `WrongFile` if a file is gone, and `OSError`.
    """
    bodies: dict[str, str] = {}
    rejected: list[Rejected] = []
    for arrival in (one.arrival for one in batch if one.arrival is not None):
        legs: list[tuple[str, Leg]] = []
        for at, _, result in _outcomes(arrival, directory):
            place = at if arrival.size is None else arrival.place
            if isinstance(result, Leg):
                legs.append((place, result))
            elif isinstance(result, Problem):
                rejected.append(Rejected(place, f"{result.reason}: {result.message}"))
        for message in _messages(legs):
            bodies[message.body] = arrival.place
            places |= message.places
    return bodies, rejected


def _outcomes(arrival: Arrival, directory: Directory) -> Iterator[Outcome]:
    source, options = SOURCES[arrival.source.name], arrival.source.options
    try:
        with arrival.file.open("rb") as file:
            file.seek(arrival.begin)
            content = file if arrival.size is None else io.BytesIO(file.read(arrival.size))
            name = arrival.source.place_of(arrival.file)
            yield from convert(source, (InputFile(name, content),), directory, options)
    except FileNotFoundError as error:
        msg = f"{arrival.file}: was removed while it was replayed; run the replay again"
        raise WrongFile(msg) from error


def _messages(legs: Sequence[tuple[str, Leg]]) -> Iterator[EndedCalls]:
    part: list[tuple[str, Leg, str]] = []
    size = 0
    for place, leg in legs:
        detail = json.dumps(leg.detail())
        if part and (len(part) == MAX_CALLS_IN_EVENT or size + len(detail) > _MAX_BYTES_OF_CALLS):
            yield _message(part)
            part, size = [], 0
        part.append((place, leg, detail))
        size += len(detail) + len(", ")
    if part:
        yield _message(part)


# The rest is for what is around the calls.
_MAX_BYTES_OF_CALLS = MAX_EVENT_BYTES - 1024


def _message(part: Sequence[tuple[str, Leg, str]]) -> EndedCalls:
    calls = ", ".join(detail for _, _, detail in part)
    event_id = str(uuid5(NAMESPACE_URL, calls))
    envelope = {
        "id": event_id,
        "source": TELEPHONY.name,
        "detail-type": "Calls Ended",
        # None of the calls ended after it.
        "time": max((leg for _, leg, _ in part), key=lambda leg: leg.ended_at).detail()["endedAt"],
    }
    body = f'{json.dumps(envelope)[:-1]}, "detail": {{"schemaVersion": "1", "calls": [{calls}]}}}}'
    places = {f"{event_id}#{number}": place for number, (place, _, _) in enumerate(part)}
    return EndedCalls(body, places)
