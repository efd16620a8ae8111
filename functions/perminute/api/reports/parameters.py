"""Parameters that reports share, and how they are read from a query or a body.

A refusal repeats the value that was sent, as far as it is no phone number.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NamedTuple,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
)

from msgspec import field
from msgspec.structs import fields

from perminute.domain.errors import Refused
from perminute.domain.pools.pools import Month
from perminute.domain.reference.phone_numbers import MASK, MASKED_DIGITS
from perminute.domain.reporting.periods import Period
from perminute.domain.values.printable import one_line
from perminute.domain.values.times import parse_instant
from perminute.fields import FIRST_YEAR, LAST_YEAR, Message, about
from perminute.parsing import read_message, text_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Q = TypeVar("Q", bound=Message)

MAX_DAYS = 92
"""The longest period of a report: three months."""

MAX_SHOWN = 64
"""Characters of a value that a refusal repeats."""

# Seven digits or more are a phone number, however they are grouped, unless they are a time.
_DATE_OR_NUMBER = re.compile(
    r"(?P<date>(?<![\d+])((19|20|99)\d\d-\d\d(?!\d)(-\d\d(?!\d))?(?!-\d)"
    r"(?:T\d\d:\d\d:\d\d\.\d{1,6}(?!\d))?"
    r"|(19|20)\d\d[01]\d[0-3]\d(?!\d)|\d\d?([./-])\d\d?\6\d{4}(?!\d)))"
    # Digits of any script, and between them what people write or paste; `:` and `+` are of times.
    r"|\+?\d(?:(?:[^\w:+,]|_){0,3}\d){6,}"
)
_LAST_DIGITS = re.compile(rf"\d(?=(\D*\d){{0,{MASKED_DIGITS - 1}}}\D*$)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MONTH = r"^[0-9]{4}-(0[1-9]|1[0-2])$(?!\n)"


class Moment(NamedTuple):
    """An instant, and how it was written."""

    at: datetime
    text: str


def _read_moment(text: str) -> Moment:
    if _DATE.match(text) is None:
        msg = "must be a date such as 2026-11-02, or a time such as 2026-11-02T09:00:00Z"
        raise ValueError(msg)
    at = _start_of_day(text) if _DATE.fullmatch(text) else parse_instant(text)
    _check_year(at.year)
    return Moment(at, text)


def _start_of_day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError as error:
        msg = f"is not a date of any calendar: {error}"
        raise ValueError(msg) from None


def _check_year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        msg = f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}"
        raise ValueError(msg)


def _read_month(text: str) -> Month:
    if re.match(_MONTH, text, re.ASCII) is None:
        msg = "must be a month such as 2026-11"
        raise ValueError(msg)
    month = Month.parse(text)
    _check_year(month.year)
    return month


def one_of(values: Iterable[str], title: str) -> Any:  # noqa: ANN401 - a type that msgspec reads
    """Make the type of a parameter that is one of several values, such as those of an enum."""
    known = {str(value): value for value in values}

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(must_be)
        return known[text]

    must_be = f"must be one of {', '.join(known)}"
    return text_type(read, title, enum=list(known))


if TYPE_CHECKING:
    # What a query contains once it is read.
    RequestedMoment: TypeAlias = Moment
    RequestedMonth: TypeAlias = Month
else:
    RequestedMoment = text_type(
        _read_moment,
        "date or time",
        description="A UTC date such as 2026-11-02, which means its first instant, or RFC 3339.",
    )
    RequestedMonth = text_type(_read_month, "UTC month", pattern=_MONTH)


class PeriodQuery(Message, frozen=True, kw_only=True):
    """A period, UTC: `from` inclusive, `to` exclusive."""

    since: RequestedMoment = field(name="from")
    until: RequestedMoment = field(name="to")

    @property
    def period(self) -> Period:
        """The period. Raises `Refused` if it ends before it begins, or is too long."""
        return period_of(self.since, self.until)


class MonthQuery(Message, frozen=True, kw_only=True):
    """A UTC month."""

    month: RequestedMonth

    def begun_by(self, at: datetime) -> Month:
        """Return the month. Raises `Refused` if it has not begun at an instant."""
        return month_begun_by(self.month, at)


class MonthOrPeriodQuery(Message, frozen=True, kw_only=True):
    """A UTC month, or a period."""

    month: Annotated[RequestedMonth | None, about("Instead of `from` and `to`.")] = None
    since: RequestedMoment | None = field(name="from", default=None)
    until: RequestedMoment | None = field(name="to", default=None)

    def period(self, at: datetime) -> Period:
        """The period. Raises `Refused` if none is named, or two are, or it has not begun."""
        if self.month is not None:
            if self.since is not None or self.until is not None:
                raise Refused("month", "names a period, and so do from and to; leave out one")
            month = month_begun_by(self.month, at)
            return Period(month.start, month.end)
        if self.since is None or self.until is None:
            raise Refused("month", "is required, such as 2026-11, or else both from and to")
        return period_of(self.since, self.until)


def period_of(since: Moment, until: Moment) -> Period:
    """Return a period. Raises `Refused` if it ends before it begins, or is too long."""
    if since.at > until.at:
        raise refused("from", since.text, f"lies after to, which is {quoted(until.text)}")
    if until.at - since.at > timedelta(days=MAX_DAYS):
        days = f"more than {MAX_DAYS} days after from, which is {quoted(since.text)}"
        raise refused("to", until.text, f"lies {days}; ask for a shorter period")
    return Period(since.at, until.at)


def month_begun_by(month: Month, at: datetime) -> Month:
    """Return the month. Raises `Refused` if it has not begun at an instant."""
    if month.start > at:
        raise refused("month", str(month), f"lies in the future: it is {Month.of(at)} now")
    return month


def refused(name: str, value: object, fault: str) -> Refused:
    """Return the refusal of a value that was sent."""
    return Refused(name, f"{quoted(value)} {fault}")


def quoted(value: object) -> str:
    """Return a value as a refusal repeats it: in one line, cut, without the end of a number."""
    text = value if isinstance(value, str) else json.dumps(value)
    shown = _DATE_OR_NUMBER.sub(_masked, one_line(text))
    return f'"{one_line(shown, at_most=MAX_SHOWN)}"'


def _masked(found: re.Match[str]) -> str:
    return found[0] if found["date"] else _LAST_DIGITS.sub(MASK, found[0])


def read_parameters(sent: Mapping[str, object], reads: type[Q], *, from_text: bool = False) -> Q:
    """Read the parameters of a report; those of other names are ignored. Raises `Refused`.

    A list is one of JSON in a body, and text with commas in a query; one value is a list of one.
    """
    lists = _lists_of(reads)
    values = {
        name: _listed(value, from_text=from_text) if name in lists else value
        for name, value in sent.items()
    }
    return read_message(values, reads, called="parameters", from_text=from_text, quote=quoted)


@cache  # msgspec evaluates all annotations each time
def _lists_of(reads: type[Message]) -> frozenset[str]:
    return frozenset(known.encode_name for known in fields(reads) if _is_list(known.type))


def _is_list(kind: Any) -> bool:  # noqa: ANN401 - any type
    # A description surrounds the type.
    return get_origin(get_args(kind)[0] if get_origin(kind) is Annotated else kind) is tuple


def _listed(value: object, *, from_text: bool) -> object:
    if not isinstance(value, str):
        return value
    return value.split(",") if from_text else [value]
