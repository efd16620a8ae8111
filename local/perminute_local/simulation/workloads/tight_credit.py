"""Organizations whose credit is just enough, and calls that take what others have left of it.

A prefix that nobody else calls has rates that change while they call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from perminute.domain.authorization.reservations import CLOCK_SKEW, RINGING
from perminute.domain.values.times import format_instant
from perminute_local.simulation.plan import (
    CallPlaced,
    EndReported,
    RateCardPublished,
    random_behavior,
)
from perminute_local.simulation.workloads.workload import (
    AT_ONCE,
    LONG_AGO,
    SECOND,
    Workload,
    purchase,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from perminute_local.simulation.plan import Item, Plan

_ORGANIZATIONS = ("tight-0", "tight-1", "tight-2")
_BY_THE_MINUTE, _SUBSCRIBED = ("user-0", "user-1"), "user-2"
_NUMBER = "+4312345678"
_RATES = ("0.01", "0.20", "0.50", "0.85")
_AMOUNTS = ("0.75", "3", "9.99")
_SOON = 10 * SECOND
"""When the calls of a scene begin: what was bought has mostly arrived by then."""
_ONE_HOUR, _ONE_DAY = 3_600, 86_400
_SKEW, _RINGING = CLOCK_SKEW // SECOND, RINGING // SECOND
_ITEMS_PER_SCENE = 12


@dataclass
class _Rates:
    """The rates of the prefix, each from an instant on; the first since always."""

    steps: list[tuple[datetime | None, str]] = field(default_factory=lambda: [(None, "0.50")])

    def added_to(self, content: bytes) -> bytes:
        """Return a rate card with these rates below its own."""
        ends = [*(since for since, _ in self.steps[1:]), None]
        lines = [
            f"dialOut,43,AT,USD,{rate},,60,60,0,{_written(since)},{_written(until)},"
            for (since, rate), until in zip(self.steps, ends, strict=True)
        ]
        return b"\n".join([content, *(line.encode() for line in lines)])

    def change(self, since: datetime, rng: Random) -> Decimal:
        """Begin another rate, and return by how much it is dearer; 0 if nothing changes then."""
        began, before = self.steps[-1]
        if began is not None and since <= began:
            return Decimal()
        rate = rng.choice([rate for rate in _RATES if rate != before])
        self.steps.append((since, rate))
        return Decimal(rate) - Decimal(before)

    def reprice(self, rng: Random) -> None:
        """Replace the rate in force, for the past too."""
        since, before = self.steps[-1]
        self.steps[-1] = since, rng.choice([rate for rate in (*_RATES, "2") if rate != before])


def _written(instant: datetime | None) -> str:
    return format_instant(instant) if instant else ""


@dataclass
class TightCredit(Workload):
    """Plays scenes of a few calls, each right after a little credit was bought."""

    name: ClassVar[str] = "tight"
    prefix: ClassVar[str] = "t"
    starts_after_setup: ClassVar[bool] = True

    card: bytes = b""
    """The rate card in force, without the rates of the prefix."""
    rates: _Rates = field(default_factory=_Rates)
    blocked: set[str] = field(default_factory=set)
    """Organizations in which the first user may spend nothing."""
    reprice_from: datetime | None = None
    """When a rate card is to be published that changes a rate of the past."""

    def woven_into(self, plan: Plan) -> Plan:
        self.card, version = plan.card
        card = self.rates.added_to(self.card), version
        authorizing = plan.authorizing | {*_ORGANIZATIONS}
        return replace(super().woven_into(plan), card=card, authorizing=authorizing)

    def passed(self, item: Item) -> Item:
        """Add the rates of the prefix to each rate card."""
        if not isinstance(item.action, RateCardPublished):
            return item
        self.card = item.action.content
        return replace(item, action=item.action._replace(content=self.rates.added_to(self.card)))

    def begin(self) -> None:
        """Set up organizations with licenses, and without credit."""
        self.organizations += _ORGANIZATIONS
        users = (*_BY_THE_MINUTE, _SUBSCRIBED)
        for name in _ORGANIZATIONS:
            self.join_program(name)
            bought = {"license": "subscription", "quantity": 1, **self.since(LONG_AGO)}
            self.send("Licenses Purchased", name, bought)
            for user in users:
                self.locate(name, user)
            for user in _BY_THE_MINUTE:
                self.assign(name, user, "payPerMinute")
            self.assign(name, _SUBSCRIBED, "subscription")
            for user in users:
                self.assign(name, user, "communicationsCredits")

    def go_on(self, rng: Random) -> None:
        """Begin a scene, perhaps; and publish the rate card of one that has begun."""
        if self.reprice_from is not None and self.now >= self.reprice_from:
            self.reprice_from = None
            self.rates.reprice(rng)
            self._publish()
        if rng.randrange(_ITEMS_PER_SCENE) == 0:
            organization_id = rng.choice(_ORGANIZATIONS)
            rng.choice(_SCENES)(self, organization_id, rng)

    # ── Scenes ───────────────────────────────────────────────────────────────────────────────

    def squeeze(self, organization_id: str, rng: Random) -> None:
        """One call asks for less than before, another takes the rest, and a third finds nothing.

        Mostly the first does not receive the answer, and relies on its former grant.
        """
        limits = rng.choice(({}, {}, {"maxConcurrentCalls": 2}, {"dailySpendLimit": "4"}))
        self._prepare(organization_id, rng, limits)
        first = self._lose_answers(organization_id, rng, rng.choice(_BY_THE_MINUTE))
        for after in (rng.randint(1, 40), rng.randint(41, 90)):
            self.add(self._taker(organization_id, rng), first + after * SECOND)

    def lower_a_limit(self, organization_id: str, rng: Random) -> None:
        """The organizer of a call may spend nothing any more; other calls take the rest."""
        self._prepare(organization_id, rng, {})
        limited, other = _BY_THE_MINUTE
        first = self._lose_answers(organization_id, rng, limited)
        self._limit(organization_id, "0", after=first - 15 * SECOND)
        self.blocked.add(organization_id)
        for after in (rng.randint(1, 20), rng.randint(21, 40)):
            taker = self._taker(organization_id, rng)
            self.add(replace(taker, organizer_id=other), first + after * SECOND)

    def crowd(self, organization_id: str, rng: Random) -> None:
        """As many calls as are allowed at once have taken all credit, and another one asks."""
        most = rng.choice((1, 2))
        self._prepare(organization_id, rng, {"maxConcurrentCalls": most})
        for number in range(most + 1):
            taker = self._taker(organization_id, rng)
            self.add(taker, _SOON + number * rng.randint(1, 20) * SECOND)

    def cross_a_rate_change(self, organization_id: str, rng: Random) -> None:
        """A rate changes as a call is answered, by a clock that shows the dearer side of it."""
        changes_at = self.now + rng.randint(70, 100) * SECOND
        dearer_by = self.rates.change(changes_at, rng)
        if not dearer_by:
            return
        self._publish()
        self._prepare(organization_id, rng, {})
        if dearer_by < 0:
            past = timedelta(milliseconds=rng.choice((0, 500, 1_000, 20_000, 29_999)))
            begins_at, rings, skew = changes_at + past, 0, -_SKEW
        else:
            before = timedelta(milliseconds=rng.choice((1, 500, 30_000, 59_000)))
            begins_at, rings = changes_at - before, rng.choice((0, 10, _RINGING))
            skew = _RINGING - rings
        behavior = replace(random_behavior(rng), clock_skew=skew)
        call = self._taker(organization_id, rng, lasts=_ONE_HOUR, rings=rings, behavior=behavior)
        self.add(call, begins_at - self.now)

    def be_repriced(self, organization_id: str, rng: Random) -> None:
        """A rate card changes a rate of the past while calls are under way."""
        self._prepare(organization_id, rng, {})
        for seconds in (600, _ONE_DAY):
            self.add(self._call(organization_id, rng, seconds), _SOON)
        self.reprice_from = self.now + 3 * _SOON

    def outlast_a_grant(self, organization_id: str, rng: Random) -> None:
        """A bridge is granted a call, and repeats the request after that has lapsed."""
        self._prepare(organization_id, rng, {})
        behavior = replace(random_behavior(rng), outlasts_grant=True)
        for user in rng.sample((*_BY_THE_MINUTE, _SUBSCRIBED), 2):
            call = self._call(organization_id, rng, 600, behavior=behavior)
            call = replace(call, organizer_id=user, draws_on_pool=user == _SUBSCRIBED)
            self.add(call, _SOON)

    # ── What scenes are made of ──────────────────────────────────────────────────────────────

    def _lose_answers(self, organization_id: str, rng: Random, organizer_id: str) -> timedelta:
        """Add a call that wants less later and mostly receives no answer; return when it asks.

        What it is granted first is then what it relies on until it ends.
        """
        rings, reports_at = rng.choice((0, 3, 20)), rng.choice((20, 55, 110))
        behavior = replace(
            random_behavior(rng),
            loses_answers=rng.randrange(4) > 0,
            first_report_at=reports_at,
            requests_later=rng.choice((1, 60, 60)),
        )
        call = self._call(organization_id, rng, 600, rings=rings, behavior=behavior)
        self.add(replace(call, organizer_id=organizer_id), _SOON)
        return _SOON + (rings + reports_at) * SECOND

    def _prepare(self, organization_id: str, rng: Random, limits: Mapping[str, Any]) -> None:
        if organization_id in self.blocked:
            self.blocked.remove(organization_id)
            self._limit(organization_id, "1000000")
        settings = {
            "currency": "USD",
            "lowBalanceThresholds": [],
            **rng.choice(({}, *({"maxGrantSeconds": _ONE_DAY},) * 2)),
            "failureHandling": rng.choice(("open", "closed")),
            **limits,
        }
        self.send("Credits Configured", organization_id, settings)
        bought = purchase(f"po-t{self.count}", rng.choice(_AMOUNTS), self.now)
        self.send("Credit Purchased", organization_id, bought)

    def _taker(self, organization_id: str, rng: Random, **facts: Any) -> CallPlaced:  # noqa: ANN401 - a call's own fields
        return self._call(organization_id, rng, _ONE_DAY, **{"lasts": _ONE_DAY, **facts})

    def _call(
        self,
        organization_id: str,
        rng: Random,
        seconds: int,
        **facts: Any,  # noqa: ANN401 - a call's own fields
    ) -> CallPlaced:
        call = CallPlaced(
            organization_id=organization_id,
            organizer_id=rng.choice(_BY_THE_MINUTE),
            leg_type="dialOut",
            number=_NUMBER,
            rings=rng.choice((0, 5, _RINGING)),
            lasts=_ONE_HOUR,
            requests=seconds,
            releases=rng.randrange(2) == 0,
            end_reported=EndReported.PROMPTLY,
            fails_open=False,
            behavior=random_behavior(rng),
            draws_on_pool=False,
        )
        return replace(call, **facts)

    def _publish(self) -> None:
        version = f"card-t{self.count}"
        self.add(RateCardPublished(version, self.rates.added_to(self.card)))

    def _limit(self, organization_id: str, amount: str, after: timedelta = AT_ONCE) -> None:
        limit = {"userId": _BY_THE_MINUTE[0], "monthlySpendLimit": amount, **self.since(-after)}
        self.send("User Changed", organization_id, limit, after=after)


_Scene = Callable[[TightCredit, str, Random], None]
_SCENES: tuple[_Scene, ...] = (
    TightCredit.squeeze,
    TightCredit.squeeze,
    TightCredit.lower_a_limit,
    TightCredit.crowd,
    TightCredit.cross_a_rate_change,
    TightCredit.cross_a_rate_change,
    TightCredit.be_repriced,
    TightCredit.outlast_a_grant,
)
