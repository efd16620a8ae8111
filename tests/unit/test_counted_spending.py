"""Limits are counted a piece at a time, and corrections are never counted anew."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from builders import (
    ANSWERED,
    IMPATIENT,
    LONG_AGO,
    ORGANIZATION,
    ORGANIZER,
    card,
    ended,
    entitled_changes,
    fact,
    leg,
    purchase,
    receipt,
)

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application import counted_spending
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.authorize_call import AuthorizeCall, Request
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_legs import ChargeLegs
from perminute.application.looking_again import LookingAgain
from perminute.application.patience import NEVER, Deadline
from perminute.application.remembered_licensing import RememberedLicensing
from perminute.application.rerate_calls import RerateCalls, Wakeup
from perminute.application.verdicts import Accepted
from perminute.domain.credit_settings import CreditSettings
from perminute.domain.errors import Contended, Unavailable
from perminute.domain.licensing import LicensingChange, license_attribute
from perminute.domain.notifications import SpendLimitReached
from perminute.domain.reservations import Asked, Operation
from perminute.domain.spending import SpendingKey, SpendingKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perminute.domain.reservations import Answer
    from perminute.domain.timelines import Fact
    from perminute.ports import CallList

PAID = 150_000
"""What ten minutes cost."""
FIRST = datetime(2026, 11, 1, 9, tzinfo=UTC)
DAYS = 12
NOW = FIRST + timedelta(days=DAYS)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
OF_MONTH = SpendingKey(SpendingKind.USER, ORGANIZER, NOVEMBER)


@dataclass
class CountedCalls(InMemoryCalls):
    """Counts the lists that are read; `seen` is called with their number."""

    read: int = 0
    seen: Callable[[int], None] = lambda _: None

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        for listed in super().lists(organization_id, since=since, after=after):
            self.read += 1
            self.seen(self.read)
            yield listed


@dataclass
class World:
    """An organizer who has called once a day, for `DAYS` days of November."""

    store: InMemoryStore = field(default_factory=InMemoryStore)
    said: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.store.record(ORGANIZATION, entitled_changes())
        BookCredit(self.store, IMPATIENT)([purchase(amount=1_000)])
        self.calls = CountedCalls(self.store)
        licensing, cards = RememberedLicensing(self.store), PublishedRateCards(card())
        parts = self.store, self.calls, licensing, cards, IMPATIENT
        self.charging = ChargeLegs(*parts)
        self.rerating = RerateCalls(LookingAgain(*parts), self.store)
        self.authorizing = AuthorizeCall(
            under_way=self.store,
            credit=self.store,
            calls=self.calls,
            licensing=licensing,
            rate_cards=cards,
            patience=IMPATIENT,
        )
        for day in range(DAYS):
            self.end(f"call-{day:02}", FIRST + timedelta(days=day))

    def end(self, call_id: str, at: datetime = NOW) -> None:
        one = ended(call_id=call_id, answered_at=at, ended_at=at + timedelta(minutes=10))
        (verdict,) = self.charging([replace(one, reported_at=max(at, ANSWERED))])
        assert isinstance(verdict, Accepted), verdict

    def say(self, one: Fact, user: str | None = ORGANIZER) -> None:
        self.said["fact"] += 1
        key = receipt(f"fact-{self.said['fact']}")
        event = LicensingEvent(LicensingChange(ORGANIZATION, user, (one,)), key, NOW)
        assert ApplyLicensing(self.store, IMPATIENT)([event]) == [Accepted(None)]

    def limit_prefixes(self, micros: int | None) -> None:
        self.said["settings"] += 1
        at = LONG_AGO + timedelta(seconds=self.said["settings"])
        settings = CreditSettings(
            configured_at=at,
            event_id=f"s-{self.said['settings']}",
            currency="USD",
            prefix_hourly_spend_limit_micros=micros,
        )
        event = CreditEvent(
            organization_id=ORGANIZATION,
            change=settings,
            receipt=receipt(settings.event_id),
            issued_at=at,
        )
        assert isinstance(BookCredit(self.store, IMPATIENT)([event])[0], Accepted)

    def authorize(self, call_id: str, at: datetime = NOW, deadline: Deadline = NEVER) -> Answer:
        one = leg(call_id=call_id, answered_at=at, ended_at=at)
        request = Request(ORGANIZATION, call_id, Asked(Operation.AUTHORIZE, 0, 600), at, one)
        return self.authorizing(request, deadline)

    def correct(self) -> None:
        """Have all calls until the sixth day turn out to be free, in a posting of its own."""
        held = license_attribute("MCOMEETACPEA")
        self.say(fact(held, value=False, since=LONG_AGO + timedelta(seconds=1)))
        self.say(fact(held, value=True, since=FIRST + timedelta(days=5, hours=-1)))
        while self.store.waiting(ORGANIZATION):
            (verdict,) = self.rerating([Wakeup(ORGANIZATION)])
            assert isinstance(verdict, Accepted), verdict
        self.calls.read = 0

    def of_month(self) -> int:
        account = self.store.account(ORGANIZATION)
        read = counted_spending.spendings_of(self.store, self.calls, account, [OF_MONTH])
        return read[OF_MONTH].spent_micros


@pytest.fixture
def piecemeal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted_spending, "MAX_LISTS", 2)


def test_a_correction_has_no_call_counted_again() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", 100 * PAID))
    assert world.of_month() == DAYS * PAID
    world.end("counts it")
    world.correct()
    world.end("after it")
    assert world.calls.read == 0
    assert world.of_month() == (DAYS + 2 - 5) * PAID
    assert world.calls.read == 0
    world.authorize("asks")
    assert world.calls.read == 0


def test_what_is_corrected_before_it_is_counted_counts_as_it_is_by_then() -> None:
    world = World()
    world.correct()
    world.say(fact("monthlySpendLimit", 100 * PAID))
    assert world.of_month() == (DAYS - 5) * PAID


@pytest.mark.usefixtures("piecemeal")
def test_a_correction_amid_the_counting_changes_only_what_is_counted() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", 100 * PAID))
    for number in range(2):
        world.end(f"charged-{number}")
    (record,) = world.store.spending.values()
    assert (record.spent_micros, record.counted_before) == (4 * PAID, FIRST.date() + timedelta(4))
    world.correct()
    assert world.of_month() == (DAYS + 2 - 5) * PAID


@pytest.mark.usefixtures("piecemeal")
def test_a_charge_counts_one_piece_and_does_not_wait_for_the_others() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", PAID))
    world.end("first")
    assert world.calls.read == 3
    assert not [one for one in world.store.outbox if isinstance(one.news, SpendLimitReached)]
    for number in range(6):
        world.end(f"later-{number}")
    (record,) = world.store.spending.values()
    assert (record.spent_micros, record.counted_before) == ((DAYS + 7) * PAID, None)
    assert len([one for one in world.store.outbox if isinstance(one.news, SpendLimitReached)]) == 1


def test_a_charge_is_made_although_the_calls_before_cannot_be_read() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", PAID))

    def broken(_: int) -> None:
        raise Unavailable("a list cannot be read")

    world.calls.seen = broken
    world.end("first")
    with pytest.raises(Unavailable, match="cannot be read"):
        world.authorize("asks")
    world.calls.seen = lambda _: None
    assert world.of_month() == (DAYS + 1) * PAID


@pytest.mark.usefixtures("piecemeal")
def test_what_is_counted_stays_counted_though_the_account_moves() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", 100 * PAID))

    def moving(read: int) -> None:
        if read % 8 == 0:
            account = world.store.accounts[ORGANIZATION]
            world.store.accounts[ORGANIZATION] = replace(account, version=account.version + 1)

    world.calls.seen = moving
    assert world.authorize("asks").granted_seconds == 600
    assert world.of_month() == DAYS * PAID
    # A piece reads two days and the beginning of the third. Counted in one go it would never end.
    assert world.calls.read < 3 * DAYS


@pytest.mark.usefixtures("piecemeal")
def test_counting_ends_with_its_time_and_goes_on_from_there() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", 100 * PAID))
    times = iter(range(10))
    with pytest.raises(Unavailable, match="no time was left"):
        world.authorize("asks", deadline=Deadline(3, lambda: next(times)))
    (record,) = world.store.spending.values()
    assert record.counted_before == FIRST.date() + timedelta(days=4)
    assert world.authorize("asks again").granted_seconds == 600


@pytest.mark.usefixtures("piecemeal")
def test_a_release_does_not_wait_until_calls_are_counted() -> None:
    world = World()
    world.authorize("asks")
    world.say(fact("monthlySpendLimit", 100 * PAID))
    world.calls.read = 0
    world.authorizing(Request(ORGANIZATION, "asks", Asked(Operation.RELEASE, 1), NOW))
    assert world.calls.read == 3


def test_several_records_are_counted_by_one_reading() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", 100 * PAID))
    world.limit_prefixes(100 * PAID)
    world.authorize("asks", FIRST)
    assert world.calls.read == DAYS
    spent = {key.kind: one.spent_micros for (_, key), one in world.store.spending.items()}
    assert spent == {SpendingKind.USER: DAYS * PAID, SpendingKind.PREFIX: PAID}


def test_another_limit_of_prefixes_has_nothing_counted_again() -> None:
    world = World()
    world.limit_prefixes(100 * PAID)
    world.authorize("asks", FIRST)
    world.calls.read = 0
    world.limit_prefixes(99 * PAID)
    world.authorize("asks again", FIRST)
    assert world.calls.read == 0


@pytest.mark.usefixtures("piecemeal")
def test_who_moves_the_account_without_end_has_others_told_so() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", 100 * PAID))

    def moving(_: int) -> None:
        account = world.store.accounts[ORGANIZATION]
        world.store.accounts[ORGANIZATION] = replace(account, version=account.version + 1)

    world.calls.seen = moving
    with pytest.raises(Contended):
        world.authorize("asks")
