"""When call records arrive in a replay: at the end of their last call, which their reader finds.

A file is dropped into the bucket. What is posted to a webhook arrives request by request: status
callbacks of Twilio, if the token that they are signed by is known, and the documents of FreeSWITCH.
"""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from perminute.sources.convert import convert
from perminute.sources.freeswitch_json import FREESWITCH_JSON
from perminute.sources.outcomes import Skip
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile, Source, StatedCall
from perminute.sources.twilio import TWILIO_CALLBACK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from perminute.domain.reference.directory import Directory
    from perminute.sources.outcomes import SkipReason
    from perminute.sources.stated_call import Reading, SourceOptions
    from perminute_local.replay.record_folder import RecordSource


MAX_TOLD = 100
"""Of so many skipped records each is told, at most: a file may be in a wrong folder."""


class Arrival(NamedTuple):
    """A file that is dropped, or a request that is posted: a whole file, or a line of one."""

    place: str
    at: datetime | None  # None: none of its records says when a call ended
    source: RecordSource
    file: Path
    is_posted: bool = False
    begin: int = 0
    size: int | None = None  # in bytes; None: the file to its end


class Skips:
    """How many records are no calls of ours, and what is to be said of some of them."""

    def __init__(self) -> None:
        self.counts = Counter["SkipReason"]()
        self.told: list[str] = []

    def add(self, at: str, skip: Skip) -> None:
        """Count a record; tell of it if its reason does not say all."""
        self.counts[skip.reason] += 1
        if skip.message and len(self.told) < MAX_TOLD:
            self.told.append(f"{at}: {skip.reason}: {skip.message}")

    def remarks(self) -> Iterator[str]:
        """Yield what to say of them when the replay is over."""
        yield from self.told
        if self.counts:
            reasons = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
            yield f"{self.counts.total()} records were skipped, which are no calls: {reasons}"


class Arrivals(NamedTuple):
    """What arrives, by time, and the records that will be skipped by design."""

    in_order: Sequence[Arrival]
    skips: Skips


def arrivals_of(sources: Sequence[RecordSource], directory: Directory) -> Arrivals:
    """Read all records once. A file without any time arrives with the last one that has one."""
    skips = Skips()
    found = [one for source in sources for one in _arrivals(source, directory, skips)]
    last = max((one.at for one in found if one.at is not None), default=None)
    found = [one._replace(at=one.at or last) for one in found]
    # Without any time they remain in the order of the folder.
    return Arrivals(found if last is None else sorted(found, key=_time), skips)


def is_posted(source: RecordSource) -> bool:
    """Return whether records of a source come by a webhook.

    What the options say of FreeSWITCH's documents only the key of an object in the bucket can say.
    """
    options = source.options
    if source.name == FREESWITCH_JSON.name:
        return options.tenant is None and options.encoded_values
    return source.name == TWILIO_CALLBACK.name and options.auth_token is not None


def _time(arrival: Arrival) -> datetime:
    assert arrival.at is not None  # noqa: S101 - it was given the last one
    return arrival.at


def _arrivals(source: RecordSource, directory: Directory, skips: Skips) -> Iterator[Arrival]:
    reader = _Reader(SOURCES[source.name], source.options, directory, skips)
    for file in source.files:
        place = source.place_of(file)
        with file.open("rb") as content:
            if source.name == TWILIO_CALLBACK.name and is_posted(source):
                at: datetime | None = None
                for number, begin, line in _lines(content):
                    # Without a time of its own it comes with the one before it.
                    of_line = f"{place}:{number}"
                    at = reader.last_end(InputFile(place, io.BytesIO(line)), of_line) or at
                    yield Arrival(
                        place=of_line,
                        at=at,
                        source=source,
                        file=file,
                        is_posted=True,
                        begin=begin,
                        size=len(line),
                    )
            else:
                at = reader.last_end(InputFile(place, content))
                yield Arrival(place, at, source, file, is_posted(source))


def _lines(content: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    begin = 0
    for number, line in enumerate(content, 1):
        if line.strip():
            yield number, begin, line
        begin += len(line)


class _Reader:
    """Reads files as the deployed function will, and keeps only when their calls ended."""

    def __init__(
        self,
        source: Source,
        options: SourceOptions,
        directory: Directory,
        skips: Skips,
    ) -> None:
        self._source = Source(source.name, self._noted)
        self._read = source.read
        self._options, self._directory, self._skips = options, directory, skips
        self._last: datetime | None = None

    def last_end(self, file: InputFile, place: str | None = None) -> datetime | None:
        """Return when the last call of a file ended; count its skips.

        `place` is that of a file with one record of a larger one.
        """
        self._last = None
        for outcome in convert(self._source, (file,), self._directory, self._options):
            if isinstance(outcome.result, Skip):
                self._skips.add(place or outcome.at, outcome.result)
        return self._last

    def _noted(self, file: InputFile, options: SourceOptions) -> Iterator[Reading]:
        for reading in self._read(file, options):
            if isinstance(reading.call, StatedCall):
                ended = reading.call.ended_at
                self._last = ended if self._last is None else max(self._last, ended)
            yield reading
