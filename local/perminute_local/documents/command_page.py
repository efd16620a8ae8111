"""The page of all commands, made from the command line itself: `docs/command-line.md`.

`make documents` writes it; a test compares the file with the code.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING

import click

from perminute_local.cli.program import program

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# The command line

*Generated from the code by `make documents`; `perminute COMMAND --help` shows the same.*

`perminute` alone lists its commands, and so does a group such as `perminute rates`. Data goes to
standard output, everything else to standard error.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the answer is no: no rate, an unknown call, a faulty card, books that differ, dead letters |
| 2 | the command line is wrong, or AWS refused; the message says what to do |
| 130 | interrupted |

**JSON.** Every command has `--json`: one document on standard output, and nothing else there. An
error is a document as well, with the same exit code and the same line on standard error:

| `error` | meaning | also carries |
|---|---|---|
| `usage` | an option, a value or a name is wrong | `message` |
| `file` | a file cannot be read, or is not what the command reads | `message` |
| `faultyRateCard` | a rate card is refused | `message`, `faults`: each with `line` and `message` |
| `faultyDirectory` | a directory is refused | `message`, `faults`: each with `line` and `message` |
| `aws` | AWS refused, or was not reached | `message` |
| `emulator` | the emulator of a replay is missing or did not start | `message` |
| `faultyLines` | lines of events are refused, so nothing was done | `message`, `faults` |
| `faultyFolder` | several files of a replay's folder are faulty | `message`, `faults` |
| `failed` | something else went wrong, such as a full disk | `message` |

With exit code 1, `error` is a result: of a quote `noRate`, `blockedNumber`, `currencyMismatch`, and
`invalid` of a line; of a replay `booksNotRead`; of an event that an admin sends `refused`.

**Files.** `-` in place of a file is standard input, for one file of a command.

**AWS.** Commands with `--stack` or `--bucket` use the credentials and the region of the AWS command
line: `AWS_PROFILE` and `AWS_REGION` choose them.

**Completion.** `eval "$(perminute completion bash)"` in `~/.bashrc`, or
`eval "$(perminute completion zsh)"` in `~/.zshrc` after `compinit`, completes commands, options
and values of which there is a list.
"""


def page() -> str:
    """Write the page."""
    context = click.Context(program, info_name="perminute")
    return "\n".join([_INTRODUCTION, *_commands(context)])


def _commands(context: click.Context) -> Iterator[str]:
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.commands[name]
        if command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield from _section(inner)
        yield from _commands(inner)


def _section(context: click.Context) -> Iterator[str]:
    command = context.command
    level = "##" if context.parent and context.parent.parent is None else "###"
    yield f"{level} `{context.command_path}`\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    if isinstance(command, click.Group):
        return
    yield f"```\n{' '.join([context.command_path, *_usage(context)])}\n```\n"
    yield "| | |\n|---|---|"
    yield from (_row(param, context) for param in command.params)
    yield ""
    if command.epilog:
        yield "```console"
        yield from (f"$ {line.strip()}" for line in command.epilog.splitlines()[2:])
        yield "```\n"


def _usage(context: click.Context) -> Iterator[str]:
    for param in context.command.params:
        if isinstance(param, click.Argument):
            yield param.make_metavar(context)
        elif isinstance(param, click.Option) and param.required:
            yield _option(param, context)
    yield "[OPTIONS]"


def _option(option: click.Option, context: click.Context) -> str:
    names = " / ".join((*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} {option.make_metavar(context)}"


def _row(one: click.Parameter, context: click.Context) -> str:
    name, words = one.make_metavar(context), one.help or ""
    if isinstance(one, click.Option):
        name = _option(one, context)
        words += "; required" * one.required
    cells = f"`{name}`", words
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(page())
