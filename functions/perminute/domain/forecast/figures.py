"""The figures of a forecast that notifications repeat."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import date


class Confidence(StrEnum):
    """How much history the forecast is based on (docs/domain.md §7.1)."""

    LOW = "low"
    MEDIUM = "medium"  # four weeks
    HIGH = "high"  # eight weeks


class Band(NamedTuple):
    """An amount in micro-units that lies between `low` and `high` in 8 cases of 10."""

    low: int
    expected: int
    high: int


class RunsOut(NamedTuple):
    """The day on which no credit is left; None if that is after the horizon."""

    earliest: date | None
    expected: date | None
    latest: date | None
