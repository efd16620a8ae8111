"""The program: its commands, and what it makes of errors."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from perminute.domain.errors import FaultyRateCard
from perminute_local.cli.dead_letters import dlq
from perminute_local.cli.graph import graph
from perminute_local.cli.parameters import CommandGroup
from perminute_local.cli.quote import quote
from perminute_local.cli.rates import rates
from perminute_local.cli.replay import replay
from perminute_local.cli.simulate import simulate
from perminute_local.cli.stack import doctor, reconcile
from perminute_local.terminal import remark
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, WRONG, INTERRUPTED = 0, 2, 130


@click.group(cls=CommandGroup)
@click.version_option(
    package_name="perminute", prog_name="perminute", message="%(prog)s %(version)s"
)
def program() -> None:
    """Prepaid, per-minute charging of phone calls into meetings."""


for command in (quote, rates, replay, simulate, reconcile, dlq, doctor, graph):
    program.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # Not `program.main`, which has other ways with an interrupt and a closed pipe.
        with program.make_context("perminute", words) as context:
            code: int = program.invoke(context)
            return code
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        remark("perminute: interrupted")
        return INTERRUPTED
    except (click.UsageError, WrongCall, FaultyRateCard, OSError) as error:
        remark(f"perminute: {_describe(error)}")
        if isinstance(error, FaultyRateCard):
            for fault in error.faults:
                remark(f"line {fault.line}: {fault.message}")
        if isinstance(error, click.UsageError) and error.ctx is not None:
            remark(f"See: {error.ctx.command_path} --help")
        return WRONG


def _describe(error: Exception) -> str:
    match error:
        case click.MissingParameter(param=click.Parameter() as parameter):
            return f"{_name(parameter)} is missing"
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{_name(parameter)}: {error.message}"
        case click.UsageError():
            return error.format_message()
        case FaultyRateCard():
            return "the file is refused:"
        case OSError(filename=str() as name):
            return f"{name}: {error.strerror}"
    return str(error)


def _name(parameter: click.Parameter) -> str:
    """Return the name by which the user knows a parameter: `--seconds`, `FILE`."""
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.human_readable_name.upper()
