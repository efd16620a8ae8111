"""Each contract test runs over the twin, and over the DynamoDB stores on two emulators."""

from __future__ import annotations

import pytest
from stores import Stores, stores_on, twins


@pytest.fixture(params=["twin", "moto", "ministack"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "twin":
        return twins()
    return stores_on(request.getfixturevalue(f"{request.param}_stack"))
