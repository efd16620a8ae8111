"""Charge calls that have ended, each exactly once, mostly by one transaction per organization.

The permanent identity of a call is the key of its usage record, which is written in the transaction
that charges it. An event that is delivered again finds the record and changes nothing, however much
later it arrives.

The organizations of a batch are charged side by side, and each of them strictly serially: its
`_OrganizationCharge` divides the calls into transactions, makes these (`_transaction`) and commits.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from perminute.application.correlation import caused_by, causes, traceable
from perminute.application.further_lots import expired_lots
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.results import Accepted, Duplicate, Result, against_recorded_call
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.application.settle_pools import MAX_SETTLED_AT_ONCE, settle_with_charge
from perminute.application.side_by_side import RunAll, in_order
from perminute.application.spend_counters import spend_counters_so_far
from perminute.application.transact import transact
from perminute.domain.credit.charging import charge
from perminute.domain.credit.transaction import (
    MAX_ITEMS_PER_TRANSACTION,
    AlreadyExists,
    Transaction,
)
from perminute.domain.errors import FormerRateCardUnavailable, Unavailable, Unwritable
from perminute.domain.limits.spending import SpendKey, SpendKind, spend_keys_of
from perminute.domain.pools.pools import MinutePool, MinutePools, Month, month_of
from perminute.domain.rating.rating import Rating, RatingContext, rate_call
from perminute.domain.rating.usage_record import Flag, Usage
from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from perminute.application.licensing_cache import LicensingCache
    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.pools.settling import Settlement
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rate_card import RateCard
    from perminute.ports.messaging import RateCards
    from perminute.ports.privacy import ContentKeys
    from perminute.ports.stores import Calls, CreditStore


_CALLS = MAX_ITEMS_PER_TRANSACTION - 2  # calls that fit beside the account and the outbox item
_ALWAYS_FIT = _CALLS // 3  # the same if each call also needs a list and a pool of its own
# Messages of a batch (template.yaml): one transaction if all are of one organization, with lists of
# two days and pools of two months; four items are left for limits, expired lots and notifications.
CALLS_PER_BATCH = _CALLS - 2 - 2 - 4


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A call that has ended, and when that was reported."""

    call: Call
    # The charge is booked at this instant: the event's `time`, but no later than `heard_at`,
    # because the sender's clock may be ahead.
    reported_at: datetime
    heard_at: datetime | None = None  # when the event was sent to our queue, if that is known
    # Set only if no `Call Ended` came: `call` is then made of what its bridge reported.
    reservation: Reservation | None = None
    event_id: str = field(default="", compare=False)  # of its `Call Ended`, if one came

    @property
    def call_id(self) -> str:
        """The id of the call."""
        return self.call.call_id

    @property
    def names(self) -> dict[str, str]:
        """The ids by which the call is found in the log."""
        return {"eventId": traceable(self.event_id), "callId": one_line(self.call.call_id)}

    def usage_reported_at(self, reservation: Reservation | None) -> datetime:
        """Return when the use was reported, by which an expired lot may still pay the call."""
        # If its bridge had reported all of it, that was while the call lasted, however late the
        # call is charged (docs/domain.md §5.4).
        if reservation is None or reservation.used_seconds < self.call.connected_seconds:
            return self.reported_at
        return min(self.call.ended_at, self.reported_at)

    def result_of(self, existing: AlreadyExists, keys: ContentKeys | None) -> Result[Usage] | None:
        """Return the result if it is known; None if it is still to be charged or corrected."""
        recorded = existing.usages.get(self.call_id)
        if self.reservation is not None:
            # Its `Call Ended` was processed first, or its bridge has reported more since.
            return Duplicate() if recorded or self.call_id in existing.reservations else None
        if recorded is None or recorded.is_replaceable:
            return None
        return against_recorded_call(self.call, recorded, keys)


