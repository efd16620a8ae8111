"""Organizations that hold licenses, buy credit, call, change their minds and make mistakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.values.times import format_instant
from perminute_local.simulation.faults import Fault, FaultRates, rng_of
from perminute_local.simulation.plan import Expected, Quiesce, RateCardPublished, RatesCorrected
from perminute_local.simulation.workloads import events
from perminute_local.simulation.workloads.events import spelled
from perminute_local.simulation.workloads.rate_cards import RateCards
from perminute_local.simulation.workloads.workload import (
    AT_ONCE,
    DAY,
    LONG_AGO,
    SECOND,
    Detail,
    Workload,
    ended_call,
    purchase,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_LATE = (AT_ONCE, AT_ONCE, AT_ONCE, timedelta(hours=2), 20 * DAY)
_SKEWS = (-7_200, -30, 5, 3_600, 72_000)
"""By how many seconds a sender's clock is wrong."""
_JUST_AHEAD = (timedelta(minutes=2), timedelta(minutes=5))
_TOO_FAR_AHEAD = (timedelta(minutes=5, microseconds=1), timedelta(hours=14), 400 * DAY)
"""How far the clock of a switch or a shop is ahead of the one that stamps its events."""
_ENDED_AGO = (0, 0, 1, 60, 4_000, 4_000, 90_000, 200_000, 300_000)
"""Seconds after which the end of a call is reported: after a lot has expired, or too late."""


class _Organization(NamedTuple):
    name: str
    authorizes: bool
    """Whether all of its calls are authorized before they begin."""
    authorizes_sometimes: bool
    is_funded: bool
    """Whether it has credit from the start."""
    users: tuple[str, ...]


