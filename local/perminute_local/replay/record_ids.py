"""Finds the record of a dead letter, by its file and place in the folder of the replay.

Functions name a record by its object in the bucket, and a call by its event. The id of the event is
made of its calls, so that the records of the folder say which of them became the call.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.application.ingest_records import CALLS_AT_ONCE
from perminute.events.queued_calls import calls_ended_bodies
from perminute.formats.directory_csv import read_directory
from perminute.sources.convert import convert
from perminute.sources.object_keys import write_key
from perminute.sources.outcomes import Leg
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile
from perminute_local.replay.record_folder import RECORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from perminute.domain.reference.directory import Directory
    from perminute_local.replay.arrivals import Arrival


def record_ids(
    wanted: Collection[str], arrivals: Iterable[Arrival], directory: bytes, bucket: str
) -> dict[str, str]:
    """Return the places of records in the folder, by those of these ids that name one.

    Calls of a file that was divided are not found: only the function knows where it divides.
    """
    found: dict[str, str] = {}
    folders: dict[str, str] = {}
    calls = {one for one in wanted if "#" in one and not one.startswith("s3://")}
    read = read_directory(directory)
    for arrival in arrivals:
        source = arrival.source
        folder = f"s3://{bucket}/{write_key(source.name, source.options, '')}"
        folders[folder] = f"{RECORDS}/{source.name}/"
        if calls:
            found |= {name: at for name, at in _calls_of(arrival, read) if name in calls}
    for name in wanted:
        for folder, own in folders.items():
            if name.startswith(folder):
                found[name] = own + name.removeprefix(folder)
    return found


def _calls_of(arrival: Arrival, directory: Directory) -> Iterator[tuple[str, str]]:
    legs = list(_legs_of(arrival, directory))
    for start in range(0, len(legs), CALLS_AT_ONCE):
        yield from _named(legs[start : start + CALLS_AT_ONCE])


def _legs_of(arrival: Arrival, directory: Directory) -> Iterator[tuple[str, Leg]]:
    source = SOURCES[arrival.source.name]
    # A signature is checked by what takes the request.
    options = replace(arrival.source.options, auth_token=None)
    with arrival.open() as content:
        file = InputFile(arrival.source.place_of(arrival.file), content)
        for outcome in convert(source, (file,), directory, options):
            if isinstance(outcome.result, Leg):
                yield (outcome.at if arrival.size is None else arrival.place), outcome.result


def _named(legs: Sequence[tuple[str, Leg]]) -> Iterator[tuple[str, str]]:
    places = (place for place, _ in legs)
    for body in calls_ended_bodies(leg for _, leg in legs):
        event = json.loads(body)
        for number, place in zip(range(len(event["detail"]["calls"])), places, strict=False):
            yield f"{event['id']}#{number}", place
