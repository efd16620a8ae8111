"""What pages of docs/ tell one to run, and a user of this machine who runs it as it stands."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from perminute_local.deployed.deploying import room

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(
    r"(?:<!-- needs an account: (?P<why>[^\n]+) -->\n)?"
    r"^(?P<indent> *)```bash\n(?P<lines>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
SECONDS = 300


def commands_of(page: str) -> list[str]:
    """Return the blocks of commands of a page that need no AWS account, in order."""
    text = (ROOT / "docs" / page).read_text()
    return [
        re.sub(f"^{block['indent']}", "", block["lines"], flags=re.MULTILINE)
        for block in _BLOCK.finditer(text)
        if block["why"] is None
    ]


def without_an_account(folder: Path) -> dict[str, str]:
    """Return the environment of a user without an AWS account, whose stack is nobody else's."""
    places = (ROOT / ".venv" / "bin", room("sam") / "bin")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "PATH": os.pathsep.join([*map(str, places), os.environ["PATH"]]),
        "SAM_CLI_TELEMETRY": "0",
        "STACK": "local",
        "TMPDIR": str(folder),
        "XDG_STATE_HOME": str(folder),
    }


def run(lines: str, variables: dict[str, str]) -> str:
    """Run commands until one fails, which is an error; return what they wrote."""
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
