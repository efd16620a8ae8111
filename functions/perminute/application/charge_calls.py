"""Charge ended calls, exactly once each, one transaction per organization and batch.

The permanent identity of a call is the key of its usage record, written together with the money:
a repeated delivery finds the record and changes nothing, however much later it comes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import TYPE_CHECKING

from perminute.application.correlation import caused_by, causes, traceable
from perminute.application.end_reported import EndReported
from perminute.application.further_lots import expired_lots
from perminute.application.looking_again import LookingAgain
from perminute.application.results import Accepted, Duplicate, Result
from perminute.application.retry import NEVER, Deadline, gave_up
from perminute.application.settle_at_once import MAX_SETTLED_AT_ONCE, SettleAtOnce
from perminute.application.spend_counters import spendings_so_far
from perminute.application.transact import apply_due_changes, decide_with_enough_lots
from perminute.domain.credit.booking import charge
from perminute.domain.credit.transaction import (
    MAX_ITEMS_PER_TRANSACTION,
    AlreadyExists,
)
from perminute.domain.errors import (
    Contended,
    FormerRateCardUnavailable,
    Refused,
    Unavailable,
    Unwritable,
)
from perminute.domain.limits.spending import SpendingKind, records_of
from perminute.domain.pools.pools import MinutePool, Month, Pools, month_of
from perminute.domain.rating.usage import Flag, Rating, RatingContext, Usage, rate_call
from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from perminute.application.licensing_cache import LicensingCache
    from perminute.application.retry import RetryPolicy
    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.limits.spending import SpendingKey
    from perminute.domain.pools.settling import Settlement
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rate_card import RateCard
    from perminute.ports import Calls, CreditStore, RateCards


_CALLS = MAX_ITEMS_PER_TRANSACTION - 2
"""Calls that fit a transaction with their account and the outbox, if they need nothing else."""

_ALWAYS_FIT = _CALLS // 3
"""Calls of a transaction, each of which may need a list and a pool of its own."""


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A call, and when telephony reported it: the instant its charge is booked at.

    `reported_at` is never after `heard_at`: what a clock that is ahead says does not advance time.
    `heard_at` is when the report reached our queue, if that is known. `reservation` is set where
    no `Call Ended` came: the call is what its bridge has reported until then.
    """

    call: Call
    reported_at: datetime
    heard_at: datetime | None = None
    reservation: Reservation | None = None
    event_id: str = field(default="", compare=False)
    """That of its `Call Ended`, if one came."""

    @property
    def names(self) -> dict[str, str]:
        """The ids by which it is found in the log."""
        return {"eventId": traceable(self.event_id), "callId": one_line(self.call.call_id)}

    def used_reported_at(self, reservations: Mapping[str, Reservation]) -> datetime:
        """Return when its use was reported: that decides whether an expired lot of its time pays.

        A bridge that reported all of it did so while the call lasted, however late it is charged.
        """
        call = self.reservation or reservations.get(self.call.call_id)
        if call is None or call.used_seconds < self.call.connected_seconds:
            return self.reported_at
        return min(self.call.ended_at, self.reported_at)


