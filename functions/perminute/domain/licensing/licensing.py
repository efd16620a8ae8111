"""The licensing state of an organization, and who pays for its calls (docs/domain.md §3)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, assert_never

from perminute.domain.licensing.attributes import (
    COMMUNICATIONS_CREDITS_LICENSE,
    COUNTRY,
    DIAL_OUT_POLICY,
    LICENSES,
    LICENSING_PROGRAM,
    NAME,
    POOL_ATTRIBUTES,
    POOL_BASIS,
    POOL_MINUTES_PER_LICENSE,
    POOL_MINUTES_USED,
    PURCHASES,
    SEAT_ATTRIBUTES,
    TOLL_FREE_DIAL_IN_ALLOWED,
    FactValue,
)
from perminute.domain.licensing.dial_out import DEFAULT_DIAL_OUT_MODE, DialOutMode, may_dial_out
from perminute.domain.licensing.timelines import Fact, Timeline
from perminute.domain.rating.calls import Call, LegType
from perminute.domain.reference.countries import is_available, is_zone_a
from perminute.domain.reference.licenses import License
from perminute.domain.values.times import month_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

# The values that decide; the defaults are those of docs/domain.md §3.2 and §4.1.
_VOLUME = "volume"
_PER_USER = "perUser"
_ASSIGNED = "assigned"
_DEFAULT_POOL_MINUTES_PER_LICENSE = 60


class NotEntitled(StrEnum):
    """Why the organizer's licenses do not cover a call (docs/glossary.md)."""

    NO_LICENSE = "noLicense"
    NO_CREDITS_LICENSE = "noCreditsLicense"
    CREDITS_NOT_SET_UP = "creditsNotSetUp"
    NOT_VOLUME_LICENSING = "notVolumeLicensing"
    COUNTRY_NOT_AVAILABLE = "countryNotAvailable"


class Cover(StrEnum):
    """What pays for a call that the organizer's licenses cover."""

    INCLUDED = "included"
    CREDITS = "credits"


class Entitlement(NamedTuple):
    """Who pays for a call: the minute pool, as far as it suffices, and who pays the rest."""

    beyond_pool: Cover | NotEntitled
    draws_on_pool: bool = False


class Rule(NamedTuple):
    """What pays for a call by a license, if conditions are met (docs/domain.md §3.2, §3.3)."""

    license: License
    cover: Cover
    # Each condition by the reason that a call has if it is not met, in the order of checking.
    conditions: tuple[NotEntitled, ...] = ()


AppliedRule = tuple[Rule, tuple[bool, ...]]
"""A rule, and which of its conditions are met."""

_INCLUDED = Rule(License.SUBSCRIPTION, Cover.INCLUDED)
_BEYOND = Rule(
    License.SUBSCRIPTION,
    Cover.CREDITS,
    (NotEntitled.CREDITS_NOT_SET_UP, NotEntitled.NO_CREDITS_LICENSE),
)
_BY_THE_MINUTE = Rule(
    License.PAY_PER_MINUTE,
    Cover.CREDITS,
    (
        NotEntitled.NOT_VOLUME_LICENSING,
        NotEntitled.CREDITS_NOT_SET_UP,
        NotEntitled.COUNTRY_NOT_AVAILABLE,
        NotEntitled.NO_CREDITS_LICENSE,
    ),
)
# Members of enumerations are found slowly, and each call is rated by these.
_NO_LICENSE = NotEntitled.NO_LICENSE
_SUBSCRIPTION, _PAY_PER_MINUTE = License.SUBSCRIPTION, License.PAY_PER_MINUTE
_COMMUNICATIONS_CREDITS = License.COMMUNICATIONS_CREDITS


def holds_from(attribute: str, effective_at: datetime) -> datetime:
    """Return from when a fact holds."""
    # Minutes used in another system are missing from the whole of their month, whichever instant of
    # it the event names.
    return month_start(effective_at) if attribute == POOL_MINUTES_USED else effective_at


class LicensingChange(NamedTuple):
    """Facts about one subject that one event brings; `user_id` None means the organization."""

    organization_id: str
    user_id: str | None
    facts: tuple[Fact, ...]


_NO_FACTS = Timeline()
_NO_USERS: Mapping[str, Timeline] = MappingProxyType({})


