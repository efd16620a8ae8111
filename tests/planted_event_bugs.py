"""Bugs in what becomes of an event, from its queue to what is told of it, to see them found."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

from perminute import parsing, sqs
from perminute.adapters.dynamodb import streams
from perminute.adapters.memory import InMemoryStore
from perminute.adapters.notification_documents import notification_of
from perminute.application import book_credit, publish_notifications
from perminute.application.book_credit import BookCredit
from perminute.application.publish_notifications import FirstCalls
from perminute.domain.credit import booking, charging
from perminute.domain.credit.recharge import AutoRecharge, Disabled, RechargeState
from perminute.domain.credit.transaction import ProcessedEvent
from perminute.domain.credit.transaction_builder import TransactionBuilder
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.licensing import timelines
from perminute.domain.limits.spending import SpendCounters, SpendKind
from perminute.domain.notifications.notifications import CallNotRated
from perminute.domain.rating import calls
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.phone_numbers import check_e164
from perminute.domain.rerating import corrections
from perminute.events import calls_ended, telephony
from perminute.events import event as bus_event
from perminute.events.calls_ended import DivideCalls
from perminute_local.simulation.plan import CALLS_PER_PART

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date, datetime

    from msgspec import Struct

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.booking import Purchase
    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.licensing import LicensingChange
    from perminute.domain.limits.spending import SpendKey
    from perminute.domain.notifications.notifications import (
        CallNotification,
        Notification,
        NotificationBody,
    )
    from perminute.domain.rating.calls import LegType, Numbers
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.rerating.rerating import Rerating
    from perminute.events.calls_ended import Delivered
    from perminute.ports.messaging import Announcement, Rejections
    from perminute.sqs import BatchResults, Message, Received


@contextmanager
def publishing_one_of_each_record() -> Iterator[None]:
    """Of what was committed together only the first notification is published."""
    set_aside = FirstCalls.set_aside

    def first(calls: FirstCalls, record: Sequence[Announcement]) -> list[Announcement]:
        return set_aside(calls, record)[:1]

    with patch.object(FirstCalls, "set_aside", first):
        yield


@contextmanager
def calling_all_of_a_batch_by_one_name() -> Iterator[None]:
    """The name is read once for a batch, and not once for each organization of it."""
    names_of = publish_notifications._Names  # noqa: SLF001
    read = names_of._name_for  # noqa: SLF001

    def of_the_first(names: Any, announcement: Announcement) -> str | None:
        for licensing in names._known.values():  # noqa: SLF001
            name: str | None = licensing.organization_name(announcement.written_at)
            return name
        return read(names, announcement)

    with patch.object(names_of, "_name_for", of_the_first):
        yield


@contextmanager
def telling_whose_number_it_is() -> Iterator[None]:
    """Notifications of calls have all digits of the number."""
    with patch.object(charging, "masked", lambda number: number):
        yield


@contextmanager
def stating_prices_in_another_currency() -> Iterator[None]:
    """A notification adds what a call costs that the credit could not pay in any case."""
    about = charging._about  # noqa: SLF001

    def with_any_price(usage: Usage, *rest: Any) -> CallNotification:
        return about(usage, *rest)._replace(retail_cost_micros=usage.price.retail_micros)

    with patch.object(charging, "_about", with_any_price):
        yield


@contextmanager
def publishing_hours_for_instants() -> Iterator[None]:
    """What is read back from the outbox is not quite what was committed."""

    def of_the_hour(document: Mapping[str, Any]) -> Notification:
        notification = notification_of(document)
        return notification._replace(at=notification.at.replace(minute=0, second=0, microsecond=0))

    with patch.object(streams, "notification_of", of_the_hour):
        yield


@contextmanager
def keeping_an_extract_beside_what_is_refused() -> Iterator[None]:
    """What was refused is kept, and its beginning as a message of its own."""
    asked = sqs._store_refused  # noqa: SLF001

    def both(
        message: Message, refusal: Refused, batch: BatchResults[Any], rejections: Rejections
    ) -> None:
        asked(message, refusal, batch, rejections)
        asked(message._replace(body=message.body[:99]), refusal, batch, rejections)

    with patch.object(sqs, "_store_refused", both):
        yield


@contextmanager
def keeping_refusals_twice() -> Iterator[None]:
    """What was refused is kept, and kept again."""
    keep = sqs._store_refused  # noqa: SLF001

    def twice(message: object, refusal: object, settled: object, rejections: Rejections) -> None:
        for _ in range(2):
            keep(message, refusal, settled, rejections)  # type: ignore[arg-type]

    with patch.object(sqs, "_store_refused", twice):
        yield


@contextmanager
def counting_purchases_twice() -> Iterator[None]:
    """What was bought is there twice; the ledger and the lots agree on that."""
    purchase = booking.purchase

    def doubled(account: Account, bought: Purchase, **options: Any) -> Transaction:
        twice = bought._replace(amount_micros=2 * bought.amount_micros)
        return purchase(account, twice, **options)

    with patch.object(book_credit, "purchase", doubled):
        yield


@contextmanager
def remembering_the_last_event_only() -> Iterator[None]:
    """What is said of a user takes the place of all that was said before."""
    record = InMemoryStore.record

    def forgetful(
        store: InMemoryStore,
        organization_id: str,
        changes: Sequence[tuple[LicensingChange, ProcessedEvent]],
        rerating: Rerating | None = None,
    ) -> None:
        record(store, organization_id, changes, rerating)
        for change, _ in changes:
            store.facts[organization_id, change.user_id] = set(change.facts)

    with patch.object(InMemoryStore, "record", forgetful):
        yield


@contextmanager
def counting_days_only() -> Iterator[None]:
    """What a call costs is counted for its day, and for no user and no prefix."""
    spend = SpendCounters.spend

    def of_days(spend_counters: SpendCounters, key: SpendKey, micros: int, ended_on: date) -> None:
        if key.kind is SpendKind.DAY:
            spend(spend_counters, key, micros, ended_on)

    with patch.object(SpendCounters, "spend", of_days):
        yield


@contextmanager
def saying_nothing_of_unrated_calls() -> Iterator[None]:
    """A call that the rate card has no price for is given free, and nobody hears of it."""
    with _saying(lambda news: None if isinstance(news, CallNotRated) else news):
        yield


@contextmanager
def failing_on_an_outcome() -> Iterator[None]:
    """Nobody has thought of what to say of a call without a price."""

    def unknown(news: NotificationBody) -> NotificationBody:
        if isinstance(news, CallNotRated):
            raise KeyError(Outcome.UNRATED)
        return news

    with _saying(unknown):
        yield


@contextmanager
def _saying(change: Callable[[NotificationBody], NotificationBody | None]) -> Iterator[None]:
    notifications_of_call = charging.notifications_of_call

    def changed(usage: Usage) -> Iterator[NotificationBody]:
        return (news for one in notifications_of_call(usage) if (news := change(one)) is not None)

    with (
        patch.object(charging, "notifications_of_call", changed),
        patch.object(corrections, "notifications_of_call", changed),
    ):
        yield


@contextmanager
def refusing_masked_numbers() -> Iterator[None]:
    """A destination whose last digits are masked is refused, though its prefix has a price."""

    def strictly(number: str) -> str:
        if "*" in number:
            msg = "must be digits"
            raise ValueError(msg)
        return check_e164(number)

    with patch("perminute.domain.rating.calls.check_e164", strictly):
        yield


@contextmanager
def refusing_numbers_that_are_no_text() -> Iterator[None]:
    """A call is refused for a number that nobody needs, because it is no text."""
    read_numbers = calls.read_numbers

    def strictly(leg_type: LegType, *, service_number: object, remote_number: object) -> Numbers:
        for number in (service_number, remote_number):
            if not isinstance(number, str | None):
                raise Refused("remoteNumber", "must be text")
        return read_numbers(leg_type, service_number=service_number, remote_number=remote_number)

    with patch.object(telephony, "read_numbers", strictly):
        yield


@contextmanager
def refusing_half_a_surrogate_pair_anywhere() -> Iterator[None]:
    """A call is refused for a text that nobody reads, because it is none."""

    def strictly(text: str) -> NoReturn:
        raise ValueError(text)

    with patch.object(parsing, "parse_leniently", strictly):
        yield


@contextmanager
def comparing_purchases_without_their_amounts() -> Iterator[None]:
    """A purchase that is sent again with another amount is taken for a repeated one."""
    written = bus_event._written  # noqa: SLF001

    def without_amount(message: Struct) -> dict[str, object]:
        return {name: value for name, value in written(message).items() if name != "amount"}

    with patch.object(bus_event, "_written", without_amount):
        yield


@contextmanager
def taking_any_currency() -> Iterator[None]:
    """Credit that was bought in another currency counts as if it were the account's."""
    set_up = TransactionBuilder.set_up

    def whatever(builder: TransactionBuilder, currency: str, at: datetime) -> None:
        set_up(builder, builder.account.currency or currency, at)

    with patch.object(TransactionBuilder, "set_up", whatever):
        yield


