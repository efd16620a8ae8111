"""Whatever a notification carries: it is read back as it was, and a subject says what happened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

from builders import ANSWERED
from hypothesis import example, given
from hypothesis import strategies as st

from perminute.adapters.notification_documents import (
    declared_types,
    facts_of,
    notification_of,
)
from perminute.domain.comparison.difference_kinds import DifferenceKind
from perminute.domain.credit.recharge import Disabled
from perminute.domain.forecast.figures import Band, Confidence, RunsOut
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.spending import LimitName
from perminute.domain.notifications.notifications import (
    CallFlagged,
    CallNotEntitled,
    CallNotRated,
    DifferingCalls,
    LowBalance,
    Notification,
    NotificationBody,
    notification,
)
from perminute.domain.rating.calls import MAX_ID_LENGTH, LegType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import POLICY_FLAGS, Flag
from perminute.formats.notification_texts import text_of

GUID = "8a5b2b1e-5c2f-4d3a-9a6e-1b2c3d4e5f60"
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_ID_LENGTH)
DAYS = st.dates()
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": NAMES,
    "int": st.integers(0, 10**6),
    "bool": st.booleans(),
    "datetime": st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    "tuple[str, ...]": st.lists(NAMES, max_size=10).map(tuple),
    "tuple[DifferingCalls, ...]": st.lists(
        st.builds(
            DifferingCalls,
            st.sampled_from(DifferenceKind),
            st.integers(1, 10**6),
            st.integers(-(10**9), 10**9),
            st.integers(-(10**15), 10**15),
        ),
        min_size=1,
        unique_by=lambda one: one.kind,
    ).map(tuple),
    "RunsOut": st.builds(RunsOut, st.none() | DAYS, DAYS, st.none() | DAYS),
    "Band": st.builds(Band, *[st.integers(0, 10**15)] * 3),
    "NotEntitled | Unpriced | Flag": st.nothing(),
    **{one.__name__: st.sampled_from(one) for one in (Confidence, Disabled, LegType, LimitName)},
}
REASONS: dict[Any, Any] = {
    CallNotEntitled: NotEntitled,
    CallNotRated: Unpriced,
    CallFlagged: (*POLICY_FLAGS, Flag.REPORTED_BY_BRIDGE),
}
FORMED: dict[str, st.SearchStrategy[Any]] = {
    "currency": st.sampled_from(("USD", "JPY")),
    "rate_currency": st.just("EUR"),
    "month": st.just("2026-11"),
    "day": st.just("2026-11-02"),
    "period": st.sampled_from(("2026-11", "2026-11-02")),
    "prefix": st.from_regex(r"[1-9][0-9]{0,14}", fullmatch=True),
}
"""What only looks like any text."""


def of_field(name: str, annotation: str) -> st.SearchStrategy[Any]:
    if name.endswith("_micros"):
        values = st.integers(-(10**17), 10**17)
    else:
        declared = annotation.removesuffix(" | None")
        values = FORMED[name] if declared == "str" and name in FORMED else VALUES[declared]
    return st.none() | values if annotation.endswith(" | None") else values


def news(kind: Any) -> st.SearchStrategy[NotificationBody]:
    values = {name: of_field(name, declared) for name, declared in declared_types(kind).items()}
    if kind in REASONS:
        values["reason"] = st.sampled_from(REASONS[kind])
    return st.builds(kind, **values)


ANY = st.one_of([news(kind) for kind in get_args(NotificationBody)]).map(
    lambda one: notification(one, organization_id=GUID, at=ANSWERED, cause="c")
)
LOW = LowBalance(threshold_micros=5_000_000, balance_micros=1, currency="USD")
LOW_BALANCE = notification(LOW, organization_id=GUID, at=ANSWERED, cause="c")


@given(decided=ANY, at=VALUES["datetime"])
def test_the_outbox_has_all_that_was_decided(decided: Notification, at: datetime) -> None:
    decided = decided._replace(at=at)
    assert notification_of(facts_of(decided, "e-1")) == decided


@given(decided=ANY, organization_id=NAMES, name=st.none() | NAMES)
@example(decided=LOW_BALANCE, organization_id=GUID, name="Vereinigte " * 20)
@example(decided=LOW_BALANCE, organization_id=GUID, name="\u682a\u5f0f\u4f1a\u793e")
@example(decided=LOW_BALANCE, organization_id="\u682a", name="\n\t")
def test_of_a_subject_the_name_is_cut_and_never_what_happened(
    decided: Notification, organization_id: str, name: str | None
) -> None:
    """SNS takes fewer than 100 characters, of ASCII, no control characters and no space first."""
    _, _, what = text_of(decided._replace(organization_id="x")).subject.partition(": ")
    subject = text_of(decided._replace(organization_id=organization_id), name).subject
    assert subject.endswith(f": {what}")
    assert len(subject) < 100
    assert subject.isascii()
    assert subject.isprintable()
    assert not subject.startswith(" ")


@given(decided=ANY, organization_id=NAMES, name=st.none() | NAMES)
@example(decided=LOW_BALANCE, organization_id="\n", name="\r\nBuy credit at evil.example.\u2028")
def test_no_name_begins_a_line_of_a_text(
    decided: Notification, organization_id: str, name: str | None
) -> None:
    text = text_of(decided._replace(organization_id=organization_id), name).body
    assert len(text.split("\n")) == 5
    assert all(line.isprintable() for line in text.split("\n"))


def test_a_subject_with_a_real_name_and_a_guid_is_whole() -> None:
    what = "credit is below 5 USD"
    for name, shown in [
        (None, GUID),
        ("M\u00fcnchner R\u00fcck AG", "Munchner Ruck AG"),
        ("\u682a\u5f0f\u4f1a\u793e", GUID),
        ("n" * 90, "n" * 73 + "..."),
    ]:
        assert text_of(LOW_BALANCE, name).subject == f"{shown}: {what}"
