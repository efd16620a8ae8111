"""An organization of which two things are said in one second, and whose bus is replayed.

It is woven into a plan like those of `tight`: between its items, with a chance of its own. What has
to come of it is held against the events as they were sent, read as JSON and nothing else: what the
functions read them with may be what is wrong.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.licensing.attributes import license_attribute, purchased_attribute
from perminute.domain.licensing.timelines import RERATING_HORIZON
from perminute.domain.reference.licenses import product_named
from perminute.domain.values.money import parse_micros
from perminute.domain.values.times import format_instant, month_start, parse_instant
from perminute_local.simulation.faults import chance
from perminute_local.simulation.plan import Expected, Item, Plan, Rest, Said, event_body
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from random import Random

    from perminute.domain.licensing.timelines import Fact
    from perminute_local.simulation.backend import Seen

CAUTIOUS = "of two statements of one instant the cautious one holds"
ONCE = "a change counts once, however often it is put on a bus"
TAKEN = "a changeId is no event id"

ORGANIZATION = "second-0"
_USERS = ("user-0", "user-1")
_NUMBERS = ("+493023125042", "+442079460100", "+14255550100")
_DAY, _MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)
_SCENES_APART = 10
"""After one in so many items of a plan a scene begins."""

Detail = dict[str, Any]

# ── What is said ─────────────────────────────────────────────────────────────────────────────


@dataclass
class _Weaver:
    """Makes the items between those of a plan."""

    seed: int
    now: datetime
    items: list[Item] = field(default_factory=list)
    count: int = 0
    archive: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Events that have a `changeId`, by their source."""

    def begin(self) -> None:
        """Have the organization hold licenses, and credit."""
        since = {"effectiveAt": format_instant(self.now - 60 * _DAY)}
        self._say("licensing", "Organization Changed", {"licensingProgram": "volume", **since})
        for user, license_ in zip(_USERS, ("payPerMinute", "subscription"), strict=True):
            where = {"userId": user, "country": "DE", **since}
            self._say("licensing", "User Changed", where)
            for product in (license_, "communicationsCredits"):
                given = {"userId": user, "license": product, **since}
                self._say("licensing", "License Assigned", given)
        bought = {"purchaseId": "po-s", "amount": "80", "currency": "USD"}
        when = {"purchasedAt": format_instant(self.now)}
        self._say("billing", "Credit Purchased", {**bought, **when})

    def go_on(self, drawn: Random) -> None:
        """Have a scene begin, perhaps."""
        if drawn.randrange(_SCENES_APART) == 0:
            drawn.choice((self._contradict, self._save_twice, self._replay, self._misuse))(drawn)

    def _contradict(self, drawn: Random) -> None:
        """Two events of one second say different things of one attribute; then somebody calls."""
        ago = timedelta(seconds=drawn.choice((0, 1, 60, 86_400)))
        since = {"effectiveAt": format_instant(self.now - ago)}
        user = {"userId": drawn.choice(_USERS)}
        license_ = drawn.choice(("payPerMinute", "subscription", "communicationsCredits"))
        holds = {**user, **since, "license": license_}
        owns = {**since, "license": "subscription"}
        pairs: list[list[tuple[str, Detail]]] = [
            [("License Assigned", holds), ("License Removed", holds)],
            [("License Assigned", holds), ("License Removed", holds)],
            [("Licenses Purchased", {**owns, "quantity": number}) for number in (1, 3)],
            *_changed_twice("User Changed", {**user, **since}, _OF_USERS),
            *_changed_twice("Organization Changed", since, _OF_ORGANIZATIONS),
        ]
        self._say_both("licensing", drawn.choice(pairs), drawn)
        self._call(drawn)

    def _save_twice(self, drawn: Random) -> None:
        """An admin saves settings, and changes one of them in the same second."""
        both: list[tuple[str, Detail]] = [
            ("Credits Configured", {"currency": "USD", **_settings_drawn(drawn)}) for _ in range(2)
        ]
        self._say_both("billing", both, drawn)
        self._call(drawn)

    def _replay(self, drawn: Random) -> None:
        """Somebody puts on the bus again what the archive holds of the last while."""
        for source, event in self.archive[-drawn.choice((1, 5, 20)) :]:
            again = {**event, "id": f"{drawn.choice('az')}-{self.seed}-s{self.count}"}
            if self._may_come_at_another_time(source, event["detail"]):
                again["time"] = _in_seconds(self.now)
            self._add(Said(source=source, body=json.dumps(again)))

    def _may_come_at_another_time(self, source: str, detail: Detail) -> bool:
        """Whether nothing depends on when the copy of a change is put on the bus.

        One that does not say when it was issued counts as issued then. Settings may yield by that,
        and what took effect long before is refused.
        """
        if "issuedAt" in detail:
            return True
        if source != "licensing":
            return False
        return self.now - parse_instant(detail["effectiveAt"]) <= RERATING_HORIZON

    def _misuse(self, drawn: Random) -> None:
        """A changeId stands for something else as well; or another one reads like an event id."""
        since = {"effectiveAt": format_instant(self.now), "userId": drawn.choice(_USERS)}
        changes = [{**since, "tollFreeDialInAllowed": allowed} for allowed in (True, False)]
        if drawn.randrange(2):
            named = {"changeId": f"misused-{self.count}"}
            for change in changes:
                self._say("licensing", "User Changed", {**change, **named}, Expected.EITHER)
        else:
            reads_the_same = {"changeId": f"{self.seed}-s{self.count}"}
            self._say("licensing", "User Changed", changes[0])
            self._say("licensing", "User Changed", {**changes[1], **reads_the_same})

    def _say_both(self, source: str, both: list[tuple[str, Detail]], drawn: Random) -> None:
        """Send two events of one second, whose senders know how they follow each other or not."""
        drawn.shuffle(both)
        apart = drawn.choice((None, None, 0, 1, 1))
        for number, (kind, said) in enumerate(both):
            detail = dict(said)
            if apart is not None:
                issued_at = self.now + number * apart * _MILLISECOND
                detail["issuedAt"] = format_instant(issued_at)
            if drawn.randrange(2):
                detail["changeId"] = f"{drawn.choice('az')}-change-{self.count}"
            if source == "licensing" and "changeId" in detail and "issuedAt" not in detail:
                self._copy(kind, detail)
            self._say(source, kind, detail)

    def _copy(self, kind: str, detail: Detail) -> None:
        """Have a copy arrive before the event whose copy it is, by a chance of its own."""
        later = chance(self.seed, "copy", self.count).choice((0, 1, 90, 90))
        if later:
            self._say("licensing", kind, detail, later=timedelta(seconds=later))

    def _call(self, drawn: Random) -> None:
        """Somebody has called whom the licenses concern."""
        for user in _USERS:
            call = {
                "callId": f"call-s{self.count}",
                "organizerId": user,
                "meetingId": "meeting-s",
                "meetingType": "scheduled",
                "legType": "dialOut",
                "remoteNumber": drawn.choice(_NUMBERS),
                "answeredAt": format_instant(self.now - timedelta(seconds=drawn.choice((1, 61)))),
                "endedAt": format_instant(self.now),
            }
            self._say("telephony", "Call Ended", call)

    def _say(
        self,
        source: str,
        kind: str,
        detail: Detail,
        expected: Expected = Expected.TAKEN,
        *,
        later: timedelta = timedelta(),
    ) -> None:
        said = {"organizationId": ORGANIZATION, **detail}
        at = _seconds(self.now + later)
        body = event_body(f"{self.seed}-s{self.count}", source, kind, at, said)
        if "changeId" in detail and expected is Expected.TAKEN:
            self.archive.append((source, json.loads(body)))
        self._add(Said(source=source, body=body, expected=expected))

    def _add(self, what: Said) -> None:
        self.items.append(Item(0, self.now, what, f"s{self.count}"))
        self.count += 1


