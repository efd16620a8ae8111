"""Where an organizer's meetings may call out to, and the names under which policies are assigned.

Microsoft's twelve predefined policies each combine a mode for conferences with one for calls
between people; only the first concerns us (DOMAIN §6).
"""

from __future__ import annotations

from enum import StrEnum


class DialOutMode(StrEnum):
    """Who may be called from a meeting (CONTRACT §2)."""

    ANY_DESTINATION = "anyDestination"
    SAME_COUNTRY = "sameCountry"
    ZONE_A = "zoneA"
    NONE = "none"


_PREDEFINED = {
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


def dial_out_mode(name: str) -> DialOutMode:
    """Read one of the four modes or of the twelve policy names; `ValueError` for any other."""
    mode = _PREDEFINED.get(name.removeprefix("tag:"))
    if mode is not None:
        return mode
    try:
        return DialOutMode(name)
    except ValueError:
        modes = ", ".join(DialOutMode)
        msg = (
            f"must be one of {modes}, or a predefined policy name such as {next(iter(_PREDEFINED))}"
        )
        raise ValueError(msg) from None
