"""Dollars for a million calls in the archive of the bus, which `EventArchiveDays` makes."""

from __future__ import annotations

from decimal import Decimal

from perminute.events.telephony import MAX_CALLS_IN_EVENT
from perminute_local.bench.builders import ORGANIZATION, call_ended, calls_ended
from perminute_local.cost.calls import BILLED_BYTES
from perminute_local.cost.idle import Cost
from perminute_local.cost.prices import DAYS, MILLION, of_a_million, price

ARCHIVED_DAYS = 35
"""What docs/restoring.md advises: as long as tables can be restored."""
_GIGABYTE = 1_000_000_000

EVENTS = {
    "one event a call": (call_ended(0, ORGANIZATION), 1),
    "Calls Ended": (calls_ended([ORGANIZATION], MAX_CALLS_IN_EVENT), MAX_CALLS_IN_EVENT),
}
"""An event, and how many calls it reports, by how they arrive."""


def archive_costs(way: str) -> list[Cost]:
    """Return what it costs to archive and keep a million calls, and to send them all again."""
    event, calls = EVENTS[way]
    events = Decimal(MILLION) / calls
    gigabytes = events * len(event.encode()) / _GIGABYTE
    taken_in = gigabytes * price("eventbridge", "archive_gigabyte")
    kept = gigabytes * price("eventbridge", "archive_gigabyte_month") * ARCHIVED_DAYS / DAYS
    again = of_a_million("eventbridge", "million_events", events * _billed(event))
    return [
        Cost("archive", taken_in + kept, f"{gigabytes:.2f} GB, kept for {ARCHIVED_DAYS} days"),
        Cost("one replay", again, f"{events:.0f} events are sent again"),
    ]


def _billed(event: str) -> int:
    return -(-len(event) // BILLED_BYTES)
