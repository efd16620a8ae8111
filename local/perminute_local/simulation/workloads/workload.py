"""The shared part of workloads: sending events, and adding items between those of a plan."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from perminute.domain.values.times import format_instant
from perminute_local.simulation.faults import rng_of
from perminute_local.simulation.plan import (
    CallPlaced,
    EventSent,
    Expected,
    Item,
    Plan,
    Quiesce,
    event_sent,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from perminute_local.simulation.plan import Action

Detail = dict[str, Any]

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
AT_ONCE, LONG_AGO = timedelta(), timedelta(days=60)


@dataclass
class Workload:
    """Adds what some organizations do, with random numbers of its own: other items stay equal."""

    name: ClassVar[str] = ""
    """Names its random numbers."""
    prefix: ClassVar[str] = ""
    """Begins the labels of its items and the ids of its events."""
    starts_after_setup: ClassVar[bool] = False
    """Whether nothing happens before the first time that everything has settled."""
    follows_others: ClassVar[bool] = False
    """Whether it goes on after items of other workloads, too: each such would multiply all."""

    seed: int
    now: datetime
    items: list[Item] = field(default_factory=list)
    organizations: list[str] = field(default_factory=list)
    count: int = 0
    """Items that it has added."""
    happened: int = 0
    """Events and calls among them."""

    def begin(self) -> None:
        """Set up its organizations."""

    def go_on(self, rng: Random) -> None:
        """Add items after one of the plan, perhaps."""

    def passed(self, item: Item) -> Item:
        """Return an item of the plan as it is to happen."""
        return item

    def woven_into(self, plan: Plan) -> Plan:
        """Return the plan with the items of this workload between its own, all numbered anew."""
        self.begin()
        has_begun = not self.starts_after_setup
        for item in plan.items:
            self.items.append(self.passed(item))
            self.now = item.at
            has_begun = has_begun or isinstance(item.action, Quiesce)
            is_followed = self.follows_others or item.label.isdecimal()
            if has_begun and is_followed and item is not plan.items[-1]:
                self.go_on(rng_of(plan.seed, self.name, item.label))
        return replace(
            plan,
            organizations=(*plan.organizations, *self.organizations),
            items=tuple(replace(item, number=number) for number, item in enumerate(self.items)),
        )

    def send(  # noqa: PLR0913 - the parts of an event, and how it is sent
        self,
        kind: str,
        organization_id: str,
        detail: Mapping[str, Any],
        expected: Expected = Expected.TAKEN,
        *,
        after: timedelta = AT_ONCE,
        time: datetime | None = None,
    ) -> None:
        """Have an event sent some time after now; its `time` is then, unless it is given."""
        said = {"organizationId": organization_id, **detail}
        self.add(event_sent(self.next_id, kind, time or self.now + after, said, expected), after)

    @property
    def next_id(self) -> str:
        """The id of the event that is the next item."""
        return f"{self.seed}-{self.prefix}{self.count}"

    def add(self, action: Action, after: timedelta = AT_ONCE) -> None:
        """Have something happen some time after now."""
        label = f"{self.prefix}{self.count}"
        self.items.append(Item(len(self.items), self.now, action, label, after))
        self.count += 1
        self.happened += isinstance(action, EventSent | CallPlaced)

    # ── What all of them send ────────────────────────────────────────────────────────────────

    def since(self, ago: timedelta) -> Detail:
        """Return an `effectiveAt` in the past."""
        return {"effectiveAt": format_instant(self.now - ago)}

    def join_program(self, organization_id: str) -> None:
        """Have an organization buy through volume licensing, since long ago."""
        program = {"licensingProgram": "volume", **self.since(LONG_AGO)}
        self.send("Organization Changed", organization_id, program)

    def locate(self, organization_id: str, user_id: str) -> None:
        """Have a user be in Germany, since long ago."""
        country = {"userId": user_id, "country": "DE", **self.since(LONG_AGO)}
        self.send("User Changed", organization_id, country)

    def assign(self, organization_id: str, user_id: str, *licenses: str) -> None:
        """Have a user hold licenses, since long ago."""
        for license_ in licenses:
            held = {"userId": user_id, "license": license_, **self.since(LONG_AGO)}
            self.send("License Assigned", organization_id, held)


def organizations_in(item: Item) -> set[str]:
    """Return the organizations that an item is about."""
    match item.action:
        case EventSent(body=body):
            detail = json.loads(body)["detail"]
            of_all = [detail, *detail.get("calls", ())]
            return {one["organizationId"] for one in of_all if "organizationId" in one}
        case CallPlaced(organization_id=organization_id):
            return {organization_id}
        case _:
            return set()


def purchase(purchase_id: str, amount: str, purchased_at: datetime) -> Detail:
    """Return the detail of a `Credit Purchased`."""
    at = format_instant(purchased_at)
    return {"purchaseId": purchase_id, "amount": amount, "currency": "USD", "purchasedAt": at}


def ended_call(
    call_id: str,
    organizer_id: str,
    answered_at: datetime,
    ended_at: datetime,
    **facts: Any,  # noqa: ANN401 - whatever JSON can say
) -> Detail:
    """Return the detail of a `Call Ended`: a dial-out, unless the facts say otherwise."""
    return {
        "callId": call_id,
        "organizerId": organizer_id,
        "meetingId": "meeting",
        "meetingType": "scheduled",
        "legType": "dialOut",
        **facts,
        "answeredAt": format_instant(answered_at),
        "endedAt": format_instant(ended_at),
    }
