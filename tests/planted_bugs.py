"""Bugs that were thought of when this system was made, to see that the simulator finds them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from builders import announced
from msgspec import structs

from perminute.adapters.dynamodb import transactions
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.memory import InMemoryBooks, InMemoryCalls, InMemoryStore
from perminute.adapters.memory import calls as memory_calls
from perminute.adapters.memory import licensing as memory_licensing
from perminute.api import call_documents, endpoints, serving
from perminute.application import (
    book_credit,
    check_books,
    correct_rates,
    correlation,
    recorded_calls,
    settle_pools,
    spend_counters,
)
from perminute.application.authorize_call import AuthorizeCall
from perminute.application.charge_calls import EndedCall, _OrganizationCharge
from perminute.application.correct_rates import CorrectRates
from perminute.application.daily_expiry import ChargedByReports, ChargeReported
from perminute.application.recorded_calls import RecordedCalls
from perminute.domain.authorization import authorization, pricing
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Denied,
    Operation,
    Reservation,
    under_way_since,
)
from perminute.domain.credit import booking, recharge, transaction_builder
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.credit_settings import CreditSettings, FailureHandling
from perminute.domain.credit.lots import Lot, LotChanges, LotItems
from perminute.domain.credit.recharge import RESEND_AFTER, RechargeState
from perminute.domain.credit.transaction import NO_CAUSES, Causes, IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.licensing import timelines
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import Timeline, fold
from perminute.domain.limits import spending
from perminute.domain.limits.spending import LimitName, SpendChange, SpendKind
from perminute.domain.notifications.notification_rules import crossings
from perminute.domain.pools import settling
from perminute.domain.pools.pools import MinutePools
from perminute.domain.rating import rating as rating_rules
from perminute.domain.rating.calls import MAX_CALL_SECONDS, Numbers
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, RateCard, Unpriced
from perminute.domain.rating.usage_record import Price, Usage
from perminute.domain.reconciliation.book_checks import BooksCheck
from perminute.domain.reference.phone_numbers import e164_or_withheld
from perminute.domain.rerating import corrections
from perminute.events import billing, licensing, telephony
from perminute.events import billing as billing_events
from perminute.events import event as bus_event
from perminute.events import licensing as licensing_events
from perminute.formats import notification_texts
from perminute.parsing import parse
from perminute_local.simulation.write_recorder import WriteRecorder, documents_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from perminute.api.messages import CallDocument
    from perminute.domain.authorization.authorization import Grant
    from perminute.domain.authorization.pricing import PricedRequest
    from perminute.domain.authorization.reservations import Promise
    from perminute.domain.credit.booking import BoughtCredit
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.recharge import AutoRecharge, Disabled, RechargeRequest
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.limits.spending import SpendCounter
    from perminute.domain.notifications.notification_rules import BalanceNow
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.pools.pools import MinutePool
    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.rating import Rating
    from perminute.domain.reconciliation.book_checks import BooksCursor, CallCost
    from perminute.events.event import Event, IssuedDetail
    from perminute.fields import Message
    from perminute.ports.stores import CallList, CreditStore, ListedCall, ListedOrganizations


@contextmanager
def without_does_not_exist() -> Iterator[None]:
    """A call that is recorded already is recorded once more."""
    commit = InMemoryStore.commit

    def unconditional(store: InMemoryStore, transaction: Transaction) -> None:
        for usage in transaction.usages:
            store.usages.pop((transaction.before.organization_id, usage.call.call_id), None)
        commit(store, transaction)

    always = "attribute_not_exists(neverWritten)"
    with (
        patch.object(InMemoryStore, "commit", unconditional),
        patch.object(transactions, "_NEW_CALL", always),
    ):
        yield


@contextmanager
def never_charging_reports() -> Iterator[None]:
    """What bridges report waits for a `Call Ended` for ever."""

    def nothing(*_: object) -> ChargedByReports:
        return ChargedByReports()

    with patch.object(ChargeReported, "__call__", nothing):
        yield


@contextmanager
def charging_reports_and_ends() -> Iterator[None]:
    """A call that was charged by its reports is charged once more when its end is told."""
    commit = InMemoryStore.commit

    def forgetful(store: InMemoryStore, transaction: Transaction) -> None:
        for usage in transaction.usages:
            key = transaction.before.organization_id, usage.call.call_id
            if key in store.usages and store.usages[key].reported_by_bridge:
                del store.usages[key]
        commit(store, transaction)

    with patch.object(InMemoryStore, "commit", forgetful):
        yield


@contextmanager
def without_version() -> Iterator[None]:
    """Whoever writes last overwrites what others have written meanwhile."""

    def overwriting(transaction: Transaction, _: Account) -> Account:
        return transaction.after

    with _unversioned(overwriting):
        yield


@contextmanager
def with_plain_add() -> Iterator[None]:
    """The balance is added to, whatever it is by now, and all else is overwritten."""

    def adding(transaction: Transaction, now: Account) -> Account:
        change_micros = transaction.after.balance_micros - transaction.before.balance_micros
        return transaction.after._replace(balance_micros=now.balance_micros + change_micros)

    with _unversioned(adding):
        yield


@contextmanager
def _unversioned(write: Callable[[Transaction, Account], Account]) -> Iterator[None]:
    """Have an account written over whatever version is there."""
    with _committing(
        lambda transaction, now: transaction._replace(
            before=(before := transaction.before._replace(version=now.version)),
            after=before
            if transaction.after is transaction.before
            else write(transaction, now)._replace(version=now.version + 1),
        )
    ):
        yield


@contextmanager
def _committing(change: Callable[[Transaction, Account], Transaction]) -> Iterator[None]:
    """Have every store commit something else than what was decided."""
    twin, real = InMemoryStore.commit, DynamoDBCreditStore.commit

    def twin_commit(store: InMemoryStore, transaction: Transaction) -> None:
        twin(store, change(transaction, store.account(transaction.before.organization_id)))

    def real_commit(store: DynamoDBCreditStore, transaction: Transaction) -> None:
        real(store, change(transaction, store.account(transaction.before.organization_id)))

    with (
        patch.object(InMemoryStore, "commit", twin_commit),
        patch.object(DynamoDBCreditStore, "commit", real_commit),
    ):
        yield


@contextmanager
def publishing_before_the_commit() -> Iterator[None]:
    """Notifications go out as soon as they are decided; then all is committed, or not."""
    recorders: list[WriteRecorder] = []
    made = WriteRecorder.__init__

    def remembered(recorder: WriteRecorder, *parts: object, **options: object) -> None:
        made(recorder, *parts, **options)  # type: ignore[arg-type]
        recorders.append(recorder)

    def published(transaction: Transaction, _: Account) -> Transaction:
        documents = documents_of([announced(one) for one in transaction.notifications])
        asked = [one for one in documents if one["type"] != "RechargeRequested"]
        recorders[-1].publish(asked)
        return transaction

    with patch.object(WriteRecorder, "__init__", remembered), _committing(published):
        yield


@contextmanager
def rearmed_on_every_call() -> Iterator[None]:
    """A threshold is told with each booking that leaves the balance below it."""

    def told(
        entries: Sequence[LedgerEntry],
        _: int,
        thresholds_micros: Sequence[int],
        currency: str | None,
        stands: BalanceNow | None,
        *,
        recharge_id: str | None,
    ) -> Iterator[Notification]:
        parts = entries, 10**12, thresholds_micros, currency, stands
        return crossings(*parts, recharge_id=recharge_id)

    with patch.object(transaction_builder, "crossings", told):
        yield


@contextmanager
def without_late_lots() -> Iterator[None]:
    """A lot that has expired pays no call, whenever the call ended."""
    with patch.object(Lot, "pays_late", lambda *_, **__: False):
        yield


@contextmanager
def forgetting_who_sends() -> Iterator[None]:
    """An entry is stored without the producer of its event."""

    with patch.object(book_credit, "sent_by", lambda *parts: tuple(parts[-1])):
        yield


@contextmanager
def chargebacks_by_other_lots() -> Iterator[None]:
    """What was forfeited of a purchase stays forfeited when the purchase is taken back."""
    bought = InMemoryStore.bought

    def without_forfeited(
        store: InMemoryStore, organization_id: str, purchase_id: str
    ) -> BoughtCredit | None:
        known = bought(store, organization_id, purchase_id)
        return known and known._replace(forfeited=None)

    with patch.object(InMemoryStore, "bought", without_forfeited):
        yield


@contextmanager
def losing_further_lots() -> Iterator[None]:
    """A lot that moves into the account item leaves its own item behind, to pay once more."""
    with patch.object(LotChanges, "items", property(_without_removed)):
        yield


def _without_removed(changes: LotChanges) -> LotItems:
    stored, forfeited = changes._stored, changes._forfeited  # noqa: SLF001 - a bug knows no manners
    return LotItems(tuple(stored.values()), (), tuple(forfeited.values()))


@contextmanager
def with_a_new_recharge_id_after_a_day() -> Iterator[None]:
    """A recharge that nobody has answered for a day is given up, and another one requested."""
    next_step = RechargeState.next_step

    def forgetful(
        state: RechargeState,
        auto: AutoRecharge | None,
        balance_micros: int,
        *,
        organization_id: str,
        now: datetime,
    ) -> tuple[RechargeState, RechargeRequest | Disabled | None]:
        if state.open is not None and now >= state.open.attempted_at + RESEND_AFTER:
            state = state._replace(open=None)
        return next_step(state, auto, balance_micros, organization_id=organization_id, now=now)

    with patch.object(RechargeState, "next_step", forgetful):
        yield


@contextmanager
def sending_recharges_again_by_their_outcomes() -> Iterator[None]:
    """Credit is made current by each event alike, also by the outcome of what is then due."""
    with patch.object(book_credit.CreditEvent, "answered", None):
        yield


@contextmanager
def without_a_limit_of_recharges_a_day() -> Iterator[None]:
    """Each recharge that leaves the balance below the trigger is followed by the next one."""
    with patch.object(recharge, "MAX_REQUESTS_A_DAY", 10**6):
        yield


@contextmanager
def telling_what_may_change() -> Iterator[None]:
    """Nothing waits for pools to be settled."""

    with patch.object(transaction_builder.TransactionBuilder, "waits", property(lambda _: False)):
        yield


@contextmanager
def minutes_used_before_drawn_again() -> Iterator[None]:
    """Calls draw on the whole pool, though some of it was used before the cutover."""
    with patch.object(Licensing, "pool_minutes_for_calls", Licensing.pool_minutes):
        yield


@contextmanager
def corrected_by_the_card_of_the_call() -> Iterator[None]:
    """A correction rates each call by the card that it was rated by, as every re-rating does."""
    rated_again = RecordedCalls.rated_again

    def by_its_own_card(
        recorded: RecordedCalls,
        account: Account,
        listed: Sequence[ListedCall],
        _: str | None = None,
    ) -> tuple[list[tuple[Usage, Rating]], Licensing]:
        return rated_again(recorded, account, listed)

    with patch.object(RecordedCalls, "rated_again", by_its_own_card):
        yield


@contextmanager
def corrected_without_settling() -> Iterator[None]:
    """A correction leaves pools alone, though a number turns out to be in another country."""
    rerated = CorrectRates._rerated  # noqa: SLF001 - a bug knows no manners

    def nothing_moves(*parts: Any) -> object:
        with (
            patch.object(correct_rates, "moves", lambda *_: False),
            patch.object(recorded_calls, "moves", lambda *_: False),
        ):
            return rerated(*parts)

    with patch.object(CorrectRates, "_rerated", nothing_moves):
        yield


@contextmanager
def settling_without_those_who_drew() -> Iterator[None]:
    """A pool is settled with the late call that has unsettled it, and the others keep theirs."""

    def nobody(*_: object) -> list[ListedCall]:
        return []

    with patch.object(settle_pools, "_recorded_of", nobody):
        yield


@contextmanager
def spelling_users_as_requests_do() -> Iterator[None]:
    """The API looks for users as it is asked for them, and events store them in lower case."""

    def as_sent(body: bytes, message: type[Message]) -> Message:
        read, organizer_id = parse(body, message), json.loads(body).get("organizerId")
        return structs.replace(read, organizer_id=organizer_id) if organizer_id else read

    with patch.object(serving, "parse", as_sent):
        yield


@contextmanager
def without_the_last_report() -> Iterator[None]:
    """What a call has used in all is told without its last report."""
    document = call_documents.call_document

    def behind(call: Reservation | Usage, at: datetime) -> CallDocument:
        said = document(call, at)
        total = said.total_used_seconds - (said.used_seconds or 0)
        return structs.replace(said, total_used_seconds=total)

    with patch.object(call_documents, "call_document", behind):
        yield


@contextmanager
def refusing_who_withholds_a_number() -> Iterator[None]:
    """The API wants every number to be one, though only one of them sets the price."""

    def strictly(_: LegType, *, service_number: object, remote_number: object) -> Numbers:
        for number in (service_number, remote_number):
            if number is not None and e164_or_withheld(number) is None:
                raise Refused("remoteNumber", "must be an E.164 number")
        return Numbers(e164_or_withheld(service_number), e164_or_withheld(remote_number))

    with patch.object(endpoints, "read_numbers", strictly):
        yield


@contextmanager
def unlisted_once_reported() -> Iterator[None]:
    """A call is listed when it is let in, and no more when it goes on."""

    def first(call: Reservation) -> datetime | None:
        authorized = call.last_request.operation is Operation.AUTHORIZE
        return under_way_since(call) if authorized else None

    with patch.object(memory_calls, "under_way_since", first):
        yield


@contextmanager
def granting_to_the_last_second() -> Iterator[None]:
    """A bridge is told to begin to hang up when all that it was granted is used."""
    with patch.object(authorization, "_HANG_UP_SECONDS", 0):
        yield


@contextmanager
def taking_any_report() -> Iterator[None]:
    """Used seconds are taken as they are reported, whether they can be true or not."""

    def unchecked(reservation: Reservation, asked: ChargingRequest, _: datetime) -> ChargingRequest:
        return asked.in_full(reservation.wanted_seconds, reservation.used_seconds)

    with patch.object(Reservation, "next_request", unchecked):
        yield


@contextmanager
def repeats_word_for_word() -> Iterator[None]:
    """A repeat that spells out how much it wants is another request."""
    in_full = ChargingRequest.in_full

    def unspelled(
        asked: ChargingRequest, default_seconds: int, reported_seconds: int
    ) -> ChargingRequest:
        whole = in_full(asked, default_seconds, reported_seconds)
        return whole._replace(requested_seconds=asked.requested_seconds)

    with patch.object(ChargingRequest, "in_full", unspelled):
        yield


@contextmanager
def granting_as_much_as_is_wanted() -> Iterator[None]:
    """`maxGrantSeconds` is configured, and ignored."""
    with patch.object(Account, "max_grant_seconds", MAX_CALL_SECONDS):
        yield


@contextmanager
def failing_closed_always() -> Iterator[None]:
    """`failureHandling` is configured, and ignored."""
    with patch.object(Account, "failure_handling", FailureHandling.CLOSED):
        yield


@contextmanager
def freeing_what_no_answer_proves() -> Iterator[None]:
    """What an answer takes back is free at once, whether it is heard or not."""

    def latest(_: PricedRequest, promised: Promise | None) -> list[Promise]:
        return [] if promised is None else [promised]

    with patch.object(authorization, "_promises", latest):
        yield


@contextmanager
def counting_calls_before_credit() -> Iterator[None]:
    """As many calls as may be under way are named, though credit is short as well."""
    grant_blocks = authorization._grant_blocks  # noqa: SLF001

    def counted(quote: PricedRequest) -> Grant:
        settings = quote.context.account.settings
        most = settings and settings.max_concurrent_calls
        is_full, notified = authorization._concurrent_calls(quote, most or 0)  # noqa: SLF001
        if quote.is_new and most is not None and is_full:
            denial = authorization._denial(Denied.SPEND_LIMIT, LimitName.CONCURRENT_CALLS)  # noqa: SLF001
            return denial._replace(call_limit_notified=notified)
        return grant_blocks(quote)

    with patch.object(authorization, "_grant_blocks", counted):
        yield


@contextmanager
def trusting_all_clocks() -> Iterator[None]:
    """A call is reserved for as if telephony's clock were never behind ours."""
    with patch.object(pricing, "CLOCK_SKEW", timedelta()):
        yield