@dataclass(frozen=True, slots=True)
class ChargeCalls:
    """The use case with its ports."""

    credit: CreditStore
    calls: Calls
    licensing: LicensingCache
    rate_cards: RateCards
    retry: RetryPolicy
    # A late call settles its pool in its own transaction if at most so many recorded calls may
    # change; else the pool is settled afterwards.
    settles_at_once: int = MAX_SETTLED_AT_ONCE
    run_all: RunAll = in_order  # how the organizations of a batch are charged
    content_keys: ContentKeys | None = None  # None: masked digits are not compared

    def __call__(
        self, ended: Sequence[EndedCall], deadline: Deadline = NEVER
    ) -> list[Result[Usage]]:
        """Charge each call, and return the results in the order of the calls."""
        # A failure in one organization does not affect the calls of others.
        if not ended:
            return []
        try:
            rate_card = self.rate_cards.current()
        except Unavailable as error:
            return [error] * len(ended)
        by_organization = defaultdict[str, dict[int, EndedCall]](dict)
        for position, end in enumerate(ended):
            by_organization[end.call.organization_id][position] = end
        charges = [
            partial(_OrganizationCharge(self, name, rate_card, deadline).charge_all, calls)
            for name, calls in by_organization.items()
        ]
        results = {n: result for part in self.run_all(charges) for n, result in part.items()}
        return [results[position] for position in range(len(ended))]


