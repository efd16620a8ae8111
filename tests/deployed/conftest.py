"""What `make e2e` builds once, and deploys anew for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perminute_local.deployed.deploying import build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def artifact() -> Path:
    """The template of what `sam build` has built for this machine."""
    return build()
