"""Charge ended legs, exactly once each, one transaction per organization and batch.

The permanent identity of a leg is the key of its usage record, written together with the money:
a repeated delivery finds the record and changes nothing, however much later it comes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import TYPE_CHECKING, assert_never

from perminute.application.advancing import brought_up_to
from perminute.application.correlation import caused_by, traceable
from perminute.application.counted_spending import spendings_so_far
from perminute.application.end_reported import EndReported
from perminute.application.further_lots import decide_with_enough_lots, expired_lots
from perminute.application.looking_again import LookingAgain
from perminute.application.patience import NEVER, Deadline, contended
from perminute.application.postings import posting_of
from perminute.application.settle_at_once import MAX_SETTLED_AT_ONCE, SettleAtOnce
from perminute.application.verdicts import Accepted, Repeated, Verdict
from perminute.domain.booking import charge
from perminute.domain.errors import (
    Contended,
    FormerRateCardUnavailable,
    Refused,
    Unavailable,
    Unwritable,
)
from perminute.domain.pools import MinutePool, Month, Pools, month_of
from perminute.domain.printable import one_line
from perminute.domain.spending import SpendingKind, answered, records_of
from perminute.domain.usage import Flag, Rating, Terms, Usage, rate_leg
from perminute.ports import MAX_ITEMS_PER_POSTING, AlreadyKnown, Committed, Moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from perminute.application.patience import Patience
    from perminute.application.remembered_licensing import RememberedLicensing
    from perminute.domain.accounts import Account, Booking
    from perminute.domain.legs import Leg
    from perminute.domain.licensing import Licensing
    from perminute.domain.rate_card import RateCard
    from perminute.domain.reservations import Reservation
    from perminute.domain.settling import Settlement
    from perminute.domain.spending import SpendingKey
    from perminute.ports import Calls, CreditStore, Posting, RateCards


_LEGS = MAX_ITEMS_PER_POSTING - 2
"""Legs that fit a posting with their account and the outbox, if they need nothing else."""

_ALWAYS_FIT = _LEGS // 3
"""Legs of a posting, each of which may need a list and a pool of its own."""


@dataclass(frozen=True, slots=True)
class EndedLeg:
    """A leg, and when telephony reported it: the instant its charge is booked at.

    `reported_at` is never after `heard_at`: what a clock that is ahead says does not advance time.
    `heard_at` is when the report reached our queue, if that is known. `reservation` is set where
    no `Call Ended` came: the leg is what its bridge has reported until then.
    """

    leg: Leg
    reported_at: datetime
    heard_at: datetime | None = None
    reservation: Reservation | None = None
    event_id: str = field(default="", compare=False)
    """That of its `Call Ended`, if one came."""

    @property
    def names(self) -> dict[str, str]:
        """The ids by which it is found in the log."""
        return {"eventId": traceable(self.event_id), "callId": one_line(self.leg.call_id)}

    def used_reported_at(self, reservations: Mapping[str, Reservation]) -> datetime:
        """Return when its use was reported: that decides whether an expired lot of its time pays.

        A bridge that reported all of it did so while the call lasted, however late it is charged.
        """
        call = self.reservation or reservations.get(self.leg.call_id)
        if call is None or call.used_seconds < self.leg.connected_seconds:
            return self.reported_at
        return min(self.leg.ended_at, self.reported_at)


@dataclass(frozen=True, slots=True)
class ChargeLegs:
    """The use case with what it needs from outside.

    A minute pool that would be left unsettled is settled at once if no more than `settles_at_once`
    recorded calls are to be gone over for it.
    """

    credit: CreditStore
    calls: Calls
    licensing: RememberedLicensing
    rate_cards: RateCards
    patience: Patience
    settles_at_once: int = MAX_SETTLED_AT_ONCE

    def __call__(
        self, ended: Sequence[EndedLeg], deadline: Deadline = NEVER
    ) -> list[Verdict[Usage]]:
        """Charge each leg; the verdicts come in the order of the legs.

        One organization's trouble is not another's: only the legs it concerns are handed back.
        """
        if not ended:
            return []
        try:
            rate_card = self.rate_cards.current()
        except Unavailable as error:
            return [error] * len(ended)
        by_organization: defaultdict[str, dict[int, EndedLeg]] = defaultdict(dict)
        for position, one in enumerate(ended):
            by_organization[one.leg.organization_id][position] = one
        verdicts: dict[int, Verdict[Usage]] = {}
        for organization_id, legs in by_organization.items():
            verdicts |= self._charge_all(organization_id, legs, rate_card, deadline)
        return [verdicts[position] for position in range(len(ended))]

    def _charge_all(
        self,
        organization_id: str,
        legs: Mapping[int, EndedLeg],
        rate_card: RateCard,
        deadline: Deadline,
    ) -> dict[int, Verdict[Usage]]:
        """Charge in rounds: a call id that stands twice with differing content takes one each."""
        verdicts: dict[int, Verdict[Usage]] = {}
        shared = _Shared(organization_id, rate_card, deadline)
        while legs:
            batch = _Batch.of(legs)
            for chunk in _chunks(batch.firsts):
                verdicts |= self._charge(shared, chunk)
            verdicts |= {n: _as_repeated(verdicts[first]) for n, first in batch.copies.items()}
            legs = batch.others
        return verdicts

    def _charge(self, shared: _Shared, legs: Mapping[int, EndedLeg]) -> dict[int, Verdict[Usage]]:
        """Post one transaction's worth of legs, again and again until each is settled."""
        verdicts: dict[int, Verdict[Usage]] = {}
        settled: dict[int, Verdict[Usage]]
        pending = dict(legs)
        tries = self.patience.tries()
        try:
            next(tries)
            while pending:
                shared.deadline.check()
                with _caused_by(pending.values()):
                    attempted = self._attempt(shared, pending)
                match attempted:
                    case dict(usages):
                        settled = {n: Accepted(usage) for n, usage in usages.items()}
                    case AlreadyKnown(usages=known, reservations=reserved):
                        shared.forget()
                        shared.reserved |= reserved
                        settled = dict(_settle(pending, known)) | _gone_on(pending, reserved)
                        settled |= self._end_reported(shared, pending, known)
                    case Moved(why):
                        shared.forget()
                        if next(tries, None) is None:
                            raise contended(shared.organization_id, why)
                        settled = {}
                    case never:
                        assert_never(never)
                verdicts |= settled
                pending = {n: one for n, one in pending.items() if n not in settled}
        except Unavailable as error:
            shared.forget()
            is_of_some = isinstance(error, Unwritable | FormerRateCardUnavailable)
            if is_of_some and len(pending) > 1:
                for n, one in pending.items():
                    verdicts |= self._charge(shared, {n: one})
            else:
                verdicts |= dict.fromkeys(pending, error)
        return verdicts

    def _end_reported(
        self, shared: _Shared, pending: Mapping[int, EndedLeg], known: Mapping[str, Usage]
    ) -> dict[int, Verdict[Usage]]:
        """Replace what bridges had reported of calls; one that somebody else replaced is left."""
        ended = [one for one in pending.values() if _replaces(one, known.get(one.leg.call_id))]
        with _caused_by(ended):
            replaced = EndReported(self._again)(shared.organization_id, ended, shared.deadline)
        return {
            position: Accepted(replaced[one.leg.call_id])
            for position, one in pending.items()
            if one.leg.call_id in replaced
        }

    @property
    def _again(self) -> LookingAgain:
        return LookingAgain(self.credit, self.calls, self.licensing, self.rate_cards, self.patience)

    def _attempt(
        self, shared: _Shared, pending: Mapping[int, EndedLeg]
    ) -> dict[int, Usage] | AlreadyKnown | Moved:
        """Post the legs that were reported before something falls due; gives usages by position.

        If a lot expires between two legs of one batch, the earlier one is charged before that is
        booked: how batches are cut must not change what credit pays. The later ones stay pending.
        """
        # The account is read before the licenses: see RememberedLicensing.
        account = brought_up_to(
            self.credit,
            shared.account or self.credit.account(shared.organization_id),
            min(one.reported_at for one in pending.values()),
            _heard_at(pending.values()),
        )
        if isinstance(account, Moved):
            return account
        due_at = account.lots_due_at
        legs = {n: one for n, one in pending.items() if due_at is None or one.reported_at < due_at}
        try:
            decision = decide_with_enough_lots(
                self.credit, account, lambda current: self._decide(current, legs, shared)
            )
        except Contended as error:
            return Moved(str(error))
        if isinstance(decision, Moved):
            return decision
        decided, legs = decision
        match self.credit.commit(decided):
            case Committed():
                shared.account = decided.after
                shared.pools |= {pool.month: pool for pool in decided.pools}
                return dict(zip(legs, decided.usages, strict=True))
            case AlreadyKnown() | Moved() as result:
                return result
            case never:
                assert_never(never)

    def _decide(
        self, account: Account, legs: dict[int, EndedLeg], shared: _Shared
    ) -> tuple[Posting, dict[int, EndedLeg]]:
        """Decide what the legs cost; drops the last ones if all would not fit one transaction.

        A posting that settles a pool drops some as well, but for that alone never all of them.
        """
        while True:
            posting = self._posting(account, list(legs.values()), shared)
            excess = posting.items - MAX_ITEMS_PER_POSTING
            if excess <= 0 or len(legs) == 1:
                return posting, legs
            legs = dict(islice(legs.items(), max(1, len(legs) - excess)))

    def _posting(self, account: Account, ended: Sequence[EndedLeg], shared: _Shared) -> Posting:
        licensing = self.licensing.for_account(account, {one.leg.organizer_id for one in ended})
        terms = Terms(
            licensing=licensing,
            rate_card=shared.rate_card,
            currency=account.currency,
            credits_set_up_at=account.credits_set_up_at,
        )
        reservations = self._reservations(account, ended, shared)
        by_card = self._terms_by_card(terms, reservations)
        ratings = [_rated(one, by_card.get(one.leg.call_id, terms)) for one in ended]
        keys = _spending_keys(account, ratings, reservations, licensing)
        pools = self._pools(ratings, reservations, shared)
        spendings = spendings_so_far(self.credit, self.calls, account, keys)
        at, heard_at = max(one.reported_at for one in ended), _heard_at(ended)
        now = account.now(at, heard_at)
        under_way = {one.leg.call_id: one for one in reservations}
        reported = {one.leg.call_id: one.used_reported_at(under_way) for one in ended}

        def decide(settlement: Settlement | None = None) -> Booking:
            late = [(one.leg.ended_at, reported[one.leg.call_id]) for one in ended]
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
                days={one.leg.call_id: one.reported_at.date() for one in ended},
                expired=expired_lots(
                    self.credit, account, late, settlement.cheaper if settlement else ()
                ),
                settlement=settlement,
            )

        booking = decide()
        settle = SettleAtOnce(self._again, self.settles_at_once)
        settlement = settle(account, booking, ratings, now)
        # Some of those that are pending may be left for the next posting.
        with _caused_by(ended):
            if settlement is not None:
                settled = posting_of(account, decide(settlement))
                if settled.items - MAX_ITEMS_PER_POSTING < len(ended):
                    return settled
            return posting_of(account, booking)

    def _terms_by_card(self, terms: Terms, reservations: Sequence[Reservation]) -> dict[str, Terms]:
        """Return the terms of calls that were authorized by another rate card than the current.

        What was reserved for them is what they cost by that card.
        """
        return {
            one.leg.call_id: replace(terms, rate_card=self._former_card(version))
            for one in reservations
            if one.held and (version := one.rate_card_version) != terms.rate_card.version
        }

    def _former_card(self, version: str) -> RateCard:
        try:
            return self.rate_cards.version(version)
        except Unavailable as error:
            raise FormerRateCardUnavailable(str(error)) from error

    def _reservations(
        self, account: Account, ended: Sequence[EndedLeg], shared: _Shared
    ) -> list[Reservation]:
        """Read what the legs had reserved, after the account; if nothing is reserved, not at all.

        One that has lapsed, and is still recorded, is handed back by the posting that it stops.
        """
        call_ids = [one.leg.call_id for one in ended]
        known = {call: shared.reserved[call] for call in call_ids if call in shared.reserved}
        if account.reserved:
            known |= self.credit.reservations(shared.organization_id, call_ids)
        # What was reported is charged as it was read: if the call goes on meanwhile, not at all.
        known |= {one.leg.call_id: one.reservation for one in ended if one.reservation}
        return list(known.values())

    def _pools(
        self, ratings: Sequence[Rating], reservations: Sequence[Reservation], shared: _Shared
    ) -> Mapping[Month, MinutePool]:
        """Read the pools that the legs draw on, after the account, as with the licenses."""
        months = {month_of(rating.leg) for rating in ratings if rating.draws_on_pool}
        months |= {month_of(one.leg) for one in reservations if one.holds_minutes}
        missing = months - shared.pools.keys()
        if missing:
            shared.pools |= self.credit.pools(shared.organization_id, missing)
        return {month: shared.pools[month] for month in months}


