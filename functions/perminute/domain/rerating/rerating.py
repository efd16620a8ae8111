"""What a late change makes of calls that were rated before it came (docs/domain.md §3.5).

A licensing event may take effect in the past, and credits may turn out to have been set up
earlier. Then a `Rerating` says which calls are to be looked at: those of the users concerned, or
of everybody, that were answered since. Each is rated anew by all that is known by then, and what
differs is booked. So doing it twice, in pieces, or together with another one changes nothing more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.charging import hold_notifications, notifications_of_call, write_pools
from perminute.domain.credit.ledger import RERATING
from perminute.domain.credit.lots import MAX_EXPIRED_LOTS_CORRECTED
from perminute.domain.credit.transaction_builder import LateCall, TransactionBuilder
from perminute.domain.licensing.attributes import CALL_ATTRIBUTES, POOL_ATTRIBUTES, SEAT_ATTRIBUTES
from perminute.domain.limits.spending import SpendingKind, Spendings, spending_changes
from perminute.domain.notifications.notification_rules import notify_again
from perminute.domain.notifications.notifications import CallNotRated
from perminute.domain.pools.pools import Position, minutes_wanted, month_of
from perminute.domain.rating.usage_record import Adjusted, Flag
from perminute.domain.rerating.corrections import Correction, correct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import Producer
    from perminute.domain.credit.lots import Lot
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.limits.spending import SpendingChange
    from perminute.domain.notifications.notifications import CallNotification
    from perminute.domain.pools.pools import Pools
    from perminute.domain.rating.rating import Rating
    from perminute.domain.rating.usage_record import Usage

_INSTANT_BYTES = 40
"""What an instant takes beside the name of a user in the record of a re-rating, at most."""

EVERYBODY = None
"""The subject of a re-rating that concerns all calls of the organization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerating:
    """Which calls of an organization are to be looked at again, and how far that has come.

    `since` says for each user, or for everybody, from which answer on. `pools_since` is set where
    the minutes of the pools change, `seats_since` where they do if these count assigned licenses.
    What is booked for it happens at `at` or later. `after` is the list of calls done last, and
    `steps` counts what was written of it. `others` are those that it has taken the place of.
    `producer` sent the event about credit that calls for it, if one event alone does.
    """

    organization_id: str
    rerating_id: str
    at: datetime
    since: Mapping[str | None, datetime] = field(default_factory=dict)
    pools_since: datetime | None = None
    seats_since: datetime | None = None
    after: str | None = None
    steps: int = 0
    others: int = 0
    producer: Producer | None = None

    @property
    def cause(self) -> str:
        """What its entries name as their cause."""
        more = f" and {self.others} more" if self.others else ""
        return f"{RERATING}{self.rerating_id}{more}"

    def merged_with(self, others: Sequence[Rerating]) -> Rerating:
        """Make one that looks at all the calls that either looks at; none may have begun."""
        since = dict(self.since)
        for one in others:
            for subject, instant in one.since.items():
                since[subject] = min(since.get(subject, instant), instant)
        all_of_them = (self, *others)
        return replace(
            self,
            at=max(one.at for one in all_of_them),
            since=since,
            pools_since=_earliest(one.pools_since for one in all_of_them),
            seats_since=_earliest(one.seats_since for one in all_of_them),
            others=self.others + sum(one.others + 1 for one in others),
            producer=None,
        )

    @property
    def subject_bytes(self) -> int:
        """How many bytes the users take that it names, each with its instant; in UTF-8, as JSON."""
        names = json.dumps(list(self.since), ensure_ascii=False)
        return len(names.encode()) + _INSTANT_BYTES * len(self.since)

    def concerns(self, organizer_id: str, answered_at: datetime) -> bool:
        """Whether a call is to be looked at."""
        instants = (self.since.get(subject) for subject in (organizer_id, EVERYBODY))
        return any(since is not None and since <= answered_at for since in instants)


def _earliest(instants: Iterable[datetime | None]) -> datetime | None:
    return min((at for at in instants if at is not None), default=None)


def rerating_for(
    organization_id: str, rerating_id: str, facts: Iterable[tuple[str | None, Fact]], at: datetime
) -> Rerating | None:
    """Say what is to be looked at again once these facts are known; None if no call can change.

    Each fact comes with the user it is about, or None if it is about the organization.
    """
    since: dict[str | None, datetime] = {}
    pools: list[datetime] = []
    seats: list[datetime] = []
    for subject, fact in facts:
        if fact.attribute in POOL_ATTRIBUTES:
            pools.append(fact.effective_at)
        elif fact.attribute in CALL_ATTRIBUTES:
            since[subject] = min(since.get(subject, fact.effective_at), fact.effective_at)
        if subject is not None and fact.attribute in SEAT_ATTRIBUTES:
            seats.append(fact.effective_at)
    if not (since or pools):
        return None
    return Rerating(
        organization_id=organization_id,
        rerating_id=rerating_id,
        at=at,
        since=since,
        pools_since=_earliest(pools),
        seats_since=_earliest(seats),
    )


