"""docs/command-line.md is what the code makes of it, and its examples work in a checkout."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from perminute_local.cli import main
from perminute_local.cli.parameters import ReportGroup
from perminute_local.cli.program import program
from perminute_local.documents.command_page import page
from perminute_local.embedded_aws import EmbeddedAwsError, EmulatorNotInstalled
from perminute_local.local_stack import place
from perminute_local.local_stack.place import Served
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
SLOW = tuple(f"perminute {name}" for name in ("console", "replay", "simulate", "up", "down"))
"""They have tests of their own, as what replays a folder first; here they take minutes, the console
does not end, and the stack of whoever runs the tests would."""

SHELL = re.compile(r"[|<>&;$]")
"""What a shell makes of a line that has one of these, no other can; it takes a process more."""


def all_commands(context: click.Context) -> Iterator[click.Context]:
    """Every command that is no group, in its context."""
    command = context.command
    if not isinstance(command, click.Group):
        yield context
        return
    for name, inner in command.commands.items():
        if inner.hidden:
            continue
        yield from all_commands(click.Context(inner, info_name=name, parent=context))


COMMANDS = list(all_commands(click.Context(program, info_name="perminute")))


def examples_of(context: click.Context) -> list[str]:
    return [line.strip() for line in (context.command.epilog or "").splitlines()[2:]]


EXAMPLES = [example for context in COMMANDS for example in examples_of(context)]


def of_aws(example: str) -> bool:
    """Whether it needs AWS, or Microsoft Graph."""
    options = ("--stack", "--bucket", "--replay", "--client-id")
    return any(option in example for option in options)


def test_the_page_is_what_the_code_makes_of_it() -> None:
    assert (ROOT / "docs" / "command-line.md").read_text() == page(), "run: make documents"


def test_the_page_has_every_kind_of_error() -> None:
    kinds, classes = {WrongCall.kind}, [WrongCall]
    while classes:
        classes += (found := classes.pop().__subclasses__())
        kinds |= {one.kind for one in found}
    assert {EmbeddedAwsError.kind, EmulatorNotInstalled.kind, "file"} < kinds
    text = page()
    assert [kind for kind in sorted(kinds) if f"| `{kind}` |" not in text] == []


@pytest.mark.parametrize("context", COMMANDS, ids=lambda one: one.command_path)
def test_every_command_has_json_a_line_of_help_and_examples(context: click.Context) -> None:
    names = {name for one in context.command.params for name in one.opts}
    assert "--json" in names
    assert all(example.split("perminute ")[1:] for example in examples_of(context))
    assert examples_of(context)
    # Cut, it would end in an ellipsis.
    assert context.command.get_short_help_str(60).endswith(".")
    assert "..." not in context.command.get_short_help_str(60)
    assert [
        one.name for one in context.command.params if isinstance(one, click.Option) and not one.help
    ] == []


@pytest.mark.parametrize(
    "example", [one for one in EXAMPLES if not of_aws(one) and not one.startswith(SLOW)]
)
def test_an_example_that_needs_no_aws_works_in_a_checkout(
    example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not SHELL.search(example):
        monkeypatch.chdir(ROOT)
        assert main(shlex.split(example)[1:]) == 0
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(  # noqa: S603 - our own example
        ["bash", "-ec", f"set -o pipefail; {example}"],  # noqa: S607 - whichever bash there is
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "example", [one for one in EXAMPLES if of_aws(one) or one.startswith(SLOW)]
)
def test_the_words_of_another_example_are_understood(
    example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = Served("http://127.0.0.1:1", "2026-11-02T09:00:00Z", "/rates.csv", None, {})
    monkeypatch.setattr(place, "running", lambda _: up)
    words = example.split()[1:]
    with click.Context(program, info_name="perminute") as context:
        while isinstance(context.command, click.Group):
            if isinstance(context.command, ReportGroup) and words[0].startswith("--"):
                words.insert(0, next(iter(context.command.commands)))
            context = click.Context(  # noqa: PLW2901 - one level further down
                context.command.commands[words[0]], info_name=words.pop(0), parent=context
            )
        context.command.parse_args(context, words)


def commands_named(document: Path) -> list[str]:
    """Each command that a document names, up to the end of its code."""
    text = document.read_text()
    spans = re.findall(r"(?<!`)`perminute ([^`]+)`", text)
    blocks = "".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL))
    lines = re.findall(r"^ *(?:\$ )?(?:\.venv/bin/)?perminute (.+)$", blocks, re.MULTILINE)
    piped = [words for line in lines for words in line.split(" | perminute ")]
    return [" ".join(words.split()) for words in (*spans, *piped)]


def unknown_words(words: list[str]) -> list[str]:
    """The first word that is no command, or the options that the command does not have."""
    command: click.Command = program
    while words and isinstance(command, click.Group):
        if isinstance(command, ReportGroup) and words[0].startswith("--"):
            words = [next(iter(command.commands)), *words]
        if words[0].startswith(("-", "|", "…")):
            break
        names = words[0].split("|")
        if not set(names) <= set(command.commands):
            return words[:1] if words[0].islower() else []
        command = command.commands[names[0]]
        words = words[1:]
    known = {"--help", "--version", *(name for one in command.params for name in one.opts)}
    return [word for word in words if re.fullmatch(r"--[a-z-]+", word) and word not in known]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_option_that_a_document_names_exists(document: Path) -> None:
    named = commands_named(document)
    assert [one for one in named if unknown_words(one.split())] == []
