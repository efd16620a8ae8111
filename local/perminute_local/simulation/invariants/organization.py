"""One organization as it is stored, against all events about it that were taken."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.apply_licensing import LicensingEvent
from perminute.application.book_credit import CreditEvent
from perminute.application.charge_calls import EndedCall
from perminute.domain.credit.booking import Adjustment, Purchase
from perminute.domain.credit.credit_settings import LATE_USAGE, CreditSettings
from perminute.domain.credit.ledger import RERATING, EntryType
from perminute.domain.licensing.attributes import POOL_MINUTES_USED
from perminute.domain.licensing.licensing import Licensing, Seats
from perminute.domain.licensing.timelines import RERATING_HORIZON, Timeline
from perminute.domain.limits.spending import SpendKind
from perminute.domain.pools.pools import DrawPosition, Month, month_of
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.domain.values.money import format_micros
from perminute_local.simulation.invariants import calls
from perminute_local.simulation.invariants.books import LotHistory
from perminute_local.simulation.invariants.explanations import explain_all_calls
from perminute_local.simulation.invariants.invariant import (
    Broken,
    books_agree,
    everything_settles,
    invariant,
)
from perminute_local.simulation.invariants.postings import months_are_stated, posted
from perminute_local.simulation.invariants.same_second import earliest_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from perminute.domain.licensing.attributes import FactValue
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.backends.backend import Snapshot

ReadEvent = EndedCall | CreditEvent | LicensingEvent

_CLOCK_SKEW = timedelta(minutes=5)
"""How far the clock of somebody who issues settings may be ahead of ours."""


def organization_of(event: ReadEvent) -> str:
    """Return the id of the organization that an event is about."""
    match event:
        case EndedCall():
            return event.call.organization_id
        case CreditEvent():
            return event.organization_id
        case LicensingEvent():
            return event.change.organization_id


class Organization(NamedTuple):
    """What is stored of an organization, and what was sent."""

    id: str
    stored: Snapshot
    taken: list[ReadEvent]
    cards: Mapping[str, RateCard]
    now: datetime

    @property
    def stated_facts(self) -> set[tuple[str | None, Fact]]:
        """All facts that were stated, each with its user or None."""
        return {
            (event.change.user_id, fact)
            for event in self.taken
            if isinstance(event, LicensingEvent)
            for fact in event.change.facts
        }

    @property
    def licensing(self) -> Licensing:
        """What the facts together say."""
        facts: defaultdict[str | None, list[Fact]] = defaultdict(list)
        for event in self.taken:
            if isinstance(event, LicensingEvent):
                facts[event.change.user_id] += event.change.facts
        organization = Timeline(facts.pop(None, []))
        users = {str(user_id): Timeline(of_user) for user_id, of_user in facts.items()}
        return Licensing(organization, users, Seats(users.values()))


def broken_by(organization: Organization) -> Iterator[Broken]:
    """Check all invariants of an organization in which nothing is under way."""
    yield from books_of(organization.id, organization.stored, organization.now)
    for check in _INVARIANTS:
        yield from (broken.of(organization.id) for broken in check(organization))


def books_of(organization_id: str, stored: Snapshot, now: datetime) -> Iterator[Broken]:
    """Check the books of an organization against each other, whatever was sent."""
    waiting = [f"{stored.waiting} re-ratings were never carried out"] if stored.waiting else []
    for broken in chain(
        books_agree(*(difference.message for difference in reconcile(stored.statement))),
        _have_a_currency(stored),
        everything_settles(*waiting),
        _reserved_by_calls(stored, now),
        posted(stored),
    ):
        yield broken.of(organization_id)


@invariant
def _have_a_currency(stored: Snapshot) -> Iterator[str]:
    """Booked credit has a currency."""
    if stored.account.entries and stored.account.currency is None:
        yield f"{stored.account.entries} entries, and no currency"


@invariant
def _reserved_by_calls(stored: Snapshot, now: datetime) -> Iterator[str]:
    """Reserved = open reservations."""
    held = [held for reservation in stored.reservations for held in reservation.held]
    live = [held for held in held if held.used or held.until > now]
    reserved, pools = stored.account.reserved, stored.statement.pools
    minutes = sum(pool.held.amount_at(now) for pool in pools)
    calls_under_way = sum(held.calls for held in live if not held.used)
    for what, on_account, of_calls in (
        ("credit", reserved.amount_at(now), sum(held.micros for held in live)),
        ("calls", reserved.calls_at(now), calls_under_way),
        ("minutes", minutes, sum(held.minutes for held in live)),
    ):
        if on_account != of_calls:
            yield f"{on_account} {what} are reserved, and calls under way have {of_calls}"


@invariant
def _counted_once(organization: Organization) -> Iterator[str]:
    """Every purchase and every charge counts once."""
    bought = [
        event.change.amount_micros
        for event in organization.taken
        if isinstance(event, CreditEvent) and isinstance(event.change, Purchase | Adjustment)
    ]
    stored = organization.stored
    cost_micros = sum(usage.charge_micros for usage in stored.usages.values())
    expired_micros = sum(
        entry.amount_micros for entry in stored.statement.entries if entry.type is EntryType.EXPIRY
    )
    left_micros = sum(bought) - cost_micros + expired_micros
    if left_micros != stored.account.balance_micros:
        balance = format_micros(stored.account.balance_micros)
        yield (
            f"the balance is {balance}, but what was bought less what calls cost and what expired "
            f"is {format_micros(left_micros)}"
        )


@invariant
def _facts_are_stored(organization: Organization) -> Iterator[str]:
    """No fact is lost."""
    stated, stored = organization.stated_facts, organization.stored.facts
    # Of copies of one event with different times, the earliest counts.
    lost = earliest_copies(stated) - stored
    horizon = organization.now - RERATING_HORIZON
    # Of what took effect before the horizon, only what changes a value has to be stored.
    missing = [
        (user, fact)
        for user, fact in lost
        if fact.effective_at >= horizon or _value(stated, user, fact) != _value(stored, user, fact)
    ]
    made_up = stored - stated
    if made_up or missing:
        yield f"of the facts that were stated {len(missing)} are lost, and {len(made_up)} made up"


def _value(
    facts: Iterable[tuple[str | None, Fact]], user_id: str | None, fact: Fact
) -> FactValue | None:
    timeline = Timeline(fact for whose, fact in facts if whose == user_id)
    if fact.attribute == POOL_MINUTES_USED:
        return dict(timeline.changes_of(fact.attribute)).get(fact.effective_at)
    return timeline.value_at(fact.attribute, fact.effective_at)


@invariant
def _set_up_by_the_first(organization: Organization) -> Iterator[str]:
    """Credits are set up by what came first."""
    earliest, latest = [], []
    for event in organization.taken:
        match event:
            case CreditEvent(change=CreditSettings(configured_at=at), heard_at=heard_at):
                # By a clock that is too far ahead, they count from their arrival.
                ahead = timedelta() if heard_at is None else at - heard_at
                earliest.append(at - ahead if ahead > _CLOCK_SKEW else at)
            case CreditEvent(change=Purchase(purchased_at=at), heard_at=heard_at):
                earliest.append(min(at, heard_at or at))
            case _:
                continue
        latest.append(at)
    set_up_at = organization.stored.account.credits_set_up_at
    if latest and (set_up_at is None or not min(earliest) <= set_up_at <= min(latest)):
        yield f"the credits are set up at {set_up_at}, not from {min(earliest)} to {min(latest)}"


@invariant
def _cost_by_the_rules(organization: Organization) -> Iterator[str]:
    """Each call costs what the rules say."""
    licensing, account = organization.licensing, organization.stored.account
    for usage in organization.stored.usages.values():
        if usage.content_digest is None:
            card = organization.cards[usage.price.rate_card_version]
        else:
            card = usage.price.as_card(usage.call.leg_type)
        context = RatingContext.of(account, licensing, card)
        due = rate_call(usage.call, context).usage(usage.pool_minutes, usage.reserved_minutes)
        if _rated(usage) != _rated(due):
            yield f"{usage.call.call_id} is {_rated(usage)}, and the rules say {_rated(due)}"


def _rated(usage: Usage) -> tuple[object, ...]:
    price = usage.price
    if usage.outcome is Outcome.FREE:
        # No list names it, so it is not rated again when the credit gets a currency.
        price = price._replace(unpriced=None)
    return (
        usage.outcome.value,
        usage.reason and usage.reason.value,
        usage.charge_micros,
        price,
        usage.draws_on_pool,
        usage.policy_flag,
    )


@invariant
def _draw_in_order(organization: Organization) -> Iterator[str]:
    """Calls draw pool minutes in their order."""
    stored = organization.stored
    if stored.reservations or any(usage.authorized_at for usage in stored.usages.values()):
        # Minutes that a call has reserved are its own, wherever it stands in the order.
        return
    licensing, used = organization.licensing, _used_elsewhere(organization)
    drawing = [u for u in stored.usages.values() if u.draws_on_pool or u.pool_minutes]
    for usage in sorted(drawing, key=lambda usage: DrawPosition.of(usage.call)):
        call = usage.call
        minutes = licensing.pool_minutes(call.rated_at)
        wanted = -(-call.connected_seconds // 60) if usage.draws_on_pool else 0
        due = min(wanted, max(0, minutes - used[month_of(call)]))
        used[month_of(call)] += due
        if due != usage.pool_minutes:
            yield f"{call.call_id} drew {usage.pool_minutes} minutes, and {due} were its own"


def _used_elsewhere(organization: Organization) -> Counter[Month]:
    """Return the minutes of each month that were used elsewhere, by the last statement."""
    stated = {
        (user, fact)
        for user, fact in organization.stated_facts
        if fact.attribute == POOL_MINUTES_USED
    }
    known = (fact for _, fact in earliest_copies(stated))
    in_order = sorted(known, key=lambda fact: fact.order)
    return Counter({Month.of(fact.effective_at): int(fact.value) for fact in in_order})


@invariant
def _limits_count_costs(organization: Organization) -> Iterator[str]:
    """Limits count what calls cost."""
    account, corrected = organization.stored.account, organization.stored.spend_changes
    settings = account.settings
    by_prefix = settings is not None and settings.prefix_hourly_spend_limit_micros is not None
    for spending in organization.stored.spend_counters:
        # Nothing is counted for prefixes while there is no such limit.
        is_void = not by_prefix or spending.corrections < account.prefixes_from
        if spending.key.kind is SpendKind.PREFIX and is_void:
            continue
        later = (corrected[number] for number in sorted(corrected) if number > spending.corrections)
        known = spending.with_changes(chain.from_iterable(later), account.corrections)
        # A day of which only a part is counted is checked once it is complete.
        known = known.without_part()
        spent_micros = sum(
            usage.charge_micros
            for usage in organization.stored.usages.values()
            if spending.key.counts(usage.call, usage.price.prefix, usage.began_at)
            and known.contains(usage.call.ended_at.date())
        )
        if spent_micros != known.spent_micros:
            yield (
                f"of {spending.key} {format_micros(known.spent_micros)} were spent, but its calls "
                f"cost {format_micros(spent_micros)}"
            )


def _lots_pay(organization: Organization) -> Iterator[Broken]:
    reported: dict[str, tuple[datetime, datetime]] = {}
    charged_back: dict[str, str] = {}
    late_usages = [LATE_USAGE]
    for event in organization.taken:
        match event:
            case EndedCall(call=call, reported_at=at, heard_at=heard_at):
                reported[call.call_id] = min(at, heard_at or at), at
            case CreditEvent(change=Adjustment(adjustment_id=name, purchase_id=str() as what)):
                charged_back[name] = what
            case CreditEvent(change=CreditSettings(late_usage=late_usage)):
                late_usages.append(late_usage)
            case _:
                pass
    return LotHistory(
        organization.stored, reported, charged_back, min(late_usages), max(late_usages)
    ).broken()


@invariant
def _name_their_producers(organization: Organization) -> Iterator[str]:
    """An entry names who sent its event."""
    sent = {
        f"{because}{event.processed_event.key.kind}#{event.processed_event.key.id}": event.producer
        for event in organization.taken
        if isinstance(event, CreditEvent)
        for because in ("", RERATING)
    }
    for entry in organization.stored.statement.entries:
        producer = sent.get(entry.cause or "")
        if entry.producer != producer:
            yield f"entry {entry.entry_id} ({entry.cause}) names {entry.producer}, not {producer}"


_INVARIANTS: tuple[Callable[[Organization], Iterator[Broken]], ...] = (
    _counted_once,
    _facts_are_stored,
    _set_up_by_the_first,
    _cost_by_the_rules,
    lambda organization: months_are_stated(organization.stored),
    lambda organization: calls.state_their_price(organization.stored, organization.cards),
    lambda organization: calls.paid_in_own_currency(organization.stored),
    lambda organization: calls.flag_masked_numbers(organization.stored, organization.cards),
    _draw_in_order,
    _limits_count_costs,
    _lots_pay,
    _name_their_producers,
    lambda organization: explain_all_calls(
        organization.id, organization.stored, organization.cards
    ),
)
