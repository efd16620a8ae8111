"""Where audio conferencing is available for pay-per-minute (docs/domain.md §3.2).

The country that decides is that of the user's license, the usage location. Read from Microsoft's
country pages as they stood in 2021: a country counts when they say "Yes" or "pay-per-minute
only". China does not: its page sells to users located outside of China only, and a usage
location of CN says the user is inside (our decision; where in doubt, nobody spends).
"""

from __future__ import annotations

AVAILABILITY_DATE = "2021"

_AVAILABLE = frozenset(
    """
    AE AG AL AR AT AU BA BB BD BE BG BJ BM BR BS BY BZ CA CH CL CM CO CR CY CZ DE DK DM
    DO DZ EC EE EG ES FI FR GB GD GE GH GR GT GU HK HN HR HU ID IE IL IT JM JO JP KE KH
    KN KR KW KY LC LK LT LU LV MA MC MD MP MT MX MY NG NL NO NZ PA PE PH PL PR PT PY QA
    RO RS RU SA SE SG SI SK SV TC TH TN TR TT TW UA UG US UY VE VN ZA
    """.split()  # noqa: SIM905 - a list of a hundred quoted lines would hide what it says
)


def is_available(country: str | None) -> bool:
    """Whether users of this ISO 3166-1 alpha-2 country can be served; an unknown one cannot."""
    return country in _AVAILABLE
