"""An organization of which two things are said in one second, and whose events are replayed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from perminute.domain.licensing.timelines import RERATING_HORIZON
from perminute.domain.values.times import format_instant, parse_instant
from perminute_local.simulation.faults import rng_of
from perminute_local.simulation.plan import EventSent, Expected, event_sent
from perminute_local.simulation.workloads.workload import (
    AT_ONCE,
    SECOND,
    Detail,
    Workload,
    ended_call,
    purchase,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

ORGANIZATION = "second-0"
_USERS = ("user-0", "user-1")
_NUMBERS = ("+493023125042", "+442079460100", "+14255550100")
_MILLISECOND = timedelta(milliseconds=1)
_ITEMS_PER_SCENE = 8

USER_ATTRIBUTES: Mapping[str, tuple[Any, Any]] = {
    "dialOutPolicy": ("anyDestination", "none"),
    "tollFreeDialInAllowed": (True, False),
    "monthlySpendLimit": ("1000", "500"),
    "country": ("DE", "US"),
}
"""What is said of a user, with two values that contradict each other."""
ORGANIZATION_ATTRIBUTES: Mapping[str, tuple[Any, Any]] = {
    "dialOutPolicy": ("zoneA", "sameCountry"),
    "licensingProgram": ("volume", "other"),
    "communicationsCreditsLicense": ("organization", "perUser"),
    "poolMinutesPerLicense": (60, 12),
    "poolMinutesUsed": (0, 10),
    "poolBasis": ("purchased", "assigned"),
}

_KindAndDetail = tuple[str, Detail]


@dataclass
class SameSecond(Workload):
    """Contradicts itself, repeats itself, and misuses identities."""

    name: ClassVar[str] = "second"
    prefix: ClassVar[str] = "s"
    starts_after_setup: ClassVar[bool] = True

    archive: list[EventSent] = field(default_factory=list)
    """Events that have a `changeId`."""

    def begin(self) -> None:
        """Set up an organization with licenses and credit."""
        self.organizations.append(ORGANIZATION)
        self.join_program(ORGANIZATION)
        for user, license_ in zip(_USERS, ("payPerMinute", "subscription"), strict=True):
            self.locate(ORGANIZATION, user)
            self.assign(ORGANIZATION, user, license_, "communicationsCredits")
        self._say("Credit Purchased", purchase("po-s", "80", self.now))

    def go_on(self, rng: Random) -> None:
        """Begin a scene, perhaps."""
        if rng.randrange(_ITEMS_PER_SCENE) == 0:
            scenes = self._contradict, self._save_twice, self._replay, self._misuse
            rng.choice(scenes)(rng)

    def _contradict(self, rng: Random) -> None:
        """Two events of one second give an attribute different values; then somebody calls."""
        since = self.since(rng.choice((0, 1, 60, 86_400)) * SECOND)
        user = {"userId": rng.choice(_USERS)}
        license_ = rng.choice(("payPerMinute", "subscription", "communicationsCredits"))
        holds = {**user, **since, "license": license_}
        owns = {**since, "license": "subscription"}
        pairs: list[list[_KindAndDetail]] = [
            [("License Assigned", holds), ("License Removed", holds)],
            [("License Assigned", holds), ("License Removed", holds)],
            [("Licenses Purchased", {**owns, "quantity": number}) for number in (1, 3)],
            *_contradictions("User Changed", {**user, **since}, USER_ATTRIBUTES),
            *_contradictions("Organization Changed", since, ORGANIZATION_ATTRIBUTES),
        ]
        self._say_both(rng.choice(pairs), rng)
        self._call(rng)

    def _save_twice(self, rng: Random) -> None:
        both: list[_KindAndDetail] = [
            ("Credits Configured", {"currency": "USD", **_settings(rng)}) for _ in range(2)
        ]
        self._say_both(both, rng)
        self._call(rng)

    def _replay(self, rng: Random) -> None:
        for event in self.archive[-rng.choice((1, 5, 20)) :]:
            body = json.loads(event.body)
            again = {**body, "id": f"{rng.choice('az')}-{self.seed}-s{self.count}"}
            if self._may_have_another_time(event.source, body["detail"]):
                again["time"] = format_instant(_whole_second(self.now))
            self.add(EventSent(event.source, json.dumps(again)))

    def _may_have_another_time(self, source: str, detail: Detail) -> bool:
        """Whether the time of a copy decides nothing.

        Without an `issuedAt` it counts as issued then: settings may yield by that, and what took
        effect long before is refused.
        """
        if "issuedAt" in detail:
            return True
        if source != "licensing":
            return False
        return self.now - parse_instant(detail["effectiveAt"]) <= RERATING_HORIZON

    def _misuse(self, rng: Random) -> None:
        """One `changeId` identifies two changes; or it reads like another event's id."""
        since = {**self.since(AT_ONCE), "userId": rng.choice(_USERS)}
        changes = [{**since, "tollFreeDialInAllowed": allowed} for allowed in (True, False)]
        if rng.randrange(2):
            change_id = {"changeId": f"misused-{self.count}"}
            for change in changes:
                self._say("User Changed", {**change, **change_id}, Expected.EITHER)
        else:
            event_id = {"changeId": self.next_id}
            self._say("User Changed", changes[0])
            self._say("User Changed", {**changes[1], **event_id})

    def _say_both(self, both: list[_KindAndDetail], rng: Random) -> None:
        """Send two events of one second, which may or may not say in which order they were issued.

        What a licensing event without an `issuedAt` has for a copy may arrive before it.
        """
        rng.shuffle(both)
        apart = rng.choice((None, None, 0, 1, 1))
        for number, (kind, said) in enumerate(both):
            detail = dict(said)
            if apart is not None:
                detail["issuedAt"] = format_instant(self.now + number * apart * _MILLISECOND)
            if rng.randrange(2):
                detail["changeId"] = f"{rng.choice('az')}-change-{self.count}"
            if kind != "Credits Configured" and "changeId" in detail and "issuedAt" not in detail:
                later = rng_of(self.seed, "copy", self.count).choice((0, 1, 90, 90))
                if later:
                    self._say(kind, detail, later=later * SECOND)
            self._say(kind, detail)

    def _call(self, rng: Random) -> None:
        for user in _USERS:
            number = {"meetingId": "meeting-s", "remoteNumber": rng.choice(_NUMBERS)}
            answered_at = self.now - rng.choice((1, 61)) * SECOND
            call = ended_call(f"call-s{self.count}", user, answered_at, self.now, **number)
            self._say("Call Ended", call)

    def _say(
        self,
        kind: str,
        detail: Detail,
        expected: Expected = Expected.TAKEN,
        *,
        later: timedelta = AT_ONCE,
    ) -> None:
        at, said = _whole_second(self.now + later), {"organizationId": ORGANIZATION, **detail}
        event = event_sent(self.next_id, kind, at, said, expected)
        if "changeId" in detail and expected is Expected.TAKEN:
            self.archive.append(event)
        self.add(event)


def _contradictions(
    kind: str, about: Detail, attributes: Mapping[str, tuple[Any, Any]]
) -> Iterator[list[_KindAndDetail]]:
    for name, values in attributes.items():
        yield [(kind, {**about, name: value}) for value in values]


def _settings(rng: Random) -> Detail:
    amount = rng.choice((None, "20", "30"))
    recharge = {"enabled": amount is not None, "triggerAmount": "10"}
    settings = {
        "dailySpendLimit": rng.choice((None, "500", "600")),
        "prefixHourlySpendLimit": rng.choice((None, "300")),
        "maxConcurrentCalls": rng.choice((None, 5, 7)),
        "autoRecharge": {**recharge, **({} if amount is None else {"rechargeAmount": amount})},
        "lateUsageHours": rng.choice((72, 72, 100)),
        "monthlyBudget": rng.choice((None, "700")),
    }
    return {name: value for name, value in settings.items() if value is not None}


def _whole_second(at: datetime) -> datetime:
    return at.replace(microsecond=0)
