"""A stack on moto: made once, and then copied for each test that wants one.

moto's CloudFormation takes longer to make the template's resources than most tests take to use
them, and so does what many tests have happen first. What was made lies in objects of this process,
so a copy is a stack of its own.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from moto import mock_aws
from moto.core.base_backend import BackendDict

from perminute_local.embedded_aws import environment
from perminute_local.replay.lambda_runtime import QUIET
from perminute_local.stack import BACKING_TYPES, create_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perminute_local.stack import Stack, Template

TYPES = BACKING_TYPES - {"AWS::Events::Rule"}
"""What moto can make: its rules of a bus have no pattern that it keeps to."""
MOTO = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
}


class _Made(NamedTuple):
    stack: Stack
    places: list[tuple[BackendDict[Any], str, str]]
    """Of which service, account and region each backend is."""
    backends: bytes
    keys: list[RSAPrivateKey]


class StacksOnMoto:
    """Stacks of one template."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._made: dict[Callable[[Stack], object], _Made] = {}

    @contextmanager
    def new(self, happens_first: Callable[[Stack], object] = id) -> Iterator[Stack]:
        """Have one for as long as the context lasts; what happens first does so once for all."""
        with environment(**MOTO, **QUIET), mock_aws():
            if happens_first in self._made:
                _put_back(self._made[happens_first])
            else:
                stack = create_stack(self._template, TYPES)
                happens_first(stack)
                self._made[happens_first] = _kept(stack)
            yield self._made[happens_first].stack


def _kept(stack: Stack) -> _Made:
    places = [
        (service, account, region)
        for service in vars(BackendDict)["_instances"]  # which are in use, for its reset
        for account, regions in service.items()
        for region in regions
    ]
    backends = [service[account][region] for service, account, region in places]
    written = io.BytesIO()
    # Together: what one has of another is kept with it.
    (pickler := _Pickler(written)).dump(backends)
    return _Made(stack, places, written.getvalue(), pickler.keys)


def _put_back(made: _Made) -> None:
    backends = _Unpickler(io.BytesIO(made.backends), made.keys).load()
    for (service, account, region), backend in zip(made.places, backends, strict=True):
        service[account][region] = backend


class _Pickler(pickle.Pickler):
    """Leaves private keys as they are, and has a lock made anew, that nobody holds."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.dispatch_table = {**copyreg.dispatch_table, Condition: lambda _: (Condition, ())}
        self.keys: list[RSAPrivateKey] = []

    def persistent_id(self, one: object) -> int | None:
        if not isinstance(one, RSAPrivateKey):
            return None
        self.keys.append(one)
        return len(self.keys) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, keys: list[RSAPrivateKey]) -> None:
        super().__init__(file)
        self._keys = keys

    def persistent_load(self, number: int) -> RSAPrivateKey:
        return self._keys[number]
