"""Where an organizer's meetings may call out to, and the names under which policies are assigned.

Microsoft's twelve predefined policies each combine a mode for conferences with one for calls
between people; only the first concerns us (docs/domain.md §6.1).
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from perminute.domain.reference.zone_a import is_zone_a

MAX_SHOWN = 64
"""Characters of an unknown policy that a refusal shows."""


class DialOutMode(StrEnum):
    """Who may be called from a meeting (docs/events.md)."""

    ANY_DESTINATION = "anyDestination"
    SAME_COUNTRY = "sameCountry"
    ZONE_A = "zoneA"
    NONE = "none"


DEFAULT_DIAL_OUT_MODE = DialOutMode.ANY_DESTINATION
"""What holds unless the organizer or the organization has another policy (docs/domain.md §6.1)."""


def may_dial_out(mode: DialOutMode, destination: str | None, home: str | None) -> bool:
    """Whether a mode allows calls from meetings to a country; `home` is the organizer's own.

    A country that nobody knows is neither the same nor in Zone A. The United States and Canada
    are two countries, although both have the code +1.
    """
    match mode:
        case DialOutMode.ANY_DESTINATION:
            return True
        case DialOutMode.SAME_COUNTRY:
            return destination is not None and destination == home
        case DialOutMode.ZONE_A:
            return is_zone_a(destination)
        case DialOutMode.NONE:
            return False
        case never:
            assert_never(never)


PREDEFINED = {
    "DialoutCPCandPSTNInternational": DialOutMode.ANY_DESTINATION,
    "DialoutCPCInternationalPSTNDomestic": DialOutMode.ANY_DESTINATION,
    "DialoutCPCInternationalPSTNDisabled": DialOutMode.ANY_DESTINATION,
    "DialoutCPCDomesticPSTNInternational": DialOutMode.SAME_COUNTRY,
    "DialoutCPCandPSTNDomestic": DialOutMode.SAME_COUNTRY,
    "DialoutCPCDomesticPSTNDisabled": DialOutMode.SAME_COUNTRY,
    "DialoutCPCZoneAPSTNInternational": DialOutMode.ZONE_A,
    "DialoutCPCZoneAPSTNDomestic": DialOutMode.ZONE_A,
    "DialoutCPCZoneAPSTNDisabled": DialOutMode.ZONE_A,
    "DialoutCPCDisabledPSTNInternational": DialOutMode.NONE,
    "DialoutCPCDisabledPSTNDomestic": DialOutMode.NONE,
    "DialoutCPCandPSTNDisabled": DialOutMode.NONE,
}
"""What Teams' own policies allow calls from meetings; their names speak of other calls as well."""


POLICY_NAMES = (*DialOutMode, *PREDEFINED, *(f"tag:{name}" for name in PREDEFINED))
"""All names of policies: PowerShell writes those of Teams with a tag."""


def dial_out_mode(name: str) -> DialOutMode:
    """Read one of the four modes or of the twelve policy names; `ValueError` for any other."""
    mode = PREDEFINED.get(name.removeprefix("tag:"))
    if mode is not None:
        return mode
    try:
        return DialOutMode(name)
    except ValueError:
        known = ", ".join((*DialOutMode, *PREDEFINED))
        msg = f"{name[:MAX_SHOWN]!r} is no policy we know; use one of {known}"
        raise ValueError(msg) from None
