"""Who may charge what to whom: the licensing state of an organization (DOMAIN §3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.availability import is_available
from perminute.domain.legs import Leg, LegType
from perminute.domain.licenses import PRODUCTS, License
from perminute.domain.timelines import Fact, Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LICENSING_PROGRAM = "licensingProgram"
COMMUNICATIONS_CREDITS_LICENSE = "communicationsCreditsLicense"
COUNTRY = "country"

VOLUME = "volume"
PER_USER = "perUser"
ORGANIZATION = "organization"
DEFAULT_COMMUNICATIONS_CREDITS_LICENSE = PER_USER
"""The literal rule, and the one that lets nobody spend without an admin's act (DOMAIN §3, ours)."""


class NotEntitled(StrEnum):
    """Why the organizer's licenses do not cover a leg (CONTRACT §4)."""

    NO_LICENSE = "noLicense"
    NO_CREDITS_LICENSE = "noCreditsLicense"
    CREDITS_NOT_SET_UP = "creditsNotSetUp"
    NOT_VOLUME_LICENSING = "notVolumeLicensing"
    COUNTRY_NOT_AVAILABLE = "countryNotAvailable"


class Cover(StrEnum):
    """What pays for a leg that the organizer's licenses cover."""

    INCLUDED = "included"
    CREDITS = "credits"


Entitlement = Cover | NotEntitled


class LicensingChange(NamedTuple):
    """Facts about one subject that one event brings; `user_id` None means the organization."""

    organization_id: str
    user_id: str | None
    facts: tuple[Fact, ...]


_NOTHING = Timeline()
_NOBODY: Mapping[str, Timeline] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Licensing:
    """The timelines of an organization and of those of its users that were asked for."""

    organization: Timeline = _NOTHING
    users: Mapping[str, Timeline] = field(default_factory=lambda: _NOBODY)

    def entitlement(self, leg: Leg, credits_set_up_at: datetime | None) -> Entitlement:
        """Decide by what was in force when the leg was answered.

        The subscription is asked first, since it is already paid (DOMAIN §3, ours); what it does
        not include goes to credits. An organizer whose subscription may not use credits can still
        do so by a pay-per-minute license.
        """
        at = leg.answered_at or leg.ended_at
        user = self.users.get(leg.organizer_id, _NOTHING)
        set_up = credits_set_up_at is not None and credits_set_up_at <= at
        held = _licenses_held(user, at)
        verdict: Entitlement = NotEntitled.NO_LICENSE
        if License.SUBSCRIPTION in held:
            verdict = _by_subscription(leg, held, credits_set_up=set_up)
        if isinstance(verdict, NotEntitled) and License.PAY_PER_MINUTE in held:
            verdict = self._by_pay_per_minute(user, held, at, credits_set_up=set_up)
        return verdict

    def _by_pay_per_minute(
        self, user: Timeline, held: frozenset[License], at: datetime, *, credits_set_up: bool
    ) -> Entitlement:
        """Check the four conditions in the order of DOMAIN §3."""
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


def license_attribute(product: str) -> str:
    """Name the timeline attribute that says whether a user holds this product."""
    return f"license:{product}"


_HOLDINGS = tuple((license_attribute(product), brings) for product, brings in PRODUCTS.items())


def _licenses_held(user: Timeline, at: datetime) -> frozenset[License]:
    return frozenset(
        brings for attribute, brings in _HOLDINGS if user.value_at(attribute, at) is True
    )


def _by_subscription(leg: Leg, held: frozenset[License], *, credits_set_up: bool) -> Entitlement:
    """Toll dial-in is included; the rest needs the credits license on the organizer.

    The minute pool for dial-out comes in between here once organizations report the licenses
    they purchased; without purchased licenses the pool has no minutes (DOMAIN §4).
    """
    if leg.leg_type is LegType.TOLL_DIAL_IN:
        return Cover.INCLUDED
    if not credits_set_up:
        return NotEntitled.CREDITS_NOT_SET_UP
    if License.COMMUNICATIONS_CREDITS not in held:
        return NotEntitled.NO_CREDITS_LICENSE
    return Cover.CREDITS
