"""In what an operator's record of a call and the call that we have charged may differ."""

from __future__ import annotations

from enum import StrEnum


class DifferenceKind(StrEnum):
    """One of them; the value is the name in documents."""

    ONLY_THERE = "onlyThere"  # the operator has a record of a call that we do not know
    ONLY_HERE = "onlyHere"  # we know a call of which the operator has no record
    SECONDS = "seconds"
    NUMBER = "number"
    ORGANIZER = "organizer"
    COST = "cost"
