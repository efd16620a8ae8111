"""What calls and subscriptions cost if certain users subscribe: exactly, call by call.

Calls draw on the pool of a month in the order in which they ended, as when they are charged
(docs/domain.md §4.2). Thousands of sets of subscribers are compared, and most differ from the one
before by a user or two. So prefix sums are stored of what the calls of one
set draw, in their order. The cost of another set is computed from these and from the sums of the
users by whom it differs, without going through all calls. The result is exact, whichever set the
sums are of.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.advice.basis import CallKind, Holding, LicensedUser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perminute.domain.advice.basis import AdviceBasis, AdvisedCall, MonthOfCalls

Chosen = int
"""The candidates who subscribe: a bit for each place, since large sets are compared."""

NOBODY: Chosen = 0
UNKNOWN = LicensedUser(Holding.NONE)

_FIXED = -1
"""The place that stands for all users who subscribe in any case."""

_FAR = 16
"""A set that differs by more users than this gets sums of its own."""


def places_of(chosen: Chosen) -> list[int]:
    """Return the places of those who subscribe, in order."""
    places = []
    while chosen:
        lowest = chosen & -chosen
        places.append(lowest.bit_length() - 1)
        chosen ^= lowest
    return places


def chosen_of(places: Iterable[int]) -> Chosen:
    """Return the set of the candidates at these places."""
    return sum(1 << place for place in places)


class Rank(NamedTuple):
    """How good a set is, the lowest first: by what it costs, and then by how much it changes."""

    micros: int
    changes: int


class UserCosts(NamedTuple):
    """What a user's calls cost, as far as that depends on the license."""

    toll_micros: int = 0
    pool_micros: int = 0
    pool_minutes: int = 0


class _Draws:
    """Prefix sums of what calls draw on the pool of a month, in the order in which they ended."""

    def __init__(self, numbered: Sequence[tuple[int, AdvisedCall]]) -> None:
        self._numbers = [number for number, _ in numbered]
        self._minutes = list(accumulate((call.minutes for _, call in numbered), initial=0))
        self._micros = list(accumulate((call.retail_micros for _, call in numbered), initial=0))

    def minutes_before(self, number: int) -> int:
        return self._minutes[bisect_left(self._numbers, number)]

    def micros_before(self, number: int) -> int:
        return self._micros[bisect_left(self._numbers, number)]

    @property
    def costs(self) -> tuple[int, int]:
        return self._micros[-1], self._minutes[-1]


class _Month:
    def __init__(self, month: MonthOfCalls, places: dict[str, int], candidates: int) -> None:
        self.minutes_used_before = month.minutes_used_before
        self.retail_micros = sum(call.retail_micros for call in month.calls)
        tolls = [0] * (candidates + 1)
        drawing: list[list[tuple[int, AdvisedCall]]] = [[] for _ in tolls]
        self._calls: list[tuple[int, AdvisedCall]] = []
        for call in month.calls:
            place = places.get(call.user_id)
            if place is None:
                continue
            if call.kind is CallKind.TOLL:
                tolls[place] += call.retail_micros
            elif call.kind is CallKind.POOL:
                drawing[place].append((len(self._calls), call))
                self._calls.append((place, call))
        self._draws = [_Draws(calls) for calls in drawing]
        self.costs = [
            UserCosts(toll, *draws.costs) for toll, draws in zip(tolls, self._draws, strict=True)
        ]
        self.look_from(NOBODY)

    def look_from(self, chosen: Chosen) -> None:
        subscribes = {_FIXED, *places_of(chosen)}
        drawn = [
            (call.minutes, call.retail_micros) if place in subscribes else (0, 0)
            for place, call in self._calls
        ]
        self._minutes = list(accumulate((minutes for minutes, _ in drawn), initial=0))
        self._micros = list(accumulate((micros for _, micros in drawn), initial=0))
        self._toll_micros = sum(self.costs[place].toll_micros for place in subscribes)

    def paid_by_subscriptions(self, more: Sequence[int], fewer: Sequence[int], minutes: int) -> int:
        """Return what is not charged if other users subscribe than those of the sums."""
        added = [self._draws[place] for place in more]
        removed = [self._draws[place] for place in fewer]
        left = max(0, minutes - self.minutes_used_before)

        def drawn_before(number: int) -> int:
            drawn = self._minutes[number]
            for draws in added:
                drawn += draws.minutes_before(number)
            for draws in removed:
                drawn -= draws.minutes_before(number)
            return drawn

        # The first call that does not get all of its minutes, or the number of calls.
        number = bisect_right(range(len(self._minutes)), left, key=drawn_before) - 1
        paid_micros = self._toll_micros + self._micros[number]
        for place, draws in zip(more, added, strict=True):
            paid_micros += self.costs[place].toll_micros + draws.micros_before(number)
        for place, draws in zip(fewer, removed, strict=True):
            paid_micros -= self.costs[place].toll_micros + draws.micros_before(number)
        if number < len(self._calls):
            call = self._calls[number][1]
            # A call that straddles the end of the pool gets its last minutes.
            paid_micros += call.paid_by_pool_micros(left - drawn_before(number))
        return paid_micros


