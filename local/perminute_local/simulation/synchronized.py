"""An organization whose directory is synchronized, and says every night what it has said before.

It is woven into a plan: between its items, which stay as they are, and with a chance of its own.
Its subscriber is called for free, as long as the license is held, so that its calls show it. Its
admin, whose clock is ahead of the bus, sets up the credits, of which nothing is ever bought.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from perminute.domain.values.times import format_instant
from perminute_local.simulation.faults import chance
from perminute_local.simulation.plan import Expected, Item, Plan, Said, event_body

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

_ORGANIZATION = "synchronized-0"
_USER = "user-0"
_DAY = timedelta(days=1)
_NIGHTS_APART = 15
"""After one in so many items of a plan the directory says what happened in three nights."""
_BEFORE_THE_HORIZON = 500 * _DAY


@dataclass
class _Directory:
    """Makes the items between those of a plan."""

    seed: int
    items: list[Item] = field(default_factory=list)
    count: int = 0

    def synchronize(self, now: datetime, drawn: Random) -> None:
        """Say three times what is held; learn of a removal in between, and of calls since then."""
        for nights in (3, 2, 1):
            self._license("License Assigned", now, nights * _DAY)
        self._license("License Removed", now, drawn.choice((1, 2)) * _DAY + _DAY / 2)
        for hours in (53, 43, 29, 19):
            self._call(now, now - timedelta(hours=hours))
        if drawn.randrange(2):
            self._license("License Removed", now, _BEFORE_THE_HORIZON, Expected.REFUSED)
        issued_at = now + timedelta(seconds=drawn.choice((0, 1, 60, 299, 300)))
        settings = {"currency": "USD", "issuedAt": format_instant(issued_at)}
        self._say("billing", "Credits Configured", now, settings, Expected.TAKEN)

    def _license(
        self, kind: str, now: datetime, ago: timedelta, expected: Expected = Expected.TAKEN
    ) -> None:
        since = {"effectiveAt": format_instant(now - ago)}
        held = {"userId": _USER, "license": "subscription", **since}
        self._say("licensing", kind, now, held, expected)

    def _call(self, now: datetime, ended_at: datetime) -> None:
        call = {
            "callId": f"synchronized-{self.count}",
            "organizerId": _USER,
            "meetingId": "meeting",
            "meetingType": "scheduled",
            "legType": "tollDialIn",
            "serviceNumber": "+14255550199",
            "answeredAt": format_instant(ended_at - timedelta(minutes=1)),
            "endedAt": format_instant(ended_at),
        }
        self._say("telephony", "Call Ended", now, call, Expected.TAKEN)

    def _say(
        self, source: str, kind: str, now: datetime, detail: dict[str, Any], expected: Expected
    ) -> None:
        said = {"organizationId": _ORGANIZATION, **detail}
        body = event_body(f"{self.seed}-d{self.count}", source, kind, now, said)
        what = Said(source=source, body=body, expected=expected)
        self.items.append(Item(0, now, what, f"d{self.count}"))
        self.count += 1


def synchronized(plan: Plan) -> Plan:
    """Add what the organization does to a plan; its own items get other numbers only."""
    directory = _Directory(plan.seed)
    for item in plan.items:
        directory.items.append(item)
        drawn = chance(plan.seed, "synchronized", item.label)
        if drawn.randrange(_NIGHTS_APART) == 0 and item is not plan.items[-1]:
            directory.synchronize(item.at, drawn)
    return replace(
        plan,
        organizations=(*plan.organizations, _ORGANIZATION),
        items=tuple(replace(item, number=n) for n, item in enumerate(directory.items)),
    )