_OF_USERS: Mapping[str, tuple[Any, Any]] = {
    "dialOutPolicy": ("anyDestination", "none"),
    "tollFreeDialInAllowed": (True, False),
    "monthlySpendLimit": ("1000", "500"),
    "country": ("DE", "US"),
}
_OF_ORGANIZATIONS: Mapping[str, tuple[Any, Any]] = {
    "dialOutPolicy": ("zoneA", "sameCountry"),
    "licensingProgram": ("volume", "other"),
    "communicationsCreditsLicense": ("organization", "perUser"),
    "poolMinutesPerLicense": (60, 12),
    "poolMinutesUsed": (0, 10),
    "poolBasis": ("purchased", "assigned"),
}


def _changed_twice(
    kind: str, about: Detail, values: Mapping[str, tuple[Any, Any]]
) -> Iterator[list[tuple[str, Detail]]]:
    """Yield, for each attribute, two events that say different things of it."""
    for name, both in values.items():
        yield [(kind, {**about, name: value}) for value in both]


def _settings_drawn(drawn: Random) -> Detail:
    amount = drawn.choice((None, "20", "30"))
    recharge = {"enabled": amount is not None, "triggerAmount": "10"}
    said = {
        "dailySpendLimit": drawn.choice((None, "500", "600")),
        "prefixHourlySpendLimit": drawn.choice((None, "300")),
        "maxConcurrentCalls": drawn.choice((None, 5, 7)),
        "autoRecharge": {**recharge, **({} if amount is None else {"rechargeAmount": amount})},
        "lateUsageHours": drawn.choice((72, 72, 100)),
    }
    return {name: value for name, value in said.items() if value is not None}