@contextmanager
def going_on_by_the_card_in_force() -> Iterator[None]:
    """An update prices a call by the rate card in force, which came after it had begun."""
    with patch.object(
        AuthorizeCall, "_rate_card", lambda use_case, _: use_case.rate_cards.current()
    ):
        yield


@contextmanager
def charging_by_the_card_in_force() -> Iterator[None]:
    """A call is charged by the rate card in force, which came after it had begun."""
    with patch.object(_OrganizationCharge, "_former_contexts", lambda *_: {}):
        yield


@contextmanager
def repeating_what_has_lapsed() -> Iterator[None]:
    """A grant that has lapsed is given once more to who repeats the request."""
    with patch.object(Answer, "lapsed", lambda answer: answer):
        yield


@contextmanager
def adjusting_before_any_currency() -> Iterator[None]:
    """A correction is booked before it is known in which currency the credit is kept."""
    with patch.object(booking, "_check_currency_known", lambda _: None):
        yield


@contextmanager
def stating_no_price_in_another_currency() -> Iterator[None]:
    """A price in another currency than the credit's is stated as none, paid or not."""

    def stated(one: Usage) -> Price:
        is_foreign = one.price.unpriced is Unpriced.CURRENCY_MISMATCH
        return one.price.without_amounts() if is_foreign else one.price

    with patch.object(Usage, "stated_price", property(stated)):
        yield