class Rerated(NamedTuple):
    """A call as it is recorded, and as it should be.

    `ended` says that its `Call Ended` has come, which takes the place of what its bridge reported.
    """

    before: Usage
    after: Usage
    ended: bool = False

    @property
    def differs(self) -> bool:
        """Whether there is anything to correct, or news that has waited."""
        return self.is_other or self.before.notifications_held != self.after.notifications_held

    @property
    def is_other(self) -> bool:
        """Whether something else is made of the call, or it is known what it really was."""
        return self.ended or self.has_changed

    @property
    def has_changed(self) -> bool:
        """Whether something else is known of the call, or was made of it."""
        is_same_call = self.before.call == self.after.call
        return not is_same_call or _verdict(self.before) != _verdict(self.after)

    @property
    def is_priced_alike(self) -> bool:
        """Whether at most the card differs by which it was priced: its version, and its steps.

        Steps that a call did not reach, or that bill as many seconds, price it alike. So does the
        currency of the credit, as long as credit does not have to pay the call.
        """
        after = self.after.price
        renamed = replace(
            self.before.price,
            rate_card_version=after.rate_card_version,
            initial_increment_seconds=after.initial_increment_seconds,
            increment_seconds=after.increment_seconds,
            later_steps=after.later_steps,
            unpriced=after.unpriced,
        )
        return _verdict(replace(self.before, price=renamed)) == _verdict(self.after)

    @property
    def change_micros(self) -> int:
        """By how much credit is to pay more."""
        return self.after.charge_micros - self.before.charge_micros


def rerate(  # noqa: PLR0913 - all that one decision rests on
    account: Account,
    rerated: Sequence[Rerated],
    *,
    pools: Pools,
    opened: Mapping[str, Lot],
    further: Sequence[Lot] | None = None,
    expired: Sequence[Lot] = (),
    at: datetime,
    cause: str,
) -> Transaction:
    """Correct calls that differ: what they cost in one entry, which each of them names.

    `opened` holds, as they were when they were opened, the lots that paid and are used up;
    `further` are the further lots, if they were read, and `expired` those that may pay late calls.
    What has been spent of limits changes with it, but nothing is told of these. The licensing of
    the pools must contain the organizers of the calls, before and after. News of calls that
    their pools may still bear waits until these are settled. Raises `FurtherLotsNeeded`.
    """
    builder = TransactionBuilder(
        account, at, further=further, expired=expired, most_expired=MAX_EXPIRED_LOTS_CORRECTED
    )
    write_pools(builder, pools)
    rerated = [
        held
        for one in rerated
        if (held := one._replace(after=hold_notifications(builder, one.after, pools))).differs
    ]
    usages = correct_calls(builder, rerated, opened, cause)
    if usages:
        builder.touch()
    both = zip((one.before for one in rerated), usages, strict=True)
    spendings = Spendings(account.days, {})
    corrected = count_corrected(builder, both, spendings, pools.licensing)
    fell = sum(one.change_micros for one in rerated) > 0
    booking = builder.build(may_ask=fell)
    relisted = tuple(
        one.after for one in rerated if one.before.call.listing != one.after.call.listing
    )
    return replace(
        booking,
        rerated=usages,
        relisted=relisted,
        pools=pools.touched,
        steps=pools.steps,
        corrected=corrected,
    )


def correct_calls(
    builder: TransactionBuilder, rerated: Sequence[Rerated], opened: Mapping[str, Lot], cause: str
) -> tuple[Usage, ...]:
    """Book what differs in one entry, tell what is new, and return the records as they are then.

    What is corrected is as good as reported now, which decides if expired lots of its time pay it.
    """
    charges = {
        one.after.call.call_id: Correction(
            call=LateCall(one.after.call.call_id, one.after.call.ended_at, builder.now),
            charge_micros=one.before.charge_micros,
            change_micros=one.change_micros,
            lots=one.before.lots,
        )
        for one in rerated
        if one.change_micros
    }
    entry = correct(builder, tuple(charges.values()), opened, cause) if charges else ""
    overdrawn = builder.account.balance_micros < 0
    return tuple(
        notify_again(
            builder,
            _corrected(one, entry, charges.get(one.after.call.call_id), overdrawn=overdrawn),
            _news(one),
        )
        for one in rerated
    )


