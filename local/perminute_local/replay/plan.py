"""What a replay replays: a folder with a rate card, events and records, cut into batches of SQS.

Every fault of the folder is found before anything starts. The clock of a replay is the events' own
`time`. Events of one kind share a batch only if at most a second of that clock lies between them.
Requests to the charging API are answered one by one.
"""

from __future__ import annotations

import codecs
import json
import random
from array import array
from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.values.times import parse_instant
from perminute.fields import FIRST_YEAR, LAST_YEAR
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.replay.record_folder import RECORDS, record_sources
from perminute_local.user_input import check_encoding, faults_of
from perminute_local.wrong_call import FaultyFolder, WrongFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from perminute_local.replay.arrivals import Arrival
    from perminute_local.replay.record_folder import RecordSource


WINDOW = timedelta(seconds=1)


class Delivery(NamedTuple):
    """One event as it is handed to the bus; or a request to the charging API, by its name.

    A request stands alone: it is answered before anything else happens. `fault` is what is wrong
    with it. What arrives as call records is no event: `arrival` says what and how.
    """

    event_id: str
    source: str
    kind: str
    body: str
    at: datetime | None
    request: str | None = None
    fault: str | None = None
    arrival: Arrival | None = None


class NotAnEvent(NamedTuple):
    """A line that no bus would take, with the reason."""

    event_id: str
    reason: str


class Disturbance(NamedTuple):
    """What to do to the order of deliveries, the same each time for one seed."""

    seed: int = 0
    duplicate: float = 0.0
    shuffle: bool = False


class Events:
    """The events and requests of a file in the order of their time, each read when it is due.

    In memory there are where each line begins, its number and its time. A line whose time cannot
    be read has the time of the line before it, or the first time of the file. Blank lines and those
    that begin with `#` are skipped.
    """

    def __init__(self, path: Path) -> None:
        """Go through the file once; raises `OSError`."""
        self.rejected: list[NotAnEvent] = []
        self.requests: list[str] = []
        """Requests to the charging API by their places, in the order of the file."""
        self._path = path
        self._offsets, self._numbers, self._times = array("Q"), array("Q"), array("q")
        clock: datetime | None = None
        with path.open("rb") as lines:
            offset = 0
            for number, line in enumerate(lines, 1):
                read = _read(line, path.name, number)
                if isinstance(read, Delivery):
                    if clock is None and read.at is not None:
                        self._times = array("q", [_microseconds(read.at)]) * len(self._times)
                    clock = read.at or clock
                    self._append(read, offset, number, clock)
                elif read is not None:
                    self.rejected.append(read)
                offset += len(line)
        self._has_times = clock is not None
        self._order = array("Q", sorted(range(len(self._times)), key=self._times.__getitem__))

    def _append(self, read: Delivery, offset: int, number: int, clock: datetime | None) -> None:
        self._offsets.append(offset)
        self._numbers.append(number)
        self._times.append(0 if clock is None else _microseconds(clock))
        if read.request is not None:
            self.requests.append(read.event_id)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Delivery]:
        """Read them; raises `WrongFile` if the file was changed meanwhile, or `OSError`."""
        with self._path.open("rb") as lines:
            for position in self._order:
                lines.seek(self._offsets[position])
                read = _read(lines.readline(), self._path.name, self._numbers[position])
                if not isinstance(read, Delivery):
                    msg = f"{self._path}: was changed while it was replayed; run the replay again"
                    raise WrongFile(msg)
                yield read._replace(at=self._time(position)) if read.at is None else read

    def _time(self, position: int) -> datetime | None:
        return _EPOCH + self._times[position] * _MICROSECOND if self._has_times else None


class Timeline:
    """Events and call records in the order of their time; events go first in the same instant."""

    def __init__(self, events: Events | None, arrivals: Sequence[Arrival]) -> None:
        self._events: Events | Sequence[Delivery] = () if events is None else events
        self._arrivals = arrivals

    def __len__(self) -> int:
        return len(self._events) + len(self._arrivals)

    def __iter__(self) -> Iterator[Delivery]:
        return merge(self._events, map(_delivery_of, self._arrivals), key=_place)


def _place(delivery: Delivery) -> datetime:
    if delivery.at is not None:
        return delivery.at
    # Where no event has a time, they come first; where no record has one, they come last.
    return _BEFORE_ALL if delivery.arrival is None else _AFTER_ALL


def _delivery_of(arrival: Arrival) -> Delivery:
    kind = "posted records" if arrival.is_posted else "dropped records"
    return Delivery(arrival.place, "", kind, "", arrival.at, arrival=arrival)


_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)
_AFTER_ALL = datetime(9999, 12, 31, tzinfo=UTC)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _read(line: bytes, file: str, number: int) -> Delivery | NotAnEvent | None:
    # Windows programs put a byte order mark in front of the first line.
    text = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip()
    return _read_line(text, f"{file}:{number}") if text and not text.startswith(b"#") else None


