"""Organizations whose telephony system reports several calls in one event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from perminute_local.simulation.plan import Expected, event_sent
from perminute_local.simulation.workloads.workload import (
    SECOND,
    Detail,
    Workload,
    ended_call,
    purchase,
)

if TYPE_CHECKING:
    from random import Random

_ORGANIZATIONS, _USER = ("together-0", "together-1", "together-2"), "user-0"
_ITEMS_PER_REPORT = 7
_MAX_CALLS = 9
_NUMBERS = ("+493023125042", "+442079460100", "+14255550100")

_Reported = tuple[Detail, Expected]


@dataclass
class CallsTogether(Workload):
    """Reports calls of all organizations together, with mistakes, and some of them twice."""

    name: ClassVar[str] = "together"
    prefix: ClassVar[str] = "g"
    starts_after_setup: ClassVar[bool] = True

    def begin(self) -> None:
        """Set up organizations with licenses and credit, the last one without."""
        self.organizations += _ORGANIZATIONS
        for organization in _ORGANIZATIONS[:-1]:
            self.join_program(organization)
            self.locate(organization, _USER)
            self.assign(organization, _USER, "payPerMinute", "communicationsCredits")
            self.send("Credit Purchased", organization, purchase("po-g", "20", self.now))

    def go_on(self, rng: Random) -> None:
        """Report the calls of some minutes, perhaps."""
        if rng.randrange(_ITEMS_PER_REPORT):
            return
        reported: list[_Reported] = []
        for place in range(rng.randint(1, _MAX_CALLS)):
            reported += self._calls(place, rng)
        rng.shuffle(reported)
        details, expected = zip(*reported, strict=True)
        event = event_sent(self.next_id, "Calls Ended", self.now, {"calls": details})
        alone = rng.choice(details)
        self.add(event._replace(of_each=expected))
        if rng.randrange(3) == 0 and "endedAt" in alone:
            self.add(event_sent(self.next_id, "Call Ended", self.now, alone, Expected.EITHER))

    def _calls(self, place: int, rng: Random) -> list[_Reported]:
        """Return a call, which may be wrong, or be reported again or with another content."""
        organization = {"organizationId": rng.choice(_ORGANIZATIONS[: rng.randint(1, 3)])}
        call_id = f"together-{self.count}-{place}"
        ended_at = self.now - rng.choice((0, 1, 4_000)) * SECOND
        answered_at = ended_at - rng.choice((1, 59, 240)) * SECOND
        number = {"remoteNumber": rng.choice(_NUMBERS)}
        call = organization | ended_call(call_id, _USER, answered_at, ended_at, **number)
        match rng.randrange(8):
            case 0:
                return [({**organization, "callId": call_id}, Expected.REFUSED)]
            case 1:
                return [({**call, "endedAt": call["answeredAt"][:10]}, Expected.REFUSED)]
            case 2:
                return [(call, Expected.TAKEN), (dict(call), Expected.TAKEN)]
            case 3:
                other = call | {"meetingId": "another"}
                return [(call, Expected.EITHER), (other, Expected.EITHER)]
            case _:
                return [(call, Expected.TAKEN)]
