"""How much is tried at each door: a little with all tests, 100,000 inputs with `make fuzz`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

DOORS = 12
"""Tests here, each of which tries its share."""


def pytest_configure(config: pytest.Config) -> None:
    inputs: int = config.getoption("--fuzz-inputs")
    settings.register_profile(
        "fuzz",
        max_examples=max(1, inputs // DOORS),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