@contextmanager
def passing_the_monthly_limit() -> Iterator[None]:
    """Recharges of a month are limited by how many there are a day, and by nothing else."""
    limit_before = RechargeState._limit_before  # noqa: SLF001

    def of_the_hour(state: RechargeState, auto: AutoRecharge, now: datetime) -> Disabled | None:
        return limit_before(state, auto._replace(monthly_limit_micros=None), now)

    with patch.object(RechargeState, "_limit_before", of_the_hour):
        yield


@contextmanager
def forgetting_that_a_recharge_failed() -> Iterator[None]:
    """A purchase that answers a recharge which was given up is told as any other."""

    with patch.object(BookCredit, "_has_failed", lambda *_: False):
        yield


@contextmanager
def setting_credits_up_by_what_comes_last() -> Iterator[None]:
    """Credits that are set up already are set up once more, from a later instant on."""
    set_up = TransactionBuilder.set_up

    def anew(builder: TransactionBuilder, currency: str, at: datetime) -> None:
        set_up(builder, currency, at)
        builder.set(credits_set_up_at=at)

    with patch.object(TransactionBuilder, "set_up", anew):
        yield


@contextmanager
def setting_credits_up_by_the_arrival() -> Iterator[None]:
    """Settings that were issued by a clock which is ahead set the credits up before that."""

    def no_later(settings: CreditSettings, at: datetime) -> datetime:
        return min(settings.configured_at, at)

    with patch.object(booking, "_set_up_at", no_later):
        yield


