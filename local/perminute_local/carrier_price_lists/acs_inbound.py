"""Azure Communication Services' prices of calls to an organization's own numbers, by country.

The list has a price for toll and one for toll-free numbers, in US dollars, and no prefixes. Without
more they are the country code and the ranges of toll-free numbers (`calling_codes`); a list of the
organization's own numbers says it exactly, and is needed where countries that share a country code
have different prices.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.errors import Fault
from perminute.domain.rating.calls import LegType
from perminute.domain.reference.countries import check_card_country
from perminute.domain.reference.phone_numbers import check_e164
from perminute.formats.csv_tables import Columns, read_rows
from perminute.formats.rate_card_csv import read_leg_type
from perminute_local.carrier_price_lists.calling_codes import CALLING_CODES, TOLL_FREE_PREFIXES
from perminute_local.carrier_price_lists.price_list import PriceList, rate_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from perminute.domain.rating.rate_card import Rate
    from perminute.formats.csv_tables import Row
    from perminute_local.carrier_price_lists.price_list import DeckOptions

    ByCountry = dict[tuple[LegType, str], Rate]

_PRICE_COLUMNS = {
    LegType.TOLL_DIAL_IN: "receive_toll_usd_min",
    LegType.TOLL_FREE_DIAL_IN: "receive_tollfree_usd_min",
}
_COLUMNS = Columns(("country", "iso", *_PRICE_COLUMNS.values()))
_OWN_COLUMNS = Columns(("number", "country", "leg_type"))
_NAME_NUMBERS = "name the organization's own numbers by --service-numbers"


class ServiceNumber(NamedTuple):
    """A number of the organization, as a row of its file says."""

    digits: str
    country: str
    leg_type: LegType


def read_acs_inbound(content: bytes, options: DeckOptions) -> PriceList:
    """Read the list, and the file of own numbers if there is one."""
    prices = PriceList()
    by_country = _by_country(prices, content, options)
    if options.service_numbers is None:
        _price_ranges(prices, by_country)
    else:
        _price_numbers(prices, by_country, options.service_numbers)
    return prices


def _by_country(prices: PriceList, content: bytes, options: DeckOptions) -> ByCountry:
    found: ByCountry = {}
    for row in prices.rows(content, _COLUMNS, options, prefix="iso"):
        country = row.read("iso", check_card_country, default="")
        for leg_type, column in _PRICE_COLUMNS.items():
            micros = row.read(column, options.read_rate, default=None, may_be_empty=True)
            if not row.sound:
                continue
            if micros is None:
                why = f"{column}: {row.text('country')} has no such price"
                prices.left_out.append(Fault(row.line, why))
                continue
            rate = rate_of(
                row,
                micros,
                currency="USD",
                country=country,
                description=row.text("country"),
                leg_type=leg_type,
            )
            key = leg_type, country
            if prices.differs(rate, found.get(key), of=f"{country} {leg_type}"):
                found[key] = rate
    return found


def _price_ranges(prices: PriceList, by_country: ByCountry) -> None:
    by_prefix: defaultdict[tuple[LegType, str], list[Rate]] = defaultdict(list)
    for (leg_type, country), rate in by_country.items():
        prefixes = _prefixes(leg_type, country)
        if not prefixes:
            why = f"iso: the {leg_type} prefixes of {country} are not known"
            prices.faults.append(Fault(rate.line, f"{why}: {_NAME_NUMBERS}"))
        for prefix in prefixes:
            by_prefix[leg_type, prefix].append(rate)
    for (_, prefix), rates in by_prefix.items():
        prices.take(_shared(rates, prefix))
    prices.faults += sorted({f for rates in by_prefix.values() for f in _contradictions(rates)})
    prices.repeated += sorted({f for rates in by_prefix.values() for f in _repetitions(rates)})


def _prefixes(leg_type: LegType, country: str) -> tuple[str, ...]:
    if leg_type is LegType.TOLL_FREE_DIAL_IN:
        return TOLL_FREE_PREFIXES.get(country, ())
    return (CALLING_CODES[country],) if country in CALLING_CODES else ()


def _contradictions(rates: Sequence[Rate]) -> list[Fault]:
    first = rates[0]
    return [
        Fault(
            rate.line,
            f"{_PRICE_COLUMNS[rate.leg_type]}: {rate.country} shares its prefixes with "
            f"{first.country} at line {first.line}, which has another price: {_NAME_NUMBERS}",
        )
        for rate in rates[1:]
        if rate.rate_micros_per_minute != first.rate_micros_per_minute
    ]


def _repetitions(rates: Sequence[Rate]) -> list[Fault]:
    first = rates[0]
    return [
        Fault(
            rate.line,
            f"{_PRICE_COLUMNS[rate.leg_type]}: {rate.country} has the prefixes and price of "
            f"{first.country} at line {first.line}, so the rate is of neither country",
        )
        for rate in rates[1:]
        if rate.rate_micros_per_minute == first.rate_micros_per_minute
    ]


def _shared(rates: Sequence[Rate], prefix: str) -> Rate:
    # In which of the countries that share a prefix a number is, is unknown.
    if len(rates) == 1:
        return replace(rates[0], prefix=prefix)
    names = ", ".join(rate.description for rate in rates)
    return replace(rates[0], prefix=prefix, country=None, description=names)


def _price_numbers(prices: PriceList, by_country: ByCountry, file: Path) -> None:
    faults: list[Fault] = []
    used: set[tuple[LegType, str]] = set()
    lines: dict[str, tuple[int, ServiceNumber]] = {}
    for row in read_rows(file.read_bytes(), _OWN_COLUMNS, faults):
        number = _service_number(row)
        if not row.sound:
            continue
        line, earlier = lines.setdefault(number.digits, (row.line, number))
        rate = by_country.get((number.leg_type, number.country))
        if number != earlier:
            what = f"stands at line {line} with another country or leg type; delete one of them"
            row.refuse(what, column="number")
        elif rate is None:
            row.refuse(f"the list has no {_PRICE_COLUMNS[number.leg_type]} of {number.country}")
        elif line != row.line:
            again = f"{file}:{row.line} names the number of line {line} once more"
            prices.repeated.append(Fault(rate.line, again))
        else:
            prices.take(replace(rate, prefix=number.digits))
            used.add((number.leg_type, number.country))
    prices.faults_elsewhere += [(file, fault) for fault in faults]
    prices.left_out += [
        Fault(rate.line, f"{_PRICE_COLUMNS[leg_type]}: no number of {country} is named")
        for (leg_type, country), rate in by_country.items()
        if (leg_type, country) not in used
    ]


def _service_number(row: Row) -> ServiceNumber:
    return ServiceNumber(
        row.read("number", _read_number, default=""),
        row.read("country", check_card_country, default=""),
        row.read("leg_type", _read_dial_in, default=LegType.TOLL_DIAL_IN),
    )


def _read_number(text: str) -> str:
    digits = check_e164(text).removeprefix("+")
    if not digits.isdecimal():
        msg = "must have all its digits: it is the prefix of a rate"
        raise ValueError(msg)
    return digits


def _read_dial_in(text: str) -> LegType:
    leg_type = read_leg_type(text)
    if leg_type not in _PRICE_COLUMNS:
        msg = f"must be {' or '.join(_PRICE_COLUMNS)}: the list prices calls to own numbers"
        raise ValueError(msg)
    return leg_type