@dataclass(frozen=True, slots=True)
class ChargeCalls:
    """The use case with what it needs from outside.

    A minute pool that would be left unsettled is settled at once if no more than `settles_at_once`
    recorded calls are to be gone over for it.
    """

    credit: CreditStore
    calls: Calls
    licensing: LicensingCache
    rate_cards: RateCards
    retry: RetryPolicy
    settles_at_once: int = MAX_SETTLED_AT_ONCE

    def __call__(
        self, ended: Sequence[EndedCall], deadline: Deadline = NEVER
    ) -> list[Result[Usage]]:
        """Charge each call; the results come in the order of the calls.

        One organization's trouble is not another's: only the calls it concerns are handed back.
        """
        if not ended:
            return []
        try:
            rate_card = self.rate_cards.current()
        except Unavailable as error:
            return [error] * len(ended)
        by_organization: defaultdict[str, dict[int, EndedCall]] = defaultdict(dict)
        for position, one in enumerate(ended):
            by_organization[one.call.organization_id][position] = one
        results: dict[int, Result[Usage]] = {}
        for organization_id, calls in by_organization.items():
            results |= self._charge_all(organization_id, calls, rate_card, deadline)
        return [results[position] for position in range(len(ended))]

    def _charge_all(
        self,
        organization_id: str,
        calls: Mapping[int, EndedCall],
        rate_card: RateCard,
        deadline: Deadline,
    ) -> dict[int, Result[Usage]]:
        """Charge in rounds: a call id that stands twice with differing content takes one each."""
        results: dict[int, Result[Usage]] = {}
        shared = _Shared(organization_id, rate_card, deadline)
        while calls:
            batch = _Batch.of(calls)
            for chunk in _chunks(batch.firsts):
                results |= self._charge(shared, chunk)
            results |= {n: _as_repeated(results[first]) for n, first in batch.copies.items()}
            calls = batch.others
        return results

    def _charge(self, shared: _Shared, calls: Mapping[int, EndedCall]) -> dict[int, Result[Usage]]:
        """Post one transaction's worth of calls, again and again until each is settled."""
        results: dict[int, Result[Usage]] = {}
        settled: dict[int, Result[Usage]]
        pending = dict(calls)
        tries = self.retry.tries()
        try:
            next(tries)
            while pending:
                shared.deadline.check()
                settled = {}
                try:
                    with _caused_by(pending.values()):
                        usages = self._attempt(shared, pending)
                    settled |= {n: Accepted(usage) for n, usage in usages.items()}
                except AlreadyExists as existing:
                    shared.forget()
                    shared.reserved |= existing.reservations
                    settled |= _settle(pending, existing.usages)
                    settled |= _gone_on(pending, existing.reservations)
                    settled |= self._end_reported(shared, pending, existing.usages)
                except Contended as error:
                    shared.forget()
                    if next(tries, None) is None:
                        raise gave_up(shared.organization_id, str(error)) from error
                results |= settled
                pending = {n: one for n, one in pending.items() if n not in settled}
        except Unavailable as error:
            shared.forget()
            is_of_some = isinstance(error, Unwritable | FormerRateCardUnavailable)
            if is_of_some and len(pending) > 1:
                for n, one in pending.items():
                    results |= self._charge(shared, {n: one})
            else:
                results |= dict.fromkeys(pending, error)
        return results

    def _end_reported(
        self, shared: _Shared, pending: Mapping[int, EndedCall], known: Mapping[str, Usage]
    ) -> dict[int, Result[Usage]]:
        """Replace what bridges had reported of calls; one that somebody else replaced is left."""
        ended = [one for one in pending.values() if _replaces(one, known.get(one.call.call_id))]
        with _caused_by(ended):
            replaced = EndReported(self._again)(shared.organization_id, ended, shared.deadline)
        return {
            position: Accepted(replaced[one.call.call_id])
            for position, one in pending.items()
            if one.call.call_id in replaced
        }

    @property
    def _again(self) -> LookingAgain:
        return LookingAgain(self.credit, self.calls, self.licensing, self.rate_cards, self.retry)

    def _attempt(self, shared: _Shared, pending: Mapping[int, EndedCall]) -> dict[int, Usage]:
        """Post the calls that were reported before something falls due; gives usages by position.

        If a lot expires between two calls of one batch, the earlier one is charged before that is
        booked: how batches are cut must not change what credit pays. The later ones stay pending.
        """
        # The account is read before the licenses: see LicensingCache.
        account = apply_due_changes(
            self.credit,
            shared.account or self.credit.account(shared.organization_id),
            min(one.reported_at for one in pending.values()),
            _heard_at(pending.values()),
        )
        due_at = account.lots_due_at
        calls = {n: one for n, one in pending.items() if due_at is None or one.reported_at < due_at}
        decided, calls = decide_with_enough_lots(
            self.credit, account, lambda current: self._decide(current, calls, shared)
        )
        self.credit.commit(decided)
        shared.account = decided.after
        shared.pools |= {pool.month: pool for pool in decided.pools}
        return dict(zip(calls, decided.usages, strict=True))

    def _decide(
        self, account: Account, calls: dict[int, EndedCall], shared: _Shared
    ) -> tuple[Transaction, dict[int, EndedCall]]:
        """Decide what the calls cost; drops the last ones if all would not fit one transaction.

        A transaction that settles a pool drops some as well, but for that alone never all of them.
        """
        while True:
            transaction = self._posting(account, list(calls.values()), shared)
            excess = transaction.items - MAX_ITEMS_PER_TRANSACTION
            if excess <= 0 or len(calls) == 1:
                return transaction, calls
            calls = dict(islice(calls.items(), max(1, len(calls) - excess)))

    def _posting(
        self, account: Account, ended: Sequence[EndedCall], shared: _Shared
    ) -> Transaction:
        licensing = self.licensing.for_account(account, {one.call.organizer_id for one in ended})
        context = RatingContext(
            licensing=licensing,
            rate_card=shared.rate_card,
            currency=account.currency,
            credits_set_up_at=account.credits_set_up_at,
        )
        reservations = self._reservations(account, ended, shared)
        by_card = self._terms_by_card(context, reservations)
        ratings = [_rated(one, by_card.get(one.call.call_id, context)) for one in ended]
        keys = _spending_keys(account, ratings, reservations, licensing)
        pools = self._pools(ratings, reservations, shared)
        spendings = spendings_so_far(self.credit, self.calls, account, keys)
        at, heard_at = max(one.reported_at for one in ended), _heard_at(ended)
        now = account.now(at, heard_at)
        under_way = {one.call.call_id: one for one in reservations}
        reported = {one.call.call_id: one.used_reported_at(under_way) for one in ended}

        def decide(settlement: Settlement | None = None) -> Transaction:
            late = [(one.call.ended_at, reported[one.call.call_id]) for one in ended]
            if settlement is not None:
                late += ((ended_at, now) for ended_at in settlement.dearer_ended_at)
            return charge(
                account,
                ratings,
                pools=Pools(pools, licensing),
                spendings=spendings.copy(),
                reservations=reservations,
                at=at,
                heard_at=heard_at,
                reported=reported,
                days={one.call.call_id: one.reported_at.date() for one in ended},
                expired=expired_lots(
                    self.credit, account, late, settlement.cheaper if settlement else ()
                ),
                settlement=settlement,
            )

        booking = decide()
        settle = SettleAtOnce(self._again, self.settles_at_once)
        settlement = settle(account, booking, ratings, now)
        # Some of those that are pending may be left for the next transaction.
        with _caused_by(ended):
            if settlement is not None:
                settled = replace(decide(settlement), causes=causes())
                if settled.items - MAX_ITEMS_PER_TRANSACTION < len(ended):
                    return settled
            return replace(booking, causes=causes())

    def _terms_by_card(
        self, context: RatingContext, reservations: Sequence[Reservation]
    ) -> dict[str, RatingContext]:
        """Return the context of calls that were authorized by another rate card than the current.

        What was reserved for them is what they cost by that card.
        """
        return {
            one.call.call_id: replace(context, rate_card=self._former_card(version))
            for one in reservations
            if one.held and (version := one.rate_card_version) != context.rate_card.version
        }

    def _former_card(self, version: str) -> RateCard:
        try:
            return self.rate_cards.version(version)
        except Unavailable as error:
            raise FormerRateCardUnavailable(str(error)) from error

    def _reservations(
        self, account: Account, ended: Sequence[EndedCall], shared: _Shared
    ) -> list[Reservation]:
        """Read what the calls had reserved, after the account; if nothing is reserved, not at all.

        One that has lapsed, and is still recorded, is handed back by the transaction that it stops.
        """
        call_ids = [one.call.call_id for one in ended]
        known = {call: shared.reserved[call] for call in call_ids if call in shared.reserved}
        if account.reserved:
            known |= self.credit.reservations(shared.organization_id, call_ids)
        # What was reported is charged as it was read: if the call goes on meanwhile, not at all.
        known |= {one.call.call_id: one.reservation for one in ended if one.reservation}
        return list(known.values())

    def _pools(
        self, ratings: Sequence[Rating], reservations: Sequence[Reservation], shared: _Shared
    ) -> Mapping[Month, MinutePool]:
        """Read the pools that the calls draw on, after the account, as with the licenses."""
        months = {month_of(rating.call) for rating in ratings if rating.draws_on_pool}
        months |= {month_of(one.call) for one in reservations if one.holds_minutes}
        missing = months - shared.pools.keys()
        if missing:
            shared.pools |= self.credit.pools(shared.organization_id, missing)
        return {month: shared.pools[month] for month in months}


