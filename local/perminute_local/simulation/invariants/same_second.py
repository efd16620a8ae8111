"""An organization of which two things are said in one second: which one holds.

By the events as they were sent, read as JSON: the functions' readers may be what is wrong.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.licensing.attributes import license_attribute, purchased_attribute
from perminute.domain.reference.licenses import product_named
from perminute.domain.values.money import parse_micros
from perminute.domain.values.times import month_start, parse_instant
from perminute_local.simulation.invariants.invariant import invariant
from perminute_local.simulation.workloads.same_second import (
    ORGANIZATION,
    ORGANIZATION_ATTRIBUTES,
    USER_ATTRIBUTES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from perminute.domain.licensing.timelines import Fact
    from perminute_local.simulation.backends.backend import Snapshot
    from perminute_local.simulation.invariants.invariant import Broken

_Attribute = tuple[str | None, str, "datetime"]
"""User or None, name, and since when."""


class _Order(NamedTuple):
    issued_at: datetime
    caution: tuple[Any, ...]
    identity: str
    is_change: bool


class _Event(NamedTuple):
    body: str
    kind: str
    detail: Mapping[str, Any]
    identity: tuple[str, str]
    issued_at: datetime

    @classmethod
    def of(cls, body: str) -> _Event:
        event = json.loads(body)
        detail = event["detail"]
        identity = ("id", event["id"])
        if "changeId" in detail:
            identity = ("changeId", detail["changeId"])
        issued_at = parse_instant(detail.get("issuedAt", event["time"]))
        return cls(body, event["detail-type"], detail, identity, issued_at)

    @property
    def content(self) -> str:
        """What it says, without what identifies it."""
        said = {name: value for name, value in self.detail.items() if name != "changeId"}
        return json.dumps([self.kind, said], sort_keys=True)

    def order(self, *caution: Any) -> _Order:  # noqa: ANN401 - whatever can be compared
        kind, name = self.identity
        return _Order(self.issued_at, caution, name, kind == "changeId")

    def facts(self) -> Iterator[tuple[_Attribute, Any]]:
        since, user = parse_instant(self.detail["effectiveAt"]), self.detail.get("userId")
        match self.kind:
            case "License Assigned" | "License Removed":
                attribute = license_attribute(product_named(self.detail["license"]))
                yield (user, attribute, since), self.kind == "License Assigned"
            case "Licenses Purchased":
                attribute = purchased_attribute(product_named(self.detail["license"]))
                yield (None, attribute, since), self.detail["quantity"]
            case _:
                attributes = USER_ATTRIBUTES.keys() | ORGANIZATION_ATTRIBUTES.keys()
                for name in attributes & self.detail.keys():
                    at = month_start(since) if name == "poolMinutesUsed" else since
                    yield (user, name, at), self.detail[name]


def broken(
    bodies: Iterable[str], refused: Mapping[str, int], snapshots: Mapping[str, Snapshot]
) -> Iterator[Broken]:
    """Check what holds of the organization."""
    stored = snapshots.get(ORGANIZATION)
    if stored is None:
        return
    licensing: list[_Event] = []
    settings: list[_Event] = []
    for events in _by_identity(bodies):
        taken = [event for event in events if not refused.get(event.body)]
        yield from _change_id_is_no_event_id(events, taken)
        yield from _one_change(taken)
        if taken:
            first = min(taken, key=lambda event: event.issued_at)
            (settings if first.kind == "Credits Configured" else licensing).append(first)
    yield from _each_fact_once(licensing, stored)
    yield from _cautious_fact_holds(licensing, stored)
    yield from _cautious_settings_hold(settings, stored)


def _by_identity(bodies: Iterable[str]) -> Iterable[list[_Event]]:
    found: defaultdict[tuple[str, str], list[_Event]] = defaultdict(list)
    for body in bodies:
        if f'"{ORGANIZATION}"' in body:
            event = _Event.of(body)
            if event.kind == "Credits Configured" or "effectiveAt" in event.detail:
                found[event.identity].append(event)
    return found.values()


@invariant
def _change_id_is_no_event_id(events: list[_Event], taken: list[_Event]) -> Iterator[str]:
    """A changeId is no event id."""
    if len({event.content for event in events}) == 1 and len(taken) != len(events):
        yield f"{events[0].identity} was refused, and says one thing: {events[0].body}"


@invariant
def _one_change(taken: list[_Event]) -> Iterator[str]:
    """A change counts once, however often it is put on a bus."""
    if len({event.content for event in taken}) > 1:
        yield f"{taken[0].identity} is taken with more than one content: {taken[0].body}"


def earliest_copies(facts: Iterable[tuple[str | None, Fact]]) -> set[tuple[str | None, Fact]]:
    """Return facts of users: of those that an event states with several times, the earliest."""
    earliest: dict[tuple[object, ...], tuple[str | None, Fact]] = {}
    for user, fact in sorted(facts, key=lambda of_user: of_user[1].issued_at):
        event = fact.event_id, fact.has_change_id
        earliest.setdefault((user, fact.attribute, fact.effective_at, *event), (user, fact))
    return set(earliest.values())


@invariant
def _each_fact_once(events: list[_Event], stored: Snapshot) -> Iterator[str]:
    """A change counts once, however often it is put on a bus."""
    stated = sum(len(list(event.facts())) for event in events)
    known = len(earliest_copies(stored.facts))
    # Fewer are left where old repeats were folded.
    if known > stated:
        yield f"{ORGANIZATION} has {known} facts, and {stated} were stated"


@invariant
def _cautious_fact_holds(events: list[_Event], stored: Snapshot) -> Iterator[str]:
    """Of two statements of one instant the cautious one holds."""
    said: defaultdict[_Attribute, list[tuple[_Order, Any]]] = defaultdict(list)
    for event in events:
        for attribute, value in event.facts():
            said[attribute].append((event.order(_caution(attribute[1], value)), value))
    for (user, name, since), statements in said.items():
        _, value = max(statements)
        licensing = stored.licensing
        timeline = licensing.organization if user is None else licensing.users.get(user)
        held = None if timeline is None else timeline.value_at(name, since)
        due = parse_micros(value) if name == "monthlySpendLimit" else value
        if held != due:
            yield f"{name} of {user} is {held} at {since}, and has to be {due}: {statements}"


_CAUTIOUS_FIRST: Mapping[str, list[str]] = {
    "dialOutPolicy": ["none", "sameCountry", "zoneA", "anyDestination"],
    "licensingProgram": ["other", "volume"],
    "communicationsCreditsLicense": ["perUser", "organization"],
}


def _caution(attribute: str, value: Any) -> int:  # noqa: ANN401 - as JSON has it
    """Return how cautious a value is, independently of the domain: the greater one holds."""
    if attribute in _CAUTIOUS_FIRST:
        return -_CAUTIOUS_FIRST[attribute].index(value)
    if attribute == "monthlySpendLimit":
        return -parse_micros(value)
    if attribute == "poolMinutesUsed":
        return int(value)
    return 0 if attribute in {"country", "poolBasis"} else -int(value)


@invariant
def _cautious_settings_hold(events: list[_Event], stored: Snapshot) -> Iterator[str]:
    """Of two statements of one instant the cautious one holds."""
    ordered = sorted(events, key=lambda event: event.order(*_caution_of(event.detail)))
    settings = stored.account.settings
    if not ordered or settings is None:
        return
    recharge = settings.auto_recharge
    held = (
        None if recharge is None else recharge.recharge_micros,
        settings.daily_spend_limit_micros,
        settings.prefix_hourly_spend_limit_micros,
        settings.max_concurrent_calls,
        settings.late_usage_hours,
    )
    last = ordered[-1].detail
    due = (*_limits(last), last["lateUsageHours"])
    if held != due:
        yield f"{held} are in force, and have to be {due}: {ordered[-1].body}"


def _limits(detail: Mapping[str, Any]) -> tuple[int | None, ...]:
    def micros(of: Mapping[str, Any], name: str) -> int | None:
        return parse_micros(of[name]) if name in of else None

    return (
        micros(detail["autoRecharge"], "rechargeAmount"),
        micros(detail, "dailySpendLimit"),
        micros(detail, "prefixHourlySpendLimit"),
        detail.get("maxConcurrentCalls"),
    )


def _caution_of(detail: Mapping[str, Any]) -> Iterator[tuple[bool, int]]:
    """Yield how cautious settings are: without recharge, then each limit, the absent one last."""
    recharge, *limits = _limits(detail)
    yield recharge is None, 0
    for limit in (*limits, recharge):
        yield limit is not None, -(limit or 0)
