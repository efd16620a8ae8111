"""docs/deploying.md works: what it tells one to run is run, on a stack of this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perminute_local.deployed.deploying import room

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "deploying.md").read_text()
BLOCK = re.compile(
    r"(?:<!-- needs an account: (?P<why>[^\n]+) -->\n)?```bash\n(?P<lines>.*?)```", re.DOTALL
)
COMMANDS = [
    block["lines"]
    for block in BLOCK.finditer(PAGE)
    if block["why"] is None and not block["lines"].startswith("export")
]
SECONDS = 300


@pytest.fixture(scope="module")
def ours(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user without an AWS account, whose stack is nobody else's."""
    assert artifact.exists()
    folder = tmp_path_factory.mktemp("user")
    places = (ROOT / ".venv" / "bin", room("sam") / "bin")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables = {
        **kept,
        "PATH": os.pathsep.join([*map(str, places), os.environ["PATH"]]),
        "SAM_CLI_TELEMETRY": "0",
        "STACK": "local",
        "TMPDIR": str(folder),
        "XDG_STATE_HOME": str(folder),
    }
    yield variables
    run("perminute down", variables)


def run(lines: str, variables: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - our own page
        ["bash", "-euc", f"set -o pipefail\n{lines}"],  # noqa: S607 - whichever bash there is
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
    return done.stdout


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
    # A fourth one if the call came before its license.
    assert re.search(r"^contoso: [34] ledger entries, no difference$", everything, re.MULTILINE)
    assert '"reason": "noLicense"' in everything
    assert '"grantedSeconds": 600' in everything
    assert "5 of 5 organizations to the cent" in everything
    assert "a million calls by one event a call" in everything
    assert last == "make down\n"
    assert "nothing of it runs" in run(last, ours)
