"""`perminute completion`: have a shell complete commands, options and values."""

from __future__ import annotations

import os
import sys

import click

from perminute_local.cli.parameters import Choice, examples, json_option
from perminute_local.terminal import write_json

PROGRAM = "perminute"
VARIABLE = "_PERMINUTE_COMPLETE"
"""Set by the scripts when they ask what may come next."""


@click.command(
    epilog=examples(
        'eval "$(perminute completion bash)"',
        "perminute completion zsh",
    )
)
@click.argument("shell", type=Choice(["bash", "zsh"]))
@json_option
@click.pass_context
def completion(context: click.Context, *, shell: str, as_json: bool) -> int:
    """Print the script by which bash or zsh completes commands.

    In ~/.bashrc: eval "$(perminute completion bash)". In ~/.zshrc, after compinit:
    eval "$(perminute completion zsh)".
    """
    from click.shell_completion import BashComplete, ZshComplete

    kind = BashComplete if shell == "bash" else ZshComplete
    script = kind(context.find_root().command, {}, PROGRAM, VARIABLE).source()
    if as_json:
        write_json({"shell": shell, "script": script})
    else:
        sys.stdout.write(f"{script}\n")
    return 0


def complete(program: click.Command, instruction: str) -> int:
    """Answer a shell that asks what may come next; returns the exit code."""
    from click.shell_completion import shell_complete

    return shell_complete(program, {}, PROGRAM, VARIABLE, instruction)


def asked() -> str | None:
    """Return what a shell asks for, if one does."""
    return os.environ.get(VARIABLE)
