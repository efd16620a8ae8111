"""With authorization used throughout, the balance never goes below zero, whatever happens.

Bridges do as they are told: they report before they must, hang up at the end of what was granted,
and the end of a call reaches us before what it has reserved lapses; where lots expire, before what
was granted to it last does. All else is left to chance: who calls whom and for how long, how
requests and the ends of calls are mixed, what comes twice, how lots expire, where the minutes of a
pool go, whether a day, a month and a rate end meanwhile, and whether the end of a call that was
reported is ever told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from builders import (
    ANSWERED,
    IMPATIENT,
    LONG_AGO,
    ORGANIZATION,
    card,
    fact,
    holds,
    leg,
    receipt,
    volume,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.authorize_call import AuthorizeCall, Request
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_legs import ChargeLegs, EndedLeg
from perminute.application.charge_reported import ChargeReported
from perminute.application.looking_again import LookingAgain
from perminute.application.remembered_licensing import RememberedLicensing
from perminute.application.rerate_calls import RerateCalls, Wakeup
from perminute.application.verdicts import Accepted, Repeated
from perminute.domain.booking import Purchase
from perminute.domain.credit_settings import LATE_USAGE_HOURS, CreditSettings
from perminute.domain.holds import CHARGE_TIMES_APART
from perminute.domain.licensing import LicensingChange
from perminute.domain.pools import Month
from perminute.domain.reconciliation import reconcile
from perminute.domain.reservations import Answer, Asked, Decision, Operation
from perminute.domain.spending import (
    SpendingKey,
    SpendingKind,
    Spendings,
    answered,
    day_of,
    records_of,
)
from perminute.domain.usage import Flag
from perminute.ports import ReceiptKind

if TYPE_CHECKING:
    from perminute.domain.accounts import Account
    from perminute.domain.legs import Leg
    from perminute.ports import Receipt

CARD = card(
    "dialOut,49,DE,USD,0.015,,60,60,0,,2026-12-01T00:00:00Z",
    "dialOut,49,DE,USD,0.03,0.01,60,60,0,2026-12-01T00:00:00Z,",
    "dialOut,44,GB,USD,0.02,0.10,30,6,0,,",
    "dialOut,371,LV,USD,0.50,0.05,60,60,0,,",
    "dialOut,371,LV,USD,0.70,,60,60,120,,",
    "tollFreeDialIn,1800,US,USD,0.022,,60,60,0,,",
    header="leg_type,prefix,country,currency,rate_per_minute,connection_fee,"
    "initial_increment_seconds,increment_seconds,from_second,effective_from,effective_to",
)
NUMBERS = ("+493023125042", "+493023125042", "+442079460100", "+37121234567")
DAILY, MONTHLY, HOURLY = 400_000, 250_000, 120_000
POOL_MINUTES = 12
MONTHS = (Month(2026, 11), Month(2026, 12))
MONTHS_END = datetime(2026, 11, 30, 23, 52, tzinfo=UTC)


@dataclass
class Bridged:
    """A call as its bridge sees it."""

    leg: Leg
    rings: timedelta
    last: Request
    answer: Answer
    granted_at: datetime
    sequence: int = 0
    reported: int = 0
    until: datetime = ANSWERED

    def connected(self, at: datetime) -> int:
        """Tell how long it has lasted, which is never longer than was granted."""
        answered = (self.leg.answered_at or at) + self.rings
        return min(max(0, (at - answered) // timedelta(seconds=1)), self.most)

    @property
    def most(self) -> int:
        return self.reported + self.answer.granted_seconds


@dataclass
class World:
    """The functions over one store, and bridges that obey."""

    limited: bool
    lots_expire: bool
    store: InMemoryStore = field(default_factory=InMemoryStore)
    now: datetime = ANSWERED
    calls: dict[str, Bridged] = field(default_factory=dict)
    ended: dict[str, tuple[EndedLeg, datetime]] = field(default_factory=dict)
    untold: dict[str, Leg] = field(default_factory=dict)
    """Calls that were released, and of whose end nobody has told."""
    legs: dict[str, Leg] = field(default_factory=dict)
    """Each call as it was authorized."""
    count: int = 0

    def __post_init__(self) -> None:
        store = self.store
        users = {
            "adele": holds("payPerMinute", "communicationsCredits"),
            "bob": holds("subscription", "communicationsCredits"),
            "carol": holds("subscription"),
        }
        organization = [
            *volume().facts,
            fact("purchased:MCOMEETADV", 1),
            fact("poolMinutesPerLicense", POOL_MINUTES),
        ]
        limit = [fact("monthlySpendLimit", MONTHLY)] if self.limited else []
        changes = [
            LicensingChange(ORGANIZATION, None, tuple(organization)),
            *(
                LicensingChange(ORGANIZATION, name, (*user.facts, *limit))
                for name, user in users.items()
            ),
        ]
        store.record(ORGANIZATION, [(one, receipt(f"said-{n}")) for n, one in enumerate(changes)])
        licensing, calls = RememberedLicensing(store), InMemoryCalls(store)
        rate_cards = PublishedRateCards(CARD)
        self.book = BookCredit(store, IMPATIENT)
        self.charge = ChargeLegs(store, calls, licensing, rate_cards, IMPATIENT)
        self.charge_reported = ChargeReported(store, self.charge)
        self.authorize = AuthorizeCall(
            under_way=store,
            credit=store,
            calls=calls,
            licensing=RememberedLicensing(store),
            rate_cards=rate_cards,
            patience=IMPATIENT,
        )
        again = LookingAgain(
            credit=store,
            calls=calls,
            licensing=RememberedLicensing(store),
            rate_cards=rate_cards,
            patience=IMPATIENT,
        )
        self.rerate = RerateCalls(again, store)
        if self.limited:
            configured = CreditSettings(
                configured_at=LONG_AGO,
                event_id="settings",
                currency="USD",
                daily_spend_limit_micros=DAILY,
                prefix_hourly_spend_limit_micros=HOURLY,
                max_concurrent_calls=4,
            )
            self.book([credit_event(configured, receipt("settings"), LONG_AGO)])

    def buy(self, micros: int, lasts: timedelta) -> None:
        self.count += 1
        identity = f"po-{self.count}"
        bought = Purchase(
            purchase_id=identity,
            amount_micros=micros,
            currency="USD",
            purchased_at=self.now,
            expires_at=self.now + lasts,
        )
        key = receipt(identity, kind=ReceiptKind.PURCHASE)
        (verdict,) = self.book([credit_event(bought, key, self.now)])
        assert isinstance(verdict, Accepted)

    def call(self, organizer: str, number: str, seconds: int | None, rings: int) -> None:
        self.count += 1
        one = leg(
            call_id=f"call-{self.count}",
            organizer_id=organizer,
            remote_number=number,
            answered_at=self.now,
            ended_at=self.now,
        )
        self.legs[one.call_id] = one
        asked = Asked(Operation.AUTHORIZE, 0, seconds)
        request = Request(ORGANIZATION, one.call_id, asked, self.now, one)
        answer = self.authorize(request)
        if answer.decision is Decision.ALLOW:
            ring = timedelta(seconds=rings)
            call = Bridged(one, ring, request, answer, self.now)
            self.calls[one.call_id] = call
            self._note(one.call_id, call)

    def update(self, call_id: str) -> None:
        call = self.calls[call_id]
        used = call.connected(self.now) - call.reported
        call.sequence += 1
        asked = Asked(Operation.UPDATE, call.sequence, None, used)
        call.last = Request(ORGANIZATION, call_id, asked, self.now)
        call.reported += used
        call.answer, call.granted_at = self.authorize(call.last), self.now
        self._note(call_id, call)

    def repeat(self, call_id: str) -> None:
        call = self.calls[call_id]
        assert self.authorize(replace_time(call.last, self.now)) == call.answer

    def hang_up(self, call_id: str, *, released: bool) -> None:
        call = self.calls.pop(call_id)
        seconds = call.connected(self.now)
        if released:
            used = seconds - call.reported
            asked = Asked(Operation.RELEASE, call.sequence + 1, None, used)
            self.authorize(Request(ORGANIZATION, call_id, asked, self.now))
            self._note(call_id, call)
        answered = None if seconds == 0 else self.now - timedelta(seconds=seconds)
        ended = replace(call.leg, answered_at=answered, ended_at=self.now)
        self.ended[call_id] = EndedLeg(ended, self.now), call.until

    def lose(self, call_id: str) -> None:
        """Have a call end of which only its bridge tells."""
        self.hang_up(call_id, released=True)
        self.untold[call_id] = self.ended.pop(call_id)[0].leg

    def run(self) -> None:
        """Let days pass, at the end of which all that was reported is charged."""
        self.pass_time(timedelta(hours=LATE_USAGE_HOURS) + CHARGE_TIMES_APART)
        run = self.charge_reported(self.now)
        run.check()
        for usage in run.charged:
            assert usage.leg == self.untold[usage.leg.call_id]
            assert usage.flags == (Flag.REPORTED_BY_BRIDGE,)
        paid = (usage.charge_micros or usage.pool_minutes for usage in run.charged)
        assert all(paid)
        for call_id, told in self.untold.items():
            assert told.answered_at is None or (ORGANIZATION, call_id) in self.store.usages

    def tell(self, call_id: str) -> None:
        """Tell of the end of a call after all, which confirms what was reported."""
        balance_micros = self.store.account(ORGANIZATION).balance_micros
        was_charged = (ORGANIZATION, call_id) in self.store.usages
        (verdict,) = self.charge([EndedLeg(self.untold.pop(call_id), self.now)])
        assert isinstance(verdict, Accepted)
        assert not verdict.result.reported_by_bridge
        if was_charged:
            assert self.store.account(ORGANIZATION).balance_micros == balance_micros

    def deliver(self, call_ids: list[str]) -> None:
        legs = [replace(self.ended.pop(call_id)[0], reported_at=self.now) for call_id in call_ids]
        verdicts = self.charge([*legs, *legs[:1]])
        assert all(isinstance(one, Accepted | Repeated) for one in verdicts)

    def pass_time(self, step: timedelta) -> None:
        """Let time pass; who must report by then does, and what must be heard of is."""
        until = self.now + step
        while True:
            due = {i: self._due(call) for i, call in self.calls.items() if self._due(call) <= until}
            late = [i for i, (_, lapses) in self.ended.items() if lapses <= until]
            if not due and not late:
                break
            if late:
                self.deliver(late)
                continue
            call_id = min(due, key=lambda i: due[i])
            self.now = max(self.now, due[call_id])
            if self.calls[call_id].answer.granted_seconds == 0:
                self.hang_up(call_id, released=True)
            else:
                self.update(call_id)
        self.now = until

    def _due(self, call: Bridged) -> datetime:
        """Tell when a call must report at the latest: at the end of what it may use."""
        assert call.until > call.granted_at
        if call.answer.report_before is None:
            return call.granted_at
        return call.answer.report_before

    def _note(self, call_id: str, call: Bridged) -> None:
        """Remember until when its end must have reached us."""
        reservation = self.store.under_way[ORGANIZATION, call_id]
        if not self.lots_expire or reservation.answer.granted_seconds:
            lapses = [held.until for held in reservation.held if not held.used]
            used = [held.until for held in reservation.held if held.used]
            call.until = next(iter((*lapses, *used)), self.now + timedelta(minutes=5))

    def check(self) -> None:
        account = self.store.account(ORGANIZATION)
        assert account.balance_micros >= 0
        held = [held for one in self.store.under_way.values() for held in one.held]
        live = [one for one in held if one.used or one.until > self.now]
        assert account.reserved.amount_at(self.now) == sum(one.micros for one in live)
        assert account.reserved.calls_at(self.now) == sum(1 for one in live if not one.used)
        pools = self.store.pools(ORGANIZATION, MONTHS).values()
        held_minutes = sum(pool.held.amount_at(self.now) for pool in pools)
        assert held_minutes == sum(one.minutes for one in live)
        for pool in pools:
            assert pool.used + pool.held.amount_at(self.now) <= POOL_MINUTES
        assert reconcile(self.store.statement(ORGANIZATION)) == ()
        if self.limited:
            self._check_limits(account)

    def _check_limits(self, account: Account) -> None:
        """Sum what calls cost anew, by day, user and prefix."""
        limits = {SpendingKind.DAY: DAILY, SpendingKind.USER: MONTHLY, SpendingKind.PREFIX: HOURLY}
        costs = Counter[SpendingKey]()
        for usage in self.store.usages.values():
            leg, prefix = usage.leg, usage.price.prefix
            at = answered(self.legs[leg.call_id])
            assert usage.authorized_at in {None, at}
            at = usage.began_at
            licensing = self.store.licensing(ORGANIZATION, [leg.organizer_id])
            records = records_of(leg, prefix, at, licensing, account.settings)
            costs.update(dict.fromkeys((day_of(at), *records), usage.charge_micros))
        spendings = Spendings(account.days, {k: one for (_, k), one in self.store.spending.items()})
        for key, micros in costs.items():
            assert micros <= limits[key.kind]
            if micros and spendings[key].corrections == account.corrections:
                assert spendings[key].spent_micros == micros

    def work_off(self) -> None:
        (verdict,) = self.rerate([Wakeup(ORGANIZATION)])
        assert isinstance(verdict, Accepted)


def credit_event(change: Purchase | CreditSettings, key: Receipt, at: datetime) -> CreditEvent:
    return CreditEvent(organization_id=ORGANIZATION, change=change, receipt=key, issued_at=at)


def replace_time(request: Request, at: datetime) -> Request:
    return request._replace(at=at)


STEPS = st.sampled_from(
    [
        *[
            "call",
            "call",
            "call",
            "update",
            "repeat",
            "hang up",
            "deliver",
            "deliver",
            "time",
            "buy",
        ],
        *["lose", "run", "tell"],
    ]
)


CREDIT = st.sampled_from([15_000, 60_000, 200_000, 800_000])


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.booleans(), st.data())
def test_the_balance_never_goes_below_zero(  # noqa: C901 - a case for each step
    limited: bool,  # noqa: FBT001 - drawn
    lots_expire: bool,  # noqa: FBT001 - drawn
    data: st.DataObject,
) -> None:
    world = World(limited, lots_expire)
    world.now = data.draw(st.sampled_from([ANSWERED, MONTHS_END]))
    world.buy(data.draw(CREDIT), timedelta(days=300))
    for step in data.draw(st.lists(STEPS, min_size=12, max_size=50)):
        calls, ended = sorted(world.calls), sorted(world.ended)
        untold = sorted(world.untold)
        match step:
            case "call":
                world.call(
                    data.draw(st.sampled_from(["adele", "bob", "bob", "carol"])),
                    data.draw(st.sampled_from(NUMBERS)),
                    data.draw(st.sampled_from([None, 1, 60, 90, 241, 290, 600])),
                    data.draw(st.integers(0, 60)),
                )
            case "update" if calls:
                world.update(data.draw(st.sampled_from(calls)))
            case "repeat" if calls:
                world.repeat(data.draw(st.sampled_from(calls)))
            case "hang up" if calls:
                call_id = data.draw(st.sampled_from(calls))
                world.hang_up(call_id, released=data.draw(st.booleans()))
            case "deliver" if ended:
                world.deliver(data.draw(st.lists(st.sampled_from(ended), min_size=1, unique=True)))
            case "lose" if calls and not lots_expire:
                world.lose(data.draw(st.sampled_from(calls)))
            case "run" if untold:
                world.run()
            case "tell" if untold:
                world.tell(data.draw(st.sampled_from(untold)))
            case "time":
                world.pass_time(
                    timedelta(seconds=data.draw(st.sampled_from([1, 30, 60, 120, 300, 400])))
                )
            case "buy":
                lasts = data.draw(
                    st.sampled_from([600, 690, 780, 1_200] if lots_expire else [10**7])
                )
                world.buy(data.draw(CREDIT), timedelta(seconds=lasts))
            case _:
                continue
        world.check()
        world.work_off()
        world.check()