@contextmanager
def charging_in_any_currency() -> Iterator[None]:
    """Credit pays what the card says, as if it were kept in the currency of the rate."""
    with patch.object(rating_rules, "charged_in", lambda *_: None):
        yield


@contextmanager
def repricing_in_whole_minutes() -> Iterator[None]:
    """A call that is rated again costs its first rate by the minute, whatever its card said."""
    as_card = Price.as_card

    def plain(price: Price, leg_type: LegType) -> RateCard:
        return as_card(
            price._replace(
                initial_increment_seconds=SECONDS_PER_MINUTE,
                increment_seconds=SECONDS_PER_MINUTE,
                later_steps=(),
            ),
            leg_type,
        )

    with patch.object(Price, "as_card", plain):
        yield


@contextmanager
def pricing_masked_numbers_for_certain() -> Iterator[None]:
    """A call to a masked number says nothing of the prices that it may have as well."""
    with patch.object(RateCard, "is_uncertain", lambda *_: False):
        yield


@contextmanager
def authorizing_by_the_digits_shown() -> Iterator[None]:
    """What masked digits may hide reserves nothing, and is not looked at for blocked numbers."""
    with patch.object(pricing, "_with_more_digits", lambda *_: iter(())):
        yield


@contextmanager
def reading_first_items_only() -> Iterator[None]:
    """What was moved when a timeline was full is stored, and read no more."""

    def first(store: InMemoryStore, organization_id: str, user_id: str | None) -> Timeline:
        return Timeline(store.facts[organization_id, user_id])

    with patch.object(InMemoryStore, "_timeline", first):
        yield


