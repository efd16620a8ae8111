"""The program: its commands, shell completion, and what it makes of errors."""

from __future__ import annotations

import os
import sys
from copy import copy
from typing import TYPE_CHECKING

import click

from perminute_local.cli.admin import credit, license_, organization, user
from perminute_local.cli.call_records import convert, directory
from perminute_local.cli.calls import quote, replay, simulate
from perminute_local.cli.comparing import compare
from perminute_local.cli.console import console
from perminute_local.cli.errors import report, wants_json
from perminute_local.cli.events import send
from perminute_local.cli.load import load
from perminute_local.cli.local_stack import down, up
from perminute_local.cli.parameters import Choice, CommandGroup, examples, json_option
from perminute_local.cli.privacy import erase, restore
from perminute_local.cli.pull_records import pull
from perminute_local.cli.rates import rates
from perminute_local.cli.reports import (
    balance,
    calls,
    explain,
    forecast,
    ledger,
    license_advice,
    pstn_usage,
    statement,
    usage,
    what_if,
)
from perminute_local.cli.stack import dlq, doctor, graph, reconcile
from perminute_local.terminal import remark, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence


PROGRAM = "perminute"
VARIABLE = "_PERMINUTE_COMPLETE"
"""Set by the scripts when they ask what may come next."""


@click.command(epilog=examples('eval "$(perminute completion bash)"', "perminute completion zsh"))
@click.argument("shell", type=Choice(["bash", "zsh"]), help="your shell")
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


DONE, WRONG, INTERRUPTED = 0, 2, 130


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    package_name="perminute", prog_name="perminute", message="%(prog)s %(version)s"
)
def program() -> None:
    """Prepaid, per-minute charging of phone calls into meetings."""


_COMMANDS: tuple[click.Command, ...] = (
    *(quote, rates, replay, simulate, send, reconcile, dlq, doctor, graph, erase, restore),
    *(balance, usage, calls, explain, ledger, statement, pstn_usage, forecast),
    *(license_advice, what_if, console),
    *(credit, license_, user, organization, directory, up, down, load, completion),
)
calls.add_command(convert)
calls.add_command(pull)
calls.add_command(compare)
calls.add_command(send)
for command in _COMMANDS:
    program.add_command(command)
# Reports have these names where they are requested: whoever types one gets the same.
for name, same in (("overview", balance), ("explanation", explain)):
    alias = copy(same)
    alias.name, alias.hidden = name, True
    program.add_command(alias)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    if instruction := asked():
        return complete(program, instruction)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if region := os.environ.get("AWS_REGION"):
        # What all other SDKs read first (AWS SDKs and Tools, "AWS Region"). boto3 reads the other
        # one only, and would go to the region of the profile.
        os.environ["AWS_DEFAULT_REGION"] = region
    try:
        # Not `program.main`, which has other ways with an interrupt and a closed pipe.
        # On words of its own: it takes away those that it has read.
        with program.make_context("perminute", list(words)) as context:
            code: int = program.invoke(context)
            # What cannot be written is to be known here, not when Python ends.
            sys.stdout.flush()
            return code
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except BrokenPipeError:
        # The reader, such as `head`, has enough; Python would report it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        remark("perminute: interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - what is not the user's to mend is raised again
        report(error, as_json=wants_json(words))
        return WRONG
