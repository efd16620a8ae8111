"""What happens in the world of one seed: who holds what, who calls, buys and changes, and when.

A plan is made before anything runs and depends on nothing but its seed. Each item has a number, by
which it can be had alone, and a chance of its own: leaving others out changes nothing about it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from perminute.domain.values.times import format_instant, parse_instant
from perminute_local.simulation.cards import Cards
from perminute_local.simulation.faults import Fault, chance
from perminute_local.simulation.manners import Manners, manners_drawn
from perminute_local.simulation.masked import sometimes_masked
from perminute_local.simulation.spelling import ignored, spelled, withheld

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from perminute_local.simulation.faults import Weather

LAST = datetime(2026, 6, 1, tzinfo=UTC)
"""No world goes on for longer: events that lie ahead of the clock on the wall are refused."""

_BEGINNINGS = (
    datetime(2024, 2, 27, 22, 50, tzinfo=UTC),
    datetime(2023, 2, 27, 9, tzinfo=UTC),
    datetime(2023, 12, 31, 22, 55, tzinfo=UTC),
    datetime(2024, 1, 30, 23, 30, tzinfo=UTC),
    datetime(2024, 3, 29, 12, tzinfo=UTC),
    datetime(2025, 6, 30, 23, 45, tzinfo=UTC),
)
_NUMBERS = (
    "+493023125042",
    "+493023125042",
    "+442079460100",
    "+14255550100",
    "+37121234567",
    "+449098790100",
    "+881612345678",
    "+49151234****",
)
_PRICED_IN_EUROS = "+39061234567"
_SECONDS = (0, 1, 59, 60, 61, 240, 599, 600, 601, 1_800, 3_600, 3_601, 7_199, 36_000, 86_400)
_HALVES = [f"{halves / 2:g}" for halves in range(1, 21)]
_DAY = timedelta(days=1)
_DIGITS = (("", ""), ("", ""), ("", "8"), ("1", "9"), ("25", "25"), ("9", "1"))
"""What switches write of the answer and the end below the microsecond."""
_OF_GRANTS: tuple[dict[str, Any], ...] = (
    {},
    {"failureHandling": "open"},
    {"failureHandling": "closed", "maxGrantSeconds": 120},
    {"failureHandling": "open", "maxGrantSeconds": 86_400},
)
_LATE = (timedelta(), timedelta(), timedelta(), timedelta(hours=2), 20 * _DAY)
_STAMPED = ("answeredAt", "endedAt", "purchasedAt", "expiresAt")
"""What a sender stamps by its own clock, as it does the event."""
_SKEWS = (-7_200, -30, 5, 3_600, 72_000)
"""By how many seconds a sender's clock is wrong."""
_JUST_AHEAD = (timedelta(minutes=2), timedelta(minutes=5))
_TOO_FAR_AHEAD = (timedelta(minutes=5, microseconds=1), timedelta(hours=14), 400 * _DAY)
"""How far the clock of a switch or a shop is ahead of the one that stamps its events."""
_ENDED_AGO = (0, 0, 1, 60, 4_000, 4_000, 90_000, 200_000, 300_000)
"""Seconds after which the end of a call is reported: after a lot has expired, or too late."""


class Expected(StrEnum):
    """What has to become of an event."""

    TAKEN = "taken"
    REFUSED = "refused"
    EITHER = "either"
    """It depends on what came before it; but one of both it must be."""
    ONCE_KNOWN = "onceKnown"
    """It is refused until what it needs has arrived, and may be taken when it is sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An event that somebody sends."""

    source: str
    body: str
    expected: Expected = Expected.TAKEN


class Told(StrEnum):
    """When telephony tells of the end of a call that a bridge has reported."""

    PROMPTLY = "promptly"
    LATE = "late"
    """After 80 to 100 hours: mostly when it has been charged by the reports."""
    WITH_THE_RUN = "withTheRun"
    """At the very moment at which the daily run may charge it."""
    NEVER = "never"


