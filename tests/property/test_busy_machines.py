"""A property that holds on an idle machine holds on a busy one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings


@pytest.mark.parametrize("of_a_test", [settings(), settings(max_examples=300)])
def test_no_example_has_a_deadline_whatever_else_its_test_sets(of_a_test: settings) -> None:
    assert of_a_test.deadline is None
    assert HealthCheck.too_slow in of_a_test.suppress_health_check
