"""Who may charge what to whom: the licensing state of an organization (docs/domain.md §3)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, assert_never

from perminute.domain.licensing.dial_out import DEFAULT_DIAL_OUT_MODE, DialOutMode, may_dial_out
from perminute.domain.licensing.timelines import Fact, Timeline
from perminute.domain.rating.calls import Call, LegType
from perminute.domain.reference.availability import is_available
from perminute.domain.reference.licenses import PRODUCTS, SUBSCRIPTIONS, License
from perminute.domain.reference.zone_a import is_zone_a
from perminute.domain.values.times import month_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from perminute.domain.licensing.timelines import FactValue

NAME = "name"
LICENSING_PROGRAM = "licensingProgram"
COMMUNICATIONS_CREDITS_LICENSE = "communicationsCreditsLicense"
COUNTRY = "country"
DIAL_OUT_POLICY = "dialOutPolicy"
TOLL_FREE_DIAL_IN_ALLOWED = "tollFreeDialInAllowed"
POOL_MINUTES_PER_LICENSE = "poolMinutesPerLicense"
POOL_BASIS = "poolBasis"
POOL_MINUTES_USED = "poolMinutesUsed"
MONTHLY_SPEND_LIMIT = "monthlySpendLimit"

VOLUME = "volume"
PER_USER = "perUser"
ORGANIZATION = "organization"
DEFAULT_COMMUNICATIONS_CREDITS_LICENSE = PER_USER
"""With it nobody spends without an admin's act (docs/domain.md §3.2)."""

PURCHASED = "purchased"
ASSIGNED = "assigned"
DEFAULT_POOL_BASIS = PURCHASED
"""What the pool counts: purchased licenses, as since October 2020 (docs/domain.md §4.1)."""

DEFAULT_POOL_MINUTES_PER_LICENSE = 60
"""Minutes that each subscription license adds to the month's pool (docs/domain.md §4.1)."""


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
    """Who bears a call: the minute pool, as far as it reaches, and who bears the rest."""

    rest: Cover | NotEntitled
    draws_on_pool: bool = False


def license_attribute(product: str) -> str:
    """Name the timeline attribute that says whether a user holds this product."""
    return f"license:{product}"


def purchased_attribute(product: str) -> str:
    """Name the timeline attribute that says how many of this product were purchased."""
    return f"purchased:{product}"


SEAT_ATTRIBUTES = tuple(map(license_attribute, SUBSCRIPTIONS))
"""What of a user counts for the pool, where it counts assigned licenses."""

_HOLDINGS = tuple((license_attribute(product), brings) for product, brings in PRODUCTS.items())
_PURCHASES = tuple(map(purchased_attribute, SUBSCRIPTIONS))
POOL_ATTRIBUTES = (POOL_MINUTES_PER_LICENSE, POOL_BASIS, POOL_MINUTES_USED, *_PURCHASES)
"""What of an organization says how many minutes its pool has."""

_DECISIVE = frozenset(
    {
        LICENSING_PROGRAM,
        COMMUNICATIONS_CREDITS_LICENSE,
        COUNTRY,
        DIAL_OUT_POLICY,
        TOLL_FREE_DIAL_IN_ALLOWED,
        *(attribute for attribute, _ in _HOLDINGS),
    }
)


def decides_calls(attribute: str) -> bool:
    """Whether what becomes of a call can depend on an attribute, the pool's minutes aside."""
    return attribute in _DECISIVE


def holds_from(attribute: str, effective_at: datetime) -> datetime:
    """Return from when a fact holds.

    Minutes that were used before the cutover are missing from the whole of their month, whatever
    instant of it the event names: so they hold from its start, and the one issued last counts.
    """
    return month_start(effective_at) if attribute == POOL_MINUTES_USED else effective_at


class LicensingChange(NamedTuple):
    """Facts about one subject that one event brings; `user_id` None means the organization."""

    organization_id: str
    user_id: str | None
    facts: tuple[Fact, ...]


_NOTHING = Timeline()
_NOBODY: Mapping[str, Timeline] = MappingProxyType({})


class Seats:
    """How many subscription licenses are assigned to the users of an organization, and when."""

    def __init__(self, users: Iterable[Timeline]) -> None:
        """Count them; a suite and the license on its own are two."""
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
        """Tell how many are assigned at an instant."""
        position = bisect_right(self._instants, at)
        return self._counts[position - 1] if position else 0

    def changes_between(self, since: datetime, until: datetime) -> Iterator[datetime]:
        """Give the instants after `since` and before `until` at which that changes."""
        first, end = bisect_right(self._instants, since), bisect_left(self._instants, until)
        return iter(self._instants[first:end])


_NO_SEATS = Seats(())


def counts_seats(organization: Timeline) -> bool:
    """Whether the pool of an organization counts assigned licenses at any time."""
    return any(basis == ASSIGNED for _, basis in organization.changes_of(POOL_BASIS))


