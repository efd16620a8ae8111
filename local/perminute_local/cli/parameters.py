"""What commands have in common: kinds of values, options of many commands, groups.

A command is a function below `@click.command`, with its parameters as keywords, that returns the
exit code. Its docstring is its help, and the first sentence its line in the list of commands.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import click
from click.types import ParamType

from perminute.domain.reference.countries import check_currency
from perminute.domain.reference.phone_numbers import check_e164
from perminute.domain.values.identifiers import check_spaces
from perminute.domain.values.times import parse_instant
from perminute_local.local_stack import LOCAL
from perminute_local.user_input import StandardInput, date_or_instant, did_you_mean
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from click.shell_completion import CompletionItem

T = TypeVar("T")
Run = TypeVar("Run", bound="Callable[..., object]")


class Parsed(ParamType[T], Generic[T]):
    """A value that `parse` reads; the message of its `ValueError` is shown to the user."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self, value: T | str, param: click.Parameter | None, ctx: click.Context | None
    ) -> T:
        """Return what `parse` makes of a text; a default is what it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class StackName(Parsed[str]):
    """The name of a stack; `local` is that of this machine, and no AWS account has it."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name. Commands about `local` reach AWS on this machine until they end."""
        name = super().convert(value, param, ctx)
        if name == LOCAL and ctx is not None and not ctx.resilient_parsing:
            from perminute_local.embedded_aws import environment
            from perminute_local.local_stack.place import only_local, place_of_user, running

            variables = only_local(running(place_of_user()).endpoint)
            ctx.find_root().with_resource(environment(**variables))
        return name


class Choice(click.Choice[str]):
    """One of some names; the message about another one suggests the name that is closest."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        """Return a message with all names."""
        del ctx
        names = ", ".join(self.choices)
        return f"{value!r} is none of {names}.{did_you_mean(str(value), self.choices)}"


class InputFile(ParamType[Path]):
    """A file that is read; `-` is standard input, which one parameter of a command may have."""

    name = "file"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path."""
        if not value:
            self.fail("must name a file, or be - for standard input", param, ctx)
        if isinstance(param, click.Option) and str(value).startswith("--"):
            msg = f"must name a file, and {value} looks like an option; a file is ./{value}"
            self.fail(msg, param, ctx)
        if value != "-":
            return Path(str(value))
        if ctx is not None and ctx.meta.setdefault(_STANDARD_INPUT, param) is not param:
            self.fail("standard input can be read only once; name a file instead of -", param, ctx)
        return StandardInput("standard input")

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return what makes the shell complete file names."""
        from click.shell_completion import CompletionItem

        del ctx, param
        return [CompletionItem(incomplete, type="file")]


class CommandGroup(click.Group):
    """Commands in the order in which they were added; without a command, the list of them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show help if there are no arguments."""
        return super().parse_args(ctx, args or ["--help"])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were added."""
        del ctx
        return list(self.commands)


class ReportGroup(CommandGroup):
    """A group whose first command is meant if none is named: `perminute calls` lists calls."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the first command before its options."""
        is_named = args and args[0] in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if is_named else [next(iter(self.commands)), *args])


def whole_number_above_0(text: str) -> int:
    """Read a count."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        msg = "must be a whole number greater than 0"
        raise ValueError(msg)
    return int(text)


def _version(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) is None:
        msg = "must be letters, digits, dots and dashes"
        raise ValueError(msg)
    return text


def _stack(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,127}|arn:aws[a-z-]*:cloudformation:\S+", text) is None:
        msg = f"{text!r} cannot be the name of a stack: a letter, then letters, digits and dashes"
        raise ValueError(msg)
    return text


def _bucket(text: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:aws[a-z-]*:s3:\S+", text) is None:
        msg = (
            f"{text!r} cannot be the name of a bucket: 3 to 63 small letters, digits, dots and "
            "dashes, without s3:// before it"
        )
        raise ValueError(msg)
    return text


_STANDARD_INPUT = f"{__name__}.standard_input"

FILE = InputFile()
NEW_FILE: click.Path[Path] = click.Path(path_type=Path)
FOLDER: click.Path[Path] = click.Path(path_type=Path)
BUCKET = Parsed("NAME", _bucket)
STACK = StackName("NAME", _stack)
COUNT = Parsed("N", whole_number_above_0)
CURRENCY = Parsed("CODE", check_currency)
IDENTIFIER = Parsed("ID", check_spaces)
INSTANT = Parsed("TIME", parse_instant)
DATE_OR_INSTANT = Parsed("TIME", date_or_instant)
NUMBER = Parsed("NUMBER", check_e164)
VERSION = Parsed("VERSION", _version)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="write one JSON document instead of text"
)
stack_option = click.option("--stack", required=True, type=STACK, help="the stack's name")


def published_to(run: Run) -> Run:
    """Add `version`, and `bucket` and `stack`, one of which says where; see `bucket_of`."""
    bucket = click.option("--bucket", type=BUCKET, help="the stack's output RateCardBucketName")
    stack = click.option("--stack", type=STACK, help="or the name of the stack")
    words = "the name of this version, never reused"
    return bucket(stack(click.option("--version", required=True, type=VERSION, help=words)(run)))


def bucket_of(bucket: str | None, stack: str | None) -> str:
    """Return the bucket that is named, or that of the stack. Raises `WrongCall`."""
    if (bucket is None) is (stack is None):
        msg = "needs either --stack NAME, or --bucket NAME if you may not read the stack"
        raise WrongCall(msg)
    if bucket is not None:
        return bucket
    from perminute_local.deployment import calling_aws, output

    with calling_aws(f"the bucket of {stack} cannot be found"):
        return output(str(stack), "RateCardBucketName")


organizations_option = click.option(
    "--organization",
    "organizations",
    multiple=True,
    type=IDENTIFIER,
    help="only this organization; may be repeated",
)


def examples(*commands: str) -> str:
    """Return the `epilog` of a command, lines that work in a checkout (`.venv/bin` on the path)."""
    lines = "\n".join(f"  {command}" for command in commands)
    # The first line has click leave the others as they are.
    return f"\b\nExamples:\n{lines}"


def with_options(
    options: Sequence[Callable[[Callable[..., T]], Callable[..., T]]], run: Callable[..., T]
) -> Callable[..., T]:
    """Add options to a command, which lists them in this order."""
    for option in reversed(options):
        run = option(run)
    return run


def stack_options(run: Run) -> Run:
    """Add `stack`, `organizations` and `as_json`: a stack, perhaps some of its organizations."""
    return stack_option(organizations_option(json_option(run)))