@dataclass(slots=True)
class _OrganizationCharge:
    # The calls of one organization. Calls and results are mappings by position in the batch.
    use_case: ChargeCalls
    organization_id: str
    rate_card: RateCard
    deadline: Deadline
    # The transaction committed last: the next one starts from its account and pools, and need not
    # read them. None if there is none, or if the last attempt failed.
    last: Transaction | None = None
    # By call id, reservations that were not read and stopped a transaction: the next releases them.
    unread_reservations: dict[str, Reservation] = field(default_factory=dict)

    def charge_all(self, remaining: Mapping[int, EndedCall]) -> dict[int, Result[Usage]]:
        # In rounds, because a transaction cannot write the same usage record twice: each round has
        # the first of the remaining calls of each call id. A copy is a duplicate of it, or fails as
        # it did; a call with other content is compared in the next round.
        results: dict[int, Result[Usage]] = {}
        while remaining:
            first_of: dict[str, int] = {}
            for position, ended in remaining.items():
                first_of.setdefault(ended.call_id, position)
            for chunk in _chunks({position: remaining[position] for position in first_of.values()}):
                results |= self.charge(chunk)
            for position, ended in remaining.items():
                first = first_of[ended.call_id]
                if position != first and ended.call == remaining[first].call:
                    result = results[first]
                    results[position] = Duplicate() if isinstance(result, Accepted) else result
            remaining = {n: ended for n, ended in remaining.items() if n not in results}
        return results

    def charge(self, calls: Mapping[int, EndedCall]) -> dict[int, Result[Usage]]:
        results: dict[int, Result[Usage]] = {}
        pending = calls
        try:
            while pending:
                results |= self._commit(pending)
                pending = {n: ended for n, ended in calls.items() if n not in results}
        except Unavailable as error:
            self.last = None
            # What is wrong with one call must not fail the others: each is charged alone.
            concerns_some_calls = isinstance(error, Unwritable | FormerRateCardUnavailable)
            if not concerns_some_calls or len(pending) == 1:
                return results | dict.fromkeys(pending, error)
            for position, ended in pending.items():
                results |= self.charge({position: ended})
        return results

    def _commit(self, pending: Mapping[int, EndedCall]) -> dict[int, Result[Usage]]:
        # Returns the results of the calls for which they are known. The others are charged by the
        # next transaction.
        try:
            with _caused_by(pending.values()):
                self.last = transact(
                    self.use_case.credit,
                    self.organization_id,
                    partial(self._decide, list(pending.values())),
                    self.use_case.retry,
                    self.deadline,
                    at=min(ended.reported_at for ended in pending.values()),
                    heard_at=_heard_at(pending.values()),
                    known=None if self.last is None else self.last.after,
                )
        except AlreadyExists as existing:
            self.last = None
            self.unread_reservations |= existing.reservations
            keys = self.use_case.content_keys
            compared = {n: ended.result_of(existing, keys) for n, ended in pending.items()}
            results = {n: result for n, result in compared.items() if result is not None}
            return results | self._end_reported(pending, existing.usages)
        return _accepted(pending, {usage.call.call_id: usage for usage in self.last.usages})

    def _end_reported(
        self, pending: Mapping[int, EndedCall], recorded: Mapping[str, Usage]
    ) -> dict[int, Result[Usage]]:
        # Correct calls that were charged by the reports of their bridge before their `Call Ended`.
        by_reports = {call_id for call_id, usage in recorded.items() if usage.is_replaceable}
        ended_after_all = [
            end for end in pending.values() if not end.reservation and end.call_id in by_reports
        ]
        with _caused_by(ended_after_all):
            usages = self._recorded.replace_reported(
                self.organization_id, ended_after_all, recorded, self.deadline
            )
        return _accepted(pending, usages)

    @property
    def _recorded(self) -> RecordedCalls:
        parts = self.use_case
        return RecordedCalls(
            parts.credit, parts.calls, parts.licensing, parts.rate_cards, parts.retry
        )

    def _decide(self, ended: Sequence[EndedCall], account: Account) -> Transaction:
        # If a lot expires between two calls of one batch, the earlier one is charged before the
        # expiry is booked: what credit pays must not depend on how calls are divided into batches.
        # The calls that are left out here are charged by the next transaction.
        due_at = account.lots_due_at
        calls = [end for end in ended if due_at is None or end.reported_at < due_at]
        while True:
            transaction = self._transaction(account, calls)
            excess = transaction.items - MAX_ITEMS_PER_TRANSACTION
            if excess <= 0 or len(calls) == 1:
                return transaction
            calls = calls[: max(1, len(calls) - excess)]

    def _transaction(self, account: Account, ended: Sequence[EndedCall]) -> Transaction:
        use_case = self.use_case
        # Read after the account, whose version the commit checks: a change of licenses since then
        # stops the commit (LicensingCache).
        licensing = use_case.licensing.for_account(account, {c.call.organizer_id for c in ended})
        reservations = self._reservations(account, ended)
        ratings = self._rate(account, ended, licensing, list(reservations.values()))
        pools = self._pools(account, ratings, reservations.values())
        keys = _spend_keys(account, ratings, reservations.values(), licensing)
        spend_counters = spend_counters_so_far(use_case.credit, use_case.calls, account, keys)
        at, heard_at = max(end.reported_at for end in ended), _heard_at(ended)
        now = account.now(at, heard_at)
        reported = {
            end.call_id: end.usage_reported_at(reservations.get(end.call_id)) for end in ended
        }

        def build(settlement: Settlement | None = None) -> Transaction:
            late = [(end.call.ended_at, reported[end.call_id]) for end in ended]
            corrected = settlement.corrected if settlement else ()
            transaction = charge(
                account,
                ratings,
                pools=MinutePools(pools, licensing),
                spend_counters=spend_counters.copy(),
                reservations=list(reservations.values()),
                at=at,
                heard_at=heard_at,
                reported=reported,
                days={end.call_id: end.reported_at.date() for end in ended},
                expired=expired_lots(
                    use_case.credit, account, now, ended=late, corrected=corrected
                ),
                settlement=settlement,
            )
            # The causes of these calls only: `_decide` may have left out others of the batch.
            with _caused_by(ended):
                return transaction._replace(causes=causes())

        transaction = build()
        settlement = settle_with_charge(
            self._recorded, account, transaction, ratings, now=now, most=use_case.settles_at_once
        )
        if settlement is not None:
            settled = build(settlement)
            # If there is no room for even one call beside it, the pool is settled afterwards.
            if settled.items - MAX_ITEMS_PER_TRANSACTION < len(ended):
                return settled
        return transaction

    def _reservations(self, account: Account, ended: Sequence[EndedCall]) -> dict[str, Reservation]:
        # The account may no longer contain a reservation that has lapsed. If the record of that
        # call still exists, it stops the transaction, which is then repeated with the reservation.
        call_ids = [end.call_id for end in ended]
        found = {id_: one for id_, one in self.unread_reservations.items() if id_ in call_ids}
        if account.reserved:
            found |= self.use_case.credit.reservations(self.organization_id, call_ids)
        # A call that is charged by its bridge's reports is charged by those that were read. If its
        # bridge has reported more meanwhile, the commit fails and the call is not charged now.
        return found | {end.call_id: end.reservation for end in ended if end.reservation}

    def _rate(
        self,
        account: Account,
        ended: Sequence[EndedCall],
        licensing: Licensing,
        reservations: Sequence[Reservation],
    ) -> list[Rating]:
        context = RatingContext.of(account, licensing, self.rate_card)
        former = self._former_contexts(context, reservations)
        ratings = [rate_call(end.call, former.get(end.call_id, context)) for end in ended]
        by_bridge = Flag.REPORTED_BY_BRIDGE
        return [
            rating._replace(flags=(*rating.flags, by_bridge)) if end.reservation else rating
            for end, rating in zip(ended, ratings, strict=True)
        ]

    def _former_contexts(
        self, context: RatingContext, reservations: Sequence[Reservation]
    ) -> dict[str, RatingContext]:
        # Calls that were authorized by a former rate card are rated by that card, because what was
        # reserved for them is their price by it.
        return {
            held.call.call_id: context._replace(rate_card=self._former_card(version))
            for held in reservations
            if held.held and (version := held.rate_card_version) != context.rate_card.version
        }

    def _former_card(self, version: str) -> RateCard:
        try:
            return self.use_case.rate_cards.version(version)
        except Unavailable as error:
            raise FormerRateCardUnavailable(str(error)) from error

    def _pools(
        self, account: Account, ratings: Iterable[Rating], reservations: Iterable[Reservation]
    ) -> dict[Month, MinutePool]:
        # Pools that the last transaction wrote are current if the account is still the one that it
        # wrote. The others are read, after the account.
        months = {month_of(rating.call) for rating in ratings if rating.draws_on_pool}
        months |= {month_of(held.call) for held in reservations if held.reserves_minutes}
        last = self.last
        written = () if last is None or account is not last.after else last.pools
        pools = {pool.month: pool for pool in written if pool.month in months}
        if missing := months - pools.keys():
            pools |= self.use_case.credit.pools(self.organization_id, missing)
        return pools


