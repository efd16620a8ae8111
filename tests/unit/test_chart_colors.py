"""Types of calls have the same colors in the console and in statements, which all grounds show."""

from __future__ import annotations

import json
import re
from itertools import product

from perminute.formats.charts import COST_BY_DAY
from perminute_local.console.page import STATIC

LEAST_CONTRAST = 3
"""Of what is drawn: https://www.w3.org/TR/WCAG22/#non-text-contrast."""
STATEMENT = COST_BY_DAY.parents[1] / "statements" / "page.html"
GROUNDS = {STATIC / "style.css": "card", STATEMENT: "paper"}


def luminance(color: str) -> float:
    """The relative luminance that WCAG defines."""
    digits = color.removeprefix("#")
    parts = re.findall("..", digits if len(digits) == 6 else re.sub("(.)", r"\1\1", digits))
    shares = [int(part, 16) / 255 for part in parts]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_each_type_of_call_is_seen_on_light_and_dark_grounds() -> None:
    colors = json.loads(COST_BY_DAY.read_text())["encoding"]["color"]["scale"]["range"]
    for page, name in GROUNDS.items():
        grounds = set(re.findall(rf"--{name}: (#[0-9a-f]+)", page.read_text()))
        assert len(grounds) >= 2
        assert {
            pair: contrast(*pair)
            for pair in product(colors, grounds)
            if contrast(*pair) < LEAST_CONTRAST
        } == {}
