"""Items that list calls: `calls#…` of the credit table, by when the last of them ended.

They find the calls of a user or an organization since an instant, by a consistent read. An index
of the usage table would lag behind, and cost a write unit for each call. If the transaction charged
something, its ledger entry is in here too: an item of its own would cost two more.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import defaultdict
from datetime import date, datetime, timedelta
from math import gcd
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import key
from perminute.adapters.dynamodb.codec import EPOCH, MICROSECOND, as_json, sortable, to_json
from perminute.adapters.dynamodb.ledger_items import CALLS, CHARGE
from perminute.domain.rating.usage_record import Outcome
from perminute.ports.stores import CallList, ListedCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.rating.usage_record import Usage

DIAL_OUTS = "dialOuts"
"""How many of the calls are dial-outs, if any: pools are settled by these lists alone."""
RELISTED = "#ended"
"""How the names of lists end whose calls had been listed before, as their bridges reported."""

_CHARGE = as_json(CHARGE)


def call_list_items(
    usages: Sequence[Usage], charge: LedgerEntry | None = None, *, suffix: str = ""
) -> Iterator[Item]:
    """List the calls of a transaction by the day on which they ended, but those that are free.

    The first list carries the entry of what they were charged.
    """
    by_day: defaultdict[date, list[ListedCall]] = defaultdict(list)
    for usage in usages:
        if usage.outcome is not Outcome.FREE:
            by_day[usage.call.ended_at.date()].append(ListedCall.of(usage.call))
    for calls in by_day.values():
        last = max(call.ended_at for call in calls)
        # A call is listed once under each suffix, so no other list can have this name.
        name = hashlib.sha256(calls[0].call_id.encode()).hexdigest()[:32]
        item = {
            **key(usages[0].call.organization_id, f"{call_list_record(last)}#{name}{suffix}"),
            "calls": {"B": zlib.compress(_listed(calls))},
        }
        if dial_outs := sum(call.dial_out for call in calls):
            item[DIAL_OUTS] = {"N": str(dial_outs)}
        if charge is not None:
            item["entry"] = _CHARGE.write(charge)
            charge = None
        yield item


def call_list_record(ended_at: datetime) -> str:
    """Name a list of calls by its last so that text sorts as time does."""
    return f"{CALLS}{sortable(ended_at)}"


def _listed(calls: Sequence[ListedCall]) -> bytes:
    """Write calls as short as may be: every transaction pays for its list by the kilobyte.

    Column by column, since like beside like is what compression shortens best; and times in the
    largest unit that leaves none of them a fraction, mostly seconds.
    """
    organizers = list(dict.fromkeys(call.organizer_id for call in calls))
    numbers = {organizer_id: number for number, organizer_id in enumerate(organizers)}
    first = min(call.ended_at for call in calls)
    ended = [(call.ended_at - first) // MICROSECOND for call in calls]
    lasted = [(call.ended_at - call.answered_at) // MICROSECOND for call in calls]
    unit = max(gcd(*ended, *lasted), 1)
    columns = [
        organizers,
        (first - EPOCH) // MICROSECOND,
        unit,
        [call.call_id for call in calls],
        [numbers[call.organizer_id] for call in calls],
        [int(call.dial_out) for call in calls],
        [micros // unit for micros in ended],
        [micros // unit for micros in lasted],
    ]
    return to_json(columns).encode()


def call_list_of(item: Item) -> CallList:
    """Read a list of calls."""
    organizers, first, unit, *columns = json.loads(zlib.decompress(item["calls"]["B"]))
    return CallList(
        item["record"]["S"],
        tuple(
            ListedCall(
                call_id=call_id,
                organizer_id=organizers[organizer],
                dial_out=bool(dial_out),
                answered_at=EPOCH + timedelta(microseconds=first + unit * (ended - lasted)),
                ended_at=EPOCH + timedelta(microseconds=first + unit * ended),
            )
            for call_id, organizer, dial_out, ended, lasted in zip(*columns, strict=True)
        ),
    )
