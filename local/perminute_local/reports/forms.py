"""The forms in which commands write a report; imported by the command line, so nothing slow."""

from __future__ import annotations

from enum import StrEnum


class Form(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    HTML = "html"