@dataclass(frozen=True, slots=True)
class Licensing:
    """The timelines of an organization and of those of its users that were asked for.

    `seats` are those of all its users, if the organization's pool ever counts assigned licenses.
    """

    organization: Timeline = _NOTHING
    users: Mapping[str, Timeline] = field(default_factory=lambda: _NOBODY)
    seats: Seats = field(default_factory=lambda: _NO_SEATS)

    def entitlement(
        self, call: Call, credits_set_up_at: datetime | None, destination: str | None = None
    ) -> Entitlement:
        """Decide by what was in force when the call was answered.

        The subscription is used first, since it is already paid (docs/domain.md §3.3); what it
        does not include goes to credits. An organizer whose subscription may not use credits can
        still do so by a pay-per-minute license. `destination` is the country of a dial-out's number
        if the rate card prices it: what it does not price, or blocks, is not for the pool.
        """
        at = call.answered_at or call.ended_at
        user = self.users.get(call.organizer_id, _NOTHING)
        set_up = credits_set_up_at is not None and credits_set_up_at <= at
        held = _licenses_held(user, at)
        rest: Cover | NotEntitled = NotEntitled.NO_LICENSE
        subscribed = License.SUBSCRIPTION in held
        if subscribed:
            rest = _by_subscription(call, held, credits_set_up=set_up)
        if isinstance(rest, NotEntitled) and License.PAY_PER_MINUTE in held:
            rest = self._by_pay_per_minute(user, held, at, credits_set_up=set_up)
        dial_out = call.leg_type is LegType.DIAL_OUT
        return Entitlement(rest, subscribed and dial_out and is_zone_a(destination))

    def allows(self, call: Call, destination: str | None) -> bool:
        """Whether the organizer's policies allow such a call (docs/domain.md §6).

        `destination` is the country of a dial-out's number, None if the rate card does not know.
        """
        at = call.answered_at or call.ended_at
        user = self.users.get(call.organizer_id, _NOTHING)
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
        """Return what the organization is called at an instant; None, nobody has said."""
        name = self.organization.value_at(NAME, at)
        return name if isinstance(name, str) and name.strip() else None

    def user_value(self, user_id: str, attribute: str, at: datetime) -> FactValue | None:
        """Tell what is known of a user at an instant."""
        return self.users.get(user_id, _NOTHING).value_at(attribute, at)

    def says_of_user(self, user_id: str, attribute: str) -> bool:
        """Whether anything is known of a user's attribute, at whatever time."""
        return any(self.users.get(user_id, _NOTHING).changes_of(attribute))

    def changes_between(self, user_id: str, since: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the instants after `since`, up to `until`, at which a user's rights may change."""
        for timeline in (self.organization, self.users.get(user_id, _NOTHING)):
            yield from timeline.any_change_between(since, until)

    def pool_minutes(self, at: datetime) -> int:
        """Count the minutes of the pool by the licenses at `at` (docs/domain.md §4.1)."""
        organization = self.organization
        per_license = organization.value_at(POOL_MINUTES_PER_LICENSE, at)
        if not isinstance(per_license, int):
            per_license = DEFAULT_POOL_MINUTES_PER_LICENSE
        if (organization.value_at(POOL_BASIS, at) or DEFAULT_POOL_BASIS) == ASSIGNED:
            return per_license * self.seats.count_at(at)
        quantities = (organization.value_at(attribute, at) for attribute in _PURCHASES)
        return per_license * sum(q for q in quantities if isinstance(q, int))

    def pool_minutes_used(self, at: datetime) -> int:
        """Return the minutes of the month of `at` that were used in another system before.

        They hold for the UTC month of their fact only: the next month begins with a full pool.
        """
        used = dict(self.organization.changes_of(POOL_MINUTES_USED)).get(month_start(at))
        return used if isinstance(used, int) else 0

    def pool_minutes_for_calls(self, at: datetime) -> int:
        """Return the minutes of the pool that calls can draw in all, by the licenses at `at`."""
        return max(0, self.pool_minutes(at) - self.pool_minutes_used(at))

    def fewest_pool_minutes(self, since: datetime, until: datetime) -> int:
        """Count the fewest minutes for calls at any instant of a half-open interval."""
        changes = self.organization.changes_between(POOL_ATTRIBUTES, since, until)
        instants = {since, *changes, *self.seats.changes_between(since, until)}
        return min(self.pool_minutes_for_calls(at) for at in instants)

    def _by_pay_per_minute(
        self, user: Timeline, held: frozenset[License], at: datetime, *, credits_set_up: bool
    ) -> Cover | NotEntitled:
        """Check the four conditions in the order of docs/domain.md §3.2."""
        if self.organization.value_at(LICENSING_PROGRAM, at) != VOLUME:
            return NotEntitled.NOT_VOLUME_LICENSING
        if not credits_set_up:
            return NotEntitled.CREDITS_NOT_SET_UP
        country = user.value_at(COUNTRY, at)
        if not (isinstance(country, str) and is_available(country)):
            return NotEntitled.COUNTRY_NOT_AVAILABLE
        if License.COMMUNICATIONS_CREDITS not in held and self._needs_credits_license(at):
            return NotEntitled.NO_CREDITS_LICENSE
        return Cover.CREDITS

    def _needs_credits_license(self, at: datetime) -> bool:
        setting = self.organization.value_at(COMMUNICATIONS_CREDITS_LICENSE, at)
        return (setting or DEFAULT_COMMUNICATIONS_CREDITS_LICENSE) == PER_USER


def _licenses_held(user: Timeline, at: datetime) -> frozenset[License]:
    return frozenset(
        brings for attribute, brings in _HOLDINGS if user.value_at(attribute, at) is True
    )


def _by_subscription(
    call: Call, held: frozenset[License], *, credits_set_up: bool
) -> Cover | NotEntitled:
    """Toll dial-in is included; the rest needs the credits license on the organizer."""
    if call.leg_type is LegType.TOLL_DIAL_IN:
        return Cover.INCLUDED
    if not credits_set_up:
        return NotEntitled.CREDITS_NOT_SET_UP
    if License.COMMUNICATIONS_CREDITS not in held:
        return NotEntitled.NO_CREDITS_LICENSE
    return Cover.CREDITS
