"""Read records in order to compare them with the calls that we have."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.comparison.record_comparison import TheirCall
from perminute.sources.convert import resolved
from perminute.sources.identity import ReadCalls
from perminute.sources.outcomes import Leg, Outcome, Problem, Skip
from perminute.sources.stated_call import StatedCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perminute.domain.reference.directory import Directory
    from perminute.sources.stated_call import InputFile, Reading, Source, SourceOptions


class RecordProblem(NamedTuple):
    """A record that cannot be compared, and why an operator must look at it."""

    at: str
    problem: Problem
    call_id: str | None  # if it could be read: the operator knows this call


class ReadRecords(NamedTuple):
    """What became of the records of some files."""

    calls: list[TheirCall]
    problems: list[RecordProblem]
    skipped: Counter[str]  # by reason
    # The place and reason of each skipped record that cannot be read: it may have been a call.
    damaged: list[tuple[str, str]]

    @property
    def records(self) -> int:
        """How many records there were."""
        return len(self.calls) + len(self.problems) + self.skipped.total()


def read_records(
    source: Source, files: Iterable[InputFile], directory: Directory, options: SourceOptions
) -> ReadRecords:
    """Read all records of files; of a call that is there twice, the first record counts."""
    read, known = ReadRecords([], [], Counter(), []), ReadCalls()
    for file in files:
        for reading in source.read(file, options):
            match known.check(resolved(reading, directory, source.name)):
                case Leg() as leg:
                    outcome = Outcome(reading.at, reading.record, leg)
                    read.calls.append(their_call(source, outcome, leg))
                case Problem() as problem:
                    read.problems.append(RecordProblem(reading.at, problem, _call_id(reading)))
                case Skip() as skip:
                    read.skipped[skip.reason.value] += 1
                    if skip.is_damaged:
                        read.damaged.append((reading.at, f"{skip.reason}: {skip.message}"))
    return read


def their_call(source: Source, outcome: Outcome, leg: Leg) -> TheirCall:
    """Return the call of a record that was read to a leg, with what its operator charged."""
    record: Any = outcome.record
    return TheirCall(
        at=outcome.at,
        organization_id=leg.organization_id,
        call_id=leg.call_id,
        organizer_id=leg.organizer_id,
        leg_type=leg.leg_type,
        service_number=leg.service_number,
        remote_number=leg.remote_number,
        ended_at=leg.ended_at,
        is_answered=leg.answered_at is not None,
        seconds=leg.billable_seconds,
        charge=source.charge(record) if source.charge else None,
    )


def _call_id(reading: Reading) -> str | None:
    return reading.call.call_id if isinstance(reading.call, StatedCall) else None
