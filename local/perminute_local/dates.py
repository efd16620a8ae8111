"""Dates as people write them, in place of instants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from datetime import datetime


def date_or_instant(text: str) -> datetime:
    """Read an instant, or a date as its first instant, UTC; raises ValueError."""
    is_date = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII)
    return parse_instant(f"{text}T00:00:00Z" if is_date else text)
