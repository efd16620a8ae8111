"""docs/reports.md shows what its commands print about the day of the demo."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perminute_local.cli import main
from perminute_local.reports import show
from perminute_local.reports.folder import replayed_reports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.reports.source import Reports

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reports.md").read_text()
EXAMPLES = dict(re.findall(r"```console\n\$ perminute (.*?)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def day() -> Iterator[Reports]:
    """The day, replayed once for all examples."""
    with replayed_reports(ROOT / "examples" / "day") as reports:
        yield reports


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_shows_what_its_command_prints(
    words: str,
    day: Reports,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(show, "replayed_reports", lambda _: nullcontext(day))
    assert main(shlex.split(words)) == 0
    # A CSV file begins with a byte order mark, which nobody sees.
    text = capsys.readouterr().out.removeprefix("\ufeff")
    printed = [line.rstrip() for line in text.splitlines()]
    assert printed == EXAMPLES[words].splitlines()


def test_the_demo_lists_these_commands() -> None:
    made = subprocess.run(
        ["make", "--dry-run", "demo"],  # noqa: S607 - whichever make there is
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    *_, listing = made.stdout.splitlines()
    listed = subprocess.run(  # noqa: S603 - our own command
        ["bash", "-c", listing],  # noqa: S607 - whichever bash there is
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert listed.stdout.splitlines() == [f"  .venv/bin/perminute {words}" for words in EXAMPLES]
