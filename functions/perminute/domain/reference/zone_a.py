"""The countries of the minute pool, and of the policy `zoneA` (docs/domain.md §4.2, §6.1).

Read from Microsoft's page "Audio Conferencing complimentary dial-out period" as it stood in 2025:
44 countries, China and India among them. It says where a meeting may call, not where its
organizer is.
"""

from __future__ import annotations

ZONE_A_DATE = "2025"

_ZONE_A = frozenset(
    """
    AT AU BE BG BR CA CH CN CZ DE DK EE ES FI FR GB GR HK HR HU IE IN IT JP KR LU MX MY NL NO
    NZ PL PR PT RO RU SE SG SI SK TH TW US ZA
    """.split()  # noqa: SIM905 - a list of quoted lines would hide what it says
)


def is_zone_a(country: str | None) -> bool:
    """Whether this ISO 3166-1 alpha-2 country lies in Zone A; an unknown one does not."""
    return country in _ZONE_A
