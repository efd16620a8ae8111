from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from builders import ANSWERED, phone_call

from perminute.domain.errors import Refused
from perminute.domain.rating.calls import LegType


@pytest.mark.parametrize(
    ("changed", "seconds"),
    [
        ({}, 600),
        ({"answered_at": None}, 0),
        ({"ended_at": ANSWERED}, 0),
        ({"ended_at": ANSWERED + timedelta(microseconds=1)}, 1),
        ({"ended_at": ANSWERED + timedelta(seconds=60, microseconds=1)}, 61),
        ({"exact_seconds": 601}, 601),
        ({"exact_seconds": 601, "answered_at": None}, 0),
        ({"exact_seconds": 601, "billable_seconds": 540}, 540),
        ({"billable_seconds": 540}, 540),
        ({"billable_seconds": 0}, 0),
        ({"ended_at": ANSWERED + timedelta(hours=24)}, 86_400),
    ],
)
def test_connected_time_counts_started_seconds_and_the_billable_figure_wins(
    changed: dict[str, Any], seconds: int
) -> None:
    assert phone_call(**changed).connected_seconds == seconds


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"ended_at": ANSWERED - timedelta(seconds=1)}, "endedAt"),
        ({"ended_at": ANSWERED + timedelta(hours=24, microseconds=1)}, "endedAt"),
        ({"ended_at": ANSWERED + timedelta(hours=24), "exact_seconds": 86_401}, "endedAt"),
        ({"billable_seconds": -1}, "billableSeconds"),
        ({"billable_seconds": 86_401}, "billableSeconds"),
        ({"billable_seconds": 1, "answered_at": None}, "billableSeconds"),
        ({"remote_number": None}, "remoteNumber"),
        ({"leg_type": LegType.TOLL_DIAL_IN}, "serviceNumber"),
        ({"leg_type": LegType.TOLL_FREE_DIAL_IN}, "serviceNumber"),
    ],
)
def test_a_leg_that_contradicts_itself_is_refused_by_field(
    changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused, match=f"^{field}: ") as refusal:
        phone_call(**changed)
    assert refusal.value.field == field


def test_the_price_hangs_on_what_was_dialled() -> None:
    both = {"service_number": "+14255550100", "remote_number": "+493023125042"}
    assert phone_call(**both).rated_number == "+493023125042"
    assert phone_call(leg_type=LegType.TOLL_DIAL_IN, **both).rated_number == "+14255550100"
    assert phone_call(leg_type=LegType.APP, remote_number=None).rated_number is None
