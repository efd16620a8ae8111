"""Ids in one spelling: the same user or call, in whichever event or request it is named.

Microsoft's directories compare GUIDs and user principal names without regard to case, and systems
write them in either. So these are stored, compared and returned in lower case. Any other id, and
the id of an organization, stays exactly as it is sent.
"""

from __future__ import annotations

import re

# What `str.strip` removes, written out: `\s` is another set in each dialect of patterns.
_SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# An id without surrounding spaces; written so that JSON Schema means the same.
# In Python `$` also stands before a last line's end.
PATTERN = rf"^[^{_SPACE}]([\s\S]*[^{_SPACE}])?$(?!\n)"

SURROUNDING_SPACES = "must not begin or end with a space"

_GUID_LENGTH = 36
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


def canonical_id(identifier: str) -> str:
    """Return the spelling of an id by which it is stored and compared."""
    # Lower case may have more characters, but never more than four bytes for one: what has
    # `MAX_ID_LENGTH` characters as it is sent still fits a key.
    is_long = len(identifier) == _GUID_LENGTH  # of the ids in records most are of another length
    if "@" in identifier or (is_long and _GUID.fullmatch(identifier)):
        return identifier.lower()
    return identifier


def is_guid(identifier: str) -> bool:
    """Whether an id is a GUID, in either case."""
    return len(identifier) == _GUID_LENGTH and _GUID.fullmatch(identifier) is not None


def check_spaces(identifier: str) -> str:
    """Return the id as it is; raises `ValueError` if a space surrounds it."""
    if identifier != identifier.strip():
        raise ValueError(SURROUNDING_SPACES)
    return identifier


def read_id(identifier: str) -> str:
    """Return the id in its one spelling; raises `ValueError` if a space surrounds it."""
    return canonical_id(check_spaces(identifier))
