"""Organizations whose credit is just enough, and calls that take what others have left of it.

They are woven into a plan: between its items, which stay as they are, and with a chance of their
own. A prefix that nobody else calls has rates that change while they call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from perminute.domain.authorization.reservations import CLOCK_SKEW, RINGING
from perminute.domain.values.times import format_instant
from perminute_local.simulation.faults import chance
from perminute_local.simulation.manners import manners_drawn
from perminute_local.simulation.plan import (
    Bridged,
    Item,
    Plan,
    Published,
    Rest,
    Said,
    Told,
    event_body,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from perminute_local.simulation.plan import What

_ORGANIZATIONS = ("tight-0", "tight-1", "tight-2")
_BY_THE_MINUTE, _SUBSCRIBED = ("user-0", "user-1"), "user-2"
_NUMBER = "+4312345678"
_RATES = ("0.01", "0.20", "0.50", "0.85")
_AMOUNTS = ("0.75", "3", "9.99")
_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)
_SOON = timedelta(seconds=10)
"""When calls begin of which a scene is made: by then what was bought has mostly arrived."""
_AT_ONCE = timedelta()
_LONG, _A_DAY = 3_600, 86_400
_SKEW, _RINGING = CLOCK_SKEW // _SECOND, RINGING // _SECOND
_SCENES_APART = 12
"""After one in so many items of a plan a scene begins."""


@dataclass
class _Rates:
    """The rates of the prefix, each from an instant on; the first holds always."""

    steps: list[tuple[datetime | None, str]] = field(default_factory=lambda: [(None, "0.50")])

    def added_to(self, content: bytes) -> bytes:
        """Write them below the lines of a rate card."""
        ends = [*(since for since, _ in self.steps[1:]), None]
        lines = [
            f"dialOut,43,AT,USD,{rate},,60,60,0,{_written(since)},{_written(until)},"
            for (since, rate), until in zip(self.steps, ends, strict=True)
        ]
        return b"\n".join([content, *(line.encode() for line in lines)])

    def change(self, since: datetime, drawn: Random) -> Decimal:
        """Have another rate begin; gives by how much it is dearer, 0 if nothing changes then."""
        began, before = self.steps[-1]
        if began is not None and since <= began:
            return Decimal()
        rate = drawn.choice([rate for rate in _RATES if rate != before])
        self.steps.append((since, rate))
        return Decimal(rate) - Decimal(before)

    def reprice(self, drawn: Random) -> None:
        """Say that the rate in force has been another one all the time."""
        since, before = self.steps[-1]
        self.steps[-1] = since, drawn.choice([rate for rate in (*_RATES, "2") if rate != before])


def _written(instant: datetime | None) -> str:
    return format_instant(instant) if instant else ""


@dataclass
class _Weaver:
    """Makes the items between those of a plan."""

    seed: int
    card: bytes
    """The rate card in force, without the rates of the prefix."""
    now: datetime
    rates: _Rates = field(default_factory=_Rates)
    items: list[Item] = field(default_factory=list)
    count: int = 0
    lowered: set[str] = field(default_factory=set)
    """Organizations in which the limit of the first user is 0."""
    reprice_from: datetime | None = None
    """From when on a card is to be published that says something else of the past."""

    # ── Scenes ───────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Have the organizations hold licenses."""
        since = format_instant(self.now - 60 * _DAY)
        for name in _ORGANIZATIONS:
            program = {"licensingProgram": "volume", "effectiveAt": since}
            self._say("licensing", "Organization Changed", name, program)
            bought = {"license": "subscription", "quantity": 1, "effectiveAt": since}
            self._say("licensing", "Licenses Purchased", name, bought)
            held = [(user, "payPerMinute") for user in _BY_THE_MINUTE]
            held += [(_SUBSCRIBED, "subscription")]
            held += [(user, "communicationsCredits") for user in (*_BY_THE_MINUTE, _SUBSCRIBED)]
            for user in (*_BY_THE_MINUTE, _SUBSCRIBED):
                where = {"userId": user, "country": "DE", "effectiveAt": since}
                self._say("licensing", "User Changed", name, where)
            for user, product in held:
                given = {"userId": user, "license": product, "effectiveAt": since}
                self._say("licensing", "License Assigned", name, given)

    def go_on(self, drawn: Random) -> None:
        """Have a scene begin, perhaps; and another rate card be published in the midst of one."""
        if self.reprice_from is not None and self.now >= self.reprice_from:
            self.reprice_from = None
            self.rates.reprice(drawn)
            self._publish()
        if drawn.randrange(_SCENES_APART) == 0:
            organization_id = drawn.choice(_ORGANIZATIONS)
            drawn.choice(_SCENES)(self, organization_id, drawn)

    def squeeze(self, organization_id: str, drawn: Random) -> None:
        """A call asks for less than before, another takes the rest, and a third finds nothing.

        Mostly the first does not hear of it, and relies on what it was granted before.
        """
        limits = drawn.choice(({}, {}, {"maxConcurrentCalls": 2}, {"dailySpendLimit": "4"}))
        self._prepare(organization_id, drawn, limits)
        first = self._add_deaf(organization_id, drawn, organizer_id=drawn.choice(_BY_THE_MINUTE))
        for after in (drawn.randint(1, 40), drawn.randint(41, 90)):
            taker = self._call(organization_id, drawn, wants=_A_DAY, lasts=_A_DAY)
            self._add(taker, first + after * _SECOND)

    def lower_a_limit(self, organization_id: str, drawn: Random) -> None:
        """A call is under way whose organizer may spend nothing any more; others take the rest."""
        self._prepare(organization_id, drawn, {})
        limited, other = _BY_THE_MINUTE
        first = self._add_deaf(organization_id, drawn, organizer_id=limited)
        self._limit(organization_id, limited, "0", after=first - 15 * _SECOND)
        self.lowered.add(organization_id)
        for after in (drawn.randint(1, 20), drawn.randint(21, 40)):
            taker = self._call(organization_id, drawn, wants=_A_DAY, lasts=_A_DAY)
            self._add(replace(taker, organizer_id=other), first + after * _SECOND)

    def crowd(self, organization_id: str, drawn: Random) -> None:
        """As many calls as may be under way have taken all of the credit, and another one asks."""
        most = drawn.choice((1, 2))
        self._prepare(organization_id, drawn, {"maxConcurrentCalls": most})
        for number in range(most + 1):
            taker = self._call(organization_id, drawn, wants=_A_DAY, lasts=_A_DAY)
            self._add(taker, _SOON + number * drawn.randint(1, 20) * _SECOND)

    def cross_an_edge(self, organization_id: str, drawn: Random) -> None:
        """A rate changes when a call is put through whose clock says the dearer side of it."""
        edge_at = self.now + drawn.randint(70, 100) * _SECOND
        dearer_by = self.rates.change(edge_at, drawn)
        if not dearer_by:
            return
        self._publish()
        self._prepare(organization_id, drawn, {})
        if dearer_by < 0:
            past = timedelta(milliseconds=drawn.choice((0, 500, 1_000, 20_000, 29_999)))
            begins_at, rings, skew = edge_at + past, 0, -_SKEW
        else:
            before = timedelta(milliseconds=drawn.choice((1, 500, 30_000, 59_000)))
            begins_at, rings = edge_at - before, drawn.choice((0, 10, _RINGING))
            skew = _RINGING - rings
        manners = replace(manners_drawn(drawn), skew=skew)
        call = self._call(organization_id, drawn, wants=_A_DAY, rings=rings, manners=manners)
        self._add(call, begins_at - self.now)

    def be_repriced(self, organization_id: str, drawn: Random) -> None:
        """A card is published while a call is under way, with another rate for the past."""
        self._prepare(organization_id, drawn, {})
        for wants in (600, _A_DAY):
            self._add(self._call(organization_id, drawn, wants=wants), _SOON)
        self.reprice_from = self.now + 3 * _SOON

    def fall_asleep(self, organization_id: str, drawn: Random) -> None:
        """A bridge is granted a call, and comes back after that has lapsed."""
        self._prepare(organization_id, drawn, {})
        sleeps = replace(manners_drawn(drawn), sleeps=True)
        for user in drawn.sample((*_BY_THE_MINUTE, _SUBSCRIBED), 2):
            call = self._call(organization_id, drawn, wants=600, manners=sleeps)
            self._add(replace(call, organizer_id=user, draws_on_pool=user == _SUBSCRIBED), _SOON)

    # ── What they are made of ────────────────────────────────────────────────────────────────

    def _add_deaf(self, organization_id: str, drawn: Random, *, organizer_id: str) -> timedelta:
        """Have a call begin that wants less later, and mostly does not hear; gives when it does.

        What it is granted first is then what it counts on until it ends.
        """
        rings, reports_at = drawn.choice((0, 3, 20)), drawn.choice((20, 55, 110))
        manners = replace(
            manners_drawn(drawn),
            is_deaf=drawn.randrange(4) > 0,
            reports_at=reports_at,
            then_wants=drawn.choice((1, 60, 60)),
        )
        call = self._call(organization_id, drawn, wants=600, rings=rings, manners=manners)
        self._add(replace(call, organizer_id=organizer_id), _SOON)
        return _SOON + (rings + reports_at) * _SECOND

    def _prepare(self, organization_id: str, drawn: Random, limits: Mapping[str, Any]) -> None:
        """Configure credit, and buy a little of it."""
        if organization_id in self.lowered:
            self.lowered.remove(organization_id)
            self._limit(organization_id, _BY_THE_MINUTE[0], "1000000")
        grants = drawn.choice(({}, {"maxGrantSeconds": _A_DAY}, {"maxGrantSeconds": _A_DAY}))
        handling = {"failureHandling": drawn.choice(("open", "closed"))}
        settings = {"currency": "USD", "lowBalanceThresholds": [], **grants, **handling, **limits}
        self._say("billing", "Credits Configured", organization_id, settings)
        bought = {
            "purchaseId": f"po-t{self.count}",
            "amount": drawn.choice(_AMOUNTS),
            "currency": "USD",
            "purchasedAt": format_instant(self.now),
        }
        self._say("billing", "Credit Purchased", organization_id, bought)

    def _call(self, organization_id: str, drawn: Random, *, wants: int, **other: Any) -> Bridged:  # noqa: ANN401 - a call's own fields
        """Make a call, of which all is drawn that is not said."""
        call = Bridged(
            organization_id=organization_id,
            organizer_id=drawn.choice(_BY_THE_MINUTE),
            leg_type="dialOut",
            number=_NUMBER,
            rings=drawn.choice((0, 5, _RINGING)),
            lasts=_LONG,
            wants=wants,
            releases=drawn.randrange(2) == 0,
            told=Told.PROMPTLY,
            dares=False,
            manners=manners_drawn(drawn),
            draws_on_pool=False,
        )
        return replace(call, **other)

    def _publish(self) -> None:
        version = f"card-t{self.count}"
        self._add(Published(version=version, content=self.rates.added_to(self.card)))

    def _limit(
        self, organization_id: str, user_id: str, amount: str, after: timedelta = _AT_ONCE
    ) -> None:
        """Have an admin say what a user's meetings may cost in a month."""
        since = format_instant(self.now + after)
        limit = {"userId": user_id, "monthlySpendLimit": amount, "effectiveAt": since}
        said = "licensing", "User Changed", organization_id, limit
        self._say(*said, after=after)

    def _say(
        self,
        source: str,
        kind: str,
        organization_id: str,
        detail: Mapping[str, Any],
        *,
        after: timedelta = _AT_ONCE,
    ) -> None:
        said = {"organizationId": organization_id, **detail}
        identity = f"{self.seed}-t{self.count}"
        body = event_body(identity, source, kind, self.now + after, said)
        self._add(Said(source=source, body=body), after)

    def _add(self, what: What, after: timedelta = _AT_ONCE) -> None:
        self.items.append(Item(0, self.now, what, f"t{self.count}", after))
        self.count += 1


