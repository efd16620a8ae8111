"""What takes long to make and is made once: the day of the demo, an AWS for short replays."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch
from urllib.request import Request, urlopen

import pytest
from replayed_day import kept

from perminute_local.embedded_aws import embedded_aws, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replayed_day import ReplayedDay


@pytest.fixture(scope="session")
def _replayed_day() -> Iterator[ReplayedDay]:
    with kept() as day:
        yield day


@pytest.fixture
def replayed_day(_replayed_day: ReplayedDay) -> Iterator[ReplayedDay]:
    """The example day as it is, with its AWS; who looks at it changes nothing there."""
    with environment(**_replayed_day.client_environment):
        yield _replayed_day


@pytest.fixture(scope="session")
def one_emulator() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Within its context each replay has the same emulator, emptied: to start one takes longer."""
    with embedded_aws() as endpoint:

        @contextmanager
        def emptied() -> Iterator[str]:
            urlopen(Request(f"{endpoint}/_ministack/reset", method="POST")).close()  # noqa: S310 - ours
            yield endpoint

        yield lambda: patch("perminute_local.replay.run.embedded_aws", emptied)
