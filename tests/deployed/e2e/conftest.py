"""One deployment for each module of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from deployed_stack import Running, deployed_on_an_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def running(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with deployed_on_an_emulator(artifact, tmp_path_factory.mktemp("deployed")) as running:
        yield running
