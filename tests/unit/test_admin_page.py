"""docs/admin-commands.md lists the commands that send events, and the event that each sends."""

from __future__ import annotations

import re
from pathlib import Path

import click

from perminute_local.cli.program import program

PAGE = (Path(__file__).parents[2] / "docs" / "admin-commands.md").read_text()


def test_the_page_lists_every_command_that_sends_events() -> None:
    real = {
        f"{group.name} {name}"
        for group in program.commands.values()
        if isinstance(group, click.Group)
        for name, command in group.commands.items()
        if any("--print" in option.opts for option in command.params)
    }
    rows = re.findall(r"^\| `perminute (\w+) (.*?)` \|.*$", PAGE, re.MULTILINE)
    listed = {f"{group} {name}" for group, names in rows for name in names.split("`, `")}
    assert listed == real
    assert len(real) == 8
