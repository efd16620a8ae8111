"""`perminute quote`: what calls would cost by a rate card, one answer for each."""

from __future__ import annotations

import codecs
import json
import sys
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, assert_never

from perminute.domain.rating.calls import MAX_CALL_SECONDS, LegType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, NoQuote, Quote, Rate, Unpriced
from perminute.domain.reference.phone_numbers import check_e164
from perminute.domain.values.money import format_micros
from perminute.domain.values.printable import counted
from perminute.domain.values.times import format_instant, parse_instant
from perminute.formats.rate_card_csv import read_leg_type, read_rate_card
from perminute.parsing import parse_leniently, without_fraction
from perminute_local.terminal import remark, write_json, write_line
from perminute_local.user_input import check_start, faults_of, string_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from perminute.domain.rating.rate_card import RateCard


def price_text(quote: Quote) -> str:
    """Return a price with the parts that it is made of, which add up to it.

    A rate is per minute; the parts are exact, and the text says if their sum was rounded.
    """
    rate, billed_seconds, charge_micros = quote
    charge = f"{format_micros(charge_micros)} {rate.currency}"
    if not billed_seconds:
        return f"{charge} (0 s billed, so no connection fee, prefix {rate.prefix})"
    parts = [
        _seconds_at_rates(rate, billed_seconds),
        *_blocks(rate, billed_seconds),
        f"connection fee {format_micros(rate.connection_fee_micros)}",
        f"prefix {rate.prefix}",
        *(["rounded to a millionth"] if _is_rounded(rate, billed_seconds) else []),
    ]
    return f"{charge} ({', '.join(parts)})"


def doubt_text(seconds: int, quote: Quote | NoQuote, hidden: Sequence[Rate]) -> str:
    """Return what a call to a masked number may cost at most, by its own rate or a hidden one."""
    highest = _highest(seconds, quote, hidden)
    may = [f"cost up to {' or '.join(highest)}"] if highest else []
    may += [f"be blocked by prefix {rate.prefix}" for rate in hidden if rate.blocked]
    return f"; the masked digits may hide a longer prefix: the call may {' or '.join(may)}"


def why_unpriced(
    card: RateCard, leg_type: LegType, number: str, at: datetime, quote: NoQuote
) -> str:
    """Return why a number has no price at an instant."""
    match quote:
        case NoQuote(Unpriced.BLOCKED_NUMBER, Rate() as rate):
            return f"the card blocks prefix {rate.prefix}"
        case NoQuote(Unpriced.CURRENCY_MISMATCH, Rate() as rate):
            return f"the card prices prefix {rate.prefix} in {rate.currency}"
        case NoQuote():
            return _why_no_rate(card, leg_type, number, at)
        case never:
            assert_never(never)


def _seconds_at_rates(rate: Rate, billed_seconds: int) -> str:
    parts = list(rate.parts(billed_seconds))
    if len(parts) == 1:
        per_minute = format_micros(parts[0][1].rate_micros_per_minute)
        return f"{billed_seconds} s billed at {per_minute} a minute"
    listed = ", ".join(
        f"{seconds} s at {format_micros(step.rate_micros_per_minute)}" for seconds, step in parts
    )
    return f"{billed_seconds} s billed: {listed} a minute"


