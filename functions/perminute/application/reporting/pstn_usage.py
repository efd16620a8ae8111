"""Read the calls of a period with all that Microsoft's export says of them."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.reporting.usage import usages_of
from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import COUNTRY, LICENSES
from perminute.domain.reference.phone_numbers import masked
from perminute.domain.reporting.exported_calls import ExportedCall
from perminute.domain.reporting.postings import ListedUsage
from perminute.domain.reporting.usage_sums import UsageFilter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline
    from perminute.domain.licensing.timelines import Timeline
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reporting.periods import Period

MAX_CALLS = 5_000
"""Calls of one answer, which has some 1.3 MB: 50 requests read what their lists do not say."""

_CALLS_AT_ONCE = 100
"""One request reads them, and one answer has their records in memory at a time."""


class TooManyCalls(Exception):  # noqa: N818 - an answer, and no malfunction
    """More than `MAX_CALLS` calls ended in the period."""


class ExportQuestion(NamedTuple):
    """Which calls are exported."""

    organization_id: str
    period: Period
    shows_numbers: bool
    version: int | None = None  # as of which version of the account; None: the one that it has


class Export(NamedTuple):
    """The calls of a period, in the order in which they ended."""

    version: int
    calls: Iterator[ExportedCall]


def read_export(reader: ReportReader, question: ExportQuestion, deadline: Deadline) -> Export:
    """Read the calls as of one version of the account.

    Raises `TooManyCalls`, `Refused` if the account has not reached the version, and `Unavailable`.
    """
    account = reader.postings.account(question.organization_id)
    version = account.version if question.version is None else question.version
    if version > account.version:
        raise Refused("version", f"{version} is not reached: it is {account.version} now")
    listed = usages_of(
        reader.postings,
        account._replace(version=version),
        question.period,
        UsageFilter(),
        deadline,
    )
    usages = sorted(islice(listed, MAX_CALLS + 1), key=ListedUsage.by_end)
    if len(usages) > MAX_CALLS:
        raise TooManyCalls
    organizers = {usage.organizer_id for usage in usages}
    read = partial(reader.licensing.for_account, account, organizers)
    licensing = reader.retry.call(read, question.organization_id, deadline)
    calls = (
        _exported(usage, record, licensing.user(usage.organizer_id), question)
        for usage, record in _with_records(reader, question.organization_id, usages, deadline)
    )
    return Export(version, calls)


def _with_records(
    reader: ReportReader, organization_id: str, usages: Sequence[ListedUsage], deadline: Deadline
) -> Iterator[tuple[ListedUsage, Usage]]:
    for start in range(0, len(usages), _CALLS_AT_ONCE):
        some = usages[start : start + _CALLS_AT_ONCE]
        call_ids = [usage.call_id for usage in some]
        read = partial(reader.calls.usages_by_id, organization_id, call_ids)
        records = reader.retry.call(read, organization_id, deadline)
        yield from ((usage, records[usage.call_id]) for usage in some)


def _exported(
    usage: ListedUsage, record: Usage, organizer: Timeline, question: ExportQuestion
) -> ExportedCall:
    at, number = usage.answered_at, record.call.rated_number
    country = organizer.value_at(COUNTRY, at)
    return ExportedCall(
        usage=usage,
        meeting_id=record.call.meeting_id,
        number=number if question.shows_numbers else masked(number),
        country=None if country is None else str(country),
        licenses=frozenset(
            license_of
            for name, license_of in LICENSES.items()
            if organizer.value_at(name, at) is True
        ),
    )