@dataclass(slots=True)
class _Shared:
    """What the postings of one organization in one batch share.

    `account` and `pools` are as the last posting left them, which saves reading them. `reserved`
    are reservations that were in the way of a posting.
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
    """The legs of a batch by position: the first of each call id, and what came again."""

    firsts: dict[int, EndedLeg]
    copies: dict[int, int]
    others: dict[int, EndedLeg]

    @classmethod
    def of(cls, legs: Mapping[int, EndedLeg]) -> _Batch:
        first_by_call: dict[str, int] = {}
        batch = cls({}, {}, {})
        for position, one in legs.items():
            first = first_by_call.setdefault(one.leg.call_id, position)
            if first == position:
                batch.firsts[position] = one
            elif one.leg == legs[first].leg:
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
    """Name the records of limits that the legs count for, or have reserved something of."""
    began_at = {one.leg.call_id: answered(one.leg) for one in reservations if one.held}
    keys = {
        key
        for leg, prefix in ((one.leg, one.price.prefix) for one in ratings)
        for key in records_of(
            leg, prefix, began_at.get(leg.call_id, answered(leg)), licensing, account.settings
        )
    }
    keys.update(*(one.keys for one in reservations))
    return {key for key in keys if key.kind is not SpendingKind.DAY}


def _rated(one: EndedLeg, terms: Terms) -> Rating:
    rating = rate_leg(one.leg, terms)
    if one.reservation is None:
        return rating
    return replace(rating, flags=(*rating.flags, Flag.REPORTED_BY_BRIDGE))


def _caused_by(ended: Iterable[EndedLeg]) -> AbstractContextManager[None]:
    """Name the events that reported the legs; of reports by bridges the run stays the cause."""
    of_calls = {one.leg.call_id: one.event_id for one in ended if one.event_id}
    return caused_by(*of_calls.values(), of_calls=of_calls)


def _heard_at(ended: Iterable[EndedLeg]) -> datetime | None:
    return max((one.heard_at for one in ended if one.heard_at), default=None)


def _as_repeated(verdict: Verdict[Usage]) -> Verdict[Usage]:
    return Repeated() if isinstance(verdict, Accepted) else verdict


def _settle(
    pending: Mapping[int, EndedLeg], known: Mapping[str, Usage]
) -> Iterator[tuple[int, Verdict[Usage]]]:
    for position, one in pending.items():
        recorded = known.get(one.leg.call_id)
        if recorded is not None and one.reservation is not None:
            yield position, Repeated()
        elif recorded is not None and not _replaces(one, recorded):
            yield position, _against_record(one.leg, recorded.leg)


def _replaces(one: EndedLeg, recorded: Usage | None) -> bool:
    """Whether it is a `Call Ended`, and all that is recorded is what the bridge had reported."""
    return one.reservation is None and recorded is not None and recorded.reported_by_bridge


def _gone_on(
    pending: Mapping[int, EndedLeg], reserved: Mapping[str, Reservation]
) -> dict[int, Verdict[Usage]]:
    """Leave calls alone whose bridges have reported more since what they reported was read."""
    return {
        position: Repeated()
        for position, one in pending.items()
        if one.reservation is not None and one.leg.call_id in reserved
    }


def _camel(name: str) -> str:
    """Name a field as telephony does; digits below the microsecond have none of their own."""
    if name == "exact_seconds":
        return "time below the microsecond"
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _against_record(leg: Leg, recorded: Leg) -> Repeated | Refused:
    if leg == recorded:
        return Repeated()
    differing = ", ".join(
        _camel(part.name)
        for part in fields(leg)
        if getattr(leg, part.name) != getattr(recorded, part.name)
    )
    return Refused(
        "callId",
        f"conflict: call {leg.call_id} of {leg.organization_id} is recorded with another "
        f"{differing}; the record stands, send a correction as a credit adjustment",
    )


def _chunks(ended: Mapping[int, EndedLeg]) -> Iterator[dict[int, EndedLeg]]:
    """Cut a batch into postings of even size, as few as the limit of a transaction allows.

    In the order of the reports: a lot that expires between two of them pays all before it. Beside
    its legs a posting has lists of them by day, and pools by month: hardly ever more than one of
    each, but a batch may bring a year's.
    """
    items = sorted(ended.items(), key=lambda item: item[1].reported_at)
    days = {one.leg.ended_at.date() for one in ended.values()}
    months = {Month.of(one.leg.answered_at or one.leg.ended_at) for one in ended.values()}
    most = _LEGS - len(days) - len(months)
    pieces = -(-len(items) // max(most, _ALWAYS_FIT))
    size = -(-len(items) // pieces)
    for start in range(0, len(items), size):
        yield dict(items[start : start + size])
