r"""The number patterns of libphonenumber's metadata, as states that are reached digit by digit.

A pattern such as `90[0-4]\d{6}` says which numbers there are; a rate card says which digits they
begin with. `re` answers only for whole numbers. Here a pattern becomes the set of states that are
reached before its first digit, and `after` returns those that are reached by one more. Patterns of
the metadata have no end in `*` or `+`, so the states are values without cycles: equal rests of
numbers are equal sets, however they were reached.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGITS = "0123456789"


class State(NamedTuple):
    """Before one digit of a number: which it may be, and the states after it.

    The state after a whole number has no digits.
    """

    digits: str
    following: States


States = frozenset[State]

NONE: States = frozenset()
"""No number goes on like this."""

COMPLETE: States = frozenset([State("", NONE)])
"""The number is complete."""


class _Part(NamedTuple):
    of: str | tuple[tuple[_Part, ...], ...]
    least: int
    most: int


_TOKEN = re.compile(r"\(\?:|[)|?]|\\d|[0-9]|\[[0-9-]+\]|\{[0-9]+(?:,[0-9]+)?\}", re.ASCII)


@cache
def numbers_like(pattern: str) -> States:
    """Return the states before the first digit of the numbers that a pattern matches.

    Raises:
        ValueError: the pattern has something that the metadata has never had, such as a lookahead.
    """
    tokens = _TOKEN.findall(pattern)
    if "".join(tokens) != pattern:
        msg = f"the pattern {pattern} has something that cannot be read as digits"
        raise ValueError(msg)
    return _any_of(_alternatives(iter([*tokens, ")"])), COMPLETE)


@cache
def after(states: States, digit: str) -> States:
    """Return the states that are reached by one more digit."""
    return frozenset(
        following for state in states if digit in state.digits for following in state.following
    )


def after_all(states: States, digits: str) -> States:
    """Return the states that are reached by several digits."""
    for digit in digits:
        states = after(states, digit)
    return states


def next_digits(states: States) -> str:
    """Return the digits by which some number goes on."""
    return "".join(digit for digit in DIGITS if after(states, digit))


def _alternatives(tokens: Iterator[str]) -> tuple[tuple[_Part, ...], ...]:
    read: list[list[_Part]] = [[]]
    for token in tokens:
        parts = read[-1]
        match token[0]:
            case ")":
                break
            case "|":
                read.append([])
            case "(":
                parts.append(_Part(_alternatives(tokens), 1, 1))
            case "?":
                parts.append(parts.pop()._replace(least=0))
            case "{":
                least, _, most = token[1:-1].partition(",")
                parts.append(_Part(parts.pop().of, int(least), int(most or least)))
            case _:
                parts.append(_Part("".join(re.findall(token, DIGITS)), 1, 1))
    return tuple(map(tuple, read))


def _any_of(alternatives: tuple[tuple[_Part, ...], ...], following: States) -> States:
    first: set[State] = set()
    for parts in alternatives:
        states = following
        for part in reversed(parts):
            states = _repeated(part, states)
        first |= states
    return frozenset(first)


def _repeated(part: _Part, following: States) -> States:
    states = following
    for _ in range(part.most - part.least):
        states = _once(part, states) | following
    for _ in range(part.least):
        states = _once(part, states)
    return states


def _once(part: _Part, following: States) -> States:
    if isinstance(part.of, str):
        return frozenset([State(part.of, following)])
    return _any_of(part.of, following)
