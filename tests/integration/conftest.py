"""The day of the demo, replayed once for all that is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from replayed_day import kept

from perminute_local.embedded_aws import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

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