_Scene = Callable[[_Weaver, str, Random], None]
_SCENES: tuple[_Scene, ...] = (
    _Weaver.squeeze,
    _Weaver.squeeze,
    _Weaver.lower_a_limit,
    _Weaver.crowd,
    _Weaver.cross_an_edge,
    _Weaver.cross_an_edge,
    _Weaver.be_repriced,
    _Weaver.fall_asleep,
)


def woven(plan: Plan) -> Plan:
    """Add what tight organizations do to a plan; its own items get other numbers only."""
    content, version = plan.card
    weaver = _Weaver(plan.seed, content, plan.items[0].at)
    card = weaver.rates.added_to(content), version
    weaver.begin()
    items, has_begun = weaver.items, False
    for item in plan.items:
        what = item.what
        if isinstance(what, Published):
            weaver.card = what.content
            what = replace(what, content=weaver.rates.added_to(what.content))
        items.append(replace(item, what=what))
        weaver.now = item.at
        has_begun = has_begun or isinstance(what, Rest)
        if has_begun and item is not plan.items[-1]:
            weaver.go_on(chance(plan.seed, "tight", item.number))
    return replace(
        plan,
        card=card,
        organizations=(*plan.organizations, *_ORGANIZATIONS),
        asking=plan.asking | {*_ORGANIZATIONS},
        items=tuple(replace(item, number=number) for number, item in enumerate(items)),
    )