_MOSTLY_PROMPTLY = (*(Told.PROMPTLY,) * 8, *Told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged:
    """A call whose bridge asks before it puts anybody through, and does as it is told.

    `wants` is how many seconds it asks for at a time, if it says so. `told` is when telephony tells
    of its end.
    """

    organization_id: str
    organizer_id: str
    leg_type: str
    number: str
    rings: int
    lasts: int
    wants: int | None
    releases: bool
    told: Told
    dares: bool
    """Whether it puts a call through although nobody answers whether it may."""
    manners: Manners = field(default_factory=Manners)
    draws_on_pool: bool = True
    """Whether the organizer may have minutes of a pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A rate card that is put in force."""

    version: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A rate card that is not put in force, and by which an organization's calls are corrected."""

    version: str
    content: bytes
    organization_id: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing goes wrong for a while, until all is settled; then the books are looked at."""


What = Said | Bridged | Published | Corrected | Rest


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that happens in the world, `at` an instant or so long `after`.

    `label` stands in the names of what it brings about: calls, messages, chances.
    """

    number: int
    at: datetime
    what: What
    label: str
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that happens; `asking` are organizations that ask before each call."""

    seed: int
    card: tuple[bytes, str]
    organizations: tuple[str, ...]
    asking: frozenset[str]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class _Organization:
    """Its bridges ask before each call, some, or none; it has credit from the start, or not."""

    name: str
    asks: bool
    asks_sometimes: bool
    is_funded: bool
    users: tuple[str, ...]


@dataclass
class _Planner:
    """Makes a plan, item by item; time only goes on."""

    seed: int
    weather: Weather
    drawn: Random
    now: datetime
    items: list[Item] = field(default_factory=list)
    cards: Cards = field(default_factory=Cards)
    organizations: list[_Organization] = field(default_factory=list)
    bought: list[datetime] = field(default_factory=list)
    purchases: list[tuple[str, tuple[str, str]]] = field(default_factory=list)
    """By organization what was bought: the name of the purchase, and the amount."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    saved: dict[str, dict[str, Any]] = field(default_factory=dict)

    # ── What there is from the start ─────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Have organizations that buy licenses and credit, and wait until all that is known."""
        for number in range(self.drawn.randint(2, 4)):
            asks = number == 0 or self.drawn.random() < 1 / 3
            users = tuple(f"user-{n}@contoso.example" for n in range(self.drawn.randint(2, 4)))
            sometimes = self.drawn.randrange(3) == 0
            name = f"{'asks' if asks else 'mixed' if sometimes else 'org'}-{number}"
            funded = asks or self.drawn.randrange(4) > 0
            organization = _Organization(name, asks, sometimes, funded, users)
            self.organizations.append(organization)
            self._set_up(organization)
        self.now += timedelta(minutes=20)
        self.add(Rest())

    def _set_up(self, organization: _Organization) -> None:
        name, long_ago = organization.name, self.now - 60 * _DAY
        since = format_instant(long_ago)
        program = {"name": _called(name), "licensingProgram": "volume", "effectiveAt": since}
        self.say("licensing", "Organization Changed", name, program)
        licenses = {"license": "subscription", "quantity": 1, "effectiveAt": since}
        self.say("licensing", "Licenses Purchased", name, licenses)
        self._cut_over(name)
        for number, user in enumerate(organization.users):
            where = {"userId": user, "country": "DE", "effectiveAt": since}
            self.say("licensing", "User Changed", name, where)
            holds = ("subscription", "payPerMinute")[number % 2]
            for product in (holds, "communicationsCredits"):
                held = {"userId": user, "license": product, "effectiveAt": since}
                self.say("licensing", "License Assigned", name, held)
        if organization.is_funded:
            if self.drawn.randrange(5):
                self._configure(organization)
            self._buy(organization)
        elif chance(self.seed, "early", name).randrange(4) == 0:
            # Nobody has said yet in which currency its credit is kept.
            adjusted = {"adjustmentId": "early", "amount": "2", "reason": "too early"}
            self.say("billing", "Credit Adjusted", name, adjusted, Expected.ONCE_KNOWN)

    def _cut_over(self, name: str) -> None:
        """Every other organization comes from a system in which it used some of this month's pool.

        By a chance of its own, so that the rest of a world is as it would be without.
        """
        drawn = chance(self.seed, "cutover", name)
        if drawn.randrange(2):
            used = {"poolMinutesUsed": drawn.choice((7, 45, 55, 90))}
            when = {"effectiveAt": format_instant(self.now)}
            self.say("licensing", "Organization Changed", name, {**used, **when})

    # ── What goes on ─────────────────────────────────────────────────────────────────────────

    def go_on(self) -> None:
        """Let some time pass, and something happen."""
        # Drawn apart: what happens otherwise is the same with it and without.
        late = chance(self.seed, "late", len(self.items))
        if late.randrange(12) == 0:
            self._report_late(late.choice(self.organizations), late)
        ahead = chance(self.seed, "ahead", len(self.items))
        if ahead.randrange(6) == 0:
            self._stamp_ahead(ahead.choice(self.organizations), ahead)
        self._pass_time()
        organization = self.drawn.choice(self.organizations)
        what = self.drawn.choices(_HAPPENINGS, _WEIGHTS)[0]
        what(self, organization)
        self._correct_rates(organization)

    def _pass_time(self) -> None:
        drawn = self.drawn
        kind = drawn.randrange(100)
        if kind < 55:  # noqa: PLR2004 - the shares of a hundred
            self.now += timedelta(milliseconds=drawn.choice((0, 1, 500, 2_000, 20_000)))
        elif kind < 85:  # noqa: PLR2004
            self.now += timedelta(seconds=drawn.randint(30, 1_200))
        elif kind < 95:  # noqa: PLR2004
            self.now += timedelta(minutes=drawn.randint(20, 1_500))
        elif self.weather.rate(Fault.CLOCK) and self.now < LAST - 30 * _DAY:
            self.now = self._jump()

    def _jump(self) -> datetime:
        """Choose where time goes on: mostly right before something happens by the clock."""
        month = (self.now.replace(day=1) + 32 * _DAY).replace(day=1)
        edges = [month.replace(hour=0, minute=0, second=0, microsecond=0)]
        if self.drawn.randrange(4) == 0:
            edges += [at.replace(year=at.year + 1, day=min(at.day, 28)) for at in self.bought]
            edges += [at - 30 * _DAY for at in edges[1:]]
        edges.append(self.now + self.drawn.randint(1, 20) * _DAY)
        edges.append(datetime(2024, 2, 29, tzinfo=UTC))
        ahead = [at for at in edges if self.now < at < LAST]
        before = timedelta(seconds=self.drawn.choice((-1, 0, 1, 30, 600, 3_600)))
        return max(self.now, self.drawn.choice(ahead) - before) if ahead else self.now

    def call(self, organization: _Organization) -> None:
        """Somebody has called; where bridges ask first, somebody calls."""
        if organization.asks or (organization.asks_sometimes and self.drawn.randrange(2)):
            self._call_bridged(organization)
            return
        for _ in range(self.drawn.choice((1, 1, 1, 2, 5))):
            self.end_call(organization)

    def end_call(self, organization: _Organization, ended_at: datetime | None = None) -> None:
        """A call ends that nobody has asked for, or its end is reported late."""
        drawn = self.drawn
        seconds = drawn.choice(_SECONDS)
        ended_at = ended_at or self.now - timedelta(seconds=drawn.choice(_ENDED_AGO))
        leg_type = drawn.choice(
            ("dialOut", "dialOut", "dialOut", "tollDialIn", "tollFreeDialIn", "app")
        )
        call: dict[str, Any] = {
            "callId": f"call-{len(self.items)}",
            "organizerId": drawn.choice((*organization.users, *organization.users, "nobody")),
            "meetingId": f"meeting-{drawn.randrange(5)}",
            "meetingType": drawn.choice(("scheduled",) * 9 + ("adHoc",)),
            "legType": leg_type,
            "answeredAt": format_instant(ended_at - timedelta(seconds=seconds)),
            "endedAt": format_instant(ended_at),
            **_numbers(leg_type, drawn.choice(_NUMBERS)),
        }
        if leg_type == "dialOut" and self._drawn_apart("euros").randrange(8) == 0:
            call["remoteNumber"] = _PRICED_IN_EUROS
        elif leg_type == "dialOut":
            number = sometimes_masked(call["remoteNumber"], self._drawn_apart("masked"))
            call["remoteNumber"] = number
        if leg_type != "dialOut" and self._drawn_apart("caller").randrange(3) == 0:
            call["remoteNumber"] = withheld(self._drawn_apart("withheld"))
        if self._drawn_apart("ignored").randrange(8) == 0:
            call |= ignored(self._drawn_apart("ignored fields"))
        if drawn.randrange(12) == 0:
            call["answeredAt"] = None
        elif drawn.randrange(8) == 0:
            call["billableSeconds"] = max(0, seconds - 1)
        if 0 < seconds < _SECONDS[-1] and call["answeredAt"]:
            for name, digits in zip(
                ("answeredAt", "endedAt"), self._drawn_apart("digits").choice(_DIGITS), strict=True
            ):
                call[name] = _with_digits(call[name], digits)
        self.calls.append({"organizationId": organization.name, **call})
        self.say("telephony", "Call Ended", organization.name, call)

    def _report_late(self, organization: _Organization, drawn: Random) -> None:
        """Calls out use up the minute pool, and telephony tells later of one that came before.

        Of credit that has a threshold at each half, so that what a call costs for the moment passes
        one of them.
        """
        if organization.asks:
            return
        if organization.is_funded and drawn.randrange(2):
            settings = {"currency": "USD", "lowBalanceThresholds": _HALVES}
            self.say("billing", "Credits Configured", organization.name, settings)
        for hours, seconds in ((1, drawn.choice((600, 3_600, 7_199))), (3, 3_600), (1, 61)):
            if drawn.randrange(8) == 0:
                continue
            ended_at = self.now - timedelta(hours=hours)
            call = {
                "callId": f"call-{len(self.items)}",
                "organizerId": organization.users[0],
                "meetingId": "meeting-late",
                "meetingType": "scheduled",
                "legType": "dialOut",
                "answeredAt": format_instant(ended_at - timedelta(seconds=seconds)),
                "endedAt": format_instant(ended_at),
                "remoteNumber": drawn.choice(_NUMBERS[:4]),
            }
            self.calls.append({"organizationId": organization.name, **call})
            self.say("telephony", "Call Ended", organization.name, call)
            self.now += timedelta(seconds=drawn.choice((1, 5, 90)))

    def _stamp_ahead(self, organization: _Organization, drawn: Random) -> None:
        """A call has ended, or credit was bought, by a clock that is ahead.

        Of the event's own clock it may be ahead by minutes; by more it is refused. If both are
        ahead by hours the event is taken, but time is not advanced by it.
        """
        if organization.asks or not organization.is_funded:
            return
        ahead, skew, expected = timedelta(), timedelta(), Expected.TAKEN
        match drawn.randrange(3):
            case 0:
                ahead = drawn.choice(_JUST_AHEAD)
            case 1:
                ahead, expected = drawn.choice(_TOO_FAR_AHEAD), Expected.REFUSED
            case _:
                skew = timedelta(hours=20)
        at, number = self.now + ahead, len(self.items)
        source, kind, detail = drawn.choice((_bought_at, _ended_at))(number, at)
        self.say(source, kind, organization.name, detail, expected, skew=skew)

    def _call_bridged(self, organization: _Organization) -> None:
        drawn = self.drawn
        for _ in range(drawn.choice((1, 1, 2, 4))):
            leg_type = drawn.choice(("dialOut", "dialOut", "dialOut", "tollFreeDialIn"))
            bridged = Bridged(
                organization_id=organization.name,
                organizer_id=drawn.choice(organization.users),
                leg_type=leg_type,
                number=sometimes_masked(drawn.choice(_NUMBERS), self._drawn_apart("masked")),
                rings=drawn.randint(0, 60),
                lasts=drawn.choice(_SECONDS[:10]),
                wants=drawn.choice((None, None, 60, 90, 241, 600, 3_600)),
                releases=drawn.random() < 2 / 3,
                told=self._drawn_apart("told").choice(_MOSTLY_PROMPTLY),
                dares=drawn.randrange(6) == 0,
                manners=manners_drawn(self._drawn_apart("manners")),
            )
            self.add(bridged)

    def contradict(self, organization: _Organization) -> None:
        """Telephony says something else of a call that it has told of before."""
        ours = [call for call in self.calls if call["organizationId"] == organization.name]
        if ours:
            call = {**self.drawn.choice(ours[-20:]), "meetingId": f"other-{len(self.items)}"}
            self.say("telephony", "Call Ended", organization.name, call, Expected.EITHER)

    def change_licenses(self, organization: _Organization) -> None:
        """An admin assigns, removes, buys or decides, once or several times at once."""
        if not organization.asks:
            for _ in range(self.drawn.choice((1, 1, 2, 4))):
                self._change_licenses(organization)

    def _change_licenses(self, organization: _Organization) -> None:
        """Something holds from some time on, or has for a while."""
        drawn, name = self.drawn, organization.name
        since = self.now + timedelta(
            seconds=drawn.choice((-5_000_000, -86_400, -3_600, -60, 0, 60, 86_400))
        )
        user = {"userId": drawn.choice(organization.users), "effectiveAt": format_instant(since)}
        product = drawn.choice(("payPerMinute", "subscription", "communicationsCredits"))
        match drawn.randrange(6):
            case 0 | 1:
                self.say("licensing", "License Assigned", name, {**user, "license": product})
            case 2:
                self.say("licensing", "License Removed", name, {**user, "license": product})
            case 3:
                licenses = {"license": "subscription", "quantity": drawn.randint(0, 3)}
                when = {"effectiveAt": format_instant(since)}
                self.say("licensing", "Licenses Purchased", name, {**licenses, **when})
            case 4:
                changed = drawn.choice(
                    (
                        {"country": drawn.choice(("US", "DE", "CN"))},
                        {"dialOutPolicy": drawn.choice(("anyDestination", "sameCountry", "none"))},
                        {"tollFreeDialInAllowed": drawn.random() < 1 / 2},
                        {"monthlySpendLimit": "5"},
                    )
                )
                self.say("licensing", "User Changed", name, {**user, **changed})
            case _:
                chosen = drawn.choice(
                    (
                        {"communicationsCreditsLicense": drawn.choice(("perUser", "organization"))},
                        {"poolBasis": drawn.choice(("purchased", "assigned"))},
                        {"poolMinutesPerLicense": drawn.choice((12, 60))},
                        {"poolMinutesUsed": drawn.choice((0, 10, 45))},
                        {"licensingProgram": drawn.choice(("volume", "volume", "other"))},
                    )
                )
                renamed = {"name": f"{_called(name)} {len(self.items)}"}
                when = {"effectiveAt": format_instant(since)}
                self.say("licensing", "Organization Changed", name, {**when, **chosen, **renamed})

    def buy(self, organization: _Organization) -> None:
        """Credit is bought, sometimes twice under one name, and sometimes in many small pieces."""
        for _ in range(self.drawn.choice((1, 1, 1, 1, 1, 14))):
            self._buy(organization)

    def outlive_a_lot(self, organization: _Organization) -> None:
        """Credit expires; then calls are reported that ended before, or it is charged back."""
        drawn = self.drawn
        if organization.asks:
            return
        lasts = timedelta(minutes=drawn.choice((20, 300)))
        identity, amount = f"po-{len(self.items)}", drawn.choice(("3", "25"))
        expires_at = self.now + lasts
        bought = {"purchaseId": identity, "amount": amount, "currency": "USD"}
        when = {"purchasedAt": format_instant(self.now), "expiresAt": format_instant(expires_at)}
        self.say("billing", "Credit Purchased", organization.name, {**bought, **when})
        self.purchases.append((organization.name, (identity, amount)))
        if self.now > LAST - 30 * _DAY:
            return
        self.now = expires_at + timedelta(hours=drawn.choice((0, 1, 30, 71, 72, 80)))
        for _ in range(drawn.choice((0, 1, 2, 4))):
            self.end_call(organization, expires_at - timedelta(seconds=drawn.choice((0, 1, 60))))
        if drawn.randrange(2):
            self._charge_back(organization, identity, amount)

    def charge_back(self, organization: _Organization) -> None:
        """A purchase is taken back, sometimes one that nobody knows of."""
        ours = [one for name, one in self.purchases if name == organization.name]
        if ours and not organization.asks:
            self._charge_back(organization, *self.drawn.choice([*ours[-6:], ("po-none", "1")]))

    def _charge_back(self, organization: _Organization, purchase_id: str, amount: str) -> None:
        drawn = self.drawn
        part = drawn.choice((amount, amount, "0.5", "1000000"))
        expected = Expected.ONCE_KNOWN
        if purchase_id == "po-none" or part == "1000000":
            expected = Expected.REFUSED
        taken = {"adjustmentId": f"cb-{len(self.items)}", "amount": f"-{part}"}
        detail = {**taken, "reason": "chargeback", "purchaseId": purchase_id}
        self.say("billing", "Credit Adjusted", organization.name, detail, expected)

    def _buy(self, organization: _Organization) -> None:
        drawn = self.drawn
        identity = f"po-{len(self.items)}"
        bought = {
            "purchaseId": identity,
            "amount": drawn.choice(("0.75", "3", "9.99", "25", "80")),
            "currency": "USD",
            "purchasedAt": format_instant(self.now - self._late(organization)),
        }
        lasts = drawn.choice((None, None, 3 * _DAY, timedelta(minutes=20), 40 * _DAY))
        if lasts is not None:
            bought["expiresAt"] = format_instant(self.now + lasts)
        elif self.now.year < LAST.year:
            self.bought.append(self.now)
        self.purchases.append((organization.name, (identity, str(bought["amount"]))))
        self.say("billing", "Credit Purchased", organization.name, bought)
        if drawn.randrange(10) == 0:
            changed = {**bought, "amount": "1.23"}
            expected = Expected.EITHER
            self.say("billing", "Credit Purchased", organization.name, changed, expected)

    def _late(self, organization: _Organization) -> timedelta:
        """Tell how long ago credit was bought; where calls count on it, that is just now."""
        return timedelta() if organization.asks else self.drawn.choice(_LATE)

    def adjust(self, organization: _Organization) -> None:
        """The balance is corrected."""
        amount = self.drawn.choice(("0.5", "7", "-0.25", "-4.5"))
        if organization.asks and amount.startswith("-"):
            return
        adjusted = {"adjustmentId": f"a-{len(self.items)}", "amount": amount, "reason": "mended"}
        # Without credit from the start, it may come before any currency is known.
        expected = Expected.TAKEN if organization.is_funded else Expected.ONCE_KNOWN
        self.say("billing", "Credit Adjusted", organization.name, adjusted, expected)

    def configure(self, organization: _Organization) -> None:
        """An admin says how credit is kept, or saves once more what holds already."""
        saved = self.saved.get(organization.name)
        if saved is not None and self.drawn.randrange(2):
            self.say("billing", "Credits Configured", organization.name, saved)
        else:
            self._configure(organization)

    def _configure(self, organization: _Organization) -> None:
        drawn = self.drawn
        thresholds = drawn.sample(("0", "0.5", "2", "5", "10", "40"), drawn.randint(0, 4))
        settings: dict[str, Any] = {"currency": "USD", "lowBalanceThresholds": thresholds}
        if drawn.random() < 2 / 3:
            limit = {"monthlyLimit": "60"} if drawn.random() < 1 / 2 else {}
            # The slip of an admin; bounded, for each cent that is bought is a lot.
            slip = {"rechargeAmount": "0.01", "monthlyLimit": "0.12"}
            settings["autoRecharge"] = {
                "enabled": drawn.random() < 4 / 5,
                "triggerAmount": drawn.choice(("1", "4", "10")),
                **(
                    slip
                    if drawn.randrange(3) == 0
                    else {"rechargeAmount": drawn.choice(("2", "20")), **limit}
                ),
            }
        if drawn.random() < 1 / 2:
            settings |= {"dailySpendLimit": "20", "prefixHourlySpendLimit": "6"}
            settings |= {"maxConcurrentCalls": 5}
        hours = self._drawn_apart("late").choice((None, None, 1, 24))
        if hours is not None:
            settings["lateUsageHours"] = hours
        settings |= self._drawn_apart("grants").choice(_OF_GRANTS)
        self.saved[organization.name] = settings
        self.say("billing", "Credits Configured", organization.name, settings)

    def change_rates(self, _: _Organization) -> None:
        """Another rate card is put in force; what is new in it holds from some day on."""
        since = (self.now + self.drawn.randint(2, 30) * _DAY).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        self.cards.change(self.drawn, since)
        version = f"card-{len(self.items)}"
        self.add(Published(version=version, content=self.cards.csv()))

    def _correct_rates(self, organization: _Organization) -> None:
        """Once in a while somebody finds that the card was wrong until now.

        Not where calls are authorized: that would take credit that they have counted on. By a
        chance of its own, so that the rest of a world is as it would be without.
        """
        drawn = chance(self.seed, "correction", len(self.items))
        if drawn.randrange(20) == 0 and not organization.asks:
            mended = self.cards.mended(drawn)
            version = f"mended-{len(self.items)}"
            self.add(Corrected(version=version, content=mended, organization_id=organization.name))

    def send_nonsense(self, organization: _Organization) -> None:
        """Somebody sends what can never be right."""
        drawn = self.drawn
        at = format_instant(self.now)
        nonsense: list[tuple[str, str, dict[str, Any]]] = [
            ("telephony", "Call Ended", {"callId": f"bad-{len(self.items)}"}),
            ("telephony", "Call Begun", {}),
            ("billing", "Credit Adjusted", {"adjustmentId": "a", "amount": "0", "reason": "none"}),
            (
                "billing",
                "Recharge Failed",
                {"rechargeId": "", "reason": "expired card"},
            ),
            (
                "billing",
                "Credits Configured",
                {
                    "currency": "USD",
                    "autoRecharge": {
                        "enabled": False,
                        "rechargeAmount": "1",
                        "minimumPurchase": "50",
                    },
                },
            ),
            ("licensing", "License Assigned", {"userId": "user-0", "license": "golden"}),
            ("licensing", "User Changed", {"userId": "user-0", "effectiveAt": "yesterday"}),
        ]
        if organization.is_funded:
            # Of one that has no credit yet it would decide the currency.
            euros = {"amount": "50", "currency": "EUR", "purchasedAt": at}
            bought = {"purchaseId": f"euro-{len(self.items)}", **euros}
            nonsense.append(("billing", "Credit Purchased", bought))
        source, kind, detail = drawn.choice(nonsense)
        self.say(source, kind, organization.name, detail, Expected.REFUSED)

    def rest(self, _: _Organization) -> None:
        """Nothing happens for a while."""
        self.add(Rest())

    # ── Writing it down ──────────────────────────────────────────────────────────────────────

    def say(  # noqa: PLR0913 - the parts of an event, and who sends it
        self,
        source: str,
        kind: str,
        organization: str,
        detail: Mapping[str, Any],
        expected: Expected = Expected.TAKEN,
        *,
        skew: timedelta | None = None,
    ) -> None:
        """Have an event sent, by a clock that is wrong by `skew`, or by chance."""
        if skew is None:
            skew = self._skew(organization)
        at = self.now + skew
        said = {"organizationId": organization, **self._spelled(_stamped(detail, skew))}
        body = event_body(f"{self.seed}-{len(self.items)}", source, kind, at, said)
        self.add(Said(source=source, body=body, expected=expected))

    def _spelled(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        """Name users as some system does, by a chance of its own."""
        drawn = self._drawn_apart("spelling")
        named = {name: detail[name] for name in ("userId", "organizerId") if name in detail}
        return {**detail, **{name: spelled(drawn, user) for name, user in named.items()}}

    def _skew(self, organization_id: str) -> timedelta:
        """Tell by how much a sender's clock is wrong.

        Where calls are authorized it is right: one that is ahead ends lots before their time, on
        which calls have counted.
        """
        asks = any(one.asks for one in self.organizations if one.name == organization_id)
        if asks or not self.weather.happens(Fault.CLOCK, self.drawn):
            return timedelta()
        return timedelta(seconds=self.drawn.choice(_SKEWS))

    def _drawn_apart(self, what: str) -> Random:
        """Return a chance of its own, which changes nothing about what is drawn after it."""
        return chance(self.seed, what, len(self.items))

    def add(self, what: What) -> None:
        """Have something happen now."""
        number = len(self.items)
        self.items.append(Item(number, self.now, what, str(number)))


_Happening = Callable[[_Planner, _Organization], None]
_WEIGHED: tuple[tuple[_Happening, int], ...] = (
    (_Planner.call, 56),
    (_Planner.contradict, 3),
    (_Planner.change_licenses, 13),
    (_Planner.buy, 9),
    (_Planner.adjust, 3),
    (_Planner.charge_back, 3),
    (_Planner.outlive_a_lot, 7),
    (_Planner.configure, 6),
    (_Planner.change_rates, 2),
    (_Planner.send_nonsense, 5),
    (_Planner.rest, 3),
)
_HAPPENINGS = tuple(happening for happening, _ in _WEIGHED)
_WEIGHTS = tuple(weight for _, weight in _WEIGHED)


def plan_of(seed: int, events: int, weather: Weather) -> Plan:
    """Plan the world of a seed, of so many events and calls at least."""
    drawn = chance(seed, "plan")
    planner = _Planner(seed, weather, drawn, now=drawn.choice(_BEGINNINGS))
    card = planner.cards.csv(), "card-0"
    planner.begin()
    while sum(1 for item in planner.items if isinstance(item.what, Said | Bridged)) < events:
        planner.go_on()
    planner.add(Rest())
    return Plan(
        seed=seed,
        card=card,
        organizations=tuple(one.name for one in planner.organizations),
        asking=frozenset(one.name for one in planner.organizations if one.asks),
        items=tuple(planner.items),
    )


def event_body(
    identity: str, source: str, kind: str, at: datetime, detail: Mapping[str, Any]
) -> str:
    """Write an event as EventBridge hands it on, of the account that always sends what it says."""
    account = zlib.crc32(json.dumps(detail).encode())
    return json.dumps(
        {
            "id": identity,
            # One that was put into a queue by hand has none.
            **({"account": f"{account:012}"} if account % 4 else {}),
            "source": f"perminute.{source}",
            "detail-type": kind,
            "time": format_instant(at),
            "detail": {"schemaVersion": "1", **detail},
        }
    )


def only(plan: Plan, numbers: Sequence[int]) -> Iterator[Item]:
    """Give some of the items of a plan, in their order."""
    wanted = set(numbers)
    return (item for item in plan.items if item.number in wanted)


def _with_digits(instant: str, digits: str) -> str:
    """Write an instant with digits below the microsecond."""
    if not digits:
        return instant
    whole, _, micros = instant.removesuffix("Z").partition(".")
    return f"{whole}.{micros or '000000'}{digits}Z"


def _stamped(detail: Mapping[str, Any], skew: timedelta) -> dict[str, Any]:
    """Write what a sender stamps as its own clock shows it, which may cost it some digits."""
    if not skew:
        return dict(detail)
    stamped = {
        name: format_instant(parse_instant(detail[name]) + skew)
        for name in _STAMPED
        if detail.get(name) is not None
    }
    return {**detail, **stamped}


def _bought_at(number: int, at: datetime) -> tuple[str, str, dict[str, Any]]:
    bought = {"purchaseId": f"ahead-{number}", "amount": "2", "currency": "USD"}
    return "billing", "Credit Purchased", {**bought, "purchasedAt": format_instant(at)}


def _ended_at(number: int, at: datetime) -> tuple[str, str, dict[str, Any]]:
    call = {
        "callId": f"call-{number}",
        "organizerId": "user-1@contoso.example",
        "meetingId": "meeting-ahead",
        "meetingType": "scheduled",
        "legType": "dialOut",
        "answeredAt": format_instant(at - timedelta(minutes=4)),
        "endedAt": format_instant(at),
        "remoteNumber": _NUMBERS[0],
    }
    return "telephony", "Call Ended", call


def _numbers(leg_type: str, number: str) -> dict[str, str]:
    """Say who called whom: what sets the price is the destination, or the number dialed in to."""
    if leg_type == "dialOut":
        return {"remoteNumber": number}
    if leg_type == "app":
        return {}
    service = "+18005550199" if leg_type == "tollFreeDialIn" else "+14255550199"
    return {"serviceNumber": service, "remoteNumber": number}


def _called(organization_id: str) -> str:
    """Make up what an organization is called, as nobody should print it as it is."""
    return f"Caf\u00e9 {organization_id}\n\u202e"
