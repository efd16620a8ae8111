"""Organizations that learn late of licenses and limits, when calls have long been charged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from perminute.domain.values.times import format_instant
from perminute_local.simulation.plan import Expected
from perminute_local.simulation.workloads.workload import (
    AT_ONCE,
    DAY,
    LONG_AGO,
    MINUTE,
    SECOND,
    Workload,
    ended_call,
    purchase,
)

if TYPE_CHECKING:
    from random import Random

_ORGANIZATION, _USER = "synchronized-0", "user-0"
_ITEMS_PER_SYNC = 12
_BEFORE_THE_HORIZON = 500 * DAY


@dataclass
class DirectorySync(Workload):
    """Reports three nights at once."""

    name: ClassVar[str] = "synchronized"
    prefix: ClassVar[str] = "d"

    def begin(self) -> None:
        self.organizations.append(_ORGANIZATION)

    def go_on(self, rng: Random) -> None:
        """Report three times what is held, a removal in between, and calls since then."""
        if rng.randrange(_ITEMS_PER_SYNC):
            return
        for nights in (3, 2, 1):
            self._license("License Assigned", nights * DAY)
        self._license("License Removed", rng.choice((1, 2)) * DAY + DAY / 2)
        for hours in (53, 43, 29, 19):
            ended_at = self.now - timedelta(hours=hours)
            toll = {"legType": "tollDialIn", "serviceNumber": "+14255550199"}
            call_id = f"synchronized-{self.count}"
            call = ended_call(call_id, _USER, ended_at - MINUTE, ended_at, **toll)
            self.send("Call Ended", _ORGANIZATION, call)
        if rng.randrange(2):
            self._license("License Removed", _BEFORE_THE_HORIZON, Expected.REFUSED)
        issued_at = self.now + rng.choice((0, 1, 60, 299, 300)) * SECOND
        settings = {"currency": "USD", "issuedAt": format_instant(issued_at)}
        self.send("Credits Configured", _ORGANIZATION, settings)

    def _license(self, kind: str, ago: timedelta, expected: Expected = Expected.TAKEN) -> None:
        held = {"userId": _USER, "license": "subscription", **self.since(ago)}
        self.send(kind, _ORGANIZATION, held, expected)


_ITEMS_PER_LIMIT = 40
_CALLS_BEFORE, _CALLS_AFTER = 4, 8
_APART = 2 * MINUTE


@dataclass
class NewLimits(Workload):
    """Begins another organization each time."""

    name: ClassVar[str] = "limited"
    prefix: ClassVar[str] = "l"

    def go_on(self, rng: Random) -> None:
        """Limit a user who has called, and correct calls while they are counted."""
        if rng.randrange(_ITEMS_PER_LIMIT):
            return
        self._begin(f"limited-{len(self.organizations)}")
        for _ in range(_CALLS_BEFORE):
            self._call(rng)
        self._change_user({"monthlySpendLimit": "1000"}, after=_APART)
        for number in range(1, _CALLS_AFTER + 1):
            if number in {_CALLS_AFTER // 2, _CALLS_AFTER - 1}:
                self._correct(number * _APART, rng)
            self._call(rng, after=number * _APART + _APART)

    def _begin(self, organization_id: str) -> None:
        """Set up an organization with more credit than the calls cost, since long ago."""
        self.organizations.append(organization_id)
        self.join_program(organization_id)
        bought = purchase("po-limited", "1000", self.now - LONG_AGO)
        self.send("Credit Purchased", organization_id, bought)
        self._change_user({"country": "DE"})
        self.assign(organization_id, _USER, "payPerMinute", "communicationsCredits")

    def _correct(self, after: timedelta, rng: Random) -> None:
        """Deny the calls of some minutes, in two corrections or in one."""
        for minutes in rng.sample(range(20, 240, 20), 2):
            for kind, ago in (("License Removed", minutes), ("License Assigned", minutes - 20)):
                held = {"userId": _USER, "license": "payPerMinute", **self.since(ago * MINUTE)}
                self.send(kind, self.organizations[-1], held, after=after)

    def _change_user(self, changed: dict[str, Any], *, after: timedelta = AT_ONCE) -> None:
        user = {"userId": _USER, **self.since(LONG_AGO), **changed}
        self.send("User Changed", self.organizations[-1], user, after=after)

    def _call(self, rng: Random, *, after: timedelta = AT_ONCE) -> None:
        ended_at = self.now - rng.randrange(240) * MINUTE
        answered_at = ended_at - rng.randint(1, 9) * MINUTE
        number = {"remoteNumber": "+493023125042"}
        call = ended_call(f"limited-{self.count}", _USER, answered_at, ended_at, **number)
        self.send("Call Ended", self.organizations[-1], call, after=after)
