"""`perminute rates convert`: a carrier's price list as a rate card."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from perminute.formats.rate_card_csv import write_rate_card
from perminute_local.carrier_price_lists import DECKS, WITH_ORIGIN, read_mapped
from perminute_local.carrier_price_lists.mapped import SavedMapping, load_mapping, save_mapping
from perminute_local.carrier_price_lists.price_list import DeckOptions
from perminute_local.rates.special_ranges import blocking_rates
from perminute_local.terminal import remark, write_json
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from perminute.domain.errors import Fault
    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.rate_card import Rate
    from perminute_local.carrier_price_lists.price_list import PriceList


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """What the command line says of a list; None is what it does not say.

    A list is laid out as a `deck`, or as the mapping of its `columns` or of a `map_file` says.
    """

    deck: str | None = None
    columns: Mapping[str, str] | None = None
    map_file: Path | None = None
    save_map: Path | None = None
    leg_type: LegType | None = None
    currency: str | None = None
    separator: str | None = None
    decimal: str | None = None
    ranges: bool | None = None
    origin: str | None = None
    service_numbers: Path | None = None
    block_premium: bool = False


def convert_rates(path: Path, request: ListRequest, *, as_json: bool) -> int:
    """Write a carrier's price list as a rate card; exit code 1 if it is refused."""
    prices = read_price_list(path, request)
    return write_conversion(path, prices, as_json=as_json, block=request.block_premium)


def read_price_list(path: Path, request: ListRequest) -> PriceList:
    """Read a list as it was asked for; raise `WrongCall` for what does not go together."""
    for contradiction in _contradictions(request):
        raise WrongCall(contradiction)
    if request.deck is not None:
        return DECKS[request.deck](path.read_bytes(), _options(request))
    saved = _mapping(request)
    saved.check()
    content = path.read_bytes()
    if request.save_map is not None:
        if request.save_map.resolve() == path.resolve():
            msg = f"--save-map: {path} is the price list itself; name another file"
            raise WrongCall(msg)
        save_mapping(request.save_map, saved)
        remark(f"{request.save_map}: the mapping is saved; use it by --map-file")
    written = replace(
        request, separator=saved.separator, decimal=saved.decimal, ranges=saved.ranges
    )
    return read_mapped(content, _options(written), saved)


def _contradictions(request: ListRequest) -> Iterator[str]:
    deck = request.deck
    if sum(layout is not None for layout in (deck, request.columns, request.map_file)) != 1:
        yield (
            f"say by one of --from {'|'.join(DECKS)}, --map FIELD=COLUMN,… and --map-file FILE "
            "how the list is laid out"
        )
    if deck is None:
        if request.origin is not None or request.service_numbers is not None:
            yield "--origin and --service-numbers belong to a carrier's own list, named by --from"
        return
    if request.origin is not None and deck not in WITH_ORIGIN:
        yield f"--origin has no meaning for {deck}: its prices do not depend on the caller"
    if request.service_numbers is not None and deck != "acs-inbound":
        yield f"--service-numbers has no meaning for {deck}: it is for acs-inbound"
    if deck == "card" and (request.separator or request.decimal or request.ranges):
        yield "--separator, --decimal and --ranges have no meaning for card: it is a rate card"
    of_map = {
        "--leg-type": request.leg_type,
        "--currency": request.currency,
        "--save-map": request.save_map,
    }
    for option, value in of_map.items():
        if value is not None:
            yield f"{option} belongs to --map; the layout of {deck} is known"


def _mapping(request: ListRequest) -> SavedMapping:
    saved = (
        SavedMapping(columns=dict(request.columns or {}))
        if request.map_file is None
        else load_mapping(request.map_file)
    )
    return replace(
        saved,
        leg_type=request.leg_type or saved.leg_type,
        currency=request.currency or saved.currency,
        separator=request.separator or saved.separator,
        decimal=request.decimal or saved.decimal,
        ranges=request.ranges or saved.ranges,
    )


def _options(request: ListRequest) -> DeckOptions:
    return DeckOptions(
        separator=request.separator or ",",
        decimal=request.decimal or ".",
        ranges=bool(request.ranges),
        origin=request.origin,
        service_numbers=request.service_numbers,
    )


def write_conversion(path: Path, prices: PriceList, *, as_json: bool, block: bool = False) -> int:
    """Write the card of a list, and on standard error what of the list is not in it.

    With `block`, special ranges that the list prices as ordinary numbers have blocking rows. A list
    with a fault is refused whole: exit code 1, and no card.
    """
    rates = prices.rates()
    blocking = blocking_rates(rates) if block and not prices.refused else []
    rates = [*rates, *blocking]
    if as_json:
        _write_json(prices, rates)
    else:
        for line in _remarks(path, prices):
            remark(line)
        if blocking:
            remark(f"{path}: {len(blocking)} rows block special ranges")
        if not prices.refused:
            sys.stdout.write(write_rate_card(rates))
    return 1 if prices.refused else 0


def _write_json(prices: PriceList, rates: Sequence[Rate]) -> None:
    valid = not prices.refused
    document = {
        "valid": valid,
        "rates": len(rates),
        "faults": _listed(prices.faults)
        + [{"file": str(file), **fault._asdict()} for file, fault in prices.faults_elsewhere],
        "leftOut": _listed(prices.left_out),
        "repeated": _listed(prices.repeated),
        "card": write_rate_card(rates) if valid else None,
    }
    write_json(document)


def _listed(faults: Sequence[Fault]) -> list[dict[str, object]]:
    return [fault._asdict() for fault in sorted(faults)]


def _remarks(path: Path, prices: PriceList) -> Iterator[str]:
    refused = "fault" if len(prices.faults) == 1 else "faults"
    kinds = (
        (prices.left_out, "left out", "rows or prices are left out"),
        (
            prices.repeated,
            "taken once",
            "prefixes or prices stand more than once and are taken once",
        ),
        (prices.faults, "", f"{refused}; the list is refused whole"),
    )
    for faults, mark, summary in kinds:
        for fault in sorted(faults):
            what = f"{mark}: {fault.message}" if mark else fault.message
            yield f"{path}:{fault.line}: {what}"
        if faults:
            yield f"{path}: {len(faults)} {summary}"
    for file, fault in prices.faults_elsewhere:
        yield f"{file}:{fault.line}: {fault.message}"
