"""An organization that erases one of its users, and then is erased itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from perminute_local.simulation.plan import CallsErased, NumbersMasked
from perminute_local.simulation.workloads.events import display_name, spelled
from perminute_local.simulation.workloads.workload import (
    DAY,
    LONG_AGO,
    MINUTE,
    SECOND,
    Workload,
    ended_call,
    purchase,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_WORLDS, _ITS_PLACE = 4, 1
"""Of so many worlds one has such an organization, each time in this place: the others erase
nothing, and take no time for it."""
_ITEMS_PER_SCENE = 8
ORGANIZATION = "erased-0"
_ERASED, _STAYS, _STRANGER = "erika@erased.example", "emil@erased.example", "otto@erased.example"
_LICENSES = {_ERASED: "subscription", _STAYS: "payPerMinute"}
# No other user calls these.
_NUMBERS = {
    _ERASED: ("+493023125071", "+442079460171"),
    _STAYS: ("+493023125072", "+14255550172"),
    _STRANGER: ("+493023125073",),
}
_PROGRAMS = (("other",), ("volume",), ("other", "volume"))
_SECONDS = (1, 59, 240, 601, 1_800)


@dataclass
class ErasedOrganizations(Workload):
    """Goes from scene to scene; no user calls who has left."""

    name: ClassVar[str] = "erased"
    prefix: ClassVar[str] = "e"
    starts_after_setup: ClassVar[bool] = True

    scene: int = 0

    def begin(self) -> None:
        """Set up an organization with two users, a pool by their licenses, and credit."""
        if self.seed % _WORLDS != _ITS_PLACE:
            return
        self.organizations.append(ORGANIZATION)
        said = {"name": display_name(ORGANIZATION), "licensingProgram": "volume"}
        pool = {"poolBasis": "assigned", "poolMinutesPerLicense": 60}
        self._change_organization({**said, **pool})
        for user, license_ in _LICENSES.items():
            self.locate(ORGANIZATION, user)
            self.assign(ORGANIZATION, user, license_, "communicationsCredits")
            limit = {"userId": user, "monthlySpendLimit": "1000", **self.since(LONG_AGO)}
            self.send("User Changed", ORGANIZATION, limit)
        bought = purchase("po-erased", "80", self.now - LONG_AGO)
        self.send("Credit Purchased", ORGANIZATION, bought)

    def go_on(self, rng: Random) -> None:
        """Have the next scene happen, perhaps."""
        if self.organizations and rng.randrange(_ITEMS_PER_SCENE) == 0:
            scene = _SCENES[min(self.scene, len(_SCENES) - 1)]
            self.scene += 1
            scene(self, rng)

    def call(self, rng: Random) -> None:
        """Both users have called."""
        for user in (_ERASED, _STAYS):
            self._call(user, rng)

    def call_again(self, rng: Random) -> None:
        """The user who stays has called, and somebody without licenses; numbers are masked."""
        self._call(_STRANGER, rng)
        if rng.randrange(2):
            self.add(NumbersMasked(ORGANIZATION))
        self._call(_STAYS, rng)

    def leave(self, rng: Random) -> None:
        """A user calls for the last time, loses the licenses and is to be erased."""
        self._call(_ERASED, rng)
        for license_ in (_LICENSES[_ERASED], "communicationsCredits"):
            held = {"userId": _ERASED, "license": license_, **self.since(SECOND)}
            self.send("License Removed", ORGANIZATION, held)
        self.add(CallsErased(ORGANIZATION, _ERASED))

    def end(self, _: Random) -> None:
        """All users are to be erased, whatever licenses they hold."""
        self.add(CallsErased(ORGANIZATION))

    def change_late(self, rng: Random) -> None:
        """The organization says since when it has bought otherwise, and perhaps that it has not."""
        since = self.since(rng.choice((0, 1, 5)) * DAY)
        for number, program in enumerate(rng.choice(_PROGRAMS)):
            changed = {"licensingProgram": program, **since}
            self.send("Organization Changed", ORGANIZATION, changed, after=number * MINUTE)

    def _change_organization(self, said: dict[str, object]) -> None:
        changed = {**said, **self.since(LONG_AGO)}
        self.send("Organization Changed", ORGANIZATION, changed)

    def _call(self, user: str, rng: Random) -> None:
        ended_at = self.now - rng.choice((0, 1, 30, 4_000)) * SECOND
        answered_at = ended_at - rng.choice(_SECONDS) * SECOND
        facts = {"remoteNumber": rng.choice(_NUMBERS[user]), "meetingId": f"meeting of {user}"}
        call_id = f"erased-{self.count}"
        call = ended_call(call_id, spelled(rng, user), answered_at, ended_at, **facts)
        self.send("Call Ended", ORGANIZATION, call)


_SCENES: tuple[Callable[[ErasedOrganizations, Random], None], ...] = (
    ErasedOrganizations.call,
    ErasedOrganizations.call_again,
    ErasedOrganizations.call,
    ErasedOrganizations.leave,
    ErasedOrganizations.change_late,
    ErasedOrganizations.call_again,
    ErasedOrganizations.change_late,
    ErasedOrganizations.end,
    ErasedOrganizations.change_late,
)
"""The last one goes on for ever."""
