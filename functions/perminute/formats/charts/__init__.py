"""Charts as specifications of Vega-Lite, which the console draws in the browser and PDFs contain.

A specification names its data, `days`, and has no colors of text or ground: whoever draws it adds
both (https://vega.github.io/vega-lite/docs/data.html). Its marks have three of Okabe and Ito's
colors (https://jfly.uni-koeln.de/color/), which stand out on light and dark backgrounds, also for
people who are color-blind.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perminute.domain.pools.pools import Month

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Spec = dict[str, Any]

COST_BY_DAY = Path(__file__).with_name("cost_by_day.json")
"""The chart of usage grouped by `day` and `legType`; the domain of `x` is to be set."""

_CLIP = re.compile(r"\bclip[0-9]+\b")
_WIDTH = 660
_INK, _LINE = "#3d4650", "#dfe3e8"


def cost_by_day(month: str, rows: Sequence[Mapping[str, Any]]) -> Spec:
    """Return the chart of a month's usage by day and type of call, with its data.

    Rows are those of the report `usage`: texts of others are in none of them.
    """
    spec: Spec = json.loads(COST_BY_DAY.read_text(encoding="utf-8"))
    names = ("day", "legType", "charge", "calls")
    spec["data"] = {"values": [{name: row[name] for name in names} for row in rows]}
    spec["encoding"]["x"]["scale"]["domain"] = _days_of(Month.parse(month))
    return spec


@cache
def _config(font: str) -> Spec:
    text = {"labelFont": font, "labelColor": _INK, "labelFontSize": 11}
    return {
        "font": font,
        "axis": {**text, "gridColor": _LINE, "domainColor": _LINE},
        "legend": {**text, "symbolSize": 90},
        "view": {"stroke": None},
        "background": None,
    }


def svg_of(spec: Spec, font: str) -> str:
    """Draw a chart. Raises `ImportError` if `vl-convert-python` is not installed."""
    import vl_convert  # noqa: PLC0415 - 80 MB, which few need

    drawn = {**spec, "width": _WIDTH, "config": _config(font)}
    svg: str = vl_convert.vegalite_to_svg(drawn, show_warnings=False)
    # Vega numbers these through all charts of a process: the same chart would differ each time.
    numbers = {name: place for place, name in enumerate(dict.fromkeys(_CLIP.findall(svg)))}
    return _CLIP.sub(lambda found: f"clip{numbers[found[0]]}", svg)


def of_statement(answer: Mapping[str, Any], font: str) -> str | None:
    """Draw what each day of a statement with details cost; None: no call ended in its month."""
    days = answer["byDay"]
    return svg_of(cost_by_day(answer["month"], days), font) if days else None


def _days_of(month: Month) -> list[str]:
    days = (month.end - month.start).days
    return [f"{month}-{day:02d}" for day in range(1, days + 1)]
