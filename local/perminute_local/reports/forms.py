"""Where commands get reports, and in which form. The command line imports it: nothing slow."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Form(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    HTML = "html"
    PDF = "pdf"


PRINTED = frozenset({Form.HTML, Form.PDF})
"""Forms that have pages, which are written as they are."""


class Source(NamedTuple):
    """Where figures come from: one of these."""

    stack: str | None = None  # the name of a deployed one
    folder: Path | None = None  # of events, which are replayed
    figures: Path | None = None  # a file with figures of any organization