def _seconds(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _in_seconds(at: datetime) -> str:
    return format_instant(_seconds(at))


def with_same_seconds(plan: Plan) -> Plan:
    """Add the organization to a plan; its own items get other numbers only."""
    weaver = _Weaver(plan.seed, plan.items[0].at)
    weaver.begin()
    items, has_begun = weaver.items, False
    for item in plan.items:
        items.append(item)
        weaver.now = item.at
        has_begun = has_begun or isinstance(item.what, Rest)
        if has_begun and item is not plan.items[-1]:
            weaver.go_on(chance(plan.seed, "second", item.label))
    return replace(
        plan,
        organizations=(*plan.organizations, ORGANIZATION),
        items=tuple(replace(item, number=number) for number, item in enumerate(items)),
    )


# ── What has to come of it ───────────────────────────────────────────────────────────────────


class _Order(NamedTuple):
    """Of two statements the greater one holds."""

    issued_at: datetime
    caution: tuple[Any, ...]
    identity: str
    is_change: bool


class _Event(NamedTuple):
    """An event as it was sent."""

    body: str
    kind: str
    detail: Mapping[str, Any]
    identity: tuple[str, str]
    issued_at: datetime

    @property
    def content(self) -> str:
        """What it says, whatever names it."""
        said = {name: value for name, value in self.detail.items() if name != "changeId"}
        return json.dumps([self.kind, said], sort_keys=True)

    def order(self, *caution: Any) -> _Order:  # noqa: ANN401 - whatever can be compared
        """Return the place of what it says among others of the same subject."""
        kind, name = self.identity
        return _Order(self.issued_at, caution, name, kind == "changeId")

    def stated(self) -> Iterator[tuple[str | None, str, datetime, Any]]:
        """Yield the facts: about whom, what, from when on, and its value."""
        since, user = parse_instant(self.detail["effectiveAt"]), self.detail.get("userId")
        match self.kind:
            case "License Assigned" | "License Removed":
                attribute = license_attribute(product_named(self.detail["license"]))
                yield user, attribute, since, self.kind == "License Assigned"
            case "Licenses Purchased":
                attribute = purchased_attribute(product_named(self.detail["license"]))
                yield None, attribute, since, self.detail["quantity"]
            case _:
                for name in (_OF_USERS.keys() | _OF_ORGANIZATIONS.keys()) & self.detail.keys():
                    at = month_start(since) if name == "poolMinutesUsed" else since
                    yield user, name, at, self.detail[name]


def _event(body: str) -> _Event:
    event = json.loads(body)
    detail = event["detail"]
    identity = ("id", event["id"])
    if "changeId" in detail:
        identity = ("changeId", detail["changeId"])
    issued_at = parse_instant(detail.get("issuedAt", event["time"]))
    return _Event(body, event["detail-type"], detail, identity, issued_at)


def broken_of(
    bodies: Iterable[str], refused: Mapping[str, int], seen: Mapping[str, Seen]
) -> Iterator[Broken]:
    """Find what does not hold of the organization, by the events as they were sent."""
    one = seen.get(ORGANIZATION)
    if one is None:
        return
    licensing: list[_Event] = []
    settings: list[_Event] = []
    for identity, events in _by_identity(bodies).items():
        stands = [event for event in events if not refused.get(event.body)]
        contents = {event.content for event in events}
        if len(contents) == 1 and len(stands) != len(events):
            yield Broken(TAKEN, f"{identity} was refused, and says one thing: {events[0].body}")
        if len({event.content for event in stands}) > 1:
            yield Broken(ONCE, f"{identity} stands for more than one thing: {stands[0].body}")
        if stands:
            first = min(stands, key=lambda event: event.issued_at)
            (settings if first.kind == "Credits Configured" else licensing).append(first)
    yield from _licensing(licensing, one)
    yield from _settings(settings, one)


def _by_identity(bodies: Iterable[str]) -> dict[tuple[str, str], list[_Event]]:
    """Group what is said of licenses and settings by what it is known by."""
    found: defaultdict[tuple[str, str], list[_Event]] = defaultdict(list)
    for body in bodies:
        if f'"{ORGANIZATION}"' not in body:
            continue
        event = _event(body)
        if event.kind == "Credits Configured" or "effectiveAt" in event.detail:
            found[event.identity].append(event)
    return found


def earliest_copies(facts: Iterable[tuple[str | None, Fact]]) -> set[tuple[str | None, Fact]]:
    """Return facts of users, of those that an event states with several times the earliest."""
    earliest: dict[tuple[object, ...], tuple[str | None, Fact]] = {}
    for user, fact in sorted(facts, key=lambda one: one[1].issued_at):
        event = fact.event_id, fact.has_change_id
        earliest.setdefault((user, fact.attribute, fact.effective_at, *event), (user, fact))
    return set(earliest.values())


def _licensing(events: list[_Event], seen: Seen) -> Iterator[Broken]:
    said: defaultdict[tuple[str | None, str, datetime], list[tuple[_Order, Any]]]
    said = defaultdict(list)
    for event in events:
        for user, attribute, since, value in event.stated():
            order = event.order(_caution(attribute, value))
            said[user, attribute, since].append((order, value))
    facts = sum(map(len, said.values()))
    known = len(earliest_copies(seen.facts))
    # Fewer are left where old repeats were folded.
    if known > facts:
        yield Broken(ONCE, f"{ORGANIZATION} has {known} facts, and was told {facts}")
    for (user, attribute, since), statements in said.items():
        _, value = max(statements)
        timeline = seen.licensing.organization if user is None else seen.licensing.users.get(user)
        held = None if timeline is None else timeline.value_at(attribute, since)
        due = parse_micros(value) if attribute == "monthlySpendLimit" else value
        if held != due:
            why = f"{attribute} of {user} is {held} at {since}, and has to be {due}: {statements}"
            yield Broken(CAUTIOUS, why)


_CAUTIOUS_FIRST: Mapping[str, list[str]] = {
    "dialOutPolicy": ["none", "sameCountry", "zoneA", "anyDestination"],
    "licensingProgram": ["other", "volume"],
    "communicationsCreditsLicense": ["perUser", "organization"],
}


def _caution(attribute: str, value: Any) -> int:  # noqa: ANN401 - as JSON has it
    """Return how cautious a value is, spelled out here once more: the greater one holds."""
    if attribute in _CAUTIOUS_FIRST:
        return -_CAUTIOUS_FIRST[attribute].index(value)
    if attribute == "monthlySpendLimit":
        return -parse_micros(value)
    if attribute == "poolMinutesUsed":
        return int(value)
    return 0 if attribute in {"country", "poolBasis"} else -int(value)


def _settings(events: list[_Event], seen: Seen) -> Iterator[Broken]:
    ordered = sorted(events, key=lambda event: event.order(*_caution_of(event.detail)))
    settings = seen.account.settings
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
        yield Broken(CAUTIOUS, f"{held} are in force, and have to be {due}: {ordered[-1].body}")


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
