"""Which currencies and countries there are: ISO 4217 and ISO 3166-1 as of 2026.

A currency is fixed by the first event that names one, so a slip such as `UDS` must not get in.
"""

from __future__ import annotations

import re

_CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP
    BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN
    ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK
    JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD
    MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP
    PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
    SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV
    WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XUA YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a list of quoted lines would hide what it says
)
_COUNTRIES = frozenset(
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
    """.split()  # noqa: SIM905 - as above; XK is Kosovo, which carriers and directories use
)


_USER_ASSIGNED = re.compile(r"AA|Q[M-Z]|X[A-Z]|ZZ", re.ASCII)
"""What ISO 3166-1 leaves to its users: never the code of a country, whoever has one in use."""

_COUNTRY_MEANT = {"AC": "SH", "EL": "GR", "TA": "SH", "UK": "GB"}
"""Codes that are in use elsewhere and are none of ISO 3166-1, and what that has instead."""

CURRENCIES, COUNTRIES = tuple(sorted(_CURRENCIES)), tuple(sorted(_COUNTRIES))


def check_currency(code: str) -> str:
    """Return the code if it is a currency's."""
    if code not in _CURRENCIES:
        msg = "must be an ISO 4217 code such as USD"
        raise ValueError(msg)
    return code


def check_country(code: str) -> str:
    """Return the code if it is a country's."""
    if code not in _COUNTRIES:
        msg = "must be an ISO 3166-1 alpha-2 code such as DE"
        raise ValueError(msg)
    return code


def check_card_country(code: str) -> str:
    """Return the code if it is a country's, or one that ISO 3166-1 leaves to its users."""
    if code in _COUNTRIES or _USER_ASSIGNED.fullmatch(code):
        return code
    upper = code.upper()
    meant = _COUNTRY_MEANT.get(upper) or (upper if upper in _COUNTRIES else None)
    instead = f": write {meant}" if meant else ""
    msg = f"must be an ISO 3166-1 alpha-2 code such as DE, or empty{instead}"
    raise ValueError(msg)
