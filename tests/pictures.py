"""The pictures of the documentation, read as the arrows that they draw."""

from __future__ import annotations

import re
from itertools import pairwise, product
from pathlib import Path

ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"
_ARROW = re.compile(r"\s+(?:--(?: [\w ]+ --)?>|<-->|-\.->)\s+")
_LABEL = re.compile(r"\(\[.*?\]\)")


def picture(heading: str) -> str:
    """Give the first picture under a heading."""
    section = ARCHITECTURE.read_text().partition(f"## {heading}\n")[2]
    return section.partition("```mermaid\n")[2].partition("```")[0]


def arrows_of(picture: str) -> set[tuple[str, str]]:
    """Give where each arrow begins and ends; `a & b --> c --> d` are three."""
    found: set[tuple[str, str]] = set()
    for line in picture.splitlines():
        ends = [group.strip().split(" & ") for group in _ARROW.split(_LABEL.sub("", line))]
        for left, right in pairwise(ends):
            found |= set(product(left, right))
    return found
