"""Text as SQS and SNS take it: in message attributes, and in the bodies of SQS."""

from __future__ import annotations

import re

_NOT_TAKEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""They take the characters of XML 1.0 and no others."""


def clean(text: str) -> str:
    """Replace what would have a message refused."""
    return _NOT_TAKEN.sub("\N{REPLACEMENT CHARACTER}", text)


def string_attribute(text: str) -> dict[str, str]:
    """Write a message attribute; an empty one is not taken either."""
    return {"DataType": "String", "StringValue": clean(text) or "-"}
