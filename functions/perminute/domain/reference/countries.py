"""Countries and currencies: which there are, where pay-per-minute is available, and Zone A."""

from __future__ import annotations

import re

# ruff: noqa: SIM905 - lists of a hundred quoted codes would hide what they say

# ISO 4217 as of 2026. A currency is fixed by the first event that names one, so a slip such as
# `UDS` must not get in.
CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP
    BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN
    ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK
    JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD
    MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP
    PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
    SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV
    WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XUA YER ZAR ZMW ZWG
    """.split()
)

# ISO 3166-1 as of 2026, and XK for Kosovo, which carriers and directories use.
COUNTRIES = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO
    BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ
    DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP
    GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG
    KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML
    MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE
    PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL
    SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM
    US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """.split()
)

# Microsoft's country pages as of 2021: those that say "Yes" or "pay-per-minute only". China is not
# among them: its page sells to users outside of China, and a usage location of CN says that the
# user is inside (our decision: where in doubt, nobody spends).
_AVAILABLE = frozenset(
    """
    AE AG AL AR AT AU BA BB BD BE BG BJ BM BR BS BY BZ CA CH CL CM CO CR CY CZ DE DK DM
    DO DZ EC EE EG ES FI FR GB GD GE GH GR GT GU HK HN HR HU ID IE IL IM IT JM JO JP KE KH
    KN KR KW KY LC LK LT LU LV MA MC MD MP MT MX MY NG NL NO NZ PA PE PH PL PR PT PY QA
    RO RS RU SA SE SG SI SK SV TC TH TN TR TT TW UA UG US UY VE VN ZA
    """.split()
)

# Microsoft's page "Audio Conferencing complimentary dial-out period" as of 2025.
_ZONE_A = frozenset(
    """
    AT AU BE BG BR CA CH CN CZ DE DK EE ES FI FR GB GR HK HR HU IE IN IT JP KR LU MX MY NL NO
    NZ PL PR PT RO RU SE SG SI SK TH TW US ZA
    """.split()
)

# What ISO 3166-1 leaves to its users: never the code of a country, whoever has one in use.
_USER_ASSIGNED = re.compile(r"AA|Q[M-Z]|X[A-Z]|ZZ", re.ASCII)

# Codes that are in use elsewhere, and what ISO 3166-1 has instead.
_COUNTRY_MEANT = {"AC": "SH", "EL": "GR", "TA": "SH", "UK": "GB"}


# ISO 4217: the number of decimals of a currency's amounts, if it is not two.
_DECIMALS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}


def decimals_of(currency: str | None) -> int:
    """Return the number of decimals of a currency's amounts; two if it is unknown."""
    return _DECIMALS.get(currency or "", 2)


def is_available(country: str | None) -> bool:
    """Whether pay-per-minute is sold where the user is (docs/domain.md §3.2); not if unknown."""
    return country in _AVAILABLE


def is_zone_a(country: str | None) -> bool:
    """Whether calls out to a country may use the minute pool (docs/domain.md §4.2)."""
    return country in _ZONE_A


def check_currency(code: str) -> str:
    """Return the code of a currency; raises `ValueError` if it is none."""
    if code not in CURRENCIES:
        msg = "must be an ISO 4217 code such as USD"
        raise ValueError(msg)
    return code


def check_country(code: str) -> str:
    """Return the code of a country; raises `ValueError` if it is none."""
    if code not in COUNTRIES:
        msg = "must be an ISO 3166-1 alpha-2 code such as DE"
        raise ValueError(msg)
    return code


def check_card_country(code: str) -> str:
    """Return the code of a country, or one that ISO 3166-1 leaves to its users."""
    if code in COUNTRIES or _USER_ASSIGNED.fullmatch(code):
        return code
    upper = code.upper()
    meant = _COUNTRY_MEANT.get(upper) or (upper if upper in COUNTRIES else None)
    instead = f": write {meant}" if meant else ""
    msg = f"must be an ISO 3166-1 alpha-2 code such as DE, or empty{instead}"
    raise ValueError(msg)
