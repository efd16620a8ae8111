"""What takes long to make, and is made once for many tests."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch
from urllib.request import Request, urlopen

import pytest
from charging import make_ready
from replayed_day import kept

from perminute_local.embedded_aws import embedded_aws, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replayed_day import ReplayedDay
    from stacks_on_moto import StacksOnMoto

    from perminute_local.stack import Stack


@pytest.fixture(scope="session")
def _replayed_day() -> Iterator[ReplayedDay]:
    with kept() as day:
        yield day


@pytest.fixture
def replayed_day(_replayed_day: ReplayedDay) -> Iterator[ReplayedDay]:
    """The example day as it is, with its AWS; who looks at it changes nothing there."""
    with environment(**_replayed_day.client_environment):
        yield _replayed_day


@pytest.fixture
def ready_stack(stacks_on_moto: StacksOnMoto) -> Iterator[Stack]:
    """A stack on moto with an organization that may call."""
    with stacks_on_moto.new(make_ready) as stack:
        yield stack


@pytest.fixture(scope="session")
def one_emulator() -> Iterator[Callable[[], AbstractContextManager[object]]]:
    """Within its context each replay has the same emulator, emptied: to start one takes longer."""
    with embedded_aws() as endpoint:

        @contextmanager
        def emptied() -> Iterator[str]:
            urlopen(Request(f"{endpoint}/_ministack/reset", method="POST")).close()  # noqa: S310 - ours
            yield endpoint

        yield lambda: patch("perminute_local.replay.run.embedded_aws", emptied)
