"""Errors as users see them: lines on standard error, and with `--json` a document on the output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from perminute.domain.errors import FaultyRateCard, PerminuteError
from perminute_local.terminal import remark, write_json
from perminute_local.wrong_call import FaultyCard, FaultyFolder, FaultyLines, FaultyTable, WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def report(error: Exception, *, as_json: bool) -> None:
    """Write an error that the user can mend; one that we have to mend is raised again."""
    if isinstance(error, FaultyRateCard):
        error = FaultyCard("the file", error.faults)
    kind, message = _described(error)
    remark(f"perminute: {message}")
    faults = list(_faults(error))
    for line, _ in faults:
        remark(line)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        remark(f"See: {error.ctx.command_path} --help")
    if as_json:
        document: dict[str, Any] = {"error": kind, "message": message}
        if faults:
            document["faults"] = [fault for _, fault in faults]
        write_json(document)


def wants_json(words: Sequence[str]) -> bool:
    """Whether an error is to be a JSON document, even if the words could not be read."""
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options


def _faults(error: Exception) -> Iterator[tuple[str, dict[str, Any]]]:
    match error:
        case FaultyTable():
            for fault in error.faults:
                yield f"{error.path}:{fault.line}: {fault.message}", fault._asdict()
        case FaultyLines():
            for at, message in error.faults:
                yield f"{at}: {message}", {"at": at, "message": message}
        case FaultyFolder():
            for one in error.errors:
                yield str(one), {"message": str(one)}
                yield from _faults(one)


def _described(error: Exception) -> tuple[str, str]:
    match error:
        case click.UsageError():
            return WrongCall.kind, _usage(error)
        case WrongCall():
            return error.kind, str(error)
        case OSError(filename=str() as name):
            return "file", f"{name}: {error.strerror}"
        case UnicodeEncodeError(encoding=encoding):
            return "failed", f"{encoding} cannot write what is to be shown: set PYTHONUTF8=1"
        case OSError() | PerminuteError():
            return "failed", (isinstance(error, OSError) and error.strerror) or str(error)
    if "botocore" in sys.modules:
        from botocore.exceptions import BotoCoreError, ClientError

        from perminute_local.deployment import reason

        if isinstance(error, (BotoCoreError, ClientError)):
            return "aws", reason(error)
    raise error


def _usage(error: click.UsageError) -> str:
    match error:
        case click.MissingParameter(param=click.Parameter() as parameter):
            choices = parameter.type.choices if isinstance(parameter.type, click.Choice) else ()
            names = f": one of {', '.join(choices)}" if choices else ""
            return f"{_name(parameter)} is missing{names}"
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{_name(parameter)}: {error.message}"
    return error.format_message()


def _name(parameter: click.Parameter) -> str:
    # As the user knows it: `--seconds`, `FILE`.
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.human_readable_name.upper()
