"""What has to come of the events that were sent, by the pure rules and nothing else."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import chain
from math import ceil
from typing import TYPE_CHECKING

from perminute.application.apply_licensing import LicensingEvent
from perminute.application.book_credit import CreditEvent
from perminute.application.charge_calls import EndedCall
from perminute.domain.authorization.reservations import CLOCK_SKEW, RINGING
from perminute.domain.credit.booking import Adjustment, Purchase
from perminute.domain.credit.charging import notifications_of_call
from perminute.domain.credit.credit_settings import LATE_USAGE, CreditSettings
from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import POOL_MINUTES_USED, license_attribute
from perminute.domain.licensing.licensing import Licensing, Seats
from perminute.domain.licensing.timelines import RERATING_HORIZON, Timeline
from perminute.domain.limits.spending import SpendingKind
from perminute.domain.pools.pools import THRESHOLDS, Month, Position, month_of
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.domain.reference.licenses import product_named
from perminute.domain.values.money import format_micros, parse_micros
from perminute.events.billing import BILLING, credit_event
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, licensing_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute_local.simulation import currencies, masked, same_second
from perminute_local.simulation.digests import NONE_LOST
from perminute_local.simulation.lots import LotHistory
from perminute_local.simulation.notified import misnamed, misstated
from perminute_local.simulation.plan import Expected
from perminute_local.simulation.producers import PRODUCER, unlike_their_events
from perminute_local.simulation.traces import untraced
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from perminute.domain.licensing.attributes import FactValue
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.backend import Seen
    from perminute_local.simulation.write_recorder import Effects

LATEST_CHARGE = timedelta(hours=100)
"""A call is charged by what was reported of it when its `Call Ended` is so late (see plan.py)."""

_BELIEVED = timedelta(minutes=5)
"""How far the clock of somebody who issues settings may be ahead of ours."""

ALL_DIGITS = "a call lasts as long as all digits say"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Opened = EndedCall | CreditEvent | LicensingEvent


@dataclass(frozen=True, slots=True)
class Sent:
    """An event as it was sent, and what it says; None if it says nothing that can be read."""

    body: str
    expected: Expected
    opened: Opened | None


def open_event(source: str, body: str) -> Opened | None:
    """Read an event as its function does that does not know when it arrived."""
    try:
        match source:
            case "telephony":
                return ended_call(read_event(body, TELEPHONY))
            case "billing":
                return credit_event(read_event(body, BILLING))
            case _:
                return licensing_event(read_event(body, LICENSING))
    except Refused:
        return None


def organization_of(opened: Opened) -> str:
    """Tell whom an event is about."""
    match opened:
        case EndedCall(call=call):
            return call.organization_id
        case CreditEvent(organization_id=organization_id):
            return organization_id
        case LicensingEvent(change=change):
            return change.organization_id


def identity_of(opened: Opened) -> tuple[object, ...]:
    """Name what an event is known by for ever (docs/events.md)."""
    match opened:
        case EndedCall(call=call):
            return "call", call.organization_id, call.call_id
        case (
            CreditEvent(processed_event=processed_event)
            | LicensingEvent(processed_event=processed_event)
        ):
            return (
                processed_event.key.kind,
                processed_event.key.organization_id,
                processed_event.key.id,
            )


def content_of(opened: Opened) -> object:
    """Return what an event says, whatever it is known by."""
    match opened:
        case EndedCall(call=call):
            return call
        case (
            CreditEvent(processed_event=processed_event)
            | LicensingEvent(processed_event=processed_event)
        ):
            return processed_event.content


def is_change(opened: Opened) -> bool:
    """Whether an event is known by its `changeId`, so that it may be put on a bus again."""
    return (
        not isinstance(opened, EndedCall) and opened.processed_event.key.kind is IdentityKind.CHANGE
    )


@dataclass
class Expectations:
    """The events of all organizations, and the rate cards by which calls were rated."""

    cards: dict[str, RateCard] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    """By their bodies: what is sent twice is one event."""
    contents: defaultdict[tuple[object, ...], set[object]] = field(
        default_factory=lambda: defaultdict(set)
    )
    """What was said under one identity, in all the ways in which it was."""

    def send(self, source: str, body: str, expected: Expected, at: datetime) -> None:
        """Take note of an event that was sent."""
        if body in self.sent:
            return
        opened = open_event(source, body)
        if opened is not None:
            # A copy that an operator sends back arrives later.
            opened = replace(opened, heard_at=at)
        self.sent[body] = Sent(body, expected, opened)
        if opened is not None:
            said = content_of(opened) if is_change(opened) else body
            self.contents[identity_of(opened)].add(said)

    def check(self, seen: Mapping[str, Seen], effects: Effects, now: datetime) -> Iterator[Broken]:
        """Hold everything against everything else; nothing may be under way."""
        taken: defaultdict[str, list[Opened]] = defaultdict(list)
        refused = Counter(kept.body for kept in effects.kept)
        stands: dict[tuple[object, ...], object] = {}
        for sent in self.sent.values():
            is_taken = sent.opened is not None and _is_taken(sent.opened, seen)
            yield from self._settled_once(sent, is_taken=is_taken, refusals=refused[sent.body])
            if sent.opened is None or not is_taken:
                continue
            identity, content = identity_of(sent.opened), content_of(sent.opened)
            # The copy of a replay is taken for what it is; else another one stands as well.
            is_copy = is_change(sent.opened) and stands.get(identity) == content
            if identity in stands and not is_copy:
                yield Broken("one identity has one content", f"another one stands: {sent.body}")
                continue
            stands[identity] = content
            taken[organization_of(sent.opened)].append(sent.opened)
            yield from _lasted(sent.body, sent.opened, seen)
        for body in refused.keys() - self.sent.keys():
            yield Broken("what is refused was sent", f"nobody sent {body}")
        yield from same_second.broken_of(self.sent, refused, seen)
        yield from _told(effects, seen)
        yield from misstated(effects)
        yield from misnamed(effects, seen)
        yield from untraced(effects, (one.opened for one in self.sent.values() if one.opened))
        yield from _as_reported(effects, seen)
        for organization_id, one in seen.items():
            known = _Known(organization_id, one, taken[organization_id])
            yield from known.broken(self.cards, now)

    def _settled_once(self, sent: Sent, *, is_taken: bool, refusals: int) -> Iterator[Broken]:
        """Everything that was sent is taken or refused, not both, and as it has to be."""
        alone = sent.opened is None or len(self.contents[identity_of(sent.opened)]) == 1
        if is_taken and refusals and sent.expected is not Expected.ONCE_KNOWN:
            yield Broken("each event is taken or refused", f"it was both: {sent.body}")
        elif not is_taken and not refusals:
            yield Broken("each event is taken or refused", f"it was neither: {sent.body}")
        elif sent.expected is Expected.TAKEN and alone and not is_taken:
            yield Broken("what is right is taken", f"it was refused: {sent.body}")
        elif sent.expected is Expected.REFUSED and is_taken:
            yield Broken("what is wrong is refused", f"it was taken: {sent.body}")


@dataclass(frozen=True, slots=True)
class _Known:
    """An organization as it stands, and all events about it that were taken."""

    organization_id: str
    seen: Seen
    taken: list[Opened]

    def broken(self, cards: Mapping[str, RateCard], now: datetime) -> Iterator[Broken]:
        yield from books_of(self.organization_id, self.seen, now)
        yield from self._money()
        yield from self._facts(now)
        yield from self._calls(cards)
        yield from currencies.broken_of(self.organization_id, self.seen, cards)
        yield from masked.flags_of(self.organization_id, self.seen, cards)
        yield from self._pools()
        yield from self._spendings()
        yield from self._lots()
        for why in unlike_their_events(self.taken, self.seen.statement.entries):
            yield Broken(PRODUCER, self._say(why))

    def _money(self) -> Iterator[Broken]:
        """All that was bought and corrected, less what calls cost and what expired, is left."""
        bought = [
            event.change.amount_micros
            for event in self.taken
            if isinstance(event, CreditEvent) and isinstance(event.change, Purchase | Adjustment)
        ]
        cost_micros = sum(usage.charge_micros for usage in self.seen.usages.values())
        entries = self.seen.statement.entries
        expired_micros = sum(e.amount_micros for e in entries if e.type is EntryType.EXPIRY)
        left_micros = sum(bought) - cost_micros + expired_micros
        balance_micros = self.seen.account.balance_micros
        if left_micros != balance_micros:
            yield Broken(
                "every purchase and every charge counts once",
                self._say(
                    f"the balance is {format_micros(balance_micros)}, but what was bought less "
                    f"what calls cost and what expired is {format_micros(left_micros)}"
                ),
            )

    def _facts(self, now: datetime) -> Iterator[Broken]:
        """What is known of licenses is what was said of them: nothing lost, nothing made up.

        But of what lies before the horizon only what changes a value has to be left.
        """
        said = {
            (event.change.user_id, fact)
            for event in self.taken
            if isinstance(event, LicensingEvent)
            for fact in event.change.facts
        }
        made_up = self.seen.facts - said
        # Of copies of one event which say another time it takes the earliest.
        lost = same_second.earliest_copies(said) - self.seen.facts
        missing = [
            one
            for one in lost
            if one[1].effective_at >= now - RERATING_HORIZON
            or _value(said, *one) != _value(self.seen.facts, *one)
        ]
        if made_up or missing:
            why = f"of the facts that were said {len(missing)} are lost, and {len(made_up)} made up"
            yield Broken("no fact is lost", self._say(why))

    def _licensing(self) -> Licensing:
        """Put together what was said, anew."""
        facts: defaultdict[str | None, list[Fact]] = defaultdict(list)
        for event in self.taken:
            if isinstance(event, LicensingEvent):
                facts[event.change.user_id] += event.change.facts
        organization = Timeline(facts.pop(None, []))
        users = {str(user_id): Timeline(of_user) for user_id, of_user in facts.items()}
        return Licensing(organization, users, Seats(users.values()))

    def _calls(self, cards: Mapping[str, RateCard]) -> Iterator[Broken]:
        """Each call is what the rules make of it by all that is known by now."""
        earliest, latest = self._set_up()
        if earliest is not None and latest is not None:
            yield from self._set_up_between(earliest, latest)
        licensing = self._licensing()
        for usage in self.seen.usages.values():
            context = RatingContext(
                licensing=licensing,
                rate_card=cards[usage.price.rate_card_version],
                currency=self.seen.account.currency,
                credits_set_up_at=self.seen.account.credits_set_up_at,
            )
            rating = rate_call(usage.call, context)
            due = rating.usage(usage.pool_minutes, usage.reserved_minutes)
            if _verdict(usage) != _verdict(due):
                why = (
                    f"{usage.call.call_id} is {_verdict(usage)}, and the rules say {_verdict(due)}"
                )
                yield Broken("each call costs what the rules say", self._say(why))

    def _set_up_between(self, earliest: datetime, latest: datetime) -> Iterator[Broken]:
        set_up_at = self.seen.account.credits_set_up_at
        if set_up_at is None or not earliest <= set_up_at <= latest:
            why = f"the credits are set up at {set_up_at}, not from {earliest} to {latest}"
            yield Broken("credits are set up by what came first", self._say(why))

    def _set_up(self) -> tuple[datetime | None, datetime | None]:
        """Return from when to when the credits may be set up, if they are.

        A purchase by a clock that is ahead sets them up when it arrives; so do settings by a clock
        that is further ahead than clocks are. Else these do so when they were issued.
        """
        earliest, latest = [], []
        for event in self.taken:
            match event:
                case CreditEvent(change=CreditSettings(configured_at=at), heard_at=heard_at):
                    ahead = timedelta() if heard_at is None else at - heard_at
                    earliest.append(at - ahead if ahead > _BELIEVED else at)
                case CreditEvent(change=Purchase(purchased_at=at), heard_at=heard_at):
                    earliest.append(min(at, heard_at or at))
                case _:
                    continue
            latest.append(at)
        return min(earliest, default=None), min(latest, default=None)

    def _pools(self) -> Iterator[Broken]:
        """Where nothing is reserved, calls draw on a pool in the order in which they ended."""
        if self.seen.reservations or any(u.authorized_at for u in self.seen.usages.values()):
            return
        licensing, used = self._licensing(), self._used_before()
        drawing = [
            usage
            for usage in self.seen.usages.values()
            if usage.draws_on_pool or usage.pool_minutes
        ]
        for usage in sorted(drawing, key=lambda one: Position.of(one.call)):
            call = usage.call
            minutes = licensing.pool_minutes(call.rated_at)
            wanted = -(-call.connected_seconds // 60) if usage.draws_on_pool else 0
            due = min(wanted, max(0, minutes - used[month_of(call)]))
            used[month_of(call)] += due
            if due != usage.pool_minutes:
                why = f"{call.call_id} drew {usage.pool_minutes} minutes, and {due} were its own"
                yield Broken("the pool's minutes go by the order of the calls", self._say(why))

    def _lots(self) -> Iterator[Broken]:
        """Late calls and chargebacks are paid by the lots that have to."""
        reported: dict[str, tuple[datetime, datetime]] = {}
        charged_back: dict[str, str] = {}
        late_usages = [LATE_USAGE]
        for event in self.taken:
            match event:
                case EndedCall(call=call, reported_at=at, heard_at=heard_at):
                    reported[call.call_id] = min(at, heard_at or at), at
                case CreditEvent(change=Adjustment(adjustment_id=name, purchase_id=str() as what)):
                    charged_back[name] = what
                case CreditEvent(change=CreditSettings(late_usage=late_usage)):
                    late_usages.append(late_usage)
                case _:
                    pass
        history = LotHistory(
            organization_id=self.organization_id,
            seen=self.seen,
            reported=reported,
            charged_back=charged_back,
            shortest=min(late_usages),
            longest=max(late_usages),
        )
        yield from history.broken()

    def _used_before(self) -> Counter[Month]:
        """Count what was said last of the minutes of each month that were used elsewhere."""
        said = {
            (event.change.user_id, fact)
            for event in self.taken
            if isinstance(event, LicensingEvent)
            for fact in event.change.facts
            if fact.attribute == POOL_MINUTES_USED
        }
        known = (fact for _, fact in same_second.earliest_copies(said))
        in_order = sorted(known, key=lambda fact: fact.order)
        return Counter({Month.of(fact.effective_at): int(fact.value) for fact in in_order})

    def _spendings(self) -> Iterator[Broken]:
        """What counts for a limit is what the calls of its period cost, corrections included.

        Not where it is void: nothing is counted for prefixes while there is no such limit. What
        is counted of a day in part is looked at once the day is counted in full.
        """
        account, settings = self.seen.account, self.seen.account.settings
        by_prefix = settings is not None and settings.prefix_hourly_spend_limit_micros is not None
        for spending in self.seen.spendings:
            is_void = not by_prefix or spending.corrections < account.prefixes_from
            if spending.key.kind is SpendingKind.PREFIX and is_void:
                continue
            corrected = self.seen.spending_changes
            later = (corrected[n] for n in sorted(corrected) if n > spending.corrections)
            known = spending.with_changes(chain.from_iterable(later), account.corrections)
            known = known.without_part()
            spent_micros = sum(
                usage.charge_micros
                for usage in self.seen.usages.values()
                if spending.key.counts(usage.call, usage.price.prefix, usage.began_at)
                and known.contains(usage.call.ended_at.date())
            )
            if spent_micros != known.spent_micros:
                why = (
                    f"of {spending.key} {format_micros(known.spent_micros)} were spent, but its "
                    f"calls cost {format_micros(spent_micros)}"
                )
                yield Broken("limits count what calls cost", self._say(why))

    def _say(self, message: str) -> str:
        return f"{self.organization_id}: {message}"


def unknown_user(
    organization_id: str, user_id: str, seen: Seen, effects: Effects
) -> Iterator[Broken]:
    """A user whom a license is known of is not denied for want of one, however it is spelled.

    Where calls are authorized no license is ever taken away. Elsewhere one may be gone by now.
    """
    held = {
        fact.attribute
        for known, fact in seen.facts
        if known is not None and known.lower() == user_id.lower() and fact.value is True
    }
    entitling = {
        license_attribute(product_named(name)) for name in ("payPerMinute", "subscription")
    }
    if organization_id in effects.authorized and held & entitling:
        why = f"{organization_id}: the API knows of no license of {user_id}, who has {sorted(held)}"
        yield Broken("a user is the same user at both doors", why)


def books_of(organization_id: str, seen: Seen, now: datetime) -> Iterator[Broken]:
    """Hold the books of an organization against each other, whatever was sent."""
    for difference in reconcile(seen.statement):
        why = f"{organization_id}: {difference.message}"
        yield Broken("balance = ledger = lots less debt", why)
    if seen.account.entries and seen.account.currency is None:
        why = f"{organization_id}: {seen.account.entries} entries, and no currency"
        yield Broken("all that is booked has a currency", why)
    if seen.waiting:
        why = f"{organization_id}: {seen.waiting} re-ratings were never carried out"
        yield Broken("everything settles", why)
    held = [held for one in seen.reservations for held in one.held]
    live = [one for one in held if one.used or one.until > now]
    reserved, pools = seen.account.reserved, seen.statement.pools
    minutes = sum(pool.held.amount_at(now) for pool in pools)
    for what, stated, summed in (
        ("reserved credit", reserved.amount_at(now), sum(one.micros for one in live)),
        ("calls under way", reserved.calls_at(now), sum(one.calls for one in live if not one.used)),
        ("reserved minutes", minutes, sum(one.minutes for one in live)),
    ):
        if stated != summed:
            why = f"{organization_id}: {what}: {stated}, but the calls under way have {summed}"
            yield Broken("reserved = open reservations", why)


def _as_reported(effects: Effects, seen: Mapping[str, Seen]) -> Iterator[Broken]:
    """What nobody ended is charged by the seconds that its bridge reported, to the last report."""
    for organization_id, one in seen.items():
        for call_id, usage in one.usages.items():
            if not usage.reported_by_bridge:
                continue
            reports, call = effects.reports[organization_id, call_id], usage.call
            seconds = call.connected_seconds
            ends = {_ended_at(usage, at) for at in reports.times}
            if seconds not in reports.totals or seconds == 0 or call.ended_at not in ends:
                why = (
                    f"{organization_id}: {call_id} is charged for {seconds} s until "
                    f"{call.ended_at}, but {sorted(reports.totals)} s were reported until "
                    f"{', '.join(map(str, sorted(reports.times)))}"
                )
                yield Broken("what nobody ended costs what was reported", why)


def _ended_at(usage: Usage, reported_at: datetime) -> datetime:
    """Return when a call ended by a report, which may have waited; it rang for a minute at most."""
    lasted = timedelta(seconds=usage.call.connected_seconds)
    earliest, latest = usage.began_at - CLOCK_SKEW, usage.began_at + RINGING
    return min(max(reported_at - lasted, earliest), latest) + lasted


def never_charged(seen: Mapping[str, Seen], effects: Effects, now: datetime) -> Iterator[Broken]:
    """Find calls that were reported long ago, and for which nobody has paid when all is due."""
    for (organization_id, call_id), reports in effects.reports.items():
        is_due = 0 not in reports.totals and now - max(reports.times) > LATEST_CHARGE
        if is_due and call_id not in seen[organization_id].usages:
            why = f"{organization_id}: {sorted(reports.totals)} s of {call_id} were never charged"
            yield Broken("what nobody ended costs what was reported", why)


def _value(
    facts: Iterable[tuple[str | None, Fact]], user_id: str | None, fact: Fact
) -> FactValue | None:
    """Return the value that holds by these facts when one of them takes effect."""
    timeline = Timeline(one for whose, one in facts if whose == user_id)
    if fact.attribute == POOL_MINUTES_USED:
        return dict(timeline.changes_of(fact.attribute)).get(fact.effective_at)
    return timeline.value_at(fact.attribute, fact.effective_at)


def _is_taken(opened: Opened, seen: Mapping[str, Seen]) -> bool:
    one = seen.get(organization_of(opened))
    if one is None:
        return False
    match opened:
        case EndedCall(call=call):
            usage = one.usages.get(call.call_id)
            return usage is not None and usage.call == call
        case (
            CreditEvent(processed_event=processed_event)
            | LicensingEvent(processed_event=processed_event)
        ):
            known = one.processed_event(processed_event.key)
            return known is not None and known.content == processed_event.content


def _verdict(usage: Usage) -> tuple[object, ...]:
    return (
        usage.outcome.value,
        usage.reason and usage.reason.value,
        usage.charge_micros,
        usage.price,
        usage.draws_on_pool,
        usage.policy_flag,
    )


def _lasted(body: str, opened: Opened, seen: Mapping[str, Seen]) -> Iterator[Broken]:
    """Each call lasted as long as all digits of its answer and its end say."""
    if not isinstance(opened, EndedCall):
        return
    detail, call = json.loads(body)["detail"], opened.call
    if detail["answeredAt"] is None or "billableSeconds" in detail:
        return
    exact = _exactly(detail["endedAt"]) - _exactly(detail["answeredAt"])
    recorded = seen[call.organization_id].usages[call.call_id].call.connected_seconds
    if recorded != ceil(exact):
        why = f"{call.call_id} lasted {float(exact)} s, and is recorded with {recorded} s"
        yield Broken(ALL_DIGITS, why)


def _exactly(instant: str) -> Fraction:
    """Read an instant as seconds, with all of its digits."""
    whole, _, digits = instant.removesuffix("Z").partition(".")
    at = datetime.fromisoformat(f"{whole}+00:00")
    return Fraction(f"{(at - _EPOCH) // timedelta(seconds=1)}.{digits or '0'}")


def _told(effects: Effects, seen: Mapping[str, Seen]) -> Iterator[Broken]:
    """Each crossing is told under one id, and all that was decided is published."""
    for name in effects.told.keys() - effects.announced.keys():
        document = effects.told[name]
        why = f"{document['type']} {name} of {document['organizationId']} was never published"
        yield Broken("what was committed is published", why)
    decided = Counter(
        (document["organizationId"], document["type"], _threshold(document))
        for document in effects.told.values()
        if document["type"] in {"LowBalance", "BalanceExhausted"}
    )
    for key in decided.keys() | effects.crossings.keys():
        if decided[key] != effects.crossings[key]:
            organization_id, kind, micros = key
            why = (
                f"{organization_id} was told {decided[key]} times of {kind} "
                f"{format_micros(micros)}, which was passed {effects.crossings[key]} times"
            )
            yield Broken("one id for each crossing", why)
    yield from _told_of_pools(effects, seen)
    yield from _told_of_calls(effects, seen)
    requested = Counter(
        document["organizationId"]
        for document in effects.told.values()
        if document["type"] == "RechargeRequested" and document["attempt"] == 1
    )
    for organization_id, one in seen.items():
        if requested[organization_id] != one.account.recharge.requests:
            why = (
                f"{organization_id} asked for {one.account.recharge.requests} recharges, and told "
                f"of {requested[organization_id]}"
            )
            yield Broken("one id for each crossing", why)


def _told_of_calls(effects: Effects, seen: Mapping[str, Seen]) -> Iterator[Broken]:
    """What became of each call in the end was decided; at rest nothing waits to be."""
    decided = {
        (group.organization_id, call_id, group.type, group.reason)
        for group, calls in effects.calls.decided.items()
        for call_id in calls
    }
    for organization_id, one in seen.items():
        if one.account.provisional is not None:
            why = f"{organization_id} waits for pools that are settled"
            yield Broken("everything settles", why)
        for call_id, usage in one.usages.items():
            said = {
                (type(news).__name__, news.reason.value) for news in notifications_of_call(usage)
            }
            missing = [what for what in said if (organization_id, call_id, *what) not in decided]
            if usage.notifications_held or missing:
                why = f"{organization_id} was never told that {call_id} is {usage.outcome}"
                yield Broken("what became of each call is told", why)


def never_notified(seen: Mapping[str, Seen], effects: Effects) -> Iterator[Broken]:
    """Find calls that nobody was notified of when all days are over."""
    for organization_id, one in seen.items():
        if one.account.digests_due_at is not None:
            yield Broken(NONE_LOST, f"{organization_id} has digests due that are not sent")
        for promise, why in effects.calls.forgotten(list(one.usages.values())):
            yield Broken(promise, why)


def _told_of_pools(effects: Effects, seen: Mapping[str, Seen]) -> Iterator[Broken]:
    """What a pool is known to have reached was told; once, where licenses stay as they are."""
    told = Counter(
        (document["organizationId"], document["month"], document["percent"])
        for document in effects.told.values()
        if document["type"] == "MinutePoolThreshold"
    )
    for organization_id, one in seen.items():
        for pool in one.statement.pools:
            for percent in THRESHOLDS:
                times = told[organization_id, str(pool.month), percent]
                often = times > 1 and organization_id in effects.authorized
                if often or (times == 0 and pool.told >= percent):
                    why = f"{organization_id} was told {times} times of {percent} % in {pool.month}"
                    yield Broken("one id for each crossing", why)


def _threshold(document: Mapping[str, object]) -> int:
    return parse_micros(str(document.get("threshold", "0")))