@contextmanager
def believing_the_first_copy() -> Iterator[None]:
    """The copy of a change that arrives first says when it was issued, and not the earliest."""

    def never(_: ProcessedEvent, __: ProcessedEvent) -> bool:
        return False

    with patch.object(ProcessedEvent, "is_earlier_than", never):
        yield


@contextmanager
def believing_every_copy() -> Iterator[None]:
    """Of a change that was put on a bus again the copy with the latest time counts."""
    with patch.object(timelines, "without_later_copies", frozenset):
        yield


@contextmanager
def numbering_the_calls_of_each_part() -> Iterator[None]:
    """A call that is refused is named by its place in the part, and not in the event."""
    message = calls_ended._CallsEvent.message  # noqa: SLF001

    def numbered(event: Any, calls: Sequence[Any]) -> str:
        return message(event, [call._replace(number=n) for n, call in enumerate(calls)])

    with patch.object(calls_ended._CallsEvent, "message", numbered):  # noqa: SLF001
        yield


@contextmanager
def forgetting_calls_that_were_not_queued() -> Iterator[None]:
    """An event is done with even if its parts could not be queued."""
    divide = DivideCalls.__call__

    def anyway(divides: DivideCalls, body: str, received: Received) -> Sequence[Delivered]:
        try:
            return divide(divides, body, received)
        except Unavailable:
            return []

    with patch.object(DivideCalls, "__call__", anyway):
        yield