@contextmanager
def facts_of_one_instant_by_identity() -> Iterator[None]:
    """Of two facts that were issued at one instant the one with the greater id holds."""
    with patch.object(timelines, "caution", lambda *_: 0):
        yield


@contextmanager
def believing_any_instant() -> Iterator[None]:
    """A call may have ended, and credit been bought, long after the event that reports it."""
    with patch.object(bus_event, "_check_has_happened", lambda _: None):
        yield


@contextmanager
def settings_of_one_instant_by_identity() -> Iterator[None]:
    """Of two settings that were saved at one instant those with the greater id hold."""
    with patch.object(CreditSettings, "_caution", ()):
        yield


@contextmanager
def booking_by_senders_clocks() -> Iterator[None]:
    """An event is booked at the time that it states, though it arrived before that."""

    def stated(sent_at: datetime, _: datetime | None) -> datetime:
        return sent_at

    with patch.object(telephony, "booked_at", stated), patch.object(billing, "booked_at", stated):
        yield


@contextmanager
def settings_by_arrival() -> Iterator[None]:
    """The settings that arrive last are in force, whenever they were issued."""
    with patch.object(CreditSettings, "order", ()):
        yield


@contextmanager
def correcting_past_the_limits() -> Iterator[None]:
    """A correction changes what calls cost, and not what was counted for limits."""
    changes_of = spending.spend_changes

    def of_days(
        corrected: Iterable[tuple[Usage, Usage]],
        licensing: Licensing,
        settings: CreditSettings | None,
    ) -> tuple[SpendChange, ...]:
        changes = changes_of(corrected, licensing, settings)
        return tuple(change for change in changes if change.key.kind is SpendKind.DAY)

    with patch.object(corrections, "spend_changes", of_days):
        yield


