"""The program: its commands, and what it makes of errors."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from perminute_local.cli.completion import asked, complete, completion
from perminute_local.cli.credit import credit
from perminute_local.cli.dead_letters import dlq
from perminute_local.cli.errors import report, wants_json
from perminute_local.cli.graph import graph
from perminute_local.cli.licensing import license_, organization, user
from perminute_local.cli.parameters import CommandGroup
from perminute_local.cli.quote import quote
from perminute_local.cli.rates import rates
from perminute_local.cli.replay import replay
from perminute_local.cli.simulate import simulate
from perminute_local.cli.stack import doctor, reconcile
from perminute_local.terminal import remark

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, WRONG, INTERRUPTED = 0, 2, 130


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    package_name="perminute", prog_name="perminute", message="%(prog)s %(version)s"
)
def program() -> None:
    """Prepaid, per-minute charging of phone calls into meetings."""


_COMMANDS: tuple[click.Command, ...] = (
    *(quote, rates, replay, simulate, reconcile, dlq, doctor, graph),
    *(credit, license_, user, organization, completion),
)
for command in _COMMANDS:
    program.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    if instruction := asked():
        return complete(program, instruction)
    words = list(sys.argv[1:] if arguments is None else arguments)
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
