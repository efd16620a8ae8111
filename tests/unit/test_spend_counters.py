"""Limits are counted a piece at a time, and corrections are never counted anew."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from builders import (
    ANSWERED,
    LONG_AGO,
    ORGANIZATION,
    ORGANIZER,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    fact,
    phone_call,
    processed_event,
    purchase,
)

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application import spend_counters
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.authorize_call import AuthorizeCall, ReceivedRequest
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.application.retry import NEVER, Deadline
from perminute.application.spend_counters import (
    MAX_CORRECTIONS,
    MAX_LISTS,
    spend_counters_so_far,
)
from perminute.domain.authorization.reservations import ChargingRequest, Operation
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import entry_id
from perminute.domain.errors import Contended, Unavailable
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.limits.spending import (
    SpendChange,
    SpendCounter,
    SpendCounters,
    SpendKey,
    SpendKind,
    spend_changes,
)
from perminute.domain.notifications.notifications import SpendLimitReached
from perminute.domain.rating.usage_record import Adjusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from perminute.domain.authorization.reservations import Answer
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import CallList

PAID = 150_000
"""What ten minutes cost."""
FIRST = datetime(2026, 11, 1, 9, tzinfo=UTC)
DAYS = 12
NOW = FIRST + timedelta(days=DAYS)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OF_MONTH = SpendKey(SpendKind.USER, ORGANIZER, NOVEMBER)
OF_HOUR = SpendKey(SpendKind.PREFIX, "49", FIRST)


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
class CountedStore(InMemoryStore):
    """Counts the corrections that are read; `may_read` says whether that works."""

    corrections_read: int = 0
    may_read: bool = True

    def spend_changes(
        self, organization_id: str, *, after: int, until: int
    ) -> Mapping[int, Sequence[SpendChange]]:
        if not self.may_read:
            raise Unavailable("corrections cannot be read")
        self.corrections_read += until - after
        return super().spend_changes(organization_id, after=after, until=until)


@dataclass
class World:
    """An organizer who has called once a day, for `DAYS` days of November."""

    store: CountedStore = field(default_factory=CountedStore)
    said: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.store.record(ORGANIZATION, entitled_changes())
        BookCredit(self.store, WITHOUT_WAITING)([purchase(amount=1_000)])
        self.calls = CountedCalls(self.store)
        licensing, cards = LicensingCache(self.store), PublishedRateCards(card())
        parts = self.store, self.calls, licensing, cards, WITHOUT_WAITING
        self.charging = ChargeCalls(*parts)
        self.rerating = RerateCalls(RecordedCalls(*parts), self.store)
        self.authorizing = AuthorizeCall(
            under_way=self.store,
            credit=self.store,
            calls=self.calls,
            licensing=licensing,
            rate_cards=cards,
            retry=WITHOUT_WAITING,
        )
        for day in range(DAYS):
            self.end(f"call-{day:02}", FIRST + timedelta(days=day))

    def end(self, call_id: str, at: datetime = NOW) -> None:
        one = ended(call_id=call_id, answered_at=at, ended_at=at + timedelta(minutes=10))
        (result,) = self.charging([replace(one, reported_at=max(at, ANSWERED))])
        assert isinstance(result, Accepted), result

    def end_many(self, calls: int, at: datetime) -> None:
        """Charge calls that ended within the same hour."""
        ended_calls = [
            ended(
                call_id=f"many-{number:04}",
                answered_at=at + timedelta(seconds=number),
                ended_at=at + timedelta(seconds=number, minutes=10),
            )
            for number in range(calls)
        ]
        results = self.charging([replace(one, reported_at=NOW) for one in ended_calls])
        assert all(isinstance(one, Accepted) for one in results)

    def correct_call(self, times: int) -> None:
        """Have the first call cost a micro-unit less, so many times."""
        account, key = self.store.account(ORGANIZATION), (ORGANIZATION, "call-00")
        entries, usage = range(account.entries + 1, account.entries + times + 1), self.store.usages
        usage[key] = usage[key]._replace(
            charge_micros=usage[key].charge_micros - times,
            adjustments=tuple(Adjusted(entry_id(number), -1) for number in entries),
        )
        change = SpendChange(OF_MONTH, FIRST.date(), -1)
        for number in range(account.corrections + 1, account.corrections + times + 1):
            self.store.corrected[ORGANIZATION, number] = (change,)
        self.store.accounts[ORGANIZATION] = account._replace(
            version=account.version + 1,
            entries=account.entries + times,
            corrections=account.corrections + times,
        )

    @property
    def limits_told(self) -> int:
        return sum(isinstance(one.body, SpendLimitReached) for one in self.store.outbox)

    def say(self, one: Fact, user: str | None = ORGANIZER) -> None:
        self.said["fact"] += 1
        key = processed_event(f"fact-{self.said['fact']}")
        event = LicensingEvent(LicensingChange(ORGANIZATION, user, (one,)), key, NOW)
        assert ApplyLicensing(self.store, WITHOUT_WAITING)([event]) == [Accepted(None)]

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
            processed_event=processed_event(settings.event_id),
            issued_at=at,
        )
        assert isinstance(BookCredit(self.store, WITHOUT_WAITING)([event])[0], Accepted)

    def authorize(self, call_id: str, at: datetime = NOW, deadline: Deadline = NEVER) -> Answer:
        one = phone_call(call_id=call_id, answered_at=at, ended_at=at)
        request = ReceivedRequest(
            ORGANIZATION, call_id, ChargingRequest(Operation.AUTHORIZE, 0, 600), at, one
        )
        return self.authorizing(request, deadline)

    def correct(self) -> None:
        """Have all calls until the sixth day turn out to be free, in a transaction of its own."""
        held = license_attribute("MCOMEETACPEA")
        self.say(fact(held, value=False, since=LONG_AGO + timedelta(seconds=1)))
        self.say(fact(held, value=True, since=FIRST + timedelta(days=5, hours=-1)))
        while self.store.waiting(ORGANIZATION):
            (result,) = self.rerating([ReratingRequest(ORGANIZATION)])
            assert isinstance(result, Accepted), result
        self.calls.read = 0

    def of_month(self) -> int:
        account = self.store.account(ORGANIZATION)
        read = spend_counters.full_spend_counters(self.store, self.calls, account, [OF_MONTH])
        return read[OF_MONTH].spent_micros


@pytest.fixture
def piecemeal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spend_counters, "MAX_LISTS", 2)


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
    assert (record.spent_micros, record.counted_before) == (4 * PAID, FIRST.date() + timedelta(3))
    assert record.part is not None
    assert record.part.micros == PAID
    world.correct()
    assert world.of_month() == (DAYS + 2 - 5) * PAID


@pytest.mark.usefixtures("piecemeal")
def test_a_charge_counts_one_piece_and_does_not_wait_for_the_others() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", PAID))
    world.end("first")
    assert world.calls.read == 2
    assert world.limits_told == 0
    for number in range(DAYS):
        world.end(f"later-{number}")
    (record,) = world.store.spending.values()
    assert (record.spent_micros, record.counted_before) == ((DAYS + 1 + DAYS) * PAID, None)
    assert world.limits_told == 1


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
            world.store.accounts[ORGANIZATION] = account._replace(version=account.version + 1)

    world.calls.seen = moving
    assert world.authorize("asks").granted_seconds == 600
    assert world.of_month() == DAYS * PAID
    # A piece reads two lists. Counted in one go it would never end.
    assert world.calls.read < 2 * DAYS


@pytest.mark.usefixtures("piecemeal")
def test_counting_ends_with_its_time_and_goes_on_from_there() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", 100 * PAID))
    times = iter(range(10))
    with pytest.raises(Unavailable, match="no time was left"):
        world.authorize("asks", deadline=Deadline(3, lambda: next(times)))
    (record,) = world.store.spending.values()
    assert record.counted_before == FIRST.date() + timedelta(days=3)
    assert world.authorize("asks again").granted_seconds == 600


@pytest.mark.usefixtures("piecemeal")
def test_a_release_does_not_wait_until_calls_are_counted() -> None:
    world = World()
    world.authorize("asks")
    world.say(fact("monthlySpendLimit", 100 * PAID))
    world.calls.read = 0
    world.authorizing(
        ReceivedRequest(ORGANIZATION, "asks", ChargingRequest(Operation.RELEASE, 1), NOW)
    )
    assert world.calls.read == 2


def test_several_records_are_counted_by_one_reading() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", 100 * PAID))
    world.limit_prefixes(100 * PAID)
    world.authorize("asks", FIRST)
    assert world.calls.read == DAYS
    spent = {key.kind: one.spent_micros for (_, key), one in world.store.spending.items()}
    assert spent == {SpendKind.USER: DAYS * PAID, SpendKind.PREFIX: PAID}


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
        world.store.accounts[ORGANIZATION] = account._replace(version=account.version + 1)

    world.calls.seen = moving
    with pytest.raises(Contended):
        world.authorize("asks")


def test_a_charge_reads_one_piece_of_any_number_of_corrections_and_lists() -> None:
    world, calls = World(), 2_000
    world.end_many(calls, NOW - timedelta(days=2))
    world.say(fact("monthlySpendLimit", 10**12))
    world.calls.read = 0
    world.end("counts")
    assert (world.calls.read, world.store.corrections_read) == (MAX_LISTS, 0)
    world.correct_call(calls)
    world.end("catches up")
    assert (world.calls.read, world.store.corrections_read) == (MAX_LISTS, MAX_CORRECTIONS)
    # Each request has time for five pieces: it keeps them, and the next one goes on from there.
    requests = 0
    while True:
        requests += 1
        checks = itertools.count()
        try:
            world.authorize("asks", deadline=Deadline(6, checks.__next__))
        except Unavailable:
            continue
        break
    assert world.store.corrections_read == calls
    assert world.calls.read == DAYS + calls + 2
    assert requests == 5
    assert world.of_month() == (DAYS + calls + 2) * PAID - calls


def test_a_charge_is_made_although_corrections_cannot_be_read() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", PAID))
    world.end("counted")
    assert world.limits_told == 1
    world.correct_call(times=1)
    world.store.may_read = False
    world.end("first")
    with pytest.raises(Unavailable, match="cannot be read"):
        world.authorize("asks")
    world.store.may_read = True
    assert world.of_month() == (DAYS + 2) * PAID - 1


def test_a_limit_is_not_told_before_its_record_has_caught_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spend_counters, "MAX_CORRECTIONS", 1)
    world = World()
    world.say(fact("monthlySpendLimit", (DAYS + 2) * PAID - 2))
    world.end("counted")
    world.correct_call(times=2)
    world.end("reaches it")
    assert world.limits_told == 0
    world.end("knows it")
    assert world.limits_told == 1


def test_a_correction_leaves_a_record_that_lacks_the_one_before() -> None:
    ready, behind = (
        SpendCounter(key=OF_MONTH, corrections=5),
        SpendCounter(key=OF_HOUR, corrections=4),
    )
    counters = SpendCounters((), {one.key: one for one in (ready, behind)}, corrections=5)
    assert (counters.is_counted(OF_MONTH), counters.is_counted(OF_HOUR)) == (True, False)
    changes = [SpendChange(key, FIRST.date(), 7) for key in (OF_MONTH, OF_HOUR)]
    counters.correct(changes, 5)
    assert not counters.touched
    counters.correct(changes, 6)
    assert counters.touched == (ready._replace(spent_micros=7, corrections=6),)
    assert (counters.is_counted(OF_MONTH), counters.is_counted(OF_HOUR)) == (True, False)
    assert counters.copy().is_counted(OF_HOUR) is False


def test_a_record_that_needs_little_does_not_wait_for_one_that_is_far_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spend_counters, "MAX_CORRECTIONS", 2)
    world = World()
    world.correct_call(times=9)
    for key, number in ((OF_MONTH, 1), (OF_HOUR, 8)):
        world.store.spending[ORGANIZATION, key] = SpendCounter(key=key, corrections=number)
    account = world.store.account(ORGANIZATION)
    read = spend_counters_so_far(world.store, world.calls, account, [OF_MONTH, OF_HOUR])
    assert (read[OF_MONTH].corrections, read[OF_HOUR].corrections) == (1, 9)


def test_only_a_call_that_counts_or_is_listed_elsewhere_has_moved() -> None:
    world = World()
    usage = world.store.usages[ORGANIZATION, "call-00"]
    licensing = world.store.licensing(ORGANIZATION, [ORGANIZER])
    settings = CreditSettings(
        configured_at=LONG_AGO, event_id="s", currency="USD", prefix_hourly_spend_limit_micros=1
    )
    dearer = usage._replace(charge_micros=PAID + 1)
    elsewhere = usage._replace(price=usage.price._replace(prefix="4930"))
    longer = usage._replace(
        call=replace(usage.call, ended_at=usage.call.ended_at + timedelta(hours=20))
    )

    def changes_of(after: Usage) -> list[tuple[str, date, int, bool]]:
        changes = spend_changes([(usage, after)], licensing, settings)
        return [(one.key.subject, one.ended_on, one.micros, one.moved) for one in changes]

    relisted = usage._replace(call=replace(usage.call, ended_at=usage.call.ended_at + MINUTE))
    day, next_day = FIRST.date(), FIRST.date() + timedelta(days=1)
    assert changes_of(dearer) == [("", day, 1, False), ("49", day, 1, False)]
    assert changes_of(relisted) == [("49", day, 0, True)]
    assert changes_of(elsewhere) == [("49", day, -PAID, True), ("4930", day, PAID, True)]
    assert [one for one in changes_of(longer) if one[0]] == [
        ("49", day, -PAID, True),
        ("49", next_day, PAID, True),
    ]


def test_no_more_calls_are_read_for_a_piece_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spend_counters, "CALLS_AT_ONCE", 3)
    world = World()
    world.say(fact("monthlySpendLimit", 100 * PAID))
    world.end("first")
    assert world.calls.read == 3
    assert world.of_month() == (DAYS + 1) * PAID
