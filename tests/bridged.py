"""The functions over one store, and bridges that do as they are told: what property tests share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from builders import (
    ANSWERED,
    LONG_AGO,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    fact,
    holds,
    phone_call,
    processed_event,
    volume,
)
from daily import charged_by

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.authorize_call import AuthorizeCall, ReceivedRequest
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.daily_expiry import ChargeReported
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted, Duplicate
from perminute.domain.authorization.reservations import Answer, ChargingRequest, Decision, Operation
from perminute.domain.credit.booking import Purchase
from perminute.domain.credit.credit_settings import LATE_USAGE_HOURS, CreditSettings
from perminute.domain.credit.holds import CHARGE_TIMES_APART
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.limits.spending import (
    SpendCounters,
    SpendKey,
    SpendKind,
    day_of,
    spend_keys_of,
)
from perminute.domain.pools.pools import Month
from perminute.domain.rating.rate_card import RateCard
from perminute.domain.rating.usage_record import Flag
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import ProcessedEvent
    from perminute.domain.rating.calls import Call

CARD = card(
    "dialOut,49,DE,USD,0.015,,60,60,0,,2026-12-01T00:00:00Z",
    "dialOut,49,DE,USD,0.03,0.01,60,60,0,2026-12-01T00:00:00Z,",
    "dialOut,44,GB,USD,0.40,0.10,30,6,0,,2026-12-01T00:00:00Z",
    "dialOut,44,GB,USD,0.02,0.10,30,6,0,2026-12-01T00:00:00Z,",
    "dialOut,371,LV,USD,0.50,0.05,60,60,0,,",
    "dialOut,371,LV,USD,0.70,,60,60,120,,",
    "tollFreeDialIn,1800,US,USD,0.022,,60,60,0,,",
    header="leg_type,prefix,country,currency,rate_per_minute,connection_fee,"
    "initial_increment_seconds,increment_seconds,from_second,effective_from,effective_to",
)
DEARER = RateCard(
    card(
        "dialOut,49,DE,USD,0.12,0.05,60,60,0,,",
        "dialOut,44,GB,USD,0.30,0.10,60,60,0,,",
        "dialOut,371,LV,USD,0.90,0.05,60,60,0,,",
        "tollFreeDialIn,1800,US,USD,0.022,,60,60,0,,",
        header="leg_type,prefix,country,currency,rate_per_minute,connection_fee,"
        "initial_increment_seconds,increment_seconds,from_second,effective_from,effective_to",
    ).rates,
    version="dearer",
)
CARDS = (CARD, DEARER)
SECOND = timedelta(seconds=1)
CHANGING = ("+493023125042", "+442079460100")
NUMBERS = ("+493023125042", *CHANGING, "+37121234567")
DAILY, MONTHLY, HOURLY = 400_000, 250_000, 120_000
POOL_MINUTES = 12
MONTHS = (Month(2026, 11), Month(2026, 12))
MONTHS_END = datetime(2026, 12, 1, tzinfo=UTC)
"""When a month ends, and rates change: one grows and one falls."""


@dataclass
class Bridged:
    """A call as its bridge sees it: by the last answer that it heard."""

    call: Call
    answered_at: datetime
    skew: timedelta
    last: ReceivedRequest
    answer: Answer
    granted_at: datetime
    sequence: int = 0
    reported: int = 0
    deaf: bool = False
    until: datetime = ANSWERED

    def connected(self, at: datetime) -> int:
        """Count the seconds that it has lasted."""
        return max(0, (at - self.answered_at) // SECOND)

    @property
    def must_report_at(self) -> datetime:
        """When to hang up at the latest, unless more is granted."""
        hang_up_after = self.answer.hang_up_after_seconds
        if hang_up_after is None:
            return self.granted_at
        return max(self.granted_at, self.answered_at + hang_up_after * SECOND)


@dataclass
class World:
    """The functions over one store, and bridges that obey."""

    limited: bool
    lots_expire: bool
    store: InMemoryStore = field(default_factory=InMemoryStore)
    now: datetime = ANSWERED
    calls: dict[str, Bridged] = field(default_factory=dict)
    ended: dict[str, tuple[EndedCall, datetime]] = field(default_factory=dict)
    untold: dict[str, Call] = field(default_factory=dict)
    """Calls that were released, and of whose end nobody has told."""
    authorized: dict[str, Call] = field(default_factory=dict)
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
        store.record(
            ORGANIZATION, [(one, processed_event(f"said-{n}")) for n, one in enumerate(changes)]
        )
        licensing, calls = LicensingCache(store), InMemoryCalls(store)
        rate_cards = self.rate_cards = PublishedRateCards(CARD)
        self.book = BookCredit(store, WITHOUT_WAITING)
        self.charge = ChargeCalls(store, calls, licensing, rate_cards, WITHOUT_WAITING)
        self.charge_reported = ChargeReported(store, self.charge)
        self.authorize = AuthorizeCall(
            under_way=store,
            credit=store,
            calls=calls,
            licensing=LicensingCache(store),
            rate_cards=rate_cards,
            retry=WITHOUT_WAITING,
        )
        again = RecordedCalls(
            credit=store,
            calls=calls,
            licensing=LicensingCache(store),
            rate_cards=rate_cards,
            retry=WITHOUT_WAITING,
        )
        self.rerate = RerateCalls(again, store)
        if self.limited:
            self.limit()

    def limit(self) -> None:
        """Have the admins set limits."""
        configured = CreditSettings(
            configured_at=LONG_AGO,
            event_id="settings",
            currency="USD",
            daily_spend_limit_micros=DAILY,
            prefix_hourly_spend_limit_micros=HOURLY,
            max_concurrent_calls=4,
            max_grant_seconds=60,
        )
        self.book([credit_event(configured, processed_event("settings"), LONG_AGO)])

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
        key = processed_event(identity, kind=IdentityKind.PURCHASE)
        (result,) = self.book([credit_event(bought, key, self.now)])
        assert isinstance(result, Accepted)

    def call(
        self, organizer: str, number: str, seconds: int | None, times: tuple[int, int]
    ) -> None:
        """Begin a call that rings for so many seconds, and so many by its own clock."""
        self.count += 1
        one = phone_call(
            call_id=f"call-{self.count}",
            organizer_id=organizer,
            remote_number=number,
            answered_at=self.now,
            ended_at=self.now,
        )
        self.authorized[one.call_id] = one
        asked = ChargingRequest(Operation.AUTHORIZE, 0, seconds)
        request = ReceivedRequest(ORGANIZATION, one.call_id, asked, self.now, one)
        answer = self.authorize(request)
        if answer.hang_up_after_seconds:
            rings, said = (seconds * SECOND for seconds in times)
            call = Bridged(one, self.now + rings, said - rings, request, answer, self.now)
            self.calls[one.call_id] = call
            self._note(one.call_id, call)
        elif answer.decision is Decision.ALLOW:
            self.authorize(
                ReceivedRequest(
                    ORGANIZATION, one.call_id, ChargingRequest(Operation.RELEASE, 1), self.now
                )
            )

    def update(self, call_id: str, wanted: int | None = None, *, heard: bool = True) -> None:
        """Report, by one figure or the other; the answer may be lost."""
        call = self.calls[call_id]
        total = call.connected(self.now)
        call.sequence += 1
        used = (0, total) if call.sequence % 2 else (total - call.reported, None)
        asked = ChargingRequest(Operation.UPDATE, call.sequence, wanted, *used)
        call.last = ReceivedRequest(ORGANIZATION, call_id, asked, self.now)
        answer = self.authorize(call.last)
        if heard:
            call.reported, call.answer, call.granted_at = total, answer, self.now
            self._note(call_id, call)
        call.deaf = not heard

    def repeat(self, call_id: str) -> None:
        call = self.calls[call_id]
        answer = self.authorize(replace_time(call.last, self.now))
        assert call.deaf or answer == call.answer

    def hang_up(self, call_id: str, *, released: bool, takes: timedelta = timedelta()) -> None:
        """End a call now, which takes a moment; a bridge that heard no answer releases nothing."""
        call = self.calls.pop(call_id)
        lasted = max(timedelta(), self.now + takes - call.answered_at)
        if released and not call.deaf:
            used = -(-lasted // SECOND) - call.reported
            asked = ChargingRequest(Operation.RELEASE, call.sequence + 1, None, used)
            self.authorize(ReceivedRequest(ORGANIZATION, call_id, asked, self.now))
            self._note(call_id, call, released=True)
        answered_at = call.answered_at + call.skew
        ended = replace(
            call.call,
            answered_at=answered_at if lasted else None,
            ended_at=answered_at + lasted,
        )
        self.ended[call_id] = EndedCall(ended, self.now), call.until

    def lose(self, call_id: str, waits: timedelta) -> None:
        """Have a call end that only its bridge reports, and that not at once."""
        call = self.calls.pop(call_id)
        seconds = call.connected(self.now)
        self.pass_time(waits)
        asked = ChargingRequest(Operation.RELEASE, call.sequence + 1, None, seconds - call.reported)
        self.authorize(ReceivedRequest(ORGANIZATION, call_id, asked, self.now))
        lasted, authorized_at = seconds * SECOND, call.call.rated_at
        answered_at = min(self.now - lasted, authorized_at + timedelta(minutes=1))
        self.untold[call_id] = replace(
            call.call,
            answered_at=answered_at if seconds else None,
            ended_at=answered_at + lasted,
        )

    def run(self) -> None:
        """Let days pass, at the end of which all that was reported is charged."""
        self.pass_time(timedelta(hours=LATE_USAGE_HOURS) + CHARGE_TIMES_APART)
        for usage in charged_by(self.charge_reported, self.now):
            assert usage.call == self.untold[usage.call.call_id]
            assert usage.flags == (Flag.REPORTED_BY_BRIDGE,)
            # What is reserved of a pool is of the month of the authorization.
            same_month = Month.of(usage.began_at) == Month.of(usage.call.rated_at)
            assert usage.charge_micros or usage.pool_minutes or not same_month
        for call_id, told in self.untold.items():
            assert told.answered_at is None or (ORGANIZATION, call_id) in self.store.usages

    def tell(self, call_id: str) -> None:
        """Have a `Call Ended` come after all, which confirms what was reported."""
        charged = self.store.usages.get((ORGANIZATION, call_id))
        (result,) = self.charge([EndedCall(self.untold.pop(call_id), self.now)])
        assert isinstance(result, Accepted)
        assert not result.result.reported_by_bridge
        if charged is not None:
            assert result.result.charge_micros == charged.charge_micros

    def deliver(self, call_ids: list[str]) -> None:
        calls = [replace(self.ended.pop(call_id)[0], reported_at=self.now) for call_id in call_ids]
        results = self.charge([*calls, *calls[:1]])
        assert all(isinstance(one, Accepted | Duplicate) for one in results)

    def pass_time(self, step: timedelta) -> None:
        """Let time pass; who must report by then does, and what must be heard of is."""
        until = self.now + step
        while True:
            must_at = {call_id: call.must_report_at for call_id, call in self.calls.items()}
            due = {call_id: at for call_id, at in must_at.items() if at <= until}
            late = [i for i, (_, lapses) in self.ended.items() if lapses <= until]
            if not due and not late:
                break
            if late:
                self.deliver(late)
                continue
            call_id = min(due, key=lambda i: due[i])
            self.now = max(self.now, due[call_id])
            call = self.calls[call_id]
            if call.deaf or call.granted_at == call.must_report_at:
                self.hang_up(call_id, released=True, takes=timedelta(seconds=1.999))
            else:
                self.update(call_id)
        self.now = until

    def _note(self, call_id: str, call: Bridged, *, released: bool = False) -> None:
        """Remember until when its end must have reached us."""
        reservation = self.store.under_way[ORGANIZATION, call_id]
        used = [held.until for held in reservation.held if held.used]
        if reservation.promised is not None:
            call.until = reservation.promised.until
        elif released and not self.lots_expire:
            call.until = next(iter(used), self.now + timedelta(minutes=5))
        elif not reservation.held:
            call.until = self.now + timedelta(minutes=5)

    def check(self) -> None:
        account = self.store.account(ORGANIZATION)
        assert account.balance_micros >= 0
        held = [held for one in self.store.under_way.values() for held in one.held]
        live = [one for one in held if one.used or one.until > self.now]
        assert account.reserved.amount_at(self.now) == sum(one.micros for one in live)
        assert account.reserved.calls_at(self.now) == sum(one.calls for one in live if not one.used)
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
        limits = {SpendKind.DAY: DAILY, SpendKind.USER: MONTHLY, SpendKind.PREFIX: HOURLY}
        costs = Counter[SpendKey]()
        for usage in self.store.usages.values():
            call, prefix = usage.call, usage.price.prefix
            at = self.authorized[call.call_id].rated_at
            assert usage.authorized_at in {None, at}
            at = usage.began_at
            licensing = self.store.licensing(ORGANIZATION, [call.organizer_id])
            records = spend_keys_of(call, prefix, at, licensing, account.settings)
            costs.update(dict.fromkeys((day_of(at), *records), usage.charge_micros))
        corrected = self.store.spend_changes(ORGANIZATION, after=0, until=account.corrections)
        counted = {
            key: one.with_changes(
                chain.from_iterable(
                    changes for number, changes in corrected.items() if number > one.corrections
                ),
                account.corrections,
            )
            for (_, key), one in self.store.spending.items()
        }
        spend_counters = SpendCounters(account.days, counted)
        kept = {day.key for day in account.days}
        for key, micros in costs.items():
            assert micros <= limits[key.kind]
            if micros and (key.kind is not SpendKind.DAY or key in kept):
                assert spend_counters[key].spent_micros == micros

    def work_off(self) -> None:
        (result,) = self.rerate([ReratingRequest(ORGANIZATION)])
        assert isinstance(result, Accepted)


def credit_event(
    change: Purchase | CreditSettings, key: ProcessedEvent, at: datetime
) -> CreditEvent:
    return CreditEvent(
        organization_id=ORGANIZATION, change=change, processed_event=key, issued_at=at
    )


def replace_time(request: ReceivedRequest, at: datetime) -> ReceivedRequest:
    return request._replace(at=at)
