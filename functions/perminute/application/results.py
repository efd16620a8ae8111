"""What became of one delivery, as a value (redelivery is success, refusal carries its reason).

Besides these, a result may be one of the errors of the domain, not raised but handed back:
`Refused` (for good) or `Unavailable` (try again later).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from perminute.domain.errors import Refused, Unavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Accepted(Generic[T]):
    """It took effect, with this result."""

    result: T


@dataclass(frozen=True, slots=True)
class Duplicate:
    """It had taken effect before; nothing changed."""


Result = Accepted[T] | Duplicate | Refused | Unavailable