@dataclass(slots=True)
class _Shared:
    """What the transactions of one organization in one batch share.

    `account` and `pools` are as the last transaction left them, which saves reading them.
    `reserved` are reservations that were in the way of a transaction.
    """

    organization_id: str
    rate_card: RateCard
    deadline: Deadline
    account: Account | None = None
    pools: dict[Month, MinutePool] = field(default_factory=dict)
    reserved: dict[str, Reservation] = field(default_factory=dict)

    def forget(self) -> None:
        """Have them read anew."""
        self.account = None
        self.pools.clear()


@dataclass(frozen=True, slots=True)
class _Batch:
    """The calls of a batch by position: the first of each call id, and what came again."""

    firsts: dict[int, EndedCall]
    copies: dict[int, int]
    others: dict[int, EndedCall]

    @classmethod
    def of(cls, calls: Mapping[int, EndedCall]) -> _Batch:
        first_by_call: dict[str, int] = {}
        batch = cls({}, {}, {})
        for position, one in calls.items():
            first = first_by_call.setdefault(one.call.call_id, position)
            if first == position:
                batch.firsts[position] = one
            elif one.call == calls[first].call:
                batch.copies[position] = first
            else:
                batch.others[position] = one
        return batch


def _spending_keys(
    account: Account,
    ratings: Sequence[Rating],
    reservations: Sequence[Reservation],
    licensing: Licensing,
) -> set[SpendingKey]:
    """Name the records of limits that the calls count for, or have reserved something of."""
    began_at = {one.call.call_id: one.call.rated_at for one in reservations if one.held}
    keys = {
        key
        for call, prefix in ((one.call, one.price.prefix) for one in ratings)
        for key in records_of(
            call, prefix, began_at.get(call.call_id, call.rated_at), licensing, account.settings
        )
    }
    keys.update(*(one.keys for one in reservations))
    return {key for key in keys if key.kind is not SpendingKind.DAY}


