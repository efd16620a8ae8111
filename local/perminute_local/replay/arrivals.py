"""When call records arrive in a replay: at the end of their last call, which their reader finds.

A file is dropped into the bucket. What is posted to a webhook arrives request by request: status
callbacks of Twilio, if the token that they are signed by is known, and the documents of FreeSWITCH,
unless they are larger than a webhook takes.
"""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from perminute.api.webhooks.serving import MAX_BODY_BYTES
from perminute.domain.values.printable import counted
from perminute.sources.convert import convert
from perminute.sources.freeswitch_json import FREESWITCH_JSON
from perminute.sources.object_keys import write_key
from perminute.sources.outcomes import Skip, SkipReason
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile, Source, StatedCall
from perminute.sources.twilio import TWILIO_CALLBACK
from perminute_local.replay.posted_requests import account_of, is_request
from perminute_local.replay.results import Rejected
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from perminute.domain.reference.directory import Directory
    from perminute.sources.stated_call import Reading, SourceOptions
    from perminute_local.replay.record_folder import RecordSource


MAX_TOLD = 100
"""The most skipped records that are listed: a file may be in a wrong folder."""
_NO_REQUEST = (
    f"{SkipReason.NOT_A_CALL_RECORD}: is not a request: must be a JSON object with its method, "
    "url, headers and body"
)


class Arrival(NamedTuple):
    """A file that is dropped, or a request that is posted: a whole file, or a line of one."""

    place: str
    at: datetime | None  # None: none of its records says when a call ended
    source: RecordSource
    file: Path
    is_posted: bool = False
    begin: int = 0
    size: int | None = None  # in bytes; None: the file to its end

    @property
    def key(self) -> str:
        """The key of its object in the bucket."""
        return write_key(self.source.name, self.source.options, self.source.name_of(self.file))

    def open(self) -> BinaryIO:
        """Open what arrives. Raises `WrongFile` if the file is gone."""
        try:
            file = self.file.open("rb")
        except FileNotFoundError as error:
            msg = f"{self.file}: was removed while it was replayed; run the replay again"
            raise WrongFile(msg) from error
        if self.size is None:
            return file
        with file:
            file.seek(self.begin)
            return io.BytesIO(file.read(self.size))

    def content(self) -> bytes:
        """Read it whole. Raises `WrongFile` if the file is gone."""
        with self.open() as content:
            return content.read()


class Skips:
    """How many records are skipped by design, and lines about some of them."""

    def __init__(self) -> None:
        self.counts = Counter[SkipReason]()
        self.told: list[str] = []

    def add(self, at: str, skip: Skip) -> None:
        """Count a record; list it if it has a message in addition to its reason."""
        self.counts[skip.reason] += 1
        if skip.message and len(self.told) < MAX_TOLD:
            self.told.append(f"{at}: {skip.reason}: {skip.message}")

    def remarks(self) -> Iterator[str]:
        """Yield what to say of them when the replay is over."""
        yield from self.told
        if self.counts:
            reasons = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
            several = "records were skipped, which are no calls"
            skipped = counted(self.counts.total(), "record was skipped, which is no call", several)
            yield f"{skipped}: {reasons}"


class Arrivals(NamedTuple):
    """What arrives, by time; the records that will be skipped by design; lines that never arrive.

    `tokens` are those that callbacks are signed by, by the accounts that they name.
    """

    in_order: Sequence[Arrival]
    skips: Skips
    rejected: list[Rejected]
    tokens: dict[str, str]


def arrivals_of(sources: Sequence[RecordSource], directory: Directory) -> Arrivals:
    """Read all records once. A file without any time arrives with the last one that has one."""
    read = Arrivals([], Skips(), [], {})
    found = [arrival for source in sources for arrival in _arrivals(source, directory, read)]
    last = max((arrival.at for arrival in found if arrival.at is not None), default=None)
    found = [arrival._replace(at=arrival.at or last) for arrival in found]
    # Without any time they remain in the order of the folder.
    return read._replace(in_order=found if last is None else sorted(found, key=_time))


def _is_posted(source: RecordSource) -> bool:
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


def _arrivals(source: RecordSource, directory: Directory, read: Arrivals) -> Iterator[Arrival]:
    reader = _Reader(SOURCES[source.name], source.options, directory, read.skips)
    for file in source.files:
        place = source.place_of(file)
        with file.open("rb") as content:
            if _is_posted(source) and source.name == TWILIO_CALLBACK.name:
                yield from _callbacks(source, file, content, reader, read)
            else:
                at = reader.last_end(InputFile(place, content))
                is_small = content.seek(0, io.SEEK_END) <= MAX_BODY_BYTES
                yield Arrival(place, at, source, file, is_posted=_is_posted(source) and is_small)


def _callbacks(
    source: RecordSource, file: Path, content: BinaryIO, reader: _Reader, read: Arrivals
) -> Iterator[Arrival]:
    at: datetime | None = None
    token = source.options.auth_token or ""
    for number, begin, line in _lines(content):
        place = f"{source.place_of(file)}:{number}"
        if not is_request(line):
            read.rejected.append(Rejected(place, _NO_REQUEST))
            continue
        if account := account_of(line):
            read.tokens[account] = token
        # Without a time of its own it comes with the one before it.
        at = reader.last_end(InputFile(source.place_of(file), io.BytesIO(line)), place) or at
        yield Arrival(place, at, source, file, is_posted=True, begin=begin, size=len(line))


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
            # What is damaged is kept by the function, and rejected.
            if isinstance(outcome.result, Skip) and not outcome.result.is_damaged:
                self._skips.add(place or outcome.at, outcome.result)
        return self._last

    def _noted(self, file: InputFile, options: SourceOptions) -> Iterator[Reading]:
        for reading in self._read(file, options):
            if isinstance(reading.call, StatedCall):
                ended = reading.call.ended_at
                self._last = ended if self._last is None else max(self._last, ended)
            yield reading
