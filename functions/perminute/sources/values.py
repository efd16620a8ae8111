"""Values of records: texts, ids, seconds and instants, each named in what is rejected."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import ceil
from typing import TYPE_CHECKING, Any

from perminute.domain.comparison.record_comparison import OperatorCharge
from perminute.domain.rating.calls import MAX_CALL_SECONDS, MAX_ID_LENGTH
from perminute.domain.values.identifiers import canonical_id
from perminute.domain.values.money import DECIMALS, MAX_AMOUNT_MICROS, MICROS_PER_UNIT
from perminute.domain.values.times import EPOCH, ExactInstant, started_seconds
from perminute.fields import FIRST_YEAR, LAST_YEAR
from perminute.parsing import NO_TEXT, is_text
from perminute.sources.outcomes import (
    ProblemReason,
    Rejected,
    damaged,
    foreign,
    problem,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import tzinfo

_MAX_EPOCH_MICROS = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
_BEYOND = 10**17  # microseconds of 3,000 years
_DIGITS_OF_BEYOND = 18
MIN_DECIMALS = 2
"""Decimals that an operator's amount has at least: an export of Teams rounds to two."""
CURRENCY_LETTERS = 3
_DECIMAL = re.compile(r"(?=\.?[0-9])[0-9]{0,40}(?:\.[0-9]{0,40})?", re.ASCII)


def text(record: Mapping[str, Any], name: str) -> str | None:
    """Return a text without the spaces around it; None if it is absent, null or empty.

    A whole number counts as its digits. Raises `Rejected`, `notACallRecord`, for anything else.
    """
    value = record.get(name)
    if isinstance(value, str):
        if value.isascii() or is_text(value):
            return value.strip() or None
        raise Rejected(damaged(f"{name}: {NO_TEXT}"))
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Rejected(damaged(f"{name}: must be text"))


def identifier(record: Mapping[str, Any], name: str) -> str | None:
    """Return an id in its one spelling; None if it is absent, null or empty."""
    value = text(record, name)
    if value is None:
        return None
    if len(value) > MAX_ID_LENGTH:
        raise Rejected(damaged(f"{name}: must have at most {MAX_ID_LENGTH} characters"))
    return canonical_id(value)


def required(record: Mapping[str, Any], name: str) -> str:
    """Return an id without which a record is none of this source; raises `Rejected`."""
    value = identifier(record, name)
    if value is None:
        raise Rejected(foreign(f"{name}: is missing"))
    return value


