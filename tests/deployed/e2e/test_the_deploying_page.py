"""docs/deploying.md works: what it tells one to run is run, on a stack of this machine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from page_commands import commands_of, run, without_an_account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS = [lines for lines in commands_of("deploying.md") if not lines.startswith("export")]


@pytest.fixture(scope="module")
def ours(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    assert artifact.exists()
    variables = without_an_account(tmp_path_factory.mktemp("user"))
    yield variables
    run("perminute down", variables)


def test_the_commands_of_the_page_do_what_it_says(ours: dict[str, str]) -> None:
    first, *middle, last = COMMANDS
    assert "make up" in first
    shown = [run(first, ours)]
    exported = run("perminute up --json", ours)
    keys: dict[str, str] = json.loads(exported)["environment"]
    shown += [run(lines, {**ours, **keys}) for lines in middle]
    assert "The stack `local` is up at http://127.0.0.1:" in shown[0]
    for text in shown[0], shown[2]:
        assert "Charged: 0.435 USD, paid by po-1001" in text
    everything = "\n".join(shown)
    assert "FAIL" not in everything
    # A fourth one if the call came before its license or credit.
    assert re.search(r"^contoso: [34] ledger entries, no difference$", everything, re.MULTILINE)
    assert '"reason": "noLicense"' in everything
    assert '"grantedSeconds": 600' in everything
    assert "5 of 5 organizations to the cent" in everything
    assert "a million calls by one event a call" in everything
    assert last == "make down\n"
    assert "nothing of it runs" in run(last, ours)
