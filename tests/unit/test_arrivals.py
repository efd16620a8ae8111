from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perminute.arrivals import MAX_AHEAD, Arrival, arrival_of
from perminute.domain.errors import Refused
from perminute.events.billing import BILLING, credit_event
from perminute.events.door import read_event
from perminute.events.telephony import TELEPHONY, ended_leg

EVENTS = Path(__file__).parents[2] / "events"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def record(**attributes: Any) -> dict[str, Any]:
    return {"messageId": "1", "body": "{}", "attributes": attributes}


def test_a_message_arrives_when_it_was_sent_to_the_queue() -> None:
    arrival = arrival_of(record(SentTimestamp="1795521600123"), NOW)
    sent_at = datetime(2026, 11, 24, 12, 0, 0, 123_000, tzinfo=UTC)
    assert arrival == Arrival(sent_at, sent_at + MAX_AHEAD)


@pytest.mark.parametrize("sent", [{}, {"SentTimestamp": ""}, {"SentTimestamp": "yesterday"}])
def test_without_a_time_of_sending_only_this_clock_bounds_what_an_event_may_say(
    sent: dict[str, str],
) -> None:
    assert arrival_of(record(**sent), NOW) == Arrival(None, NOW + MAX_AHEAD)
    assert arrival_of({"messageId": "1", "body": "{}"}, NOW) == Arrival(None, NOW + MAX_AHEAD)


def test_an_old_message_is_bounded_by_this_clock() -> None:
    old = arrival_of(record(SentTimestamp="0"), NOW)
    assert old == Arrival(datetime(1970, 1, 1, tzinfo=UTC), NOW + MAX_AHEAD)


def test_an_event_of_next_year_is_refused_before_it_forfeits_anything() -> None:
    body = (EVENTS / "call-ended.v1.json").read_text()
    arrival = Arrival(None, datetime(2026, 11, 2, 9, 30, 59, tzinfo=UTC))
    with pytest.raises(Refused) as refused:
        read_event(body, TELEPHONY, arrival)
    assert str(refused.value) == (
        "time: lies more than 1 day after the event arrived; set the sender's clock right and "
        "send it again"
    )
    latest = Arrival(None, arrival.latest + timedelta(seconds=1))
    assert read_event(body, TELEPHONY, latest).source == "perminute.telephony"


def test_what_was_heard_of_when_goes_with_the_event() -> None:
    call = read_event((EVENTS / "call-ended.v1.json").read_text(), TELEPHONY)
    assert ended_leg(call, NOW).heard_at == NOW
    bought = json.loads((EVENTS / "credit-purchased.v1.json").read_text())
    assert credit_event(read_event(json.dumps(bought), BILLING), NOW).heard_at == NOW
