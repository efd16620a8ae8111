"""Where meetings may call out to, and the names of the policies (docs/domain.md §6.1)."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from perminute.domain.reference.countries import is_zone_a


class DialOutMode(StrEnum):
    """Who may be called from a meeting (docs/events.md)."""

    ANY_DESTINATION = "anyDestination"
    SAME_COUNTRY = "sameCountry"
    ZONE_A = "zoneA"
    NONE = "none"


DEFAULT_DIAL_OUT_MODE = DialOutMode.ANY_DESTINATION


def may_dial_out(mode: DialOutMode, destination: str | None, home: str | None) -> bool:
    """Whether a mode allows calls from meetings to a country; `home` is the organizer's own."""
    # An unknown country is neither the same nor in Zone A.
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


# What Microsoft's own policies allow calls from meetings.
# Each combines a mode for conferences (CPC) with one for calls between people, which is not ours.
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

# All names of policies: PowerShell writes Microsoft's with a tag.
POLICY_NAMES = (*DialOutMode, *PREDEFINED, *(f"tag:{name}" for name in PREDEFINED))

_MAX_SHOWN = 64


def dial_out_mode(name: str) -> DialOutMode:
    """Return the mode with this name, or of the policy with it; raises `ValueError`."""
    mode = PREDEFINED.get(name.removeprefix("tag:"))
    if mode is not None:
        return mode
    try:
        return DialOutMode(name)
    except ValueError:
        known = ", ".join((*DialOutMode, *PREDEFINED))
        msg = f"{name[:_MAX_SHOWN]!r} is not a policy that we know; use one of {known}"
        raise ValueError(msg) from None
