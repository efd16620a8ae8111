"""docs/reports.md shows what its commands print about the day of the demo."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from report_stack import stack_that

from perminute.api.reports.endpoint import PATH
from perminute_local.cli import main
from perminute_local.replay.lambda_runtime import LoadedFunction
from perminute_local.reports import show
from perminute_local.reports.folder import FolderReports, replayed_reports
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from replayed_day import ReplayedDay

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reports.md").read_text()
EXAMPLES = dict(re.findall(r"```console\n\$ perminute (.*?)\n(.*?)```", PAGE, re.DOTALL))


OF_A_PERIOD = [words for words in EXAMPLES if "--from" in words]


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_shows_what_its_command_prints(
    words: str,
    replayed_day: ReplayedDay,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    day = FolderReports(replayed_day.links)
    monkeypatch.setattr(show, "replayed_reports", lambda _: nullcontext(day))
    assert main(shlex.split(words)) == 0
    assert lines(capsys.readouterr().out) == EXAMPLES[words].splitlines()


def lines(printed: str) -> list[str]:
    # A CSV file begins with a byte order mark, which nobody sees.
    return [line.rstrip() for line in printed.removeprefix("\ufeff").splitlines()]


@pytest.mark.parametrize("words", OF_A_PERIOD)
def test_a_deployed_function_that_is_invoked_answers_the_same(
    words: str,
    replayed_day: ReplayedDay,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    function = LoadedFunction(replayed_day.links.stack.serving(f"GET {PATH}"))
    stack_that(monkeypatch, function.call)
    assert main(shlex.split(words.replace("--replay examples/day", "--stack s"))) == 0
    written = capsys.readouterr()
    # Of CSV, standard error says as of when it is true.
    printed = lines(written.out + written.err)
    as_of = [line for line in printed if line.startswith("As of")]
    shown = EXAMPLES[words].splitlines()
    assert [line for line in printed if line not in as_of] == [
        line for line in shown if not line.startswith("As of")
    ]
    assert len(as_of) == 1


def test_a_folder_without_events_has_nothing_to_report(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_bytes((ROOT / "examples" / "day" / "rates.csv").read_bytes())
    (tmp_path / "events.jsonl").write_text("# none\n")
    with pytest.raises(WrongFile, match="has no event"), replayed_reports(tmp_path):
        pass


def test_the_demo_lists_these_commands() -> None:
    made = subprocess.run(
        # Not the directories that a make started by another one prints.
        ["make", "--dry-run", "--no-print-directory", "demo"],  # noqa: S607 - whichever make there is
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
