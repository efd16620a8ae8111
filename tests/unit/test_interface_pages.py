"""docs/charging-api.md and docs/replay.md name every field that programs receive."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import fields

from perminute.api.endpoints import ENDPOINTS
from perminute.api.reports.endpoint import REPORTS
from perminute.api.values import ErrorDocument
from perminute_local.replay.results import Results

DOCS = Path(__file__).parents[2] / "docs"
CHARGING, REPLAY = ((DOCS / name).read_text() for name in ("charging-api.md", "replay.md"))
MESSAGES = {message for each in ENDPOINTS for message in (each.reads, each.answers)}


@pytest.mark.parametrize("message", sorted(MESSAGES, key=str))
def test_the_page_of_the_charging_api_names_every_field(message: type) -> None:
    names = [field.encode_name for field in fields(message)]
    assert [
        name for name in names if f"`{name}`" not in CHARGING and f'"{name}"' not in CHARGING
    ] == []


def test_the_page_of_the_charging_api_names_every_operation_and_error() -> None:
    operations = re.findall(r"^\| `(\w+)` \| `(?:GET|POST) ", CHARGING, re.MULTILINE)
    assert operations == [endpoint.name for endpoint in ENDPOINTS]
    errors = re.findall(r"^\| \d{3} \| `(\w+)` \|", CHARGING, re.MULTILINE)
    (kinds,) = (field.type for field in fields(ErrorDocument) if field.name == "error")
    assert sorted(errors) == sorted(kinds.__args__)


def test_the_page_of_the_charging_api_names_every_report() -> None:
    _, _, section = CHARGING.partition("\n## Reports\n")
    named = re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)
    assert set(REPORTS) <= set(named)


def test_the_page_of_the_replay_names_every_part_of_the_document() -> None:
    _, _, result = REPLAY.partition("\n## The result\n")
    rows = re.findall(r"^\| `(\w+)` \|", result, re.MULTILINE)
    assert rows == list(Results([], [], []).document())
