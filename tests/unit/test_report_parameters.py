"""Parameters of reports, from a query and from a body, and what is refused in which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perminute.api.reports.parameters import (
    MAX_SHOWN,
    MonthQuery,
    PeriodQuery,
    one_of,
    quoted,
    read_parameters,
)
from perminute.domain.errors import Refused
from perminute.domain.pools.pools import Month
from perminute.domain.reporting.periods import Period
from perminute.fields import about

if TYPE_CHECKING:
    Color: TypeAlias = str
else:
    Color = one_of(["red", "green"], "color")


class Query(PeriodQuery, frozen=True, kw_only=True):
    colors: Annotated[tuple[Color, ...], about("A description is not the type.")] = ()
    limit: int | None = None
    color: Color | None = None
    name: str | None = None


DAY = {"from": "2026-11-02", "to": "2026-11-03"}


def utc(day: int, hour: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def refusal(sent: dict[str, Any], *, from_text: bool = True) -> str:
    with pytest.raises(Refused) as refused:
        _ = read_parameters(sent, Query, from_text=from_text).period
    return str(refused.value)


@pytest.mark.parametrize("written", ["null", "Null", "NULL"])
def test_the_text_null_of_a_query_is_a_text_like_any_other(written: str) -> None:
    assert f'limit: "{written}" must be a whole number' in refusal({**DAY, "limit": written})
    assert f'color: "{written}" must be one of' in refusal({**DAY, "color": written})
    query = read_parameters({**DAY, "name": written}, Query, from_text=True)
    assert (query.name, query.limit, query.color) == (written, None, None)


@pytest.mark.parametrize(
    ("since", "until", "period"),
    [
        ("2026-11-02", "2026-11-03", Period(utc(2), utc(3))),
        ("2026-11-02T09:00:00Z", "2026-11-02T12:00:00+01:00", Period(utc(2, 9), utc(2, 11))),
        ("2026-11-02", "2026-11-02", Period(utc(2), utc(2))),
        ("2026-09-01", "2026-12-02", Period(utc(1, month=9), utc(2, month=12))),
    ],
)
def test_a_period_is_of_dates_or_times(since: str, until: str, period: Period) -> None:
    assert read_parameters({"from": since, "to": until}, Query).period == period


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            {"from": "yesterday"},
            'from: "yesterday" must be a date such as 2026-11-02, or a time such as '
            "2026-11-02T09:00:00Z",
        ),
        (
            {"from": "2026-02-30"},
            'from: "2026-02-30" is not a date of any calendar: day is out of range for month',
        ),
        (
            {"to": "2026-11-03T09:00:00"},
            'to: "2026-11-03T09:00:00" has no offset; times are UTC, such as 2026-11-02T09:00:00Z',
        ),
        ({"to": "9999-12-31"}, 'to: "9999-12-31" must lie in the years 1970 to 9990'),
        ({"from": "2026-11-04"}, 'from: "2026-11-04" lies after to, which is "2026-11-03"'),
        (
            {"to": "2027-02-03"},
            'to: "2027-02-03" lies more than 92 days after from, which is "2026-11-02"; ask for a '
            "shorter period",
        ),
        ({"colors": "red,blue"}, 'colors.1: "blue" must be one of red, green'),
        ({"limit": "many"}, 'limit: "many" must be a whole number'),
    ],
)
def test_what_is_wrong_is_named_with_its_value(sent: dict[str, Any], message: str) -> None:
    assert refusal({**DAY, **sent}).startswith(message)


def test_what_is_missing_is_named() -> None:
    assert refusal({}) == "from: is required; to: is required"


def test_a_list_is_text_with_commas_in_a_query_and_json_in_a_body() -> None:
    def colors(value: Any, *, from_text: bool) -> tuple[str, ...]:
        return read_parameters({**DAY, "colors": value}, Query, from_text=from_text).colors

    assert colors("red,green", from_text=True) == ("red", "green")
    assert colors(["red", "green"], from_text=False) == ("red", "green")
    assert colors("red", from_text=False) == ("red",)
    for wrong, message in (
        ("red,green", 'colors.0: "red,green" must be one of red, green'),
        ([5], 'colors.0: "5" must be text'),
        (5, 'colors: "5" must be a list'),
    ):
        assert refusal({**DAY, "colors": wrong}, from_text=False) == message


def test_a_month_must_have_begun() -> None:
    query = read_parameters({"month": "2026-11"}, MonthQuery)
    assert query.begun_by(utc(1)) == Month(2026, 11)
    with pytest.raises(Refused) as refused:
        query.begun_by(utc(1) - timedelta(microseconds=1))
    message = 'month: "2026-11" lies in the future: it is 2026-10 now'
    assert str(refused.value) == message
    for wrong in ("2026-13", "2026-1", "November", "0000-01", "2026-11-01", "2026-11\n"):
        with pytest.raises(Refused, match=r"^month: "):
            read_parameters({"month": wrong}, MonthQuery)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("+493023125042", "+49302312****"),
        ("0049 (30) 2312-5042", "0049 (30) 2312-****"),
        ("to +4930 2312 50 42.", "to +4930 2312 ** **."),
        ("2026-11-02", "2026-11-02"),
        ("2026-11-02T25:00:00Z", "2026-11-02T25:00:00Z"),
        ("20261102", "20261102"),
        ("02.11.2026", "02.11.2026"),
        ("11/02/2026", "11/02/2026"),
        ("+49 - 30 - 2312 - 5042", "+49 - 30 - 2312 - ****"),
        ("+49\u201130\u20112312\u20115042", "+49\u201130\u20112312\u2011****"),
        ("+\u0664\u0669\u0663\u0660\u0662\u0663\u0661", "+\u0664\u0669\u0663****"),
        ("2026-11-02T09:00:00+01:00", "2026-11-02T09:00:00+01:00"),
        ("2026-11-02T09:00:00.123456Z", "2026-11-02T09:00:00.123456Z"),
        ("2026-11-02T09:00:00.1234567Z", "2026-11-02T09:00:00.123****Z"),
        ("+20261102", "+2026****"),
        ("2026-1102/4930231", "2026-1102/493****"),
        ("a\nb\u202e", "a b\\\\u202e"),
        (["+493023125042"], '["+49302312****"]'),
        ("x" * 100, "x" * 63 + "…"),
    ],
)
def test_a_value_is_shown_in_a_line_and_no_number_in_full(value: object, shown: str) -> None:
    assert quoted(value) == f'"{shown}"'.replace("\\\\", "\\")


@given(
    st.dictionaries(
        st.sampled_from(["from", "to", "colors", "limit"]),
        st.text(st.characters(codec=None))
        | st.none()
        | st.integers()
        | st.lists(st.text(st.characters(codec=None)), max_size=2)
        | st.sampled_from(["2026-11-02", "2026-12-01T00:00:00Z", "red", "red,green"]),
    ),
    st.booleans(),
)
def test_whatever_is_sent_is_a_question_or_refused_by_name(
    sent: dict[str, Any],
    from_text: bool,  # noqa: FBT001 - Hypothesis passes it by name
) -> None:
    refusal = None
    try:
        period = read_parameters(sent, Query, from_text=from_text).period
    except Refused as error:
        refusal = error
    else:
        assert period.since <= period.until
    if refusal is not None:
        assert refusal.field.partition(".")[0] in Query.__struct_encode_fields__
        assert len(str(refusal).encode()) < 8 * (MAX_SHOWN + 150)