def _read_line(line: bytes, place: str) -> Delivery | NotAnEvent:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as error:
        return NotAnEvent(place, f"{place}: is not JSON: {error}")
    if not isinstance(event, dict):
        return NotAnEvent(place, f"{place}: must be a JSON object, one event a line")
    at = _time_of(event)
    if "request" in event:
        return Delivery(
            event_id=place,
            source="",
            kind="request",
            body=json.dumps(event.get("body")),
            at=at,
            request=str(event["request"]),
            fault=None if at else "time: must be an RFC 3339 time such as 2026-11-02T09:00:00Z",
        )
    event_id = event.get("id")
    event_id = event_id if isinstance(event_id, str) and event_id else place
    source = event.get("source")
    if not isinstance(source, str):
        return NotAnEvent(event_id, "source: is required; without it no rule of the bus matches")
    return Delivery(
        event_id=event_id,
        source=source,
        kind=f"{source} {event.get('detail-type')}",
        body=json.dumps(event),
        at=at,
    )


def _time_of(event: dict[str, Any]) -> datetime | None:
    # A time at which nothing can be booked does not move the clock.
    try:
        at = parse_instant(str(event.get("time")))
    except ValueError:
        return None
    return at if FIRST_YEAR <= at.year <= LAST_YEAR else None


def batches(
    deliveries: Iterable[Delivery], largest: Callable[[Delivery], int], disturbance: Disturbance
) -> Iterator[list[Delivery]]:
    """Cut deliveries into batches of one kind within one window, as many as `largest` returns."""
    chance = random.Random(disturbance.seed)  # noqa: S311 - reproducible, guards nothing
    for window in _windows(deliveries):
        if window[0].request is not None:
            yield window
            continue
        disturbed, size = _disturb(window, chance, disturbance), largest(window[0])
        for start in range(0, len(disturbed), size):
            yield disturbed[start : start + size]


def _windows(deliveries: Iterable[Delivery]) -> Iterator[list[Delivery]]:
    window: list[Delivery] = []
    for delivery in deliveries:
        if window and not _shares(window[0], delivery):
            yield window
            window = []
        window.append(delivery)
    if window:
        yield window


def _shares(first: Delivery, delivery: Delivery) -> bool:
    if first.kind != delivery.kind or first.request is not None:
        return False
    return first.at is None or delivery.at is None or delivery.at - first.at <= WINDOW


def _disturb(
    window: Sequence[Delivery], chance: random.Random, disturbance: Disturbance
) -> list[Delivery]:
    again = [arrival for arrival in window if chance.random() < disturbance.duplicate]
    disturbed = [*window, *again]
    if disturbance.shuffle:
        chance.shuffle(disturbed)
    return disturbed


RATES, EVENTS = "rates.csv", "events.jsonl"


def check_folder(folder: Path) -> list[RecordSource]:
    """Return the call records of a folder, which may have none.

    Raises `WrongFile` with every fault that makes a replay of this folder impossible. A line that
    is no event does not: it is refused as the bus would refuse it.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        msg = f"{folder}: {what}; name a folder that holds {RATES} and {EVENTS}"
        raise WrongFile(msg)
    sources, of_records = record_sources(folder)
    errors: list[WrongFile] = []
    for check, name in (_check_card, RATES), (_check_events, EVENTS):
        if name == EVENTS and sources and not (folder / name).exists():
            continue
        try:
            check(folder / name)
        except WrongFile as error:
            errors.append(error)
    errors += of_records
    if len(errors) > 1:
        raise FaultyFolder(folder, errors)
    for only in errors:
        raise only
    return sources


def _check_card(path: Path) -> None:
    if not path.is_file():
        msg = f"{path}: there is no such file; a replay needs the rate card that its calls cost by"
        raise WrongFile(msg)
    with faults_of(path):
        read_rate_card(path.read_bytes())


def _check_events(path: Path) -> None:
    if not path.is_file():
        msg = (
            f"{path}: there is no such file; a replay needs its events there, one a line, or call "
            f"records in {RECORDS}/"
        )
        raise WrongFile(msg)
    check_encoding(path)
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if text and not text.startswith("#"):
                layout = _layout(line + lines.read()) if _may_go_on(line) else None
                if layout is not None:
                    msg = f"{path}:{number}: {layout}; write one event a line: jq -c {_OUT[layout]}"
                    raise WrongFile(msg)
                return


_ARRAY, _SEVERAL_LINES = "is a JSON array", "is JSON that goes over several lines"
_OUT = {_ARRAY: "'.[]'", _SEVERAL_LINES: "."}


def _may_go_on(line: str) -> bool:
    # This line alone is no event, but may begin something else that is JSON.
    try:
        return isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return line.lstrip()[0] in "[{"


def _layout(text: str) -> str | None:
    text = text.lstrip()
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list):
        return _ARRAY if all(isinstance(one, dict) for one in value) else None
    return _SEVERAL_LINES if "\n" in text[:end] else None
