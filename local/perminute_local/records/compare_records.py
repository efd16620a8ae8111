"""`perminute calls compare`: an operator's records beside our calls (docs/comparing-records.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.comparison.record_comparison import (
    REPORTED_WITHIN,
    compare_records,
    numbers_of_others,
)
from perminute.domain.values.money import format_micros
from perminute.domain.values.printable import counted
from perminute.domain.values.times import format_instant
from perminute.formats.csv_output import write_csv
from perminute.formats.directory_csv import read_directory
from perminute.sources.compared import read_records
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile
from perminute_local.progress import count_shown
from perminute_local.records.our_calls import StackCalls, calls_of_file
from perminute_local.reports.source import StackReports
from perminute_local.terminal import remark, write_json, write_line
from perminute_local.user_input import faults_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from perminute.domain.comparison.record_comparison import (
        Comparison,
        Difference,
        KindSum,
        OurCall,
        TheirCall,
    )
    from perminute.domain.reference.directory import Directory
    from perminute.sources.compared import ReadRecords
    from perminute.sources.stated_call import Source, SourceOptions

CSV_COLUMNS = (
    *("kind", "organizationId", "callId", "record", "theirs", "ours"),
    *("seconds", "cost", "currency"),
)


class Request(NamedTuple):
    """What is to be compared: either the calls of a file, or those of a stack."""

    source: str
    directory: Path
    files: Sequence[Path]
    options: SourceOptions
    at: datetime
    calls: Path | None = None
    stack: str | None = None
    organization: str | None = None


class _Ours(NamedTuple):
    """Our calls, and how many are not compared because they cannot be in these records."""

    calls: Sequence[OurCall]
    other_organizations: int = 0
    other_sources: int = 0
    # Records of calls that nobody answered, which a stack's reports do not list.
    unanswered: int = 0


def compare(request: Request, *, as_json: bool, csv: Path | None) -> int:
    """Write the differences; exit code 1 if there is one, or a problem of a record."""
    source = SOURCES[request.source]
    with faults_of(request.directory):
        directory = read_directory(request.directory.read_bytes())
    read = read_records(source, _opened(request.files), directory, request.options)
    if request.organization:
        of_one = [call for call in read.calls if call.organization_id == request.organization]
        read = read._replace(calls=of_one)
    theirs = read.calls
    if request.calls is not None:
        ours = _of_file(request, request.calls, directory, read)
    else:
        theirs, ours = _of_stack(request, source, directory, read)
    comparison = compare_records(
        theirs,
        ours.calls,
        reported_by=request.at - REPORTED_WITHIN,
        also_there={problem.call_id for problem in read.problems if problem.call_id},
    )
    if csv is not None:
        with csv.open("w", encoding="utf-8", newline="") as stream:
            write_csv(stream, CSV_COLUMNS, map(_row, comparison.differences))
    for at, problem, _ in read.problems:
        remark(f"{at}: {problem.reason}: {problem.message}")
    for at, why in read.damaged:
        remark(f"{at}: {why}")
    if as_json:
        write_json(_document(request, read, ours, comparison))
    else:
        for difference in comparison.differences:
            write_line(_line(difference))
        for line in _summary(comparison):
            write_line(line)
    _remark_counts(read, ours, comparison)
    return 1 if comparison.differences or read.problems else 0


def _opened(paths: Sequence[Path]) -> Iterator[InputFile]:
    for path in paths:
        with path.open("rb") as content:
            yield InputFile(str(path), content)


def _of_file(request: Request, path: Path, directory: Directory, read: ReadRecords) -> _Ours:
    source = SOURCES[request.source]
    calls = calls_of_file(path, by_rate_card=source.charges_by_rate_card)
    organizations = _organizations(request, directory, read)
    of_theirs = [call for call in calls if call.organization_id in organizations]
    return _of_source(of_theirs, directory, source)._replace(
        other_organizations=len(calls) - len(of_theirs)
    )


def _of_stack(
    request: Request, source: Source, directory: Directory, read: ReadRecords
) -> tuple[list[TheirCall], _Ours]:
    stack = StackCalls(StackReports(str(request.stack)), by_rate_card=source.charges_by_rate_card)
    found: dict[tuple[str, str], OurCall] = {}
    if read.calls:
        for organization_id in sorted(_organizations(request, directory, read)):
            found |= stack.of_days(organization_id, read.calls)
    missing = [call for call in read.calls if (call.organization_id, call.call_id) not in found]
    # That nobody answered a call is no question of money, and there may be very many of them.
    to_look_up = [record for record in missing if record.is_answered]
    with count_shown("looking up calls", len(to_look_up)) as advance:
        looked_up = list(stack.look_up(to_look_up, advance))
    ours = _of_source([*found.values(), *looked_up], directory, source)
    unanswered = {id(record) for record in missing if not record.is_answered}
    theirs = [call for call in read.calls if id(call) not in unanswered]
    return theirs, ours._replace(unanswered=len(unanswered))


def _organizations(request: Request, directory: Directory, read: ReadRecords) -> set[str]:
    """Return whose calls the records are: also of the tenant's, if all of its calls are lost."""
    if request.organization:
        return {request.organization}
    tenant = directory.tenants.find(request.options.tenant, source=request.source, at=request.at)
    named = {tenant.organization_id} if tenant and tenant.organization_id else set()
    return named | {call.organization_id for call in read.calls}


