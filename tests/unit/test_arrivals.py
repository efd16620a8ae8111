from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perminute.domain.credit.booking import Adjustment
from perminute.domain.errors import Refused
from perminute.domain.values.times import MAX_CLOCK_AHEAD
from perminute.events.billing import BILLING, CreditPurchased, credit_event
from perminute.events.event import MAX_AHEAD, booked_at, read_event
from perminute.events.licensing import LICENSING
from perminute.events.telephony import TELEPHONY, ended_call
from perminute.sqs import Received, received

EVENTS = Path(__file__).parents[2] / "events"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def record(**attributes: Any) -> dict[str, Any]:
    return {"messageId": "1", "body": "{}", "attributes": attributes}


def test_a_message_arrives_when_it_was_sent_to_the_queue() -> None:
    arrival = received(record(SentTimestamp="1795521600123"), NOW)
    sent_at = datetime(2026, 11, 24, 12, 0, 0, 123_000, tzinfo=UTC)
    assert arrival == Received(sent_at, NOW)
    assert arrival.latest == sent_at


@pytest.mark.parametrize("sent", [{}, {"SentTimestamp": ""}, {"SentTimestamp": "yesterday"}])
def test_without_a_time_of_sending_only_this_clock_bounds_what_an_event_may_say(
    sent: dict[str, str],
) -> None:
    assert received(record(**sent), NOW) == Received(None, NOW)
    assert received({"messageId": "1", "body": "{}"}, NOW) == Received(None, NOW)


def test_an_old_message_is_bounded_by_this_clock() -> None:
    old = received(record(SentTimestamp="0"), NOW)
    assert old == Received(datetime(1970, 1, 1, tzinfo=UTC), NOW)
    assert old.latest == NOW


def test_an_event_of_next_year_is_refused_before_it_forfeits_anything() -> None:
    body = (EVENTS / "call-ended.v1.json").read_text()
    arrival = Received(None, datetime(2026, 11, 2, 9, 30, 59, tzinfo=UTC) - MAX_AHEAD)
    with pytest.raises(Refused) as refused:
        read_event(body, TELEPHONY, arrival)
    assert str(refused.value) == (
        "time: lies more than 1 day after the event arrived; set the sender's clock right and "
        "send it again"
    )
    latest = Received(None, arrival.now + timedelta(seconds=1))
    assert read_event(body, TELEPHONY, latest).source == "perminute.telephony"


def test_what_was_heard_of_when_goes_with_the_event() -> None:
    call = read_event((EVENTS / "call-ended.v1.json").read_text(), TELEPHONY)
    assert ended_call(call, NOW).heard_at == NOW
    bought = json.loads((EVENTS / "credit-purchased.v1.json").read_text())
    assert credit_event(read_event(json.dumps(bought), BILLING), NOW).heard_at == NOW


def test_an_event_is_booked_when_it_was_sent_but_not_after_it_arrived() -> None:
    later = NOW + timedelta(hours=23)
    assert booked_at(later, NOW) == booked_at(NOW, later) == booked_at(NOW, None) == NOW
    call = read_event((EVENTS / "call-ended.v1.json").read_text(), TELEPHONY)
    bought = read_event((EVENTS / "credit-purchased.v1.json").read_text(), BILLING)
    given = read_event((EVENTS / "credit-adjusted.v1.json").read_text(), BILLING)
    early = datetime(2026, 10, 1, tzinfo=UTC)
    assert ended_call(call, early).reported_at == early
    assert ended_call(call, NOW).reported_at == call.time
    assert credit_event(bought, early).issued_at == early
    assert credit_event(bought, NOW).issued_at == bought.time
    adjustment = credit_event(given, early).change
    assert isinstance(adjustment, Adjustment)
    assert adjustment.expires_at == datetime(2027, 10, 1, tzinfo=UTC)


CALL = json.loads((EVENTS / "call-ended.v1.json").read_text())
PURCHASE = json.loads((EVENTS / "credit-purchased.v1.json").read_text())
AHEAD = "lies more than 5 minutes after the event's time; set the sender's clocks right"


def said(event: dict[str, Any], **changed: object) -> str:
    return json.dumps({**event, "detail": {**event["detail"], **changed}})


def test_what_has_happened_may_lie_five_minutes_after_the_event_and_no_more() -> None:
    """Two clocks stamp them: that of the switch, and that of who sends the event."""
    call = read_event(said(CALL, endedAt="2026-11-02T09:36:00Z"), TELEPHONY)
    assert call.detail.ended_at.at == call.time + MAX_CLOCK_AHEAD
    bought = read_event(said(PURCHASE, purchasedAt="2026-10-30T12:07:00Z"), BILLING)
    assert isinstance(bought.detail, CreditPurchased)
    assert bought.detail.purchased_at == bought.time + MAX_CLOCK_AHEAD


@pytest.mark.parametrize(
    ("body", "door", "message"),
    [
        (
            said(CALL, endedAt="2026-11-02T09:36:00.000001Z"),
            TELEPHONY,
            f"endedAt: {AHEAD} and send it again",
        ),
        (
            said(CALL, answeredAt="2056-01-01T00:00:00Z", endedAt="2056-01-01T00:10:00Z"),
            TELEPHONY,
            "answeredAt: lies more than 5 minutes after the event's time; so does endedAt; "
            "set the sender's clocks right and send it again",
        ),
        (
            said(CALL, answeredAt=None, endedAt="2026-11-02T23:30:00Z"),
            TELEPHONY,
            f"endedAt: {AHEAD} and send it again",
        ),
        (
            said(PURCHASE, purchasedAt="2031-01-01T00:00:00Z"),
            BILLING,
            f"purchasedAt: {AHEAD} and send it again",
        ),
    ],
)
def test_what_has_not_happened_yet_is_refused_by_its_field(
    body: str, door: Any, message: str
) -> None:
    with pytest.raises(Refused) as refused:
        read_event(body, door)
    assert str(refused.value) == message


def test_what_is_read_from_an_archive_is_held_to_its_own_time() -> None:
    """It arrives years later, and says the same as it did then."""
    arrival = Received(datetime(2036, 1, 1, tzinfo=UTC), datetime(2036, 1, 2, tzinfo=UTC))
    event = read_event(json.dumps(CALL), TELEPHONY, arrival)
    assert ended_call(event, arrival.heard_at).reported_at == event.time


def test_a_license_may_take_effect_long_after_the_event() -> None:
    sample = json.loads((EVENTS / "license-assigned.v1.json").read_text())
    event = read_event(said(sample, effectiveAt="2031-01-01T00:00:00Z"), LICENSING)
    assert event.detail.effective_at == datetime(2031, 1, 1, tzinfo=UTC)