def count_corrected(
    builder: TransactionBuilder,
    corrected: Iterable[tuple[Usage, Usage]],
    spendings: Spendings,
    licensing: Licensing,
) -> tuple[SpendingChange, ...]:
    """Count corrected calls for the days; returns what they change in the records of limits.

    These may be many, of users who have nothing to do with each other: so the changes are written
    down, and each record takes in its own when it is read next.
    """
    changes = spending_changes(corrected, licensing, builder.account.settings)
    if not changes:
        return ()
    in_records = tuple(one for one in changes if one.key.kind is not SpendingKind.DAY)
    number = builder.account.corrections + bool(in_records)
    spendings.correct(changes, number)
    builder.set(days=spendings.days(builder.now), corrections=number)
    return in_records


def _verdict(usage: Usage) -> tuple[object, ...]:
    return (
        usage.outcome,
        usage.reason,
        usage.stated_price,
        usage.charge_micros,
        usage.pool_minutes,
        usage.draws_on_pool,
        usage.policy_flag,
    )


def ended_after_all(usage: Usage, rating: Rating, pools: Pools, now: datetime) -> Rerated:
    """Make of a call that was charged by its bridge's reports what its `Call Ended` says.

    What it drew from a pool goes back. It is authorized, so what it is given instead is its own, as
    far as it was, or as there is enough. The pool is gone over again from the earlier place.
    """
    own_minutes = 0
    if usage.draws_on_pool:
        if _draws_as_before(usage, rating):
            as_before = rating.usage(usage.pool_minutes, usage.reserved_minutes)
            return Rerated(usage, as_before, ended=True)
        pools.give_back(usage.call, usage.pool_minutes, usage.reserved_minutes)
        is_same_month = rating.draws_on_pool and month_of(usage.call) == month_of(rating.call)
        own_minutes = usage.reserved_minutes if is_same_month else 0
    if not rating.draws_on_pool:
        return Rerated(usage, rating.usage(), ended=True)
    wanted = rating.pool_minutes_wanted
    minutes = pools.draw(rating.call, wanted, reserved=own_minutes, now=now)
    return Rerated(usage, rating.usage(minutes, minutes), ended=True)


def _draws_as_before(usage: Usage, rating: Rating) -> bool:
    before, after = usage.call, rating.call
    return (
        rating.draws_on_pool
        and (Position.of(before), before.answered_at) == (Position.of(after), after.answered_at)
        and minutes_wanted(before) == rating.pool_minutes_wanted
    )


def _corrected(one: Rerated, entry: str, charge: Correction | None, *, overdrawn: bool) -> Usage:
    """Make the record that takes the place of the one before: its history goes on."""
    before, after, ended = one
    if not one.is_other:
        return replace(before, notifications_held=after.notifications_held)
    adjustments, lots = before.adjustments, before.lots
    if charge is not None:
        adjustments = (*adjustments, Adjusted(entry, one.change_micros))
        lots = charge.lots
    was_overdrawn = Flag.OVERDRAWN in before.flags
    if after.charge_micros and (was_overdrawn or (overdrawn and one.change_micros > 0)):
        after = replace(after, flags=(*after.flags, Flag.OVERDRAWN))
    flags = after.flags
    if before.reported_by_bridge and not ended:
        flags = (*flags, Flag.REPORTED_BY_BRIDGE)
    # A version that prices the call alike is recorded, but to its readers nothing has changed.
    has_changed = before.call != after.call or not one.is_priced_alike
    if has_changed or Flag.RERATED in before.flags:
        flags = (*flags, Flag.RERATED)
    return replace(
        after,
        authorized_at=before.authorized_at,
        notified_again=before.notified_again,
        flags=flags,
        entry_id=before.entry_id,
        adjustments=adjustments,
        lots=lots,
    )


def _news(one: Rerated) -> Iterator[CallNotification]:
    """Yield what nobody was notified of before: what a call costs by now is no reason to repeat."""
    known = {_said(news) for news in notifications_of_call(one.before)}
    yield from (news for news in notifications_of_call(one.after) if _said(news) not in known)


def _said(news: CallNotification) -> tuple[object, ...]:
    currency = news.rate_currency if isinstance(news, CallNotRated) else None
    return type(news), news.reason, currency


def release_held_notifications(
    account: Account, usages: Sequence[Usage], *, at: datetime, is_last: bool
) -> Transaction:
    """Notify of calls whose pool has not been settled in time, by what they are now.

    `is_last` says that there are no others.
    """
    builder = TransactionBuilder(account, at)
    released = [replace(usage, notifications_held=False) for usage in usages]
    told = tuple(notify_again(builder, one, notifications_of_call(one)) for one in released)
    if is_last and account.provisional is not None:
        builder.set(provisional=replace(account.provisional, notifications_held=False))
    if told:
        builder.touch()
    return replace(builder.build(may_ask=False), rerated=told)