def _rated(one: EndedCall, context: RatingContext) -> Rating:
    rating = rate_call(one.call, context)
    if one.reservation is None:
        return rating
    return replace(rating, flags=(*rating.flags, Flag.REPORTED_BY_BRIDGE))


def _caused_by(ended: Iterable[EndedCall]) -> AbstractContextManager[None]:
    """Name the events that reported the calls; of reports by bridges the run stays the cause."""
    of_calls = {one.call.call_id: one.event_id for one in ended if one.event_id}
    return caused_by(*of_calls.values(), of_calls=of_calls)


def _heard_at(ended: Iterable[EndedCall]) -> datetime | None:
    return max((one.heard_at for one in ended if one.heard_at), default=None)


def _as_repeated(result: Result[Usage]) -> Result[Usage]:
    return Duplicate() if isinstance(result, Accepted) else result


def _settle(
    pending: Mapping[int, EndedCall], known: Mapping[str, Usage]
) -> Iterator[tuple[int, Result[Usage]]]:
    for position, one in pending.items():
        recorded = known.get(one.call.call_id)
        if recorded is not None and one.reservation is not None:
            yield position, Duplicate()
        elif recorded is not None and not _replaces(one, recorded):
            yield position, _against_record(one.call, recorded.call)


def _replaces(one: EndedCall, recorded: Usage | None) -> bool:
    """Whether it is a `Call Ended`, and all that is recorded is what the bridge had reported."""
    return one.reservation is None and recorded is not None and recorded.reported_by_bridge


def _gone_on(
    pending: Mapping[int, EndedCall], reserved: Mapping[str, Reservation]
) -> dict[int, Result[Usage]]:
    """Leave calls alone whose bridges have reported more since what they reported was read."""
    return {
        position: Duplicate()
        for position, one in pending.items()
        if one.reservation is not None and one.call.call_id in reserved
    }


def _camel(name: str) -> str:
    """Name a field as telephony does; digits below the microsecond have none of their own."""
    if name == "exact_seconds":
        return "time below the microsecond"
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _against_record(call: Call, recorded: Call) -> Duplicate | Refused:
    if call == recorded:
        return Duplicate()
    differing = ", ".join(
        _camel(part.name)
        for part in fields(call)
        if getattr(call, part.name) != getattr(recorded, part.name)
    )
    return Refused(
        "callId",
        f"conflict: call {call.call_id} of {call.organization_id} is recorded with another "
        f"{differing}; the record stands, send a correction as a credit adjustment",
    )


def _chunks(ended: Mapping[int, EndedCall]) -> Iterator[dict[int, EndedCall]]:
    """Cut a batch into transactions of even size, as few as the limit of a transaction allows.

    In the order of the reports: a lot that expires between two of them pays all before it. Beside
    its calls a transaction has lists of them by day, and pools by month: hardly ever more than one
    of each, but a batch may bring a year's.
    """
    items = sorted(ended.items(), key=lambda item: item[1].reported_at)
    days = {one.call.ended_at.date() for one in ended.values()}
    months = {Month.of(one.call.rated_at) for one in ended.values()}
    most = _CALLS - len(days) - len(months)
    pieces = -(-len(items) // max(most, _ALWAYS_FIT))
    size = -(-len(items) // pieces)
    for start in range(0, len(items), size):
        yield dict(items[start : start + size])
