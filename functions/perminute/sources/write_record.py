"""Write one record as a file of its source, which its reader reads to the same outcome.

What could not be charged is kept so, and read again once an operator has put right what was wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.sources.asterisk import ASTERISK_AMI, ASTERISK_CSV, write_ami, write_csv
from perminute.sources.json_files import write_document, write_json_line
from perminute.sources.teams_csv import TEAMS_CSV, write_row
from perminute.sources.twilio import TWILIO_CALLBACK

if TYPE_CHECKING:
    from collections.abc import Callable

_WRITERS: dict[str, Callable[[object], bytes]] = {
    TEAMS_CSV.name: write_row,
    TWILIO_CALLBACK.name: write_json_line,
    ASTERISK_CSV.name: write_csv,
    ASTERISK_AMI.name: write_ami,
}


def write_record(source: str, record: object) -> bytes:
    """Write what an `Outcome` contains as its record.

    Raises `RecursionError` for JSON that is nested too deeply.
    """
    # All other sources have documents.
    return _WRITERS.get(source, write_document)(record)
