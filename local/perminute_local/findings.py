"""What `perminute doctor` finds of a checked thing."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import NamedTuple


class Status(StrEnum):
    """How a checked thing is."""

    OK = "OK"
    # It works, but nobody would be notified of a failure, or it may be open to too many.
    WARN = "WARN"
    FAIL = "FAIL"


class Finding(NamedTuple):
    """One thing that was checked, how it is, and what to do if it is not OK."""

    health: Status
    what: str
    message: str


ok = partial(Finding, Status.OK)
warn = partial(Finding, Status.WARN)
fail = partial(Finding, Status.FAIL)
