"""Which subscriptions would cost an organization least, and what each change saves.

All amounts are exact sums over the months, in micro-units; `Advice.mean` makes a month's of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.advice.basis import CallKind, Holding
from perminute.domain.advice.costs import PlanCosts, places_of
from perminute.domain.advice.search import cheapest
from perminute.domain.values.money import round_half_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.domain.advice.basis import AdviceBasis
    from perminute.domain.advice.costs import Chosen
    from perminute.domain.advice.search import Found

CONFIDENT_MONTHS = 3


class AdviceConfidence(StrEnum):
    """How certain the recommendations are (docs/domain.md §8.3)."""

    LOW = "low"  # one month
    MEDIUM = "medium"  # fewer months than three, or not all of them agree with each change
    HIGH = "high"


class Recommendation(NamedTuple):
    """Another license for a user, and what it saves if all other recommendations are followed."""

    user_id: str
    before: Holding
    after: Holding
    saves_micros: int  # in all months
    months_agreeing: int  # in how many of them it would have saved anything


class PoolOfMonth(NamedTuple):
    """The minutes of the pool, and those that calls would draw if there were as many."""

    minutes: int
    wanted: int


class RemarkKind(StrEnum):
    """The kinds of remarks (docs/license-advice.md)."""

    # The user holds both licenses and keeps the subscription: pay-per-minute can be removed.
    REMOVE_PAY_PER_MINUTE = "removePayPerMinute"
    # The user holds the subscription twice, in a suite and alone: the latter can be removed.
    SUBSCRIPTION_TWICE = "subscriptionTwice"
    # The user is advised to subscribe, and needs the credits license for what is not included.
    NEEDS_CREDITS_LICENSE = "needsCreditsLicense"
    # The user subscribes, and has not had a call in any of the months.
    IDLE = "idle"
    NO_LICENSE = "noLicense"  # the user has calls; they count at the price of the rate card
    UNRATED_CALLS = "unratedCalls"  # they have no price, and count as if they cost nothing
    # Pay-per-minute would cost less, but the subscription is paid until its renewal.
    AT_RENEWAL = "atRenewal"
    # Neither license can be changed: pay-per-minute is not available to the user.
    NOT_AVAILABLE = "payPerMinuteNotAvailable"
    SPARE_LICENSES = "spareLicenses"  # subscriptions that nobody has, and no recommendation uses
    # One more subscription, for nobody, would pay for itself by its minutes.
    MORE_MINUTES = "moreMinutes"


class Remark(NamedTuple):
    """Something to know, about a user or about the organization."""

    kind: RemarkKind
    user_id: str | None = None
    number: int | None = None  # of calls or licenses
    saves_micros: int | None = None  # in all months


class Advice(NamedTuple):
    """What the licenses cost as they are, and the set of subscribers that costs least."""

    months: int
    current_micros: int
    best_micros: int
    subscribers: tuple[str, ...]  # with those who have a suite
    recommendations: tuple[Recommendation, ...]  # by user
    pool: tuple[PoolOfMonth, ...]  # of each month
    confidence: AdviceConfidence | None  # None without recommendations
    remarks: tuple[Remark, ...]
    is_exact: bool  # whether all sets were compared

    def mean(self, micros: int) -> int:
        """Return the mean of a month, rounded half up; of amounts that are not negative."""
        return round_half_up(micros, self.months)


def advise(basis: AdviceBasis) -> Advice:
    """Find the subscribers that cost least. There must be at least one month."""
    costs = PlanCosts(basis)
    found = cheapest(costs)
    recommendations = tuple(_recommendations(costs, found.chosen))
    return Advice(
        months=len(basis.months),
        current_micros=costs.total(costs.current),
        best_micros=costs.total(found.chosen),
        subscribers=tuple(sorted({*costs.fixed, *_ids(costs, found.chosen)})),
        recommendations=recommendations,
        pool=tuple(map(PoolOfMonth, costs.pools(found.chosen), costs.wanted(found.chosen))),
        confidence=_confidence(recommendations, len(basis.months)),
        remarks=tuple(_remarks(costs, found)),
        is_exact=found.is_exact,
    )


def _ids(costs: PlanCosts, chosen: Chosen) -> list[str]:
    return [costs.candidates[place] for place in places_of(chosen)]


def _recommendations(costs: PlanCosts, best: Chosen) -> Iterator[Recommendation]:
    by_month = costs.by_month(best)
    for place, user_id in enumerate(costs.candidates):
        before, subscribes = costs.user(user_id).holding, bool(best >> place & 1)
        if before is not Holding.NONE and before.is_bought == subscribes:
            continue
        otherwise = costs.by_month(best ^ 1 << place)
        saved = [other - micros for other, micros in zip(otherwise, by_month, strict=True)]
        if sum(saved) >= costs.basis.minimum_saving_micros * len(saved):
            after = Holding.SUBSCRIPTION if subscribes else Holding.PAY_PER_MINUTE
            agreeing = sum(micros > 0 for micros in saved)
            yield Recommendation(user_id, before, after, sum(saved), agreeing)


def _confidence(
    recommendations: tuple[Recommendation, ...], months: int
) -> AdviceConfidence | None:
    if not recommendations:
        return None
    if months == 1:
        return AdviceConfidence.LOW
    agree = all(recommendation.months_agreeing == months for recommendation in recommendations)
    return (
        AdviceConfidence.HIGH if agree and months >= CONFIDENT_MONTHS else AdviceConfidence.MEDIUM
    )


def _remarks(costs: PlanCosts, found: Found) -> Iterator[Remark]:
    calls = _calls(costs.basis)
    subscribers = costs.fixed.union(_ids(costs, found.chosen))
    for user_id in sorted(calls.keys() | costs.basis.users.keys()):
        yield from _remarks_on(costs, user_id, calls[user_id], subscribes=user_id in subscribers)
    unrated = sum(call.is_unrated for month in costs.basis.months for call in month.calls)
    if unrated:
        yield Remark(RemarkKind.UNRATED_CALLS, number=unrated)
    yield from _at_renewal(costs, found)
    spare = costs.bought(found.chosen) - costs.assigned(found.chosen)
    if spare:
        yield Remark(RemarkKind.SPARE_LICENSES, number=spare)
    saves_micros = costs.total(found.chosen) - costs.total(found.chosen, more_licenses=1)
    if saves_micros > 0 and costs.basis.counts_spare:
        yield Remark(RemarkKind.MORE_MINUTES, number=1, saves_micros=saves_micros)


def _calls(basis: AdviceBasis) -> Mapping[str, Counter[CallKind]]:
    calls: defaultdict[str, Counter[CallKind]] = defaultdict(Counter)
    for month in basis.months:
        for call in month.calls:
            calls[call.user_id][call.kind] += 1
    return calls


def _remarks_on(
    costs: PlanCosts, user_id: str, calls: Counter[CallKind], *, subscribes: bool
) -> Iterator[Remark]:
    user = costs.user(user_id)
    if subscribes:
        if user.holding is Holding.BOTH or user.has_unused:
            yield Remark(RemarkKind.REMOVE_PAY_PER_MINUTE, user_id)
        if not user.holds_credits and calls.keys() - {CallKind.TOLL}:
            yield Remark(RemarkKind.NEEDS_CREDITS_LICENSE, user_id)
    if user.has_spare:
        yield Remark(RemarkKind.SUBSCRIPTION_TWICE, user_id)
    if user.holding.is_bought and not calls:
        yield Remark(RemarkKind.IDLE, user_id)
    if user.holding is Holding.NONE and calls:
        yield Remark(RemarkKind.NO_LICENSE, user_id, number=calls.total())
    if not user.can_pay_per_minute and user.holding is not Holding.BUNDLE:
        yield Remark(RemarkKind.NOT_AVAILABLE, user_id)


def _at_renewal(costs: PlanCosts, found: Found) -> Iterator[Remark]:
    users = costs.basis.users
    if not any(user.is_contracted for user in users.values()):
        return
    # As if nothing were contracted.
    free = {user_id: user._replace(is_contracted=False) for user_id, user in users.items()}
    renewed = PlanCosts(costs.basis._replace(users=free))
    later = cheapest(renewed).chosen
    for place in places_of(costs.current & found.chosen & ~later):
        user_id = costs.candidates[place]
        if users[user_id].is_contracted:
            saves_micros = renewed.total(later ^ 1 << place) - renewed.total(later)
            yield Remark(RemarkKind.AT_RENEWAL, user_id, saves_micros=saves_micros)