def nested(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object in a record without which it is none of this source; raises `Rejected`."""
    value = record.get(name)
    if not isinstance(value, dict):
        raise Rejected(foreign(f"{name}: must be a JSON object"))
    return value


def seconds(record: Mapping[str, Any], name: str) -> int:
    """Return a duration in started seconds: a fraction counts as one.

    Raises `Rejected`, `invalidDuration` or `tooLong`.
    """
    stated = record.get(name)
    value = _whole(stated) or _decimal(stated)
    if value is None:
        message = f"{name}: must be a number of seconds, 0 or more"
        raise problem(ProblemReason.INVALID_DURATION, message)
    if value > MAX_CALL_SECONDS:
        raise problem(ProblemReason.TOO_LONG, f"{name}: is more than {MAX_CALL_SECONDS} (24 h)")
    return ceil(value)


def charge(record: Mapping[str, Any], name: str, currency_name: str = "") -> OperatorCharge | None:
    """Return what the operator says that a call cost; None if the record has no such amount.

    A minus before it is left out: some operators write what a call takes from the balance. It never
    makes a record a problem, since nothing is charged by it.
    """
    written = str(record.get(name)).strip().removeprefix("-")
    amount = _decimal(written)
    if amount is None or amount * MICROS_PER_UNIT > MAX_AMOUNT_MICROS:
        return None
    stated = len(written.partition(".")[2])
    currency = str(record.get(currency_name) or "").strip().upper()
    return OperatorCharge(
        int((amount * MICROS_PER_UNIT).to_integral_value(ROUND_HALF_UP)),
        # JSON drops zeros at the end, and no currency is rounded to less than its cents.
        min(max(stated, MIN_DECIMALS), DECIMALS),
        currency if len(currency) == CURRENCY_LETTERS else None,
    )


def epoch(record: Mapping[str, Any], name: str, *, micros: int = 10**6) -> datetime:
    """Return an instant that is written as a number of units since 1970, each of so many µs.

    Digits below the microsecond are cut. Raises `Rejected`, `invalidTime`.
    """
    stated = record.get(name)
    value = _whole(stated) or _decimal(stated)
    if value is None or value * micros >= _MAX_EPOCH_MICROS:
        raise problem(ProblemReason.INVALID_TIME, f"{name}: must be a time since 1970")
    return EPOCH + timedelta(microseconds=int(value * micros))


def instant(record: Mapping[str, Any], name: str, timezone: tzinfo | None = None) -> datetime:
    """Return an ISO 8601 time in UTC; without an offset it is one of `timezone`.

    Digits below the microsecond are cut. Raises `Rejected`, `invalidTime`.
    """
    stated = text(record, name) or ""
    if not (stated[4:5] == stated[7:8] == "-" and stated[13:14] == stated[16:17] == ":"):
        message = "must be a time such as 2026-11-02T09:00:00Z" if stated else "is missing"
        raise problem(ProblemReason.INVALID_TIME, f"{name}: {message}")
    if " " in stated:
        # Databases write one in the place of T, and one before the offset.
        stated = stated.replace(" ", "T", 1).replace(" ", "")
    try:
        at = datetime.fromisoformat(stated)
        if at.tzinfo is not None:
            return bounded(at if at.tzinfo is UTC else at.astimezone(UTC), name)
    except (ValueError, OverflowError) as error:
        raise problem(ProblemReason.INVALID_TIME, f"{name}: {error}") from None
    if timezone is None:
        message = "has no offset: name the time zone by --timezone"
        raise problem(ProblemReason.INVALID_TIME, f"{name}: {message}")
    meant = list(instants_of(at, timezone))
    if len(meant) != 1:
        which = "does not exist in" if not meant else "happens twice in"
        raise problem(ProblemReason.INVALID_TIME, f"{name}: {at} {which} {timezone}")
    return bounded(meant[0], name)


def instants_of(local: datetime, timezone: tzinfo) -> Iterator[datetime]:
    """Yield the instants, in UTC, at which clocks of a zone show a time: none, one, or two."""
    # When clocks are put forward an hour is left out; when they are put back one happens twice.
    first: datetime | None = None
    for fold in (0, 1):
        try:
            at = local.replace(tzinfo=timezone, fold=fold).astimezone(UTC)
            shown = at.astimezone(timezone).replace(tzinfo=None, fold=0)
        except OverflowError:
            continue
        if shown == local and at != first:
            first = at
            yield at


def bounded(at: datetime, name: str) -> datetime:
    """Return a time of the years in which something can be booked. Raises `Rejected`."""
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        message = f"{name}: must lie in the years {FIRST_YEAR} to {LAST_YEAR}"
        raise problem(ProblemReason.INVALID_TIME, message)
    return at


def seconds_between(start: datetime, end: datetime) -> int:
    """Return the seconds of a call that have begun; an end before its start is a problem anyway."""
    return max(0, started_seconds(ExactInstant(start), ExactInstant(end)))


def _whole(value: object) -> int | None:
    """Return a number that consists of digits, as nearly all do, faster than `_decimal`.

    None: it may be a number all the same.
    """
    if isinstance(value, str) and len(value) < _DIGITS_OF_BEYOND and value.isascii():
        return int(value) if value.isdigit() else None
    return value if type(value) is int and 0 <= value < _BEYOND else None


def _decimal(value: object) -> Decimal | None:
    """Return a number that JSON or a text says, if it is none below 0 or beyond all seconds."""
    match value:
        case bool():
            return None
        case int() | Decimal():
            number = Decimal(value)
        case str() if _DECIMAL.fullmatch(written := value.strip()):
            number = Decimal(written)
        case _:
            return None
    return number if 0 <= number < _BEYOND else None
