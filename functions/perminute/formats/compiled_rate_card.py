"""Write and read the compiled form of a rate card (ADR 28), which loads fast.

The first line is `FORMAT`. Then each leg type has a line of three parts, separated by tabs: its
name, its prefixes with `+` in order, and for each of them a number. The remaining lines are what
the numbers refer to, from 0 on: the rates of a prefix, as JSON. Prefixes share a line if their
rates are the same, and a line is read when a number first has its prefix.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from perminute.domain.errors import Unavailable
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Rate, RateCard, Step
from perminute.domain.values.times import instant_text, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perminute.domain.rating.rate_card import Rates

FORMAT = "perminute rate card 1"
"""The format and its version: any change of what follows is another version."""

_PREFIXES_AT_ONCE = 10_000  # some 3 ms

_BEGINNING = datetime.min.replace(tzinfo=UTC)


def compile_rate_card(rates: Iterable[Rate]) -> bytes:
    """Write rates in the compiled form: the same bytes for the same rates, in whatever order."""
    by_leg_type: defaultdict[str, defaultdict[str, list[Rate]]]
    by_leg_type = defaultdict(lambda: defaultdict(list))
    for rate in rates:
        by_leg_type[rate.leg_type][rate.prefix].append(rate)
    index, texts = list[str](), dict[str, int]()
    for leg_type, by_prefix in sorted(by_leg_type.items()):
        prefixes = sorted(by_prefix)
        numbers = [texts.setdefault(_text(by_prefix[prefix]), len(texts)) for prefix in prefixes]
        columns = " ".join(f"+{prefix}" for prefix in prefixes), " ".join(map(str, numbers))
        index.append("\t".join([leg_type, *columns]))
    return "\n".join([FORMAT, str(len(index)), *index, *texts]).encode("ascii")


def _text(rates: Sequence[Rate]) -> str:
    in_order = sorted(rates, key=lambda rate: rate.effective_from or _BEGINNING)
    cells = [
        (
            rate.country,
            rate.description,
            rate.currency,
            rate.connection_fee_micros,
            rate.initial_increment_seconds,
            rate.steps,
            instant_text(rate.effective_from),
            instant_text(rate.effective_to),
            rate.blocked,
        )
        for rate in in_order
    ]
    return json.dumps(cells, separators=(",", ":"))


def read_compiled_rate_card(content: bytes, *, version: str = "") -> RateCard:
    """Read a card in the compiled form, without its rates; raises `ValueError`.

    The card raises `Unavailable` when it is asked for a rate whose text is faulty.
    """
    first, _, rest = content.decode("ascii").partition("\n")
    if first != FORMAT:
        msg = f"begins with {first[:40]!r}, and not with {FORMAT!r}"
        raise ValueError(msg)
    leg_types, *lines = rest.split("\n")
    texts = lines[int(leg_types) :]
    by_leg_type = dict(_read_index(line, texts) for line in lines[: int(leg_types)])
    return RateCard.unread(by_leg_type, _read_rates, version=version)


def _read_index(line: str, texts: Sequence[str]) -> tuple[LegType, Rates]:
    name, prefixes, numbers = line.split("\t")
    in_order = prefixes.split(" ")
    of_each = zip(in_order, map(texts.__getitem__, map(int, numbers.split(" "))), strict=True)
    rates: Rates = {}
    try:
        # In parts: between two of them another thread may answer its request.
        while part := dict(islice(of_each, _PREFIXES_AT_ONCE)):
            rates |= part
    except IndexError as error:
        msg = f"{name} names a line of rates that is not there"
        raise ValueError(msg) from error
    if len(rates) != len(in_order):
        msg = f"{name} has a prefix twice"
        raise ValueError(msg)
    return LegType(name), rates


def _no_float(text: str) -> NoReturn:
    msg = f"{text} is not a whole number"
    raise ValueError(msg)


_JSON = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)


def _read_rates(leg_type: LegType, prefix: str, text: str) -> tuple[Rate, ...]:
    try:
        return tuple(_read_rate(leg_type, prefix, *cells) for cells in _JSON.decode(text))
    except (TypeError, ValueError) as error:
        msg = f"the compiled rate of {leg_type} {prefix} cannot be read: {error}"
        raise Unavailable(msg) from error


def _read_rate(  # noqa: PLR0913, PLR0917 - the cells of a rate, in the order of `_text`
    leg_type: LegType,
    prefix: str,
    country: str | None,
    description: str,
    currency: str,
    connection_fee_micros: int,
    initial_increment_seconds: int,
    steps: Sequence[Any],
    effective_from: str | None,
    effective_to: str | None,
    blocked: bool,  # noqa: FBT001 - as above
) -> Rate:
    return Rate(
        leg_type=leg_type,
        prefix=prefix[1:],
        country=country,
        description=description,
        currency=currency,
        connection_fee_micros=connection_fee_micros,
        initial_increment_seconds=initial_increment_seconds,
        steps=tuple(Step(*step) for step in steps),
        effective_from=None if effective_from is None else parse_instant(effective_from),
        effective_to=None if effective_to is None else parse_instant(effective_to),
        blocked=blocked,
    )
