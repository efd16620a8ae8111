"""Calls as records state them, and what the directory makes of them."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from perminute.formats.directory_csv import read_directory
from perminute.sources.convert import convert
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile, SourceOptions, StatedCall

if TYPE_CHECKING:
    from perminute.domain.reference.directory import Directory
    from perminute.sources.outcomes import Outcome

ANSWERED = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
HEADER = "kind,key,organization_id,leg_type,organizer_id,meeting_id,meeting_type"


def directory(*rows: str) -> Directory:
    return read_directory("\n".join([HEADER, *rows]).encode())


def stated(**changes: Any) -> StatedCall:
    """A dial-in of one minute to the number of nobody in particular."""
    call = StatedCall(
        call_id="call-1",
        is_dial_out=False,
        service_number="+12065550100",
        remote_number="+4930901820",
        answered_at=ANSWERED,
        ended_at=ANSWERED + timedelta(seconds=60),
        billable_seconds=60,
    )
    return call._replace(**changes)


def converted(
    source: str, *contents: bytes, of: Directory, options: SourceOptions | None = None
) -> list[Outcome]:
    files = [InputFile(f"file-{n}", io.BytesIO(content)) for n, content in enumerate(contents)]
    return list(convert(SOURCES[source], files, of, options or SourceOptions()))
