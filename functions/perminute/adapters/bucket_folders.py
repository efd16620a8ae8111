"""The folders that organizations have in buckets on S3."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import quote

# S3 has 1,024 bytes for a key. An organization with a longer name is named by a digest.
_LONGEST_NAME = 900


def folder_of(organization_id: str) -> str:
    """Return how the keys of an organization begin: with its id, URL-encoded."""
    name = quote(organization_id, safe="")
    if len(name) > _LONGEST_NAME:
        name = f"sha256={sha256(organization_id.encode()).hexdigest()}"
    return f"{name}/"