@contextmanager
def skipping_corrections() -> Iterator[None]:
    """A record that takes in some of the corrections that it lacks is said to have them all."""
    corrected = spend_counters._corrected  # noqa: SLF001

    def to_the_last(
        credit: CreditStore, account: Account, behind: Sequence[SpendCounter]
    ) -> Iterator[SpendCounter]:
        done = {one.key: one for one in corrected(credit, account, behind)}
        for one in behind:
            yield done.get(one.key, one)._replace(corrections=account.corrections)

    with patch.object(spend_counters, "_corrected", to_the_last):
        yield


@contextmanager
def reading_the_last_list_again() -> Iterator[None]:
    """Who goes on with the lists of calls after one of them begins with that one."""
    lists = InMemoryCalls.lists

    def from_there(
        calls: InMemoryCalls, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        listed = lists(calls, organization_id, since=since)
        return (one for one in listed if after is None or one.key >= after)

    with patch.object(InMemoryCalls, "lists", from_there):
        yield


@contextmanager
def counting_what_was_added_already() -> Iterator[None]:
    """What was charged since a day was begun is counted with the lists of the day as well."""

    def as_it_is_now(usage: Usage, _: int) -> int:
        return usage.charge_micros

    with patch.object(spend_counters, "_micros_by", as_it_is_now):
        yield


@contextmanager
def folding_within_the_horizon() -> Iterator[None]:
    """A repeat goes at once, and a removal that comes late takes the license away for good."""

    def at_once(facts: Iterable[Fact], _: datetime) -> frozenset[Fact]:
        return fold(facts, datetime.max.replace(tzinfo=UTC))

    with patch.object(memory_licensing, "fold", at_once):
        yield


@contextmanager
def issued_when_sent() -> Iterator[None]:
    """Nobody reads when something was decided: the event's time counts, in whole seconds."""

    def sent_at(event: Event[Any], _: IssuedDetail) -> datetime:
        return event.time

    with (
        patch.object(licensing_events, "issued_at", sent_at),
        patch.object(billing_events, "issued_at", sent_at),
    ):
        yield


def _changes_known_as(identity_of: Callable[[Event[Any]], str]) -> AbstractContextManager[object]:
    identity = bus_event._identity_of  # noqa: SLF001

    def as_of_events(event: Event[Any]) -> tuple[IdentityKind, str]:
        if event.detail.numbered_by is None:
            return IdentityKind.EVENT, identity_of(event)
        return identity(event)

    return patch.object(bus_event, "_identity_of", as_of_events)


@contextmanager
def knowing_changes_by_their_event_ids() -> Iterator[None]:
    """What a bus gave another id counts once more, whatever its `changeId`."""
    with _changes_known_as(lambda event: event.id):
        yield


@contextmanager
def keeping_change_ids_as_event_ids() -> Iterator[None]:
    """A `changeId` that reads like the id of another event is taken for it."""
    with _changes_known_as(lambda event: event.detail.change_id or event.id):
        yield


@contextmanager
def cutting_before_the_difference() -> Iterator[None]:
    """How long a call lasted is told by instants that are cut to microseconds."""
    with patch.object(telephony, "_exact_seconds", lambda _: None):
        yield


@contextmanager
def without_a_horizon() -> Iterator[None]:
    """A licensing event takes effect as long ago as it likes."""

    def unchecked(event: object, horizon: object) -> None:
        del event, horizon

    with patch.object(licensing, "check_within_horizon", unchecked):
        yield


@contextmanager
def settling_the_first_calls_only() -> Iterator[None]:
    """A pool counts as settled when some calls were gone over, whatever those after them got."""

    def settled(pool: MinutePool) -> MinutePool:
        return settling.settled_until(pool, pool.month.last_day + timedelta(days=1))

    with patch.object(settle_pools, "settled_where_rest_stays", settled):
        yield


@contextmanager
def asking_for_no_next_step() -> Iterator[None]:
    """A pool that becomes unsettled wakes nobody, nor does a step that was not the last."""
    with patch.object(MinutePools, "steps", {}):
        yield


@contextmanager
def tracing_calls_to_the_last_of_their_batch() -> Iterator[None]:
    """All that a transaction tells names its last event, also what is told of another call."""
    with patch.object(Causes, "of", lambda causes, _: causes.last):
        yield


@contextmanager
def sharing_causes_among_organizations() -> Iterator[None]:
    """The organizations of a batch name their causes in one place: the last one is named by all."""
    named = [NO_CAUSES]

    def replaced(causes: Causes) -> Causes:
        before, named[0] = named[0], causes
        return before

    shared = SimpleNamespace(set=replaced, reset=replaced, get=lambda: named[0])
    with patch.object(correlation, "_CAUSES", shared):
        yield


@contextmanager
def deciding_on_the_calls_of_whoever_came_last() -> Iterator[None]:
    """The calls to charge are stored once for all organizations of a batch."""
    commit, decide = _OrganizationCharge._commit, _OrganizationCharge._decide  # noqa: SLF001 - where the bug would be
    stored: dict[int, list[EndedCall]] = {}  # by use case: one for each instance

    def storing(charge: _OrganizationCharge, pending: Mapping[int, EndedCall]) -> Any:
        stored[id(charge.use_case)] = list(pending.values())
        return commit(charge, pending)

    def decided(charge: _OrganizationCharge, _: object, account: Account) -> Transaction:
        return decide(charge, stored[id(charge.use_case)], account)

    with patch.multiple(_OrganizationCharge, _commit=storing, _decide=decided):
        yield


@contextmanager
def skipping_an_organization_between_pages() -> Iterator[None]:
    """The first organization of each page but the first is left out."""
    listed = InMemoryStore.listed_organizations

    def skipping(store: InMemoryStore, **asked: Any) -> ListedOrganizations:
        page = listed(store, **asked)
        if page.after is None:
            return page
        after = listed(store, **{**asked, "limit": 1, "after": page.after}).organization_ids[0]
        return page._replace(after=after)

    with patch.object(InMemoryStore, "listed_organizations", skipping):
        yield


@contextmanager
def showing_reasons_as_they_are_sent() -> Iterator[None]:
    """A reason may end the line of an e-mail, and begin one that looks like ours."""
    with patch.object(notification_texts, "one_line", lambda text: text):
        yield


@contextmanager
def adding_again_where_a_reading_stopped() -> Iterator[None]:
    """What was added last before time ran out is added once more."""
    parts = InMemoryBooks.parts

    def inclusive(
        books: InMemoryBooks, organization_id: str, *, after: BooksCursor | None = None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry | CallCost]]:
        found = parts(books, organization_id)
        return (one for one in found if after is None or one[0] >= after)

    with patch.object(InMemoryBooks, "parts", inclusive):
        yield


