"""A stack on moto: made once, and then copied for each test that wants one.

moto's CloudFormation takes longer to make the template's resources than most tests take to use
them. What it has made lies in objects of this process, so a copy is a stack of its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from copyreg import dispatch_table
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from moto.core.base_backend import BackendDict

from perminute_local.stack import BACKING_TYPES, create_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.stack import Stack, Template

TYPES = BACKING_TYPES - {"AWS::Events::Rule"}
"""What moto can make: its rules of a bus have no pattern that it keeps to."""


class _Made(NamedTuple):
    stack: Stack
    places: list[tuple[BackendDict[Any], str, str]]
    """Of which service, account and region each backend is."""
    backends: list[Any]


class StacksOnMoto:
    """Stacks of one template."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._made: _Made | None = None

    def new(self) -> Stack:
        """Make an empty one within `mock_aws`, in which there is nothing yet."""
        if self._made is None:
            self._made = _kept(create_stack(self._template, TYPES))
        else:
            _put_back(self._made)
        return self._made.stack


def _kept(stack: Stack) -> _Made:
    places = [
        (service, account, region)
        for service in vars(BackendDict)["_instances"]  # which are in use, for its reset
        for account, regions in service.items()
        for region in regions
    ]
    backends = [service[account][region] for service, account, region in places]
    return _Made(stack, places, _copies(backends))


def _put_back(made: _Made) -> None:
    backends = _copies(made.backends)
    for (service, account, region), backend in zip(made.places, backends, strict=True):
        service[account][region] = backend


def _copies(backends: list[Any]) -> list[Any]:
    """Copy them together: what one has of another is copied with it."""
    with _locks_made_anew():
        return deepcopy(backends)


@contextmanager
def _locks_made_anew() -> Iterator[None]:
    """Have the copy of a lock be one of its own, that nobody holds: a queue has one."""
    with patch.dict(dispatch_table, {Condition: lambda _: (Condition, ())}):
        yield
