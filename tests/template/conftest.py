"""What tests of several pages measure once."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from perminute_local.cost import calls
from perminute_local.cost.calls import Arrival, arrivals


@pytest.fixture(scope="session")
def all_arrivals() -> list[list[Arrival]]:
    """How calls arrive in each way and size, and what AWS is asked for by them."""
    # A tenth more or less of CPU time makes no difference here.
    with patch.object(calls, "ROUNDS", 3):
        return arrivals()