def _blocks(rate: Rate, billed_seconds: int) -> list[str]:
    # Whole minutes need no mention.
    end = rate.initial_increment_seconds
    lengths = [end]
    for seconds, step in rate.parts(billed_seconds):
        if (missing := step.from_second + seconds - end) > 0:
            lengths.append(step.increment_seconds)
            end += -(-missing // step.increment_seconds) * step.increment_seconds
    in_order = [length for length, _ in groupby(lengths)]
    if in_order == [SECONDS_PER_MINUTE]:
        return []
    return [f"in blocks of {', then '.join(f'{length} s' for length in in_order)}"]


def _is_rounded(rate: Rate, billed_seconds: int) -> bool:
    parts = rate.parts(billed_seconds)
    sixtieths = sum(seconds * step.rate_micros_per_minute for seconds, step in parts)
    return sixtieths % SECONDS_PER_MINUTE != 0


def _highest(seconds: int, quote: Quote | NoQuote, hidden: Iterable[Rate]) -> list[str]:
    priced = [rate.quote(seconds) for rate in hidden if not rate.blocked]
    currencies = sorted({one.rate.currency for one in priced})
    if isinstance(quote, Quote):
        priced.append(quote)
    greatest = (
        max(
            (one for one in priced if one.rate.currency == currency),
            key=lambda one: one.charge_micros,
        )
        for currency in currencies
    )
    return [
        f"{format_micros(one.charge_micros)} {one.rate.currency} (prefix {one.rate.prefix})"
        for one in greatest
    ]


def _why_no_rate(card: RateCard, leg_type: LegType, number: str, at: datetime) -> str:
    of_type = [rate for rate in card.rates if rate.leg_type is leg_type]
    if not of_type:
        others = ", ".join(sorted({rate.leg_type for rate in card.rates}))
        return f"the card has no {leg_type} rates at all, only {others}"
    of_number = [rate for rate in of_type if number.startswith(f"+{rate.prefix}")]
    if of_number:
        return _out_of_force(of_number, at)
    why = f"no {leg_type} prefix of the card matches the number"
    if any(rate.in_force(at) for rate in of_type):
        return why
    return f"{why}, and no {leg_type} rate is in force at that time: {_out_of_force(of_type, at)}"


def _out_of_force(rates: Sequence[Rate], at: datetime) -> str:
    over = [(to, rate.prefix) for rate in rates if (to := rate.effective_to) and to <= at]
    ahead = [
        (since, rate.prefix) for rate in rates if (since := rate.effective_from) and since > at
    ]
    said = []
    if over:
        until, prefix = max(over)
        said.append(f"the rate of prefix {prefix} ended at {format_instant(until)}")
    if ahead:
        since, prefix = min(ahead)
        said.append(f"the rate of prefix {prefix} begins at {format_instant(since)}")
    hole = "a hole between two periods: " if over and ahead else ""
    return hole + ", and ".join(said)


T = TypeVar("T")


class QuotedCall(NamedTuple):
    """A call to be priced."""

    leg_type: LegType
    number: str
    seconds: int
    at: datetime


class Answer(NamedTuple):
    """What is said of one call: as JSON, and as a line of text. `quote` is its price, if any."""

    document: dict[str, Any]
    text: str
    quote: Quote | None = None


class _Line(NamedTuple):
    number: int
    call: QuotedCall | ValueError


def load_rate_card(path: Path) -> RateCard:
    """Read a rate card from a file; raises `FaultyCard`, and `OSError` if it cannot be read."""
    with faults_of(path):
        return read_rate_card(path.read_bytes(), version=path.name)


def quote_call(card: RateCard, call: QuotedCall, *, currency: str | None, as_json: bool) -> int:
    """Price one call; exit code 1 if the card has no price for it in the `currency`, if given."""
    answer = answer_of(card, call, currency)
    if as_json:
        write_json(answer.document)
    else:
        write_line(answer.text)
    return 0 if answer.quote else 1


def quote_calls(card: RateCard, path: Path, *, currency: str | None, as_json: bool) -> int:
    """Price a file of calls; exit code 1 if any has no price, which does not stop the others.

    Calls are read and answered one by one, so that a file may have any number of them.
    """
    tally = _Tally()
    with path.open("rb") as lines:
        # Before anything is written; not read, since the file may be a pipe.
        check_start(path, lines.peek(2)[:2])
        answers = tally.counted(
            _answer_to(card, line, path, currency) for line in _read_lines(lines)
        )
        if as_json:
            _write_document(answers, tally)
        else:
            _write_text(answers, tally)
    if not tally.calls:
        remark(f"perminute: {path}: there is no call in it")
    if tally.without_price:
        of_all = counted(tally.calls, "call has", "calls have")
        remark(f"perminute: {path}: {tally.without_price} of {of_all} no price")
    return 1 if tally.without_price else 0


def answer_of(card: RateCard, call: QuotedCall, currency: str | None = None) -> Answer:
    """Price one call, in the `currency` of the credit if one is given."""
    quote = card.quote(*call, currency=currency)
    hidden = card.hidden_rates(call.leg_type, call.number, call.at)
    uncertain = {"prefixUncertain": True} if hidden else {}
    doubt = doubt_text(call.seconds, quote, hidden) if hidden else ""
    asked = {
        "legType": call.leg_type,
        "number": call.number,
        "seconds": call.seconds,
        "at": format_instant(call.at),
    }
    if isinstance(quote, NoQuote):
        message = why_unpriced(card, call.leg_type, call.number, call.at, quote) + doubt
        document = {
            "error": quote.reason,
            "message": message,
            **asked,
            **_row_of(quote),
            **uncertain,
        }
        return Answer(document, f"{call.number}: {quote.reason}: {message}")
    document = {**asked, **_price_of(quote), **uncertain}
    return Answer(document, f"{call.number}: {price_text(quote)}{doubt}", quote)


def _row_of(quote: NoQuote) -> dict[str, Any]:
    match quote:
        case NoQuote(Unpriced.CURRENCY_MISMATCH, Rate() as rate):
            return {"prefix": rate.prefix, "currency": rate.currency}
        case NoQuote(_, rate):
            return {"prefix": rate.prefix if rate else None}


def _price_of(quote: Quote) -> dict[str, Any]:
    rate, billed_seconds, charge_micros = quote
    return {
        "prefix": rate.prefix,
        "country": rate.country,
        "ratePerMinute": format_micros(rate.rate_micros_per_minute),
        "connectionFee": format_micros(rate.connection_fee_micros),
        "billedSeconds": billed_seconds,
        "charge": format_micros(charge_micros),
        "currency": rate.currency,
    }


def _answer_to(card: RateCard, line: _Line, path: Path, currency: str | None) -> Answer:
    if isinstance(line.call, ValueError):
        message = str(line.call)
        document = {"error": "invalid", "line": line.number, "message": message}
        return Answer(document, f"{path}:{line.number}: invalid: {message}")
    answer = answer_of(card, line.call, currency)
    return answer if answer.quote else answer._replace(text=f"{path}:{line.number}: {answer.text}")


class _Tally:
    """Counts and adds up answers as they pass; sums never mix currencies."""

    def __init__(self) -> None:
        self.calls = 0
        self.without_price = 0
        self._micros: Counter[str] = Counter()

    def counted(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """Yield the answers, each counted."""
        for answer in answers:
            self.calls += 1
            if answer.quote is None:
                self.without_price += 1
            else:
                self._micros[answer.quote.rate.currency] += answer.quote.charge_micros
            yield answer

    @property
    def totals(self) -> dict[str, str]:
        """What all calls cost until now, by currency."""
        return {unit: format_micros(micros) for unit, micros in sorted(self._micros.items())}

    @property
    def document(self) -> dict[str, Any]:
        """The one total, where all priced calls have one currency, and the totals by currency."""
        totals = self.totals
        if len(totals) > 1:
            return {"total": None, "currency": None, "totals": totals}
        ((currency, total),) = totals.items() or ((None, "0"),)
        return {"total": total, "currency": currency, "totals": totals}


def _write_document(answers: Iterable[Answer], tally: _Tally) -> None:
    # An answer a line, without all of them in memory.
    sys.stdout.write('{\n  "calls": [')
    separator = "\n    "
    for answer in answers:
        sys.stdout.write(separator + json.dumps(answer.document))
        separator = ",\n    "
    rest = json.dumps(tally.document, indent=2).removeprefix("{")
    sys.stdout.write(f"\n  ],{rest}\n")


def _write_text(answers: Iterable[Answer], tally: _Tally) -> None:
    for answer in answers:
        write_line(answer.text)
    for currency, total in tally.totals.items():
        write_line(f"total {total} {currency}")


def _read_lines(lines: Iterable[bytes]) -> Iterator[_Line]:
    for number, line in enumerate(lines, 1):
        content = line.removeprefix(codecs.BOM_UTF8).strip()
        if not content or content.startswith(b"#"):
            continue
        try:
            yield _Line(number, _read_call(content))
        except ValueError as error:
            yield _Line(number, error)


def _read_call(line: bytes) -> QuotedCall:
    try:
        call = parse_leniently(line.decode())
    except UnicodeDecodeError as error:
        msg = "is not UTF-8; save the file as UTF-8"
        raise ValueError(msg) from error
    except json.JSONDecodeError as error:
        # Its own text would name line 1, which is that of the text it was given.
        msg = f"is not JSON: {error.msg} at column {error.colno}"
        raise ValueError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"is not JSON: {error}"
        raise ValueError(msg) from error
    if not isinstance(call, dict):
        msg = "must be a JSON object"
        raise ValueError(msg)  # noqa: TRY004 - every fault of a line is a ValueError here
    return QuotedCall(
        _field(call, "legType", lambda value: read_leg_type(string_of(value))),
        _field(call, "number", lambda value: check_e164(string_of(value))),
        _field(call, "seconds", _seconds),
        _field(call, "at", lambda value: parse_instant(string_of(value))),
    )


def _field(call: dict[str, Any], name: str, parse: Callable[[object], T]) -> T:
    if name not in call:
        msg = f"{name} is required"
        raise ValueError(msg)
    try:
        return parse(call[name])
    except ValueError as error:
        msg = f"{name}: {error}"
        raise ValueError(msg) from error


def _seconds(value: object) -> int:
    value = without_fraction(value)
    if type(value) is not int or not 0 <= value <= MAX_CALL_SECONDS:
        msg = f"must be a whole number from 0 to {MAX_CALL_SECONDS} (24 h)"
        raise ValueError(msg)
    return value