@contextmanager
def moving_the_checkpoint_over_a_difference() -> Iterator[None]:
    """Books that differ are taken for proven up to where they were read."""

    def proven(check: BooksCheck, at: datetime, differences: int) -> BooksCheck:
        assert check.reading is not None
        agreed = check.agreed_whole(at, check.reading.account)
        return replace(agreed, differences=differences)

    with patch.object(BooksCheck, "differed", proven):
        yield


@contextmanager
def taking_all_since_a_checkpoint_for_right() -> Iterator[None]:
    """What came after a checkpoint is added up, and held against nothing."""
    with patch.object(check_books, "agrees", lambda *_: True):
        yield


BOOKS = "balance = ledger = lots less debt"
CROSSINGS = "one id for each crossing"
RESERVED = "reserved = open reservations"
POOLS = "calls draw pool minutes in their order"
COVERED = "authorized calls never take a balance below zero"
OWN_CARD = "a call is priced by the card that it was authorized by"
RULES = "each call costs what the rules say"
WRONG = "a wrong event is refused"
COUNTED = "limits count what calls cost"
CAUTIOUS = "of two statements of one instant the cautious one holds"
TRACED = "a notification names the event that caused it"
HIGHEST = "a masked number is granted what covers the highest price it may have"

BUGS: dict[Callable[[], AbstractContextManager[None]], set[str]] = {
    without_does_not_exist: {BOOKS, CROSSINGS},
    with_plain_add: {BOOKS, RESERVED},
    publishing_before_the_commit: {"only what was committed is published"},
    without_version: {BOOKS, RESERVED},
    rearmed_on_every_call: {CROSSINGS},
    without_late_lots: {"a late call is paid by a lot of its time"},
    forgetting_who_sends: {"an entry names who sent its event"},
    chargebacks_by_other_lots: {"a chargeback takes what was forfeited first"},
    losing_further_lots: {BOOKS, "everything settles"},
    never_charging_reports: {"a call without an end costs what its bridge reported"},
    charging_reports_and_ends: {BOOKS},
    with_a_new_recharge_id_after_a_day: {"one recharge id for one crossing"},
    sending_recharges_again_by_their_outcomes: {"no recharge is sent again by its own outcome"},
    without_a_limit_of_recharges_a_day: {"at most ten recharges are requested a day"},
    telling_what_may_change: {"nobody is notified of a balance that may change"},
    minutes_used_before_drawn_again: {POOLS},
    corrected_by_the_card_of_the_call: {"a correction reaches all calls of its time"},
    corrected_without_settling: {POOLS, BOOKS},
    settling_without_those_who_drew: {POOLS},
    spelling_users_as_requests_do: {"events and the API know the same users"},
    refusing_who_withholds_a_number: {"a right request is answered"},
    without_the_last_report: {"what the API says of a call is what its bridge knows"},
    unlisted_once_reported: {"calls under way are listed"},
    granting_to_the_last_second: {"a bridge that obeys stays within its grant"},
    taking_any_report: {"a false report is refused"},
    repeats_word_for_word: {"one request has one answer"},
    granting_as_much_as_is_wanted: {"no grant is longer than maxGrantSeconds and a block"},
    failing_closed_always: {"answers carry the failureHandling in force"},
    freeing_what_no_answer_proves: {COVERED},
    counting_calls_before_credit: {"credit that is short is named before any limit"},
    trusting_all_clocks: {COVERED},
    going_on_by_the_card_in_force: {OWN_CARD},
    charging_by_the_card_in_force: {OWN_CARD},
    repeating_what_has_lapsed: {"a grant that has lapsed is not given again"},
    adjusting_before_any_currency: {"booked credit has a currency"},
    stating_no_price_in_another_currency: {"a call that is rated states what its card says"},
    charging_in_any_currency: {"credit pays in its own currency only"},
    repricing_in_whole_minutes: {RULES},
    pricing_masked_numbers_for_certain: {"a masked number says whether its price is certain"},
    authorizing_by_the_digits_shown: {HIGHEST},
    believing_any_instant: {WRONG},
    booking_by_senders_clocks: {"nothing is booked in the future"},
    correcting_past_the_limits: {COUNTED},
    skipping_corrections: {COUNTED},
    reading_the_last_list_again: {COUNTED},
    counting_what_was_added_already: {COUNTED},
    facts_of_one_instant_by_identity: {CAUTIOUS},
    settings_of_one_instant_by_identity: {CAUTIOUS},
    settings_by_arrival: {CAUTIOUS},
    issued_when_sent: {CAUTIOUS},
    knowing_changes_by_their_event_ids: {"a change counts once, however often it is put on a bus"},
    keeping_change_ids_as_event_ids: {"a changeId is no event id"},
    cutting_before_the_difference: {"a call lasts as long as all digits say"},
    skipping_an_organization_between_pages: {"every night all books are checked"},
    adding_again_where_a_reading_stopped: {"all books are read within some days"},
    moving_the_checkpoint_over_a_difference: {"a checkpoint is what the ledger says"},
    taking_all_since_a_checkpoint_for_right: {"differences of the books are found"},
    reading_first_items_only: {RULES},
    folding_within_the_horizon: {"no fact is lost"},
    without_a_horizon: {WRONG},
    asking_for_no_next_step: {"an unsettled pool is settled soon"},
    settling_the_first_calls_only: {POOLS, RULES},
    tracing_calls_to_the_last_of_their_batch: {TRACED},
    sharing_causes_among_organizations: {TRACED},
    deciding_on_the_calls_of_whoever_came_last: {TRACED},
    showing_reasons_as_they_are_sent: {"subjects and texts are printable lines"},
}
"""Each bug with the promises of which it breaks one."""
