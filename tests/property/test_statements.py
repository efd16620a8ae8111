"""A statement adds up, whatever is posted, however late, and a stated month stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from builders import (
    MICROS,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    fact,
    holds,
    processed_event,
    volume,
)
from daily import Expiry
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from perminute.adapters.memory import (
    InMemoryCalls,
    InMemoryPostings,
    InMemoryStore,
    PublishedRateCards,
)
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.correct_rates import CorrectRates, RateCorrection
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.reporting.ledger import LedgerQuestion, ledger_page
from perminute.application.reporting.statement import StatementQuestion, read_statement
from perminute.application.reporting.usage import usages_of
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.application.retry import NEVER
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Decision,
    Operation,
    Reservation,
)
from perminute.domain.credit.booking import Adjustment, Purchase
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.pools.pools import Month
from perminute.domain.rating.rate_card import RateCard
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.periods import Period
from perminute.domain.reporting.postings import ListedUsage
from perminute.domain.reporting.statement import Basis, Statement, stated_at
from perminute.domain.reporting.usage_sums import UsageFilter

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
MONTHS = (Month(2026, 10), Month(2026, 11), Month(2026, 12), Month(2027, 1))
HEADER = "leg_type,prefix,country,currency,rate_per_minute"
CARD = card("dialOut,49,DE,USD,0.1", "dialOut,44,GB,USD,0.5", header=HEADER)
DEARER = RateCard(
    card("dialOut,49,DE,USD,0.3", "dialOut,44,GB,USD,0.2", header=HEADER).rates, version="dearer"
)
NUMBERS = ("+493023125042", "+442079460100")
LICENSES = ("payPerMinute", "communicationsCredits")


@dataclass
class World:
    """An organization around the end of a month, to which everything is reported days late."""

    store: InMemoryStore = field(default_factory=InMemoryStore)
    now: datetime = START
    number: int = 0
    bridged: dict[str, EndedCall] = field(default_factory=dict)

    def __post_init__(self) -> None:
        organization = [
            *volume().facts,
            fact("purchased:MCOMEETADV", 1),
            fact("poolMinutesPerLicense", 10),
        ]
        users = {
            "adele": holds("subscription", "communicationsCredits"),
            "bob": holds(*LICENSES),
            "cary": holds(LICENSES[0]),
        }
        changes = [
            LicensingChange(ORGANIZATION, None, tuple(organization)),
            *(
                LicensingChange(ORGANIZATION, user, tuple(held.facts))
                for user, held in users.items()
            ),
            LicensingChange(ORGANIZATION, "cary", tuple(holds(LICENSES[0]).facts)),
        ]
        self.store.record(
            ORGANIZATION, [(one, processed_event(f"said-{n}")) for n, one in enumerate(changes)]
        )
        parts: tuple[Any, ...] = (
            InMemoryCalls(self.store),
            LicensingCache(self.store),
            PublishedRateCards(CARD, {DEARER.version: DEARER}),
            WITHOUT_WAITING,
        )
        self.charge = ChargeCalls(self.store, *parts)
        self.book = BookCredit(self.store, WITHOUT_WAITING)
        recorded = RecordedCalls(self.store, *parts)
        self.rerate, self.correct = RerateCalls(recorded, self.store), CorrectRates(recorded)
        self.apply = ApplyLicensing(self.store, WITHOUT_WAITING)
        self.buy(20, timedelta(days=365), timedelta(hours=1))

    def statement(self, month: Month, basis: Basis = Basis.NOW) -> Statement:
        postings = InMemoryPostings(self.store)
        question = StatementQuestion(ORGANIZATION, month, basis, with_details=True)
        return read_statement(postings, question, NEVER)[1]

    def buy(self, units: int, lasts: timedelta, late: timedelta) -> None:
        self._book(
            lambda name: Purchase(
                purchase_id=name,
                amount_micros=units * MICROS,
                currency="USD",
                purchased_at=self.now - late,
                expires_at=self.now - late + lasts,
            ),
            IdentityKind.PURCHASE,
            late,
        )

    def take_back(self, units: int, late: timedelta) -> None:
        """Take back what was bought first, if as much of it is left to take."""
        self.adjust(-units, late, "credit-1")

    def adjust(self, units: int, late: timedelta, purchase_id: str | None = None) -> None:
        expires_at = self.now + timedelta(days=5)
        self._book(
            lambda name: Adjustment(name, units * MICROS, expires_at, purchase_id),
            IdentityKind.ADJUSTMENT,
            late,
        )

    def _book(
        self,
        change: Callable[[str], Purchase | Adjustment],
        kind: IdentityKind,
        late: timedelta,
    ) -> None:
        name = self._name("credit")
        (result,) = self.book(
            [
                CreditEvent(
                    organization_id=ORGANIZATION,
                    change=change(name),
                    processed_event=processed_event(name, kind=kind),
                    issued_at=self.now - late,
                    heard_at=self.now,
                )
            ]
        )
        assert isinstance(result, Accepted | Refused)

    def report(self, calls: list[dict[str, Any]]) -> None:
        self.deliver([self.call(**call) for call in calls])

    def call(self, organizer: str, number: str, late: timedelta, *, by_bridge: bool) -> EndedCall:
        name = self._name("call")
        until = self.now - late
        one = ended(
            call_id=name,
            organizer_id=organizer,
            remote_number=number,
            answered_at=until - timedelta(minutes=7),
            ended_at=until,
        )
        end = replace(one, reported_at=self.now - late / 2, heard_at=self.now)
        if by_bridge:
            self.bridged[name] = end
            reserved = self.store.under_way[ORGANIZATION, name] = _reserved(end)
            end = replace(end, reservation=reserved)
        return end

    def end_after_all(self, moved_by: timedelta) -> None:
        """Send the `Call Ended` of a call that was charged by the reports of its bridge."""
        for name, end in list(self.bridged.items())[:1]:
            del self.bridged[name]
            until = min(end.call.ended_at + moved_by, self.now)
            call = replace(end.call, answered_at=until - timedelta(minutes=9), ended_at=until)
            self.deliver([EndedCall(call, self.now, self.now)])

    def deliver(self, calls: list[EndedCall]) -> None:
        assert all(isinstance(result, Accepted) for result in self.charge(calls))
        self.work_off()

    def license(self, since: timedelta, *, assigned: bool) -> None:
        """Have the license of an organizer turn out to be assigned, or removed, some time ago."""
        held = fact(license_attribute("MCOPSTNC"), assigned, self.now - since)
        change = LicensingChange(ORGANIZATION, "cary", (replace(held, issued_at=self.now),))
        applied = self.apply(
            [LicensingEvent(change, processed_event(self._name("license")), self.now)]
        )
        assert isinstance(applied[0], Accepted)
        self.work_off()

    def correct_rates(self, version: RateCard, since: timedelta) -> None:
        """Have another card turn out to be the right one for the calls of some time."""
        correction = RateCorrection(version.version, self.now - since, self.now, self.now)
        for total in self.correct.book(ORGANIZATION, correction):
            assert total.looked_at
        self.work_off()

    def expire(self) -> None:
        Expiry(self.store).all(self.now)

    def work_off(self) -> None:
        for _ in range(20):
            if not self.store.unsettled_months(ORGANIZATION) and not self.store.reratings:
                return
            self.rerate([ReratingRequest(ORGANIZATION)])

    def _name(self, kind: str) -> str:
        self.number += 1
        return f"{kind}-{self.number}"


def _reserved(end: EndedCall) -> Reservation:
    request = ChargingRequest(Operation.RELEASE, 1)
    return Reservation(call=end.call, last_request=request, answer=Answer(0, Decision.ALLOW))


Step = tuple[str, dict[str, Any]]

LATE = st.integers(0, 110).map(lambda hours: hours * HOUR)
CALL = st.fixed_dictionaries(
    {
        "organizer": st.sampled_from(["adele", "bob", "cary"]),
        "number": st.sampled_from(NUMBERS),
        "late": LATE,
        "by_bridge": st.booleans(),
    }
)
UNITS = st.integers(1, 6)
REPORTED = st.tuples(
    st.just("report"), st.fixed_dictionaries({"calls": st.lists(CALL, min_size=1, max_size=3)})
)
STEPS: st.SearchStrategy[Step] = st.one_of(
    REPORTED,
    REPORTED,
    REPORTED,
    st.tuples(
        st.just("end_after_all"),
        st.fixed_dictionaries({"moved_by": st.integers(-60, 60).map(lambda hours: hours * HOUR)}),
    ),
    st.tuples(
        st.just("license"), st.fixed_dictionaries({"since": LATE, "assigned": st.booleans()})
    ),
    st.tuples(
        st.just("correct_rates"),
        st.fixed_dictionaries({"since": LATE, "version": st.sampled_from([CARD, DEARER])}),
    ),
    st.tuples(
        st.just("buy"),
        st.fixed_dictionaries(
            {"units": UNITS, "lasts": st.integers(24, 240).map(lambda h: h * HOUR), "late": LATE}
        ),
    ),
    st.tuples(
        st.just("adjust"),
        st.fixed_dictionaries(
            {
                "units": st.sampled_from([-4, -1, 1, 3]),
                "late": LATE,
            }
        ),
    ),
    st.tuples(st.just("take_back"), st.fixed_dictionaries({"units": UNITS, "late": LATE})),
    st.tuples(st.just("expire"), st.just({})),
)
HISTORIES = st.lists(
    st.tuples(st.integers(1, 24).map(lambda hours: hours * HOUR), STEPS), min_size=8, max_size=24
)


def _late(organizer: str, late: timedelta) -> dict[str, Any]:
    return {"organizer": organizer, "number": NUMBERS[0], "late": late, "by_bridge": False}


WAITING: list[tuple[timedelta, Step]] = [
    (20 * HOUR, ("report", {"calls": [_late("bob", 21 * HOUR)]})),
    (3 * HOUR, ("end_after_all", {"moved_by": timedelta(0)})),
    (24 * HOUR, ("report", {"calls": [_late("adele", timedelta(0))]})),
    (24 * HOUR, ("buy", {"units": 1, "lasts": 24 * HOUR, "late": 73 * HOUR})),
    (13 * HOUR, ("correct_rates", {"since": timedelta(0), "version": CARD})),
]
"""What the purchase lets be rated again waits for the next step: until the month is stated."""


@settings(max_examples=100)
@given(HISTORIES)
@example(WAITING)
def test_a_statement_adds_up_and_a_stated_month_stays(
    history: list[tuple[timedelta, Step]],
) -> None:
    world, stated = World(), dict[Month, Statement]()
    for step, (name, changed) in history:
        world.now += step
        for month in MONTHS:
            if world.now >= stated_at(month) and month not in stated:
                # As it is before anything is received so late: what waits was received before.
                world.work_off()
                stated[month] = world.statement(month)
        getattr(world, name)(**changed)
        for month, before in stated.items():
            assert same(world.statement(month, Basis.STATED), before)
    check(world)


def check(world: World) -> None:
    """Compare the statements with all that is recorded."""
    entries, usages = world.store.entries, world.store.usages.values()
    closing_micros = 0
    for month in MONTHS:
        found = world.statement(month)
        assert found.differences == ()
        assert world.statement(month, Basis.STATED).differences == ()
        assert found.opening_micros == closing_micros
        closing_micros = found.closing_micros
        assert closing_micros == sum(e.amount_micros for e in entries if e.at < month.end)
        own = [entry for entry in entries if Month.of(entry.at) == month]
        assert [stated.entry for stated in found.entries] == own
        for entry, number in found.entries:
            moved = [one for u in usages for one in u.movements if one.entry_id == entry.entry_id]
            assert not entry.of_calls or number == len(moved)
        assert found.sums.by_type.total() == closing_micros - found.opening_micros
        calls = [u for u in usages if Month.of(u.call.ended_at) == month]
        assert found.usage.charge_micros == sum(usage.charge_micros for usage in calls)
        assert found.usage.pool_minutes == sum(usage.pool_minutes for usage in calls)
        lots_micros = sum(
            lot.bought_micros - lot.used_micros - lot.expired_micros + lot.adjusted_micros
            for lot in found.sums.lots.values()
        )
        assert closing_micros - found.opening_micros == lots_micros - found.sums.debt_micros
        for rows in found.broken_down.values():
            micros = sum(row.sums.charge_micros for row in rows)
            assert micros == found.usage.charge_micros
        event(f"{month}: other months {bool(found.bridge.other_months_micros)}")
        event(f"{month}: booked later {bool(found.bridge.booked_later_micros)}")
        event(f"{month}: changed {bool(found.changed)}")


def same(stated: Statement, before: Statement) -> bool:
    """Whether a statement is as it was before it was stated, but for what has changed since."""
    return replace(stated, changed={}) == replace(before, basis=Basis.STATED, changed={})


@settings(max_examples=50)
@given(HISTORIES)
def test_usage_and_ledger_name_each_call_as_it_is_recorded(
    history: list[tuple[timedelta, Step]],
) -> None:
    world = World()
    for step, (name, changed) in history:
        world.now += step
        getattr(world, name)(**changed)
    postings, period = InMemoryPostings(world.store), Period(START - YEAR, START + YEAR)
    account, recorded = postings.account(ORGANIZATION), world.store.usages.values()
    listed = usages_of(postings, account, period, UsageFilter(), NEVER)
    paid = (usage for usage in recorded if usage.outcome is not Outcome.FREE)
    assert sorted(listed) == sorted(map(ListedUsage.of, paid))
    question = LedgerQuestion(ORGANIZATION, account.entries, period)
    page = ledger_page(postings, question, limit=200, after=None, deadline=NEVER)
    for entry, call_ids in page.entries:
        moved = {
            usage.call.call_id
            for usage in recorded
            for entry_id, _ in usage.movements
            if entry_id == entry.entry_id
        }
        assert set(call_ids) == (moved or set(entry.call_ids))
        assert len(call_ids) == len(set(call_ids))
    assert len(page.entries) == account.entries
