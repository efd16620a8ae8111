"""Read call records that other systems wrote, and queue the calls in them to be charged.

Nothing is lost: a record is a call, is skipped by design, or is kept among the dead letters with
the reason why it could not be charged. Calls are queued first, and what is kept comes last. A
message that fails in between is processed again: the same calls are queued again, which changes
nothing, and what was kept may be kept twice.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.record_messages import SentRecords
from perminute.application.results import Accepted
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.values.printable import one_line
from perminute.domain.values.times import MAX_CLOCK_AHEAD
from perminute.ports.messaging import Rejection
from perminute.ports.record_objects import ObjectPart, StoredObject
from perminute.sources.convert import convert
from perminute.sources.divide import WINDOW_BYTES, ZIP, find_boundary, has_header, header_of
from perminute.sources.json_files import MAX_LINE_BYTES
from perminute.sources.object_keys import read_key
from perminute.sources.outcomes import Leg, Problem, ProblemReason, Skip, SkipReason
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile
from perminute.sources.write_record import write_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from perminute.application.record_messages import RecordsMessage
    from perminute.application.results import Result
    from perminute.application.retry import Deadline
    from perminute.ports.directories import Directories
    from perminute.ports.messaging import Rejections
    from perminute.ports.record_objects import RecordObjects
    from perminute.sources.outcomes import Outcome
    from perminute.sources.stated_call import SourceOptions

PART_BYTES = 8 * 1024 * 1024
"""How large a part of a large object is: some 30,000 records."""

MAX_WHOLE_BYTES = 32 * 1024 * 1024
"""How large a document may be that cannot be divided: in memory it takes several times as much."""

MAX_KEPT = 1_000
"""Of one message, each by itself: a wrong time zone makes a problem of each record of a file."""

CALLS_AT_ONCE = 5_000
"""Calls that are queued together, and records between two looks at the clock."""

# Of all that is kept of a message; and of one record, so that SQS takes its message.
_MAX_KEPT_BYTES, _MAX_BODY_BYTES = 32 * 1024 * 1024, 240 * 1024
_MAX_HEADER_BYTES = 64 * 1024
_MAX_PLACE, _MAX_REASON = 250, 1_000


class IngestedRecords(NamedTuple):
    """What became of the records of a message; of a large object the parts that were queued."""

    place: str
    calls: int = 0
    # By their reasons.
    skipped: Mapping[str, int] = {}
    kept: Mapping[str, int] = {}
    parts: int = 0


@dataclass(frozen=True, slots=True)
class IngestRecords:
    """The use case with what it needs from outside."""

    directories: Directories
    objects: RecordObjects
    # Both raise `Unavailable`.
    queue_calls: Callable[[Sequence[Leg]], None]
    queue_parts: Callable[[Sequence[ObjectPart]], None]
    rejections: Rejections
    # Writes a message with records: of this source, from this place, and by these options.
    body_of: Callable[[str, str, bytes, SourceOptions], str]

    def __call__(
        self, messages: Sequence[RecordsMessage], deadline: Deadline
    ) -> Sequence[Result[IngestedRecords]]:
        """Process each message by itself, and all of it by one directory."""
        return [self._result(message, deadline) for message in messages]

    def _result(self, message: RecordsMessage, deadline: Deadline) -> Result[IngestedRecords]:
        try:
            deadline.check()
            return Accepted(self._ingest(message, deadline))
        except (Refused, Unavailable) as error:
            return error

    def _ingest(self, message: RecordsMessage, deadline: Deadline) -> IngestedRecords:
        match message.content:
            case SentRecords(source, _, content, options):
                return self._read(message, source, options, content, deadline)
            case ObjectPart() as part:
                return self._read_part(message, part, deadline)
            case StoredObject() as stored if not stored.size and stored.key.endswith("/"):
                # What the console of S3 makes for a folder.
                return IngestedRecords(message.place)
            case StoredObject() as stored:
                parts = self._parts(stored, deadline)
                if len(parts) == 1:
                    return self._read_part(message, parts[0], deadline)
                self.queue_parts(parts)
                return IngestedRecords(message.place, parts=len(parts))

    def _parts(self, stored: StoredObject, deadline: Deadline) -> list[ObjectPart]:
        source = read_key(stored.key).source.name
        if stored.size <= PART_BYTES:
            return [ObjectPart(stored, 0, stored.size)]
        beginning = self.objects.read(stored, 0, _MAX_HEADER_BYTES)
        if beginning.startswith(ZIP):
            raise _too_large(stored, "a zip", PART_BYTES, "unpack it, and drop the file in it")
        header = header_of(source, beginning)
        parts = list[ObjectPart]()
        begin = 0
        for boundary in self._boundaries(stored, source, header, deadline):
            parts.append(ObjectPart(stored, begin, boundary))
            begin = boundary
        return [*parts, ObjectPart(stored, begin, stored.size)]

    def _boundaries(
        self, stored: StoredObject, source: str, header: bytes, deadline: Deadline
    ) -> Iterator[int]:
        begin, place = 0, PART_BYTES
        while place < stored.size:
            deadline.check()
            if place - begin > MAX_WHOLE_BYTES:
                raise _too_large(stored, "a document", MAX_WHOLE_BYTES, "divide it, and drop parts")
            window = self.objects.read(stored, place, min(place + WINDOW_BYTES, stored.size))
            found = find_boundary(source, header, window)
            if found is None:
                # Windows overlap, so that two lines are found that lie beside each other.
                place += MAX_LINE_BYTES
                continue
            begin = place + found
            if begin < stored.size:
                yield begin
            place = begin + PART_BYTES

    def _read_part(
        self, message: RecordsMessage, part: ObjectPart, deadline: Deadline
    ) -> IngestedRecords:
        stored, begin, end = part
        keyed = read_key(stored.key)
        source = keyed.source.name
        if end - begin > MAX_WHOLE_BYTES + WINDOW_BYTES:
            raise _too_large(stored, "a document", MAX_WHOLE_BYTES, "divide it, and drop parts")
        header = b""
        if begin and has_header(source):
            header = header_of(source, self.objects.read(stored, 0, _MAX_HEADER_BYTES))
        content = header + self.objects.read(stored, begin, end)
        return self._read(message, source, keyed.options, content, deadline)

    def _read(
        self,
        message: RecordsMessage,
        source: str,
        options: SourceOptions,
        content: bytes,
        deadline: Deadline,
    ) -> IngestedRecords:
        directory = self.directories.current()
        reading = _Reading(self, message, source, options)
        file = InputFile(message.place, io.BytesIO(content))
        for number, outcome in enumerate(convert(SOURCES[source], (file,), directory, options)):
            if number % CALLS_AT_ONCE == 0:
                deadline.check()
            reading.take(outcome)
        return reading.finish()


@dataclass(slots=True)
class _Reading:
    """What became of the records of a message so far."""

    use_case: IngestRecords
    message: RecordsMessage
    source: str
    options: SourceOptions
    calls: int = 0
    legs: list[Leg] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    foreign: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    rejected_bytes: int = 0
    not_kept_alone: Counter[str] = field(default_factory=Counter)

    def take(self, outcome: Outcome) -> None:
        """Do what is to be done with a record. Raises `Unavailable`."""
        result = outcome.result
        if isinstance(result, Leg):
            result = self._unless_in_the_future(result)
        match result:
            case Leg():
                self.calls += 1
                self.legs.append(result)
                if len(self.legs) == CALLS_AT_ONCE:
                    self._queue_calls()
            case Skip(is_damaged=False):
                self.skipped[result.reason] += 1
                self.foreign += result.is_foreign
            case Skip() | Problem():
                self.kept[result.reason] += 1
                self._keep(outcome, result)

    def finish(self) -> IngestedRecords:
        """Queue the last calls, and keep what cannot be charged. Raises `Unavailable`."""
        self._queue_calls()
        self._keep_if_foreign()
        if self.not_kept_alone:
            # Together, as what brought them: processed again, it charges what it did not before.
            count = sum(self.not_kept_alone.values())
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.not_kept_alone.most_common())
            reason = f"{count} records beside those kept alone: {reasons}"
            self.rejections.append(self._rejection(self.message.place, reason, self.message.body))
        self.use_case.rejections.store(self.rejections)
        return IngestedRecords(self.message.place, self.calls, self.skipped, self.kept)

    def _keep_if_foreign(self) -> None:
        # A file in the folder of another source would vanish record by record. What was posted
        # came by the address of its source, where events of other kinds are usual.
        is_sent = isinstance(self.message.content, SentRecords)
        others = self.calls + self.kept.total() + self.skipped.total() - self.foreign
        if is_sent or others or not self.foreign:
            return
        reason = (
            f"{SkipReason.NOT_A_CALL_RECORD}: none of {self.foreign} records is one of "
            f"{self.source}; if they are of another source, drop the file in its folder"
        )
        self.rejections.append(self._rejection(self.message.place, reason, self.message.body))
        self.kept, self.skipped = self.skipped, self.kept

    def _unless_in_the_future(self, leg: Leg) -> Leg | Problem:
        if leg.ended_at <= self.message.now + MAX_CLOCK_AHEAD:
            return leg
        message = (
            "the call ended after its record was read: set the clock of the system that wrote it "
            "right, or name its time zone"
        )
        return Problem(ProblemReason.INVALID_TIME, message)

    def _queue_calls(self) -> None:
        if self.legs:
            self.use_case.queue_calls(self.legs)
            self.legs = []

    def _keep(self, outcome: Outcome, result: Skip | Problem) -> None:
        if len(self.rejections) >= MAX_KEPT or self.rejected_bytes > _MAX_KEPT_BYTES:
            self.not_kept_alone[result.reason] += 1
            return
        # Records that were sent are named by where they came from, however often they come.
        is_sent = isinstance(self.message.content, SentRecords)
        place = self.message.place if is_sent else outcome.at
        reason = f"{result.reason}: {result.message}"
        rejection = self._rejection(place, reason, self._body_of(outcome, place))
        self.rejected_bytes += len(rejection.body)
        self.rejections.append(rejection)

    def _body_of(self, outcome: Outcome, place: str) -> str:
        if outcome.record is not None:
            try:
                content = write_record(self.source, outcome.record)
                body = self.use_case.body_of(self.source, place, content, self.options)
            except RecursionError:
                body = ""
            if 0 < len(body) <= _MAX_BODY_BYTES:
                return body
        # There is no record, or it fits into no message: what brought it says where it is.
        return self.message.body

    def _rejection(self, place: str, reason: str, body: str) -> Rejection:
        name = place if len(place) <= _MAX_PLACE else f"…{place[1 - _MAX_PLACE :]}"
        return Rejection(name, one_line(reason, at_most=_MAX_REASON), body)


def _too_large(stored: StoredObject, what: str, most: int, remedy: str) -> Refused:
    megabytes = most // 1024**2
    message = f"tooLarge: s3://{stored.bucket}/{stored.key} has {what} of more than {megabytes} MB"
    return Refused("object", f"{message}; {remedy}")