class PlanCosts:
    """What each choice among the candidates costs, in micro-units.

    Candidates are the users who can be changed and have calls or a subscription. A user without
    either gets no subscription: it would only add its minutes.
    """

    def __init__(self, basis: AdviceBasis) -> None:
        self.basis = basis
        active = {call.user_id for month in basis.months for call in month.calls}
        self.fixed = frozenset(
            user_id
            for user_id, user in basis.users.items()
            if user.holding is Holding.BUNDLE
            or (user.holding.is_bought and not user.can_pay_per_minute)
        )
        self.candidates = tuple(
            user_id
            for user_id in sorted(active.union(basis.users) - self.fixed)
            if (user := self.user(user_id)).can_pay_per_minute
            and (user_id in active or user.holding.is_bought)
        )
        users = [self.user(user_id) for user_id in self.candidates]
        self.current = chosen_of(p for p, user in enumerate(users) if user.holding.is_bought)
        self._contracted = chosen_of(p for p, user in enumerate(users) if user.is_contracted)
        # A user without a license gets one in any case, so that does not count as a change.
        self._changeable = chosen_of(
            p for p, user in enumerate(users) if user.holding is not Holding.NONE
        )
        self._count_fixed(basis)
        places = dict.fromkeys(self.fixed, _FIXED)
        places |= {user_id: place for place, user_id in enumerate(self.candidates)}
        self._months = [_Month(month, places, len(users)) for month in basis.months]
        self._seen_from = NOBODY
        self.compared = 0  # how many sets were

    def _count_fixed(self, basis: AdviceBasis) -> None:
        fixed = [self.user(user_id).holding for user_id in self.fixed]
        self._bought_by_fixed = sum(holding.is_bought for holding in fixed)
        self._bundles = len(fixed) - self._bought_by_fixed
        if basis.counts_spare:
            self._bundles += basis.spare_bundles
        else:
            self._bundles += sum(user.has_spare for user in basis.users.values())

    def user(self, user_id: str) -> LicensedUser:
        """Return the user with this id."""
        return self.basis.users.get(user_id, UNKNOWN)

    def bought(self, chosen: Chosen) -> int:
        """Count the subscriptions that are paid for.

        Those that are spare are assigned first. One that a user gives back is paid no longer,
        unless another user needs it, or it is contracted.
        """
        assigned, freed = self.assigned(chosen), self.current & ~chosen
        left = self.basis.spare + freed.bit_count() - (chosen & ~self.current).bit_count()
        if left <= 0:
            return assigned
        return assigned + left - min(left, (freed & ~self._contracted).bit_count())

    def assigned(self, chosen: Chosen) -> int:
        """Count the subscriptions that are sold alone and that somebody uses."""
        return self._bought_by_fixed + chosen.bit_count()

    def pool_minutes(self, chosen: Chosen) -> int:
        """Count the minutes of the pool of a month."""
        counts_spare = self.basis.counts_spare
        counted = self.bought(chosen) if counts_spare else self.assigned(chosen)
        return self.basis.minutes_per_license * (counted + self._bundles)

    def look_from(self, chosen: Chosen) -> None:
        """Compute the prefix sums of a set: the cost of similar sets is then computed fast."""
        self._seen_from = chosen
        for month in self._months:
            month.look_from(chosen)

    def by_month(self, chosen: Chosen, *, more_licenses: int = 0) -> list[int]:
        """Return what each month costs, with `more_licenses` subscriptions that nobody has."""
        if (chosen ^ self._seen_from).bit_count() > _FAR:
            self.look_from(chosen)
        more, fewer = places_of(chosen & ~self._seen_from), places_of(self._seen_from & ~chosen)
        minutes = self.pool_minutes(chosen) + more_licenses * self.basis.minutes_per_license
        licenses_micros = self.basis.price_micros * (self.bought(chosen) + more_licenses)
        self.compared += 1
        return [
            licenses_micros
            + month.retail_micros
            - month.paid_by_subscriptions(more, fewer, minutes)
            for month in self._months
        ]

    def total(self, chosen: Chosen, *, more_licenses: int = 0) -> int:
        """Return what all months cost, as `by_month` does."""
        return sum(self.by_month(chosen, more_licenses=more_licenses))

    def rank(self, chosen: Chosen) -> Rank:
        """Return the rank of a choice."""
        changes = ((chosen ^ self.current) & self._changeable).bit_count()
        # Each change costs a micro-unit less than it must save: saving exactly that is enough.
        least_micros = max(0, self.basis.minimum_saving_micros * len(self._months) - 1)
        return Rank(self.total(chosen) + changes * least_micros, changes)

    def of_each(self) -> list[UserCosts]:
        """Return what the calls of each candidate cost in all months."""
        by_user = zip(*(month.costs[:-1] for month in self._months), strict=True)
        return [UserCosts(*map(sum, zip(*months, strict=True))) for months in by_user]

    def wanted(self, chosen: Chosen) -> list[int]:
        """Count the minutes of each month that subscribers' calls could draw on the pool."""
        return [
            sum(month.costs[place].pool_minutes for place in (*places_of(chosen), _FIXED))
            for month in self._months
        ]

    def pools(self, chosen: Chosen) -> list[int]:
        """Count the minutes of the pool of each month, without those used in another system."""
        minutes = self.pool_minutes(chosen)
        return [max(0, minutes - month.minutes_used_before) for month in self._months]