@contextmanager
def dividing_calls_by_number_alone() -> Iterator[None]:
    """A part has calls of any organizations."""

    def of_any(event: Any) -> Iterator[list[Any]]:
        starts = range(0, len(event.calls), CALLS_PER_PART)
        return (event.calls[start : start + CALLS_PER_PART] for start in starts)

    with patch.object(calls_ended._CallsEvent, "parts", of_any):  # noqa: SLF001
        yield


@contextmanager
def refusing_all_calls_with_one() -> Iterator[None]:
    """A call that is wrong has all calls of its event refused."""
    divide = DivideCalls.__call__

    def together(divides: DivideCalls, body: str, received: Received) -> Sequence[Delivered]:
        events = divide(divides, body, received)
        for event, arrival in events:
            telephony.parse_ended_call(event, arrival)
        return events

    with patch.object(DivideCalls, "__call__", together):
        yield


@contextmanager
def hiding_contended_messages_for_their_timeout() -> Iterator[None]:
    """A message of a busy account waits as long as one that met an outage."""
    with patch.object(sqs, "hidden_seconds", lambda *_: sqs.MAX_HIDDEN_SECONDS):
        yield


@contextmanager
def using_up_deliveries_in_an_outage() -> Iterator[None]:
    """Whatever failed comes back within seconds: ten times before an outage is over."""
    with patch.object(sqs, "Contended", Unavailable):
        yield


EITHER = "each event is taken or refused"
CAUTIOUS = "of two statements of one instant the cautious one holds"
CARRIED = "a notification of a call says what is recorded"
NAMED = "a notification has the name of its organization"

EVENT_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    publishing_one_of_each_record: "what was committed is published",
    calling_all_of_a_batch_by_one_name: NAMED,
    telling_whose_number_it_is: CARRIED,
    stating_prices_in_another_currency: CARRIED,
    publishing_hours_for_instants: "only what was committed is published",
    keeping_an_extract_beside_what_is_refused: "only what was sent is refused",
    numbering_the_calls_of_each_part: EITHER,
    forgetting_calls_that_were_not_queued: EITHER,
    dividing_calls_by_number_alone: "what is queued again is one transaction of one organization",
    refusing_all_calls_with_one: EITHER,
    keeping_refusals_twice: "a wrong event is refused once",
    comparing_purchases_without_their_amounts: "one identity has one content",
    counting_purchases_twice: "every purchase and every charge counts once",
    remembering_the_last_event_only: CAUTIOUS,
    setting_credits_up_by_what_comes_last: "credits are set up by what came first",
    setting_credits_up_by_the_arrival: "credits are set up by what came first",
    believing_the_first_copy: CAUTIOUS,
    believing_every_copy: CAUTIOUS,
    counting_days_only: "limits count what calls cost",
    saying_nothing_of_unrated_calls: "admins are notified of the outcome of each call",
    failing_on_an_outcome: "functions fail only if AWS fails",
    refusing_masked_numbers: "a right event is taken",
    refusing_numbers_that_are_no_text: "a right event is taken",
    refusing_half_a_surrogate_pair_anywhere: "a right event is taken",
    taking_any_currency: "a wrong event is refused",
    passing_the_monthly_limit: "no month is asked for more than its limit",
    hiding_contended_messages_for_their_timeout: (
        "a contended message comes back within min(200, 2^receives) s"
    ),
    using_up_deliveries_in_an_outage: (
        "a message that failed otherwise waits for its visibility timeout"
    ),
    forgetting_that_a_recharge_failed: "notifications of recharges are true",
}
"""Each bug with the promise that it breaks."""
