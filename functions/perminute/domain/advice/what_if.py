"""Recorded calls under another rate card, with other licenses, or with another minute pool.

They are rated twice by the code that charges: by what is known now, and with the assumed change. If
both results are equal, the call stays as it was recorded. So the report shows no difference if
nothing is changed, however a call was charged.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.licensing.attributes import (
    LICENSES,
    POOL_ATTRIBUTES,
    POOL_MINUTES_PER_LICENSE,
    license_attribute,
    purchased_attribute,
)
from perminute.domain.licensing.licensing import Licensing, Seats
from perminute.domain.licensing.timelines import Fact, Timeline
from perminute.domain.pools.pools import MinutePool, answered_at
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.reference.licenses import OUR_NAMES, License
from perminute.domain.reporting.postings import ListedUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.pools.pools import Month
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.rating import Rating
    from perminute.domain.rating.usage_record import Outcome

_ALONE = OUR_NAMES[License.SUBSCRIPTION]
_CONFERENCING = frozenset(
    name for name, brings in LICENSES.items() if brings is not License.COMMUNICATIONS_CREDITS
)
_INSTANT = timedelta(microseconds=1)


class OtherLicenses(NamedTuple):
    """The licenses that a user is assumed to hold, from the start of the month on."""

    # None: those that the user has. Products that bring the same licenses are replaced as well.
    conferencing: frozenset[License] | None = None
    holds_credits: bool = False  # also the credits license, if the user does not have it


class Change(NamedTuple):
    """What is assumed to differ; everything that is not stated stays as it was."""

    rate_card: RateCard | None = None
    pool_minutes: int | None = None  # of the whole month, whatever the licenses are
    licenses: Mapping[str, OtherLicenses] | None = None


class RecordedCall(NamedTuple):
    """A call as it is listed, and what it was rated from."""

    usage: ListedUsage
    call: Call
    row: RateCard  # the row that priced it


class ComparedCall(NamedTuple):
    """A call as it was recorded, and as it would be with the change."""

    recorded: ListedUsage
    otherwise: ListedUsage


class PoolUse(NamedTuple):
    """The minute pool at the end of the month."""

    minutes: int
    used: int


class WhatIf(NamedTuple):
    """All calls, and the pool before and after."""

    calls: Sequence[ComparedCall]
    recorded_pool: PoolUse
    pool: PoolUse


def what_if(
    calls: Iterable[RecordedCall], month: Month, context: RatingContext, change: Change
) -> WhatIf:
    """Rate the calls that were answered in a month with an assumed change.

    The licensing of the context is that of all users; its rate card is not used.
    """
    ordered = sorted(calls, key=lambda one: (one.usage.ended_at, one.usage.call_id))
    licensing = changed_licensing(context.licensing, month, change)
    before = [
        rate_call(recorded.call, context._replace(rate_card=recorded.row)) for recorded in ordered
    ]
    other = context._replace(licensing=licensing)
    after = [
        rate_call(recorded.call, other._replace(rate_card=change.rate_card or recorded.row))
        for recorded in ordered
    ]
    minutes = [recorded.usage.pool_minutes for recorded in ordered]
    if list(_claims(before, context.licensing)) != list(_claims(after, licensing)):
        minutes = list(_drawn(after, month, licensing))
    compared = [
        ComparedCall(one.usage, _otherwise(one.usage, was, will_be, taken))
        for one, was, will_be, taken in zip(ordered, before, after, minutes, strict=True)
    ]
    end = month.end - _INSTANT
    used_before = context.licensing.pool_minutes_used(end)
    return WhatIf(
        compared,
        PoolUse(
            context.licensing.pool_minutes(end),
            used_before + sum(call.recorded.pool_minutes for call in compared),
        ),
        PoolUse(licensing.pool_minutes(end), licensing.pool_minutes_used(end) + sum(minutes)),
    )


def _claims(ratings: Iterable[Rating], licensing: Licensing) -> Iterator[tuple[str, int, int]]:
    # Everything that decides which pool minutes calls get; their order does not change.
    for rating in ratings:
        if rating.draws_on_pool:
            minutes = licensing.pool_minutes_for_calls(answered_at(rating.call))
            yield rating.call.call_id, rating.pool_minutes_wanted, minutes


def _drawn(ratings: Iterable[Rating], month: Month, licensing: Licensing) -> Iterator[int]:
    # As if none of the minutes had been reserved by calls under way.
    pool = MinutePool("", month)
    for rating in ratings:
        taken = 0
        if rating.draws_on_pool:
            call, wanted = rating.call, rating.pool_minutes_wanted
            pool, taken = pool.draw(call, wanted, licensing, reserved=None, now=call.ended_at)
        yield taken


def _otherwise(
    recorded: ListedUsage, before: Rating, after: Rating, pool_minutes: int
) -> ListedUsage:
    was = ListedUsage.of(before.usage(recorded.pool_minutes))
    will_be = ListedUsage.of(after.usage(pool_minutes))
    return recorded if will_be == was else will_be


def changed_licensing(licensing: Licensing, month: Month, change: Change) -> Licensing:
    """Return the licensing of all users with a change from the start of a month on."""
    users = dict(licensing.users)
    for user_id, other in (change.licenses or {}).items():
        users[user_id] = _with_licenses(licensing.user(user_id), month.start, other)
    changed = Licensing(licensing.organization, users, Seats(users.values()))
    if change.pool_minutes is not None:
        # As many licenses, each with one minute.
        one_each = {
            POOL_MINUTES_PER_LICENSE: 1,
            purchased_attribute(_ALONE): change.pool_minutes,
        }
        facts = [f for f in licensing.organization.facts if f.attribute not in POOL_ATTRIBUTES]
        facts += [_fact(name, value, month.start) for name, value in one_each.items()]
        return changed._replace(organization=Timeline(facts))
    if more := _more_purchased(licensing, changed, month.end - _INSTANT):
        organization = _with_purchased(licensing.organization, more, month.start)
        return changed._replace(organization=organization)
    return changed


def _with_licenses(user: Timeline, since: datetime, other: OtherLicenses) -> Timeline:
    facts, held = list(user.facts), list[License]()
    if other.conferencing is not None:
        facts = [fact for fact in facts if fact.attribute not in _CONFERENCING]
        held += other.conferencing
    if other.holds_credits:
        held.append(License.COMMUNICATIONS_CREDITS)
    for license_held in held:
        attribute = license_attribute(OUR_NAMES[license_held])
        facts = [fact for fact in facts if fact.attribute != attribute]
        facts.append(_fact(attribute, value=True, since=since))
    return Timeline(facts)


def _fact(attribute: str, value: bool | int, since: datetime) -> Fact:  # noqa: FBT001 - a value
    return Fact(
        attribute=attribute, value=value, effective_at=since, issued_at=since, event_id="whatIf"
    )


def _more_purchased(before: Licensing, after: Licensing, at: datetime) -> int:
    # Subscriptions that nobody has are assigned first; those that are given back are not paid.
    assigned, needed = (_assigned(licensing, at) for licensing in (before, after))
    spare = max(0, before.purchased(purchased_attribute(_ALONE), at) - assigned)
    return needed - assigned if needed < assigned else max(0, needed - assigned - spare)


def _assigned(licensing: Licensing, at: datetime) -> int:
    attribute = license_attribute(_ALONE)
    return sum(user.value_at(attribute, at) is True for user in licensing.users.values())


def _with_purchased(organization: Timeline, more: int, since: datetime) -> Timeline:
    attribute = purchased_attribute(_ALONE)
    stated = list(organization.changes_of(attribute))
    at_start = organization.value_at(attribute, since)
    stated = [(since, at_start or 0), *((at, value) for at, value in stated if at > since)]
    facts = [fact for fact in organization.facts if fact.attribute != attribute]
    facts += [_fact(attribute, max(0, int(value) + more), at) for at, value in stated]
    return Timeline(facts)


@dataclass(slots=True)
class ComparedSums:
    """Sums over calls, as recorded and with the change; micro-units in the credit's currency."""

    calls: int = 0
    recorded_micros: int = 0
    otherwise_micros: int = 0

    def add(self, one: ComparedCall) -> None:
        """Add a call."""
        self.calls += 1
        self.recorded_micros += one.recorded.charge_micros
        self.otherwise_micros += one.otherwise.charge_micros


def summed_by(
    calls: Iterable[ComparedCall], key: Callable[[ComparedCall], str | None]
) -> list[tuple[str | None, ComparedSums]]:
    """Sum calls by a key, in the order of the keys; None is the last one."""
    groups: defaultdict[str | None, ComparedSums] = defaultdict(ComparedSums)
    for call in calls:
        groups[key(call)].add(call)
    return sorted(groups.items(), key=lambda group: (group[0] is None, group[0] or ""))


def organizer_of(one: ComparedCall) -> str | None:
    """Return the organizer of a call."""
    return one.recorded.organizer_id


def country_of(one: ComparedCall) -> str | None:
    """Return the country of a call's price, that of the record if it has one."""
    return one.recorded.country or one.otherwise.country


def count_outcome(usages: Iterable[ListedUsage], outcome: Outcome) -> int:
    """Count the calls that have an outcome."""
    return sum(usage.outcome is outcome for usage in usages)