def _spend_keys(
    account: Account,
    ratings: Sequence[Rating],
    reservations: Collection[Reservation],
    licensing: Licensing,
) -> set[SpendKey]:
    # Counters of days are left out: they are in the account.
    began_at = {held.call.call_id: held.call.rated_at for held in reservations if held.held}
    keys = {key for reservation in reservations for key in reservation.limit_keys}
    for rating in ratings:
        call, prefix = rating.call, rating.price.prefix
        at = began_at.get(call.call_id, call.rated_at)
        keys.update(spend_keys_of(call, prefix, at, licensing, account.settings))
    return {key for key in keys if key.kind is not SpendKind.DAY}


def _caused_by(ended: Iterable[EndedCall]) -> AbstractContextManager[None]:
    # Calls that only bridges reported have no event: their cause remains the daily run.
    of_calls = {end.call_id: end.event_id for end in ended if end.event_id}
    return caused_by(*of_calls.values(), of_calls=of_calls)


def _heard_at(ended: Iterable[EndedCall]) -> datetime | None:
    return max((end.heard_at for end in ended if end.heard_at), default=None)


def _accepted(
    pending: Mapping[int, EndedCall], usages: Mapping[str, Usage]
) -> dict[int, Result[Usage]]:
    return {n: Accepted(usages[e.call_id]) for n, e in pending.items() if e.call_id in usages}


def _chunks(ended: Mapping[int, EndedCall]) -> Iterator[dict[int, EndedCall]]:
    # In the order of the reports, so that a lot that expires between two calls can pay those
    # before. Beside its calls, a transaction has a list for each day and a pool for each month.
    items = sorted(ended.items(), key=lambda item: item[1].reported_at)
    days = {end.call.ended_at.date() for end in ended.values()}
    months = {Month.of(end.call.rated_at) for end in ended.values()}
    most = _CALLS - len(days) - len(months)
    pieces = -(-len(items) // max(most, _ALWAYS_FIT))
    size = -(-len(items) // pieces)
    for start in range(0, len(items), size):
        yield dict(items[start : start + size])