@dataclass
class Organizations(Workload):
    """Makes a plan; time only goes on."""

    fault_rates: FaultRates = field(default_factory=FaultRates)
    rng: Random = field(default_factory=Random)
    cards: RateCards = field(default_factory=RateCards)
    all: list[_Organization] = field(default_factory=list)
    bought_at: list[datetime] = field(default_factory=list)
    """When credit was bought that expires after a year."""
    purchases: list[tuple[str, tuple[str, str]]] = field(default_factory=list)
    """Organization, id of the purchase, and amount."""
    calls: list[Detail] = field(default_factory=list)
    settings: dict[str, Detail] = field(default_factory=dict)
    """What each organization has configured last."""

    # ── Setup ────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Set up organizations, and wait until all of their events have arrived."""
        for number in range(self.rng.randint(2, 4)):
            authorizes = number == 0 or self.rng.random() < 1 / 3
            users = tuple(f"user-{n}@contoso.example" for n in range(self.rng.randint(2, 4)))
            sometimes = self.rng.randrange(3) == 0
            name = f"{'asks' if authorizes else 'mixed' if sometimes else 'org'}-{number}"
            is_funded = authorizes or self.rng.randrange(4) > 0
            organization = _Organization(name, authorizes, sometimes, is_funded, users)
            self.all.append(organization)
            self._set_up(organization)
        self.now += timedelta(minutes=20)
        self.add(Quiesce())

    def _set_up(self, organization: _Organization) -> None:
        name, since = organization.name, self.since(LONG_AGO)
        program = {"name": events.display_name(name), "licensingProgram": "volume", **since}
        self.say("Organization Changed", name, program)
        licenses = {"license": "subscription", "quantity": 1, **since}
        self.say("Licenses Purchased", name, licenses)
        self._use_pool_elsewhere(name)
        for number, user in enumerate(organization.users):
            self.say("User Changed", name, {"userId": user, "country": "DE", **since})
            for license_ in (("subscription", "payPerMinute")[number % 2], "communicationsCredits"):
                held = {"userId": user, "license": license_, **since}
                self.say("License Assigned", name, held)
        if organization.is_funded:
            if self.rng.randrange(5):
                self._configure(organization)
            self._buy(organization)
        elif rng_of(self.seed, "early", name).randrange(4) == 0:
            # No event has set the currency of its credit yet.
            adjusted = {"adjustmentId": "early", "amount": "2", "reason": "too early"}
            self.say("Credit Adjusted", name, adjusted, Expected.ONCE_KNOWN)

    def _use_pool_elsewhere(self, name: str) -> None:
        # Every other one comes from another system, by random numbers of its own.
        rng = rng_of(self.seed, "cutover", name)
        if rng.randrange(2):
            used = {"poolMinutesUsed": rng.choice((7, 45, 55, 90)), **self.since(AT_ONCE)}
            self.say("Organization Changed", name, used)

    # ── Time ─────────────────────────────────────────────────────────────────────────────────

    def step(self) -> None:
        """Let some time pass, and something happen."""
        # With random numbers of their own, so that all else is the same with them and without.
        late = self._rng("late")
        if late.randrange(12) == 0:
            self._report_late(late.choice(self.all), late)
        ahead = self._rng("ahead")
        if ahead.randrange(6) == 0:
            self._stamp_ahead(ahead.choice(self.all), ahead)
        self._pass_time()
        organization = self.rng.choice(self.all)
        self.rng.choices(_ACTIVITIES, _WEIGHTS)[0](self, organization)
        self._correct_rates(organization)

    def _pass_time(self) -> None:
        rng = self.rng
        percent = rng.randrange(100)
        if percent < 55:  # noqa: PLR2004 - the share of this case
            self.now += timedelta(milliseconds=rng.choice((0, 1, 500, 2_000, 20_000)))
        elif percent < 85:  # noqa: PLR2004
            self.now += timedelta(seconds=rng.randint(30, 1_200))
        elif percent < 95:  # noqa: PLR2004
            self.now += timedelta(minutes=rng.randint(20, 1_500))
        elif self.fault_rates.rate(Fault.CLOCK) and self.now < events.LAST - 30 * DAY:
            self.now = events.jumped(self.now, self.bought_at, self.rng)

    # ── Calls ────────────────────────────────────────────────────────────────────────────────

    def call(self, organization: _Organization) -> None:
        """Somebody calls who asks first, or calls have ended."""
        if organization.authorizes or (organization.authorizes_sometimes and self.rng.randrange(2)):
            name, users = organization.name, organization.users
            for _ in range(self.rng.choice((1, 1, 2, 4))):
                self.add(events.random_call_placed(name, users, self.rng, self._rng))
            return
        for _ in range(self.rng.choice((1, 1, 1, 2, 5))):
            self._end_call(organization)

    def _end_call(self, organization: _Organization, ended_at: datetime | None = None) -> None:
        seconds = self.rng.choice(events.SECONDS)
        ended_at = ended_at or self.now - self.rng.choice(_ENDED_AGO) * SECOND
        organizers = (*organization.users, *organization.users, "nobody")
        call = events.random_ended_call(
            f"call-{self.count}",
            organizers,
            seconds,
            ended_at,
            rng=self.rng,
            rng_for=self._rng,
        )
        self._say_ended(organization, call)

    def _say_ended(self, organization: _Organization, call: Detail) -> None:
        self.calls.append({"organizationId": organization.name, **call})
        self.say("Call Ended", organization.name, call)

    def _report_late(self, organization: _Organization, rng: Random) -> None:
        """Calls use up the minute pool, and one that ended before them is reported after them.

        Thresholds at each half make it pass one of them with what it costs for the moment.
        """
        if organization.authorizes:
            return
        if organization.is_funded and rng.randrange(2):
            halves = [f"{halves / 2:g}" for halves in range(1, 21)]
            settings = {"currency": "USD", "lowBalanceThresholds": halves}
            self.say("Credits Configured", organization.name, settings)
        for hours, seconds in ((1, rng.choice((600, 3_600, 7_199))), (3, 3_600), (1, 61)):
            if rng.randrange(8) == 0:
                continue
            user, ended_at = organization.users[0], self.now - timedelta(hours=hours)
            answered_at, meeting = ended_at - seconds * SECOND, {"meetingId": "meeting-late"}
            call = ended_call(f"call-{self.count}", user, answered_at, ended_at, **meeting)
            call["remoteNumber"] = rng.choice(events.NUMBERS[:4])
            self._say_ended(organization, call)
            self.now += rng.choice((1, 5, 90)) * SECOND

    def _stamp_ahead(self, organization: _Organization, rng: Random) -> None:
        """A call has ended, or credit was bought, by a clock that is ahead.

        Of the event's own clock it may be ahead by minutes; by more it is refused. If both are
        ahead by hours the event is taken, but nothing is booked in the future.
        """
        if organization.authorizes or not organization.is_funded:
            return
        ahead, skew, expected = AT_ONCE, AT_ONCE, Expected.TAKEN
        match rng.randrange(3):
            case 0:
                ahead = rng.choice(_JUST_AHEAD)
            case 1:
                ahead, expected = rng.choice(_TOO_FAR_AHEAD), Expected.REFUSED
            case _:
                skew = timedelta(hours=20)
        event_at = rng.choice((events.bought_at, events.ended_at))
        kind, detail = event_at(self.count, self.now + ahead)
        self.say(kind, organization.name, detail, expected, skew=skew)

    def contradict(self, organization: _Organization) -> None:
        """Telephony reports a call once more, with another content."""
        ours = [call for call in self.calls if call["organizationId"] == organization.name]
        if ours:
            call = {**self.rng.choice(ours[-20:]), "meetingId": f"other-{self.count}"}
            self.say("Call Ended", organization.name, call, Expected.EITHER)

    # ── Licenses and credit ──────────────────────────────────────────────────────────────────

    def change_licenses(self, organization: _Organization) -> None:
        """An admin assigns, removes, buys or decides, now, before or later, once or several times.

        Not where calls are authorized: these count on their licenses.
        """
        if organization.authorizes:
            return
        for _ in range(self.rng.choice((1, 1, 2, 4))):
            seconds = self.rng.choice((-5_000_000, -86_400, -3_600, -60, 0, 60, 86_400))
            since, renamed = self.since(-seconds * SECOND), f" {self.count}"
            name = events.display_name(organization.name) + renamed
            kind, detail = events.random_license_change(organization.users, since, name, self.rng)
            self.say(kind, organization.name, detail)

    def buy(self, organization: _Organization) -> None:
        """Credit is bought, sometimes twice under one id, and sometimes in many small pieces."""
        for _ in range(self.rng.choice((1, 1, 1, 1, 1, 14))):
            self._buy(organization)

    def _buy(self, organization: _Organization) -> None:
        rng = self.rng
        purchase_id, amount = f"po-{self.count}", rng.choice(("0.75", "3", "9.99", "25", "80"))
        # Where calls are authorized, they count on it from now on.
        late = AT_ONCE if organization.authorizes else rng.choice(_LATE)
        bought = purchase(purchase_id, amount, self.now - late)
        lasts = rng.choice((None, None, 3 * DAY, timedelta(minutes=20), 40 * DAY))
        if lasts is not None:
            bought["expiresAt"] = format_instant(self.now + lasts)
        elif self.now.year < events.LAST.year:
            self.bought_at.append(self.now)
        self.purchases.append((organization.name, (purchase_id, amount)))
        self.say("Credit Purchased", organization.name, bought)
        if rng.randrange(10) == 0:
            changed = {**bought, "amount": "1.23"}
            self.say("Credit Purchased", organization.name, changed, Expected.EITHER)

    def outlive_a_lot(self, organization: _Organization) -> None:
        """Credit expires; then calls are reported that ended before, or it is charged back."""
        rng = self.rng
        if organization.authorizes:
            return
        expires_at = self.now + timedelta(minutes=rng.choice((20, 300)))
        purchase_id, amount = f"po-{self.count}", rng.choice(("3", "25"))
        bought = purchase(purchase_id, amount, self.now)
        bought["expiresAt"] = format_instant(expires_at)
        self.say("Credit Purchased", organization.name, bought)
        self.purchases.append((organization.name, (purchase_id, amount)))
        if self.now > events.LAST - 30 * DAY:
            return
        self.now = expires_at + timedelta(hours=rng.choice((0, 1, 30, 71, 72, 80)))
        for _ in range(rng.choice((0, 1, 2, 4))):
            self._end_call(organization, expires_at - rng.choice((0, 1, 60)) * SECOND)
        if rng.randrange(2):
            self._charge_back(organization, purchase_id, amount)

    def charge_back(self, organization: _Organization) -> None:
        """A purchase is charged back, sometimes an unknown one."""
        ours = [bought for name, bought in self.purchases if name == organization.name]
        if ours and not organization.authorizes:
            self._charge_back(organization, *self.rng.choice([*ours[-6:], ("po-none", "1")]))

    def _charge_back(self, organization: _Organization, purchase_id: str, amount: str) -> None:
        part = self.rng.choice((amount, amount, "0.5", "1000000"))
        is_wrong = purchase_id == "po-none" or part == "1000000"
        detail = {
            "adjustmentId": f"cb-{self.count}",
            "amount": f"-{part}",
            "reason": "chargeback",
            "purchaseId": purchase_id,
        }
        expected = Expected.REFUSED if is_wrong else Expected.ONCE_KNOWN
        self.say("Credit Adjusted", organization.name, detail, expected)

    def adjust(self, organization: _Organization) -> None:
        """The balance is corrected; not downward where calls have counted on it."""
        amount = self.rng.choice(("0.5", "7", "-0.25", "-4.5"))
        if organization.authorizes and amount.startswith("-"):
            return
        adjusted = {"adjustmentId": f"a-{self.count}", "amount": amount, "reason": "mended"}
        # Without credit from the start, it may come before any currency is known.
        expected = Expected.TAKEN if organization.is_funded else Expected.ONCE_KNOWN
        self.say("Credit Adjusted", organization.name, adjusted, expected)

    def configure(self, organization: _Organization) -> None:
        """An admin saves settings, sometimes unchanged ones."""
        settings = self.settings.get(organization.name)
        if settings is not None and self.rng.randrange(2):
            self.say("Credits Configured", organization.name, settings)
        else:
            self._configure(organization)

    def _configure(self, organization: _Organization) -> None:
        settings = events.random_settings(self.rng, self._rng)
        self.settings[organization.name] = settings
        self.say("Credits Configured", organization.name, settings)

    def change_rates(self, _: _Organization) -> None:
        """A rate card is put in force; what is new in it holds from a later day on."""
        since = (self.now + self.rng.randint(2, 30) * DAY).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        self.cards.change(self.rng, since)
        self.add(RateCardPublished(f"card-{self.count}", self.cards.csv()))

    def _correct_rates(self, organization: _Organization) -> None:
        """Find once in a while that the rate card was wrong until now.

        Not where calls are authorized: that would take credit that they have counted on.
        """
        rng = self._rng("correction")
        if rng.randrange(20) == 0 and not organization.authorizes:
            corrected = self.cards.corrected(rng)
            self.add(RatesCorrected(f"mended-{self.count}", corrected, organization.name))

    def send_nonsense(self, organization: _Organization) -> None:
        """Somebody sends what can never be right."""
        nonsense = events.nonsense(self.count, self.now)
        if not organization.is_funded:
            # It would decide the currency of credit that nobody has bought yet.
            nonsense.pop()
        kind, detail = self.rng.choice(nonsense)
        self.say(kind, organization.name, detail, Expected.REFUSED)

    def rest(self, _: _Organization) -> None:
        """Nothing happens until all has settled."""
        self.add(Quiesce())

    def say(
        self,
        kind: str,
        organization_id: str,
        detail: Mapping[str, Any],
        expected: Expected = Expected.TAKEN,
        *,
        skew: timedelta | None = None,
    ) -> None:
        """Have an event sent now, by a clock that is wrong by `skew`, or by chance."""
        if skew is None:
            skew = self._skew(organization_id)
        stamped = events.stamped(detail, skew)
        rng = self._rng("spelling")
        users = {name: stamped[name] for name in ("userId", "organizerId") if name in stamped}
        stamped |= {name: spelled(rng, user) for name, user in users.items()}
        self.send(kind, organization_id, stamped, expected, time=self.now + skew)

    def _skew(self, organization_id: str) -> timedelta:
        """Return by how much a sender's clock is wrong.

        It is right where calls are authorized: one that is ahead would end lots before their time,
        on which calls have counted.
        """
        authorizes = any(
            organization.authorizes
            for organization in self.all
            if organization.name == organization_id
        )
        if authorizes or not self.fault_rates.happens(Fault.CLOCK, self.rng):
            return AT_ONCE
        return self.rng.choice(_SKEWS) * SECOND

    def _rng(self, what: str) -> Random:
        return rng_of(self.seed, what, self.count)


_Activity = Callable[[Organizations, _Organization], None]
_WEIGHED: tuple[tuple[_Activity, int], ...] = (
    (Organizations.call, 56),
    (Organizations.contradict, 3),
    (Organizations.change_licenses, 13),
    (Organizations.buy, 9),
    (Organizations.adjust, 3),
    (Organizations.charge_back, 3),
    (Organizations.outlive_a_lot, 7),
    (Organizations.configure, 6),
    (Organizations.change_rates, 2),
    (Organizations.send_nonsense, 5),
    (Organizations.rest, 3),
)
_ACTIVITIES, _WEIGHTS = zip(*_WEIGHED, strict=True)
