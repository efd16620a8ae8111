"""Turn files of records into outcomes: one for each record, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.sources.identity import ReadCalls
from perminute.sources.outcomes import Outcome, Rejected
from perminute.sources.resolve import resolve
from perminute.sources.stated_call import StatedCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perminute.domain.reference.directory import Directory
    from perminute.sources.outcomes import Result
    from perminute.sources.stated_call import InputFile, Reading, Source, SourceOptions


def convert(
    source: Source, files: Iterable[InputFile], directory: Directory, options: SourceOptions
) -> Iterator[Outcome]:
    """Yield what becomes of each record; a faulty one stops neither its file nor the others."""
    read_calls = ReadCalls()
    for file in files:
        for reading in source.read(file, options):
            result = read_calls.check(resolved(reading, directory, source.name))
            yield Outcome(reading.at, reading.record, result)


def resolved(reading: Reading, directory: Directory, source: str) -> Result:
    """Return what becomes of a record by itself, whatever was read before it."""
    if not isinstance(reading.call, StatedCall):
        return reading.call
    try:
        return resolve(reading.call, directory, source)
    except Rejected as rejected:
        return rejected.result
