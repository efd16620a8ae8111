"""What becomes of our own words when they are published to others."""

from __future__ import annotations

import re

_REFERENCE = re.compile(r" \((?:CONTRACT|DOMAIN) [^)]*\)")


def without_references(text: str) -> str:
    """Leave out where a rule comes from: what our code refers to is not for its readers."""
    return _REFERENCE.sub("", text)
