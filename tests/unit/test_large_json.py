"""Large documents are written piece by piece, and as if they were written whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from perminute_local.terminal import write_json, write_large_json

if TYPE_CHECKING:
    from _pytest.capture import CaptureFixture


@pytest.mark.parametrize(
    "calls", [[], [{"id": "a\nb", "lots": [1, 2]}], [{}, "é", [], {"a": None}]]
)
def test_it_is_the_same_text(calls: list[Any], capsys: CaptureFixture[str]) -> None:
    others: dict[str, Any] = {"organizations": {"contoso": {"lots": []}}, "unread": [], "count": 3}
    write_json({"calls": calls, **others, "ledger": calls})
    whole = capsys.readouterr().out
    write_large_json({"calls": iter(calls), **others, "ledger": iter(calls)})
    assert capsys.readouterr().out == whole
    assert json.loads(whole)["calls"] == calls
