"""The program itself: its list of commands, its start, and what it makes of a misspelt command."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from perminute_local.carrier_price_lists import DECKS
from perminute_local.cli import main
from perminute_local.cli.parameters import ReportGroup
from perminute_local.cli.program import program
from perminute_local.cli.rates import convert

START = """
import sys
from perminute_local.cli import main
assert main(["--help"]) == 0
slow = ("boto3", "botocore", "pynamodb", "rich", "cfnlint", "perminute_local.rates.quotes")
assert [name for name in slow if name in sys.modules] == []
"""


def test_the_list_of_commands_starts_without_what_only_commands_need() -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter and statement
        [sys.executable, "-c", START], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def groups() -> list[click.Group]:
    commands = program.commands.values()
    lists = (one for one in commands if isinstance(one, click.Group))
    return [program, *(one for one in lists if not isinstance(one, ReportGroup))]


@pytest.mark.parametrize("group", groups(), ids=lambda one: one.name)
def test_a_group_alone_lists_its_commands(
    group: click.Group, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([] if group is program else [str(group.name)]) == 0
    shown = capsys.readouterr()
    listed = [line.split()[0] for line in shown.out.split("Commands:\n")[1].splitlines()]
    assert listed == [name for name, one in group.commands.items() if not one.hidden]
    # A line that is too long ends in dots.
    assert "..." not in shown.out.split("Commands:\n")[1]
    assert shown.err == ""


def test_help_has_a_short_name_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rates", "check", "--help"]) == 0
    shown = capsys.readouterr().out
    assert main(["rates", "check", "-h"]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["quot"], "No such command 'quot'. Did you mean 'quote'?\nSee: perminute --help\n"),
        (
            ["rates", "chek", "x"],
            "No such command 'chek'. Did you mean 'check'?\nSee: perminute rates --help\n",
        ),
        (
            ["doctor", "--stak", "s"],
            "No such option '--stak'. Did you mean '--stack'?\nSee: perminute doctor --help\n",
        ),
        (["doctor"], "--stack is missing\nSee: perminute doctor --help\n"),
        (["rates", "check"], "FILE is missing\nSee: perminute rates check --help\n"),
    ],
)
def test_a_misspelt_or_missing_word_is_named(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"perminute: {message}")


def test_every_deck_can_be_converted() -> None:
    (deck,) = (one for one in convert.params if one.name == "deck")
    assert isinstance(deck.type, click.Choice)
    assert set(deck.type.choices) == set(DECKS)
