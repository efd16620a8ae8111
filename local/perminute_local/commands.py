"""What the commands do that need no AWS: quotes and rate cards."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from perminute.adapters.s3_rate_cards import POINTER_KEY, Pointer, pointer_key
from perminute.domain.errors import FaultyRateCard
from perminute.domain.legs import MAX_LEG_SECONDS, LegType
from perminute.domain.money import format_micros
from perminute.domain.phone_numbers import check_e164
from perminute.domain.rate_card import NoQuote, Quote, Rate, Unpriced
from perminute.domain.rate_card_csv import read_rate_card
from perminute.domain.rate_cells import read_leg_type
from perminute.domain.times import format_instant, parse_instant
from perminute.domain.whole_numbers import without_fraction
from perminute_local.terminal import write_line, write_lines
from perminute_local.text_files import check_start, faults_of
from perminute_local.wrong_call import WrongCall as WrongCall  # noqa: PLC0414 - imported from here
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from perminute.domain.errors import Fault
    from perminute.domain.rate_card import RateCard

T = TypeVar("T")


_WHY = {
    Unpriced.NO_RATE: "the card has no {legType} rate for it at that time",
    Unpriced.BLOCKED_NUMBER: "the card blocks prefix {prefix}",
    Unpriced.CURRENCY_MISMATCH: "the card prices prefix {prefix} in {currency}",
}


class Call(NamedTuple):
    """A call to be priced."""

    leg_type: LegType
    number: str
    seconds: int
    at: datetime


def load_rate_card(path: Path) -> RateCard:
    """Read a rate card from a file; raises `FaultyCard`, and `OSError` if it cannot be read."""
    with faults_of(path):
        return read_rate_card(path.read_bytes(), version=path.name)


def quote_call(card: RateCard, call: Call, *, currency: str | None, as_json: bool) -> int:
    """Price one call; exit code 1 if the card has no price for it in the `currency`, if given."""
    quote = card.quote(*call, currency=currency)
    document = _answer(call, quote)
    if as_json:
        _write_json(document)
    else:
        write_line(_line(document))
    return 0 if isinstance(quote, Quote) else 1


def quote_calls(card: RateCard, path: Path, *, currency: str | None, as_json: bool) -> int:
    """Price a file of calls; one that has no price does not stop the others."""
    quoted = [(call, card.quote(*call, currency=currency)) for call in _read_calls(path)]
    answers = [_answer(call, quote) for call, quote in quoted]
    micros: Counter[str] = Counter()
    for _, quote in quoted:
        if isinstance(quote, Quote):
            micros[quote.rate.currency] += quote.charge_micros
    totals = {currency: format_micros(total) for currency, total in sorted(micros.items())}
    if as_json:
        _write_json({"calls": answers, **_one_total(totals), "totals": totals})
        return 0
    write_lines(map(_line, answers))
    write_lines(f"total {total} {currency}" for currency, total in totals.items())
    return 0


def check_rates(path: Path, *, as_json: bool) -> int:
    """Tell the number of rates of a card, or every fault; exit code 1 if there is one."""
    content = path.read_bytes()
    try:
        count = len(read_rate_card(content).rates)
        faults: tuple[Fault, ...] = ()
    except FaultyRateCard as error:
        count, faults = 0, error.faults
    if as_json:
        listed = [{"line": fault.line, "message": fault.message} for fault in faults]
        _write_json({"valid": not faults, "rates": count, "faults": listed})
    elif faults:
        write_lines(f"{path}:{fault.line}: {fault.message}" for fault in faults)
    else:
        write_line(f"{path}: {count} rates, no fault")
    return 1 if faults else 0


def publish_rates(path: Path, *, bucket: str, version: str) -> int:
    """Put a checked card into the bucket under its version, then point at it."""
    # Publishing alone needs an AWS client.
    import boto3  # noqa: PLC0415

    from perminute_local.aws_errors import calling_aws  # noqa: PLC0415

    content = path.read_bytes()
    with faults_of(path):
        count = len(read_rate_card(content).rates)
    with calling_aws(f"s3://{bucket} cannot be written"):
        pointer = publish(boto3.client("s3"), bucket, content, version=version)
    write_line(f"s3://{bucket}/{pointer.key}: {count} rates are in force within a minute")
    return 0


def publish(client: S3Client, bucket: str, content: bytes, *, version: str) -> Pointer:
    """Put the card first and the pointer in force last: no function looks for what is not there.

    Publishing that broke off in between can be done again with the same card.
    """
    pointer = store_version(client, bucket, content, version=version)
    client.put_object(Bucket=bucket, Key=POINTER_KEY, Body=pointer.content())
    return pointer


def store_version(client: S3Client, bucket: str, content: bytes, *, version: str) -> Pointer:
    """Put a card and its own pointer, without putting it in force.

    A version is never written twice, since usage records name the version that priced them.
    """
    pointer = Pointer.of(version, content)
    try:
        client.put_object(Bucket=bucket, Key=pointer.key, Body=content, IfNoneMatch="*")
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        if client.get_object(Bucket=bucket, Key=pointer.key)["Body"].read() != content:
            msg = f"version {version} in {bucket} is another card; give this one a new version"
            raise WrongCall(msg) from error
    client.put_object(Bucket=bucket, Key=pointer_key(version), Body=pointer.content())
    return pointer


def _one_total(totals: dict[str, str]) -> dict[str, str | None]:
    """Give the one total, where all priced calls have one currency; sums never mix currencies."""
    if len(totals) > 1:
        return {"total": None, "currency": None}
    ((currency, total),) = totals.items() or ((None, "0"),)
    return {"total": total, "currency": currency}


def _answer(call: Call, quote: Quote | NoQuote) -> dict[str, Any]:
    asked = {
        "legType": call.leg_type,
        "number": call.number,
        "seconds": call.seconds,
        "at": format_instant(call.at),
    }
    match quote:
        case NoQuote(Unpriced.CURRENCY_MISMATCH as reason, Rate() as rate):
            return {"error": reason, **asked, "prefix": rate.prefix, "currency": rate.currency}
        case NoQuote(reason, rate):
            return {"error": reason, **asked, "prefix": rate.prefix if rate else None}
        case Quote(rate, billed_seconds, charge_micros):
            return {
                **asked,
                "prefix": rate.prefix,
                "country": rate.country,
                "ratePerMinute": format_micros(rate.rate_micros_per_minute),
                "connectionFee": format_micros(rate.connection_fee_micros),
                "billedSeconds": billed_seconds,
                "charge": format_micros(charge_micros),
                "currency": rate.currency,
            }


def _line(answer: dict[str, Any]) -> str:
    if "error" in answer:
        why = _WHY[answer["error"]].format(**answer)
        return f"{answer['number']}: {answer['error']}: {why}"
    return (
        "{number}: {charge} {currency} ({billedSeconds} s billed at {ratePerMinute} a minute, "
        "connection fee {connectionFee}, prefix {prefix})".format(**answer)
    )


def _read_calls(path: Path) -> Iterator[Call]:
    with path.open("rb") as lines:
        # Not read: the file may be a pipe.
        check_start(path, lines.peek(2)[:2])
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith(b"#"):
                try:
                    yield _read_call(line)
                except ValueError as error:
                    msg = f"{path}:{number}: {error}"
                    raise WrongFile(msg) from error


def _read_call(line: bytes) -> Call:
    try:
        call = json.loads(line)
    except (ValueError, RecursionError) as error:
        msg = f"is not JSON: {error}"
        raise ValueError(msg) from error
    if not isinstance(call, dict):
        msg = "must be a JSON object"
        raise ValueError(msg)  # noqa: TRY004 - every fault of a line is a ValueError here
    return Call(
        _field(call, "legType", lambda value: read_leg_type(_text(value))),
        _field(call, "number", lambda value: check_e164(_text(value))),
        _field(call, "seconds", _seconds),
        _field(call, "at", lambda value: parse_instant(_text(value))),
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


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = "must be a string"
        raise ValueError(msg)  # noqa: TRY004 - every fault of a line is a ValueError here
    return value


def _seconds(value: object) -> int:
    value = without_fraction(value)
    if type(value) is not int or not 0 <= value <= MAX_LEG_SECONDS:
        msg = f"must be a whole number from 0 to {MAX_LEG_SECONDS} (24 h)"
        raise ValueError(msg)
    return value


def _write_json(document: object) -> None:
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")
