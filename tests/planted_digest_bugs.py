"""Bugs in what is notified of calls once a day, each with the promise that it breaks."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

from perminute.adapters.memory import InMemoryDigests
from perminute.application import send_digests
from perminute.application.publish_notifications import FirstCalls
from perminute.domain.credit.transaction_builder import TransactionBuilder
from perminute.domain.notifications import digests
from perminute.domain.notifications.digests import CountedCalls
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date, datetime

    from perminute.domain.notifications.digests import CallGroup, CallToNotify
    from perminute.domain.notifications.notifications import CallNotification, Notification
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.messaging import Announcement, CallRecord


@contextmanager
def a_second_first_call() -> Iterator[None]:
    """Who is delivered a record once more takes its call for the first again."""
    claim = InMemoryDigests.claim

    def unconditional(
        twin: InMemoryDigests, organization_id: str, calls: Mapping[CallGroup, CallToNotify]
    ) -> Mapping[CallGroup, str]:
        for group, call in calls.items():
            if twin.store.first_calls.get((organization_id, group)) != call.notification.call_id:
                twin.store.first_calls.pop((organization_id, group), None)
        return claim(twin, organization_id, calls)

    with patch.object(InMemoryDigests, "claim", unconditional):
        yield


@contextmanager
def first_calls_by_the_publisher_alone() -> Iterator[None]:
    """Who counts while the stream lags takes all calls for others than the first."""
    claim = InMemoryDigests.claim

    def reading(
        twin: InMemoryDigests, organization_id: str, calls: Mapping[CallGroup, CallToNotify]
    ) -> Mapping[CallGroup, str]:
        firsts = twin.store.first_calls
        return {group: firsts.get((organization_id, group), "") for group in calls}

    def publishing(first_calls: FirstCalls, record: Sequence[Announcement]) -> list[Announcement]:
        with patch.object(InMemoryDigests, "claim", claim):
            return set_aside(first_calls, record)

    set_aside = FirstCalls.set_aside
    with (
        patch.object(InMemoryDigests, "claim", reading),
        patch.object(FirstCalls, "set_aside", publishing),
    ):
        yield


@contextmanager
def keeping_what_was_counted() -> Iterator[None]:
    """What is counted of records is written, and they are removed the second time only."""
    count, kept = InMemoryDigests.count, set[tuple[str, str]]()

    def without_removing(
        twin: InMemoryDigests,
        organization_id: str,
        records: Sequence[CallRecord],
        counted: Sequence[CountedCalls],
    ) -> bool:
        again = {
            (organization_id, one.key): one
            for one in records
            if (organization_id, one.key) not in kept
        }
        kept.update(again)
        done = count(twin, organization_id, records, counted)
        twin.store.calls_to_count |= again
        return done

    with patch.object(InMemoryDigests, "count", without_removing):
        yield


@contextmanager
def no_day_is_due() -> Iterator[None]:
    """Who notifies of a call does not have the daily run come by."""
    notify = TransactionBuilder.notify

    def forgetful(
        self: TransactionBuilder,
        news: CallNotification,
        *,
        cause: str | int,
        at: datetime | None = None,
        day: date | None = None,
    ) -> None:
        due_at = self.account.digests_due_at
        notify(self, news, cause=cause, at=at, day=day)
        self.set(digests_due_at=due_at)

    with patch.object(TransactionBuilder, "notify", forgetful):
        yield


@contextmanager
def counting_what_calls_were() -> Iterator[None]:
    """A call that was re-rated is counted as what it was when it was notified of."""

    def as_it_was(one: Notification, _: Usage) -> CallNotification:
        news: CallNotification = one.body  # type: ignore[assignment] # only calls are counted
        return news

    with patch.object(digests, "as_it_is_now", as_it_was):
        yield


@contextmanager
def counting_before_the_day_is_over() -> Iterator[None]:
    """The run of a day counts the calls of that day."""
    with patch.object(send_digests, "end_of", lambda day: end_of(day) - timedelta(days=1)):
        yield


@contextmanager
def adding_up_all_costs() -> Iterator[None]:
    """A cost is added whatever currency it is in."""
    with_call = CountedCalls.with_call

    def adding(self: CountedCalls, news: CallNotification, at: datetime) -> CountedCalls:
        return with_call(self, news._replace(currency=self.currency or news.currency), at)

    with patch.object(CountedCalls, "with_call", adding):
        yield


ONE_FIRST = "one call of a day is the first"
AS_IT_IS = "a digest counts calls as they are when the day is over"

DIGEST_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    a_second_first_call: ONE_FIRST,
    first_calls_by_the_publisher_alone: ONE_FIRST,
    keeping_what_was_counted: "each call is notified of once",
    no_day_is_due: "no call is forgotten that is to be notified of",
    counting_what_calls_were: AS_IT_IS,
    counting_before_the_day_is_over: AS_IT_IS,
    adding_up_all_costs: "a digest says what its calls cost",
}
