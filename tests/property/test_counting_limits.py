"""Whatever happens while calls are counted for a limit, each of them is counted exactly once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

from builders import (
    LONG_AGO,
    ORGANIZATION,
    ORGANIZER,
    WITHOUT_WAITING,
    card,
    entitled_changes,
    fact,
    phone_call,
    processed_event,
    purchase,
)
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application import spend_counters
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.authorize_call import AuthorizeCall, ReceivedRequest
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.daily_expiry import ChargeReported
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.application.spend_counters import full_spend_counters, spend_counters_so_far
from perminute.domain.authorization.reservations import ChargingRequest, Operation
from perminute.domain.credit.transaction import Transaction
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.limits.spending import SpendKey, SpendKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.calls import Call

START = datetime(2026, 11, 2, 22, tzinfo=UTC)
"""Calls go over the end of a day."""
LATER = START + timedelta(days=6)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OF_MONTH = SpendKey(SpendKind.USER, ORGANIZER, datetime(2026, 11, 1, tzinfo=UTC))
OTHER = "bob"
EXEMPT = license_attribute("MCOMEETACPEA")


@dataclass
class World:
    """An organization, one of whose organizers gets a limit when calls have been made."""

    store: InMemoryStore = field(default_factory=InMemoryStore)
    calls_made: int = 0
    facts_said: int = 0
    reported: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        program, *users = entitled_changes(user_id=ORGANIZER)
        self.store.record(ORGANIZATION, [program, *users, *entitled_changes(user_id=OTHER)[1:]])
        BookCredit(self.store, WITHOUT_WAITING)([purchase(amount=1_000)])
        self.calls, licensing = InMemoryCalls(self.store), LicensingCache(self.store)
        cards = PublishedRateCards(card())
        parts = self.store, self.calls, licensing, cards, WITHOUT_WAITING
        self.charging = ChargeCalls(*parts)
        self.charge_reported = ChargeReported(self.store, self.charging)
        self.rerating = RerateCalls(RecordedCalls(*parts), self.store)
        self.authorizing = AuthorizeCall(
            under_way=self.store,
            credit=self.store,
            calls=self.calls,
            licensing=licensing,
            rate_cards=cards,
            retry=WITHOUT_WAITING,
        )

    def phone_call(
        self, call_id: str, minute: int, minutes: int, organizer_id: str = ORGANIZER
    ) -> Call:
        at = START + minute * MINUTE
        return phone_call(
            call_id=call_id,
            organizer_id=organizer_id,
            answered_at=at,
            ended_at=at + minutes * MINUTE,
        )

    def charge(self, *minutes: int) -> None:
        """Charge calls in one transaction that began so many minutes after the start."""
        calls = []
        for minute in minutes:
            self.calls_made += 1
            calls.append(self.phone_call(f"call-{self.calls_made:03}", minute, 1 + minute % 7))
        self._charge(*calls)

    def report(self, minute: int) -> None:
        """Have a bridge report a call, the end of which nobody hears of for long."""
        call_id, organizer_id = f"reported-{len(self.reported)}", (ORGANIZER, OTHER)[minute % 2]
        self.reported.append(call_id)
        one = self.phone_call(call_id, minute, 0, organizer_id)
        at = one.ended_at
        asked = ChargingRequest(Operation.AUTHORIZE, 0, 600)
        self.authorizing(ReceivedRequest(ORGANIZATION, call_id, asked, at, one))
        asked = ChargingRequest(Operation.UPDATE, 1, None, 300)
        self.authorizing(ReceivedRequest(ORGANIZATION, call_id, asked, at + 5 * MINUTE))

    def end(self, minute: int) -> None:
        """Hear of the end of such a call: when it was, and whose, is news."""
        if self.reported:
            one = self.phone_call(
                self.reported.pop(), minute, 3, (ORGANIZER, OTHER)[minute % 3 // 2]
            )
            self._charge(one)

    def exempt(self, minute: int) -> None:
        """Have calls of an hour turn out to cost nothing, in transactions of their own."""
        since = START + minute * MINUTE
        self.say(fact(EXEMPT, value=False, since=since))
        self.say(fact(EXEMPT, value=True, since=since + HOUR))
        while self.store.waiting(ORGANIZATION):
            (result,) = self.rerating([ReratingRequest(ORGANIZATION)])
            assert isinstance(result, Accepted), result

    def pieces(self, minute: int) -> None:
        """Count some pieces, as charges do, and nothing else."""
        for _ in range(minute % 4):
            self._piece()

    def _piece(self) -> None:
        account = self.store.account(ORGANIZATION)
        spend_counters = spend_counters_so_far(self.store, self.calls, account, [OF_MONTH])
        counted = spend_counters.touched
        self.store.commit(Transaction(before=account, after=account, spend_counters=counted))

    def say(self, one: Fact) -> None:
        self.facts_said += 1
        name = f"fact-{self.facts_said:03}"
        at = LONG_AGO + self.facts_said * MINUTE
        said = replace(one, event_id=name, issued_at=at)
        event = LicensingEvent(
            LicensingChange(ORGANIZATION, ORGANIZER, (said,)), processed_event(name), LATER
        )
        assert ApplyLicensing(self.store, WITHOUT_WAITING)([event]) == [Accepted(None)]

    def _charge(self, *calls: Call) -> None:
        for result in self.charging([EndedCall(one, LATER) for one in calls]):
            assert isinstance(result, Accepted), result


MINUTES = st.integers(0, 239)
BEFORE = st.lists(
    st.tuples(st.sampled_from((World.charge, World.report)), MINUTES), min_size=3, max_size=8
)
MEANWHILE = st.lists(
    st.tuples(
        st.sampled_from((World.charge, World.end, World.exempt, World.pieces, World.pieces)),
        MINUTES,
    ),
    min_size=3,
    max_size=12,
)


@given(before=BEFORE, batch=st.lists(MINUTES, max_size=4), meanwhile=MEANWHILE)
def test_each_call_is_counted_once_whatever_happens_meanwhile(
    before: Sequence[tuple[Callable[[World, int], None], int]],
    batch: Sequence[int],
    meanwhile: Sequence[tuple[Callable[[World, int], None], int]],
) -> None:
    world = World()
    for happens, minute in before:
        happens(world, minute)
    world.charge_reported(ORGANIZATION, LATER)
    world.charge(*batch)
    world.say(fact("monthlySpendLimit", 10**12))
    with patch.multiple(spend_counters, MAX_LISTS=1, MAX_CORRECTIONS=1):
        for happens, minute in meanwhile:
            happens(world, minute)
        account = world.store.account(ORGANIZATION)
        counted = full_spend_counters(world.store, world.calls, account, [OF_MONTH])[OF_MONTH]
    cost_micros = sum(
        usage.charge_micros
        for usage in world.store.usages_of(ORGANIZATION)
        if usage.call.organizer_id == ORGANIZER
    )
    assert counted.spent_micros == cost_micros
