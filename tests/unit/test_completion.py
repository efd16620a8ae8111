"""`perminute completion`: what bash and zsh offer at a place of a command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perminute_local.cli import main
from perminute_local.cli.program import VARIABLE

BASH = shutil.which("bash")
PROGRAM = str(Path(sys.executable).parent / "perminute")

COMPLETED = """
eval "$({program} completion bash)"
COMP_WORDS=({program} {words}) COMP_CWORD={position}
_perminute_completion {program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["re"], ["replay", "reconcile", "restore"]),
        (["rates", "c"], ["check", "convert", "correct"]),
        (["rates", "convert", "--fr"], ["--from"]),
        (["rates", "convert", "--from", "tw"], ["twilio"]),
        (["quote", "--leg-type", "toll"], ["tollDialIn", "tollFreeDialIn"]),
        (["dlq", "list", "--queue", "Call"], ["CallsDeadLetters"]),
    ],
)
@pytest.mark.skipif(BASH is None, reason="there is no bash")
def test_bash_completes_commands_options_and_values(words: list[str], offered: list[str]) -> None:
    script = COMPLETED.format(program=PROGRAM, words=" ".join(words), position=len(words))
    done = subprocess.run(  # noqa: S603 - our own script
        [str(BASH), "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == offered


def test_zsh_asks_for_completions_and_their_meaning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "zsh", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["shell"] == "zsh"
    assert "compdef _perminute_completion perminute" in document["script"]
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out == document["script"] + "\n"
    monkeypatch.setenv("COMP_WORDS", "perminute dlq l")
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setenv(VARIABLE, "zsh_complete")
    assert main([]) == 0
    assert capsys.readouterr().out == "plain\nlist\nShow the dead letters and why they failed.\n"


def test_a_shell_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "ksh"]) == 2
    assert capsys.readouterr().err.startswith("perminute: SHELL: 'ksh' is none of bash, zsh.")