class Seats:
    """How many subscription licenses are assigned to the users of an organization, and when."""

    def __init__(self, users: Iterable[Timeline]) -> None:
        changes: Counter[datetime] = Counter()
        for user in users:
            for attribute in SEAT_ATTRIBUTES:
                held = False
                for at, value in user.changes_of(attribute):
                    changes[at] += (value is True) - held
                    held = value is True
        self._instants = sorted(changes)
        self._counts = list(accumulate(changes[at] for at in self._instants))

    def count_at(self, at: datetime) -> int:
        """Return how many are assigned; a suite and the license on its own are two."""
        position = bisect_right(self._instants, at)
        return self._counts[position - 1] if position else 0

    def changes_between(self, since: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the instants after `since` and before `until` at which the count changes."""
        first, end = bisect_right(self._instants, since), bisect_left(self._instants, until)
        return iter(self._instants[first:end])


_NO_SEATS = Seats(())


def counts_seats(organization: Timeline) -> bool:
    """Whether the pool of an organization counts assigned licenses at any time."""
    return any(basis == _ASSIGNED for _, basis in organization.changes_of(POOL_BASIS))


class Licensing(NamedTuple):
    """The timelines of an organization and of those of its users that were asked for."""

    organization: Timeline = _NO_FACTS
    users: Mapping[str, Timeline] = _NO_USERS
    # Of all users, if the pool ever counts assigned licenses.
    seats: Seats = _NO_SEATS

    def user(self, user_id: str) -> Timeline:
        """Return the timeline of a user; an empty one if nothing is known, or was asked for."""
        return self.users.get(user_id, _NO_FACTS)

    def entitlement(
        self, call: Call, credits_set_up_at: datetime | None, destination: str | None = None
    ) -> Entitlement:
        """Decide by what was in force when the call was answered (docs/domain.md §3.2, §3.3)."""
        # `destination` is the country of a dial-out's number if the rate card prices it: calls to
        # other numbers do not draw on the pool.
        beyond_pool: Cover | NotEntitled = _NO_LICENSE
        applied = self.rules(call, credits_set_up_at)
        for rule, met in applied:
            if False not in met:
                beyond_pool = rule.cover
                break
            beyond_pool = rule.conditions[met.index(False)]
        is_subscribed = bool(applied) and applied[0][0].license is _SUBSCRIPTION
        is_dial_out = call.leg_type is LegType.DIAL_OUT
        return Entitlement(beyond_pool, is_subscribed and is_dial_out and is_zone_a(destination))

    def rules(self, call: Call, credits_set_up_at: datetime | None) -> tuple[AppliedRule, ...]:
        """Return the rules of the licenses that the organizer had when the call was answered.

        The first rule whose conditions are all met decides; if there is none, the last one does.
        """
        at = call.rated_at
        user = self.user(call.organizer_id)
        held = [
            brings
            for name in user.attributes
            if (brings := LICENSES.get(name)) and user.value_at(name, at) is True
        ]
        is_set_up = credits_set_up_at is not None and credits_set_up_at <= at
        has_credits = _COMMUNICATIONS_CREDITS in held
        # The subscription is used first, since it is already paid. What it does not include may
        # still be paid from credit by a pay-per-minute license.
        applied: tuple[AppliedRule, ...] = ()
        if _SUBSCRIPTION in held:
            applied = (_by_subscription(call, is_set_up=is_set_up, has_credits=has_credits),)
        if _PAY_PER_MINUTE in held:
            by_the_minute = self._by_the_minute(
                user, at, is_set_up=is_set_up, has_credits=has_credits
            )
            applied = (*applied, by_the_minute)
        return applied

    def allows(self, call: Call, destination: str | None) -> bool:
        """Whether the organizer's policies allow calls to a country, if any (docs/domain.md §6)."""
        at = call.rated_at
        user = self.user(call.organizer_id)
        match call.leg_type:
            case LegType.DIAL_OUT:
                mode = (
                    user.value_at(DIAL_OUT_POLICY, at)
                    or self.organization.value_at(DIAL_OUT_POLICY, at)
                    or DEFAULT_DIAL_OUT_MODE
                )
                home = user.value_at(COUNTRY, at)
                return may_dial_out(
                    DialOutMode(str(mode)), destination, str(home) if home else None
                )
            case LegType.TOLL_FREE_DIAL_IN:
                return user.value_at(TOLL_FREE_DIAL_IN_ALLOWED, at) is not False
            case LegType.TOLL_DIAL_IN | LegType.APP:
                return True
            case never:
                assert_never(never)

    def organization_name(self, at: datetime) -> str | None:
        """Return the name of the organization at an instant, if it is known."""
        name = self.organization.value_at(NAME, at)
        return name if isinstance(name, str) and name.strip() else None

    def user_value(self, user_id: str, attribute: str, at: datetime) -> FactValue | None:
        """Return the value of a user's attribute at an instant, if it is known."""
        return self.user(user_id).value_at(attribute, at)

    def says_of_user(self, user_id: str, attribute: str) -> bool:
        """Whether anything is known of a user's attribute, at whatever time."""
        return attribute in self.user(user_id).attributes

    def changes_between(self, user_id: str, since: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the instants after `since`, up to `until`, at which a user's rights may change."""
        for timeline in (self.organization, self.user(user_id)):
            yield from timeline.changes_between(since, until)

    def pool_minutes(self, at: datetime) -> int:
        """Return the minutes of the pool by the licenses at `at` (docs/domain.md §4.1)."""
        if self.pool_counts_assigned(at):
            licenses = self.seats.count_at(at)
        else:
            licenses = sum(self.purchased(attribute, at) for attribute in PURCHASES)
        return self.pool_minutes_per_license(at) * licenses

    def pool_minutes_per_license(self, at: datetime) -> int:
        """Return the minutes that each license gives to the pool at an instant."""
        per_license = self.organization.value_at(POOL_MINUTES_PER_LICENSE, at)
        return per_license if isinstance(per_license, int) else _DEFAULT_POOL_MINUTES_PER_LICENSE

    def pool_counts_assigned(self, at: datetime) -> bool:
        """Whether the pool counts assigned licenses, and not purchased ones."""
        return self.organization.value_at(POOL_BASIS, at) == _ASSIGNED

    def purchased(self, attribute: str, at: datetime) -> int:
        """Return how many licenses of a product were purchased, by one of `PURCHASES`."""
        quantity = self.organization.value_at(attribute, at)
        return quantity if isinstance(quantity, int) else 0

    def pool_minutes_used(self, at: datetime) -> int:
        """Return the minutes of the UTC month of `at` that were used in another system before."""
        used = dict(self.organization.changes_of(POOL_MINUTES_USED)).get(month_start(at))
        return used if isinstance(used, int) else 0

    def pool_minutes_for_calls(self, at: datetime) -> int:
        """Return how many minutes of the pool calls can draw, by the licenses at `at`."""
        return max(0, self.pool_minutes(at) - self.pool_minutes_used(at))

    def fewest_pool_minutes(self, since: datetime, until: datetime) -> int:
        """Return the fewest minutes for calls at any instant of a half-open interval."""
        changes = self.organization.changes_between(since, until, POOL_ATTRIBUTES)
        instants = {since, *changes, *self.seats.changes_between(since, until)}
        return min(self.pool_minutes_for_calls(at) for at in instants if at < until or at == since)

    def allows_pay_per_minute(self, user_id: str, at: datetime) -> bool:
        """Whether program and country allow a user pay-per-minute (docs/domain.md §3.2)."""
        is_volume = self.organization.value_at(LICENSING_PROGRAM, at) == _VOLUME
        return is_volume and _is_available_to(self.user(user_id), at)

    def _by_the_minute(
        self, user: Timeline, at: datetime, *, is_set_up: bool, has_credits: bool
    ) -> AppliedRule:
        organization = self.organization
        whose = organization.value_at(COMMUNICATIONS_CREDITS_LICENSE, at) or _PER_USER
        return _BY_THE_MINUTE, (
            organization.value_at(LICENSING_PROGRAM, at) == _VOLUME,
            is_set_up,
            _is_available_to(user, at),
            has_credits or whose != _PER_USER,
        )


def _is_available_to(user: Timeline, at: datetime) -> bool:
    country = user.value_at(COUNTRY, at)
    return isinstance(country, str) and is_available(country)


def _by_subscription(call: Call, *, is_set_up: bool, has_credits: bool) -> AppliedRule:
    if call.leg_type is LegType.TOLL_DIAL_IN:
        return _INCLUDED, ()
    return _BEYOND, (is_set_up, has_credits)
