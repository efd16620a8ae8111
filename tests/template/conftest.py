"""What tests of several pages measure once."""

from __future__ import annotations

import pytest

from perminute_local.cost.calls import Arrival, arrivals


@pytest.fixture(scope="session")
def all_arrivals() -> list[list[Arrival]]:
    """How calls arrive in each way and size, and what AWS is asked for by them."""
    return arrivals()