def _of_source(calls: Sequence[OurCall], directory: Directory, source: Source) -> _Ours:
    others = numbers_of_others(directory, source.name)
    of_source = [call for call in calls if call.service_number not in others]
    return _Ours(of_source, other_sources=len(calls) - len(of_source))


def _line(difference: Difference) -> str:
    kind, organization_id, call_id, at, theirs, ours = difference[:6]
    record = f" ({at})" if at else ""
    if theirs is None or ours is None:
        return f"{kind}: {call_id} of {organization_id}: {theirs or ours or 'recorded'}{record}"
    return f"{kind}: {call_id} of {organization_id}: theirs {theirs}, ours {ours}{record}"


def _row(difference: Difference) -> tuple[str | int | None, ...]:
    return (
        *difference[:6],
        difference.seconds,
        format_micros(difference.cost_micros),
        difference.currency,
    )


def _summary(comparison: Comparison) -> Iterator[str]:
    for kind, found in comparison.sums().items():
        if found.calls:
            more = [f"{found.seconds:+} s"] if found.seconds else []
            more += [f"{cost} {currency}".rstrip() for currency, cost in _costs(found).items()]
            listed = f" (ours less theirs: {', '.join(more)})" if more else ""
            yield f"{kind}: {counted(found.calls, 'call')}{listed}"


def _costs(found: KindSum) -> dict[str, str]:
    return {currency: format_micros(micros) for currency, micros in found.costs_micros}


def _of_calls(which: str) -> tuple[str, str]:
    return f"call {which}", f"calls {which}"


def _remark_counts(read: ReadRecords, ours: _Ours, comparison: Comparison) -> None:
    counts = (
        (comparison.equal, "call agrees", "calls agree"),
        (len(comparison.differences), "difference", "differences"),
        (comparison.too_recent, *_of_calls("of the last 48 hours may still be reported")),
        (read.skipped.total(), "record skipped", "records skipped"),
        (len(read.problems), "record in problem", "records in problem"),
        (ours.unanswered, "unanswered call not looked up", "unanswered calls not looked up"),
        (ours.other_organizations, *_of_calls("of other organizations left out")),
        (ours.other_sources, *_of_calls("to numbers of other sources left out")),
        (comparison.costs_not_compared, "cost not compared", "costs not compared"),
    )
    always = 2
    shown = [counted(*one) for place, one in enumerate(counts) if one[0] or place < always]
    remark(f"{counted(read.records, 'record')}: {', '.join(shown)}")


def _document(
    request: Request, read: ReadRecords, ours: _Ours, comparison: Comparison
) -> dict[str, Any]:
    return {
        "source": request.source,
        "at": format_instant(request.at),
        "records": read.records,
        "equal": comparison.equal,
        "kinds": {
            kind.value: {"calls": found.calls, "seconds": found.seconds, "costs": _costs(found)}
            for kind, found in comparison.sums().items()
        },
        "tooRecent": comparison.too_recent,
        "costsNotCompared": comparison.costs_not_compared,
        "unanswered": ours.unanswered,
        "otherOrganizations": ours.other_organizations,
        "otherSources": ours.other_sources,
        "skipped": dict(read.skipped),
        "problems": [
            {"at": at, "reason": problem.reason.value, "message": problem.message}
            for at, problem, _ in read.problems
        ],
        "differences": [
            dict(zip(CSV_COLUMNS, _row(difference), strict=True))
            for difference in comparison.differences
        ],
    }
