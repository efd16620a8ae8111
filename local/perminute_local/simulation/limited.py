"""Organizations in which a user gets a limit in the midst of a month that has seen calls.

They are woven into a plan as `synchronized` is. The calls before are counted a piece at a time,
while more of them end, and some turn out to be denied.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from perminute.domain.values.times import format_instant
from perminute_local.simulation.faults import chance
from perminute_local.simulation.plan import Item, Plan, Said, event_body

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

_USER = "user-0"
_LIMITS_APART = 60
"""After one in so many items of a plan an organization begins in which that happens."""
_CALLS_BEFORE, _CALLS_AFTER = 4, 8
_AT_ONCE, _MINUTE, _APART = timedelta(), timedelta(minutes=1), timedelta(minutes=2)
_LONG = timedelta(days=60)


@dataclass
class _Admin:
    """Makes the items between those of a plan."""

    seed: int
    items: list[Item] = field(default_factory=list)
    count: int = 0
    organizations: list[str] = field(default_factory=list)

    def limit(self, now: datetime, drawn: Random) -> None:
        """Limit a user who has called, and correct calls while those are counted."""
        self.organizations.append(f"limited-{len(self.organizations)}")
        self._begin(now)
        for _ in range(_CALLS_BEFORE):
            self._call(now, drawn)
        self._user(now, {"monthlySpendLimit": "1000"}, after=_APART)
        for number in range(1, _CALLS_AFTER + 1):
            after = number * _APART
            if number in {_CALLS_AFTER // 2, _CALLS_AFTER - 1}:
                self._correct(now, after, drawn)
            self._call(now, drawn, after=after + _APART)

    def _begin(self, now: datetime) -> None:
        """Have more credit than the calls cost, and all licenses; since long ago."""
        since = format_instant(now - _LONG)
        program = {"licensingProgram": "volume", "effectiveAt": since}
        self._say("licensing", "Organization Changed", now, program)
        bought = {
            "purchaseId": "po-limited",
            "amount": "1000",
            "currency": "USD",
            "purchasedAt": since,
        }
        self._say("billing", "Credit Purchased", now, bought)
        self._user(now, {"country": "DE"})
        for product in ("payPerMinute", "communicationsCredits"):
            self._license("License Assigned", product, now, _LONG)

    def _correct(self, now: datetime, after: timedelta, drawn: Random) -> None:
        """Have calls of some minutes turn out to be denied, in two corrections or in one."""
        for minutes in drawn.sample(range(20, 240, 20), 2):
            for kind, ago in (
                ("License Removed", minutes * _MINUTE),
                ("License Assigned", (minutes - 20) * _MINUTE),
            ):
                self._license(kind, "payPerMinute", now, ago, after=after)

    def _user(self, now: datetime, changed: dict[str, str], *, after: timedelta = _AT_ONCE) -> None:
        said = {"userId": _USER, "effectiveAt": format_instant(now - _LONG), **changed}
        self._say("licensing", "User Changed", now, said, after=after)

    def _license(
        self,
        kind: str,
        product: str,
        now: datetime,
        ago: timedelta,
        *,
        after: timedelta = _AT_ONCE,
    ) -> None:
        held = {"userId": _USER, "license": product, "effectiveAt": format_instant(now - ago)}
        self._say("licensing", kind, now, held, after=after)

    def _call(self, now: datetime, drawn: Random, *, after: timedelta = _AT_ONCE) -> None:
        ended_at = now - drawn.randrange(240) * _MINUTE
        call = {
            "callId": f"limited-{self.count}",
            "organizerId": _USER,
            "meetingId": "meeting",
            "meetingType": "scheduled",
            "legType": "dialOut",
            "remoteNumber": "+493023125042",
            "answeredAt": format_instant(ended_at - drawn.randint(1, 9) * _MINUTE),
            "endedAt": format_instant(ended_at),
        }
        self._say("telephony", "Call Ended", now, call, after=after)

    def _say(
        self,
        source: str,
        kind: str,
        now: datetime,
        detail: dict[str, Any],
        *,
        after: timedelta = _AT_ONCE,
    ) -> None:
        said = {"organizationId": self.organizations[-1], **detail}
        body = event_body(f"{self.seed}-l{self.count}", source, kind, now + after, said)
        what = Said(source=source, body=body)
        self.items.append(Item(0, now, what, f"l{self.count}", after))
        self.count += 1


def limited(plan: Plan) -> Plan:
    """Add what these organizations do to a plan; its own items get other numbers only."""
    admin = _Admin(plan.seed)
    for item in plan.items:
        admin.items.append(item)
        drawn = chance(plan.seed, "limited", item.label)
        if drawn.randrange(_LIMITS_APART) == 0 and item is not plan.items[-1]:
            admin.limit(item.at, drawn)
    return replace(
        plan,
        organizations=(*plan.organizations, *admin.organizations),
        items=tuple(replace(item, number=n) for n, item in enumerate(admin.items)),
    )
