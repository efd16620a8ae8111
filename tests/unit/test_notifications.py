"""What goes out: documents for programs, sentences for people, and how they are published."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from builders import ANSWERED, ORGANIZATION, announced, fact, processed_event

from perminute.adapters.dynamodb.streams import read_outbox
from perminute.adapters.memory import (
    AnnouncedNotifications,
    InMemoryDigests,
    InMemoryStore,
    StoredRejections,
)
from perminute.adapters.notification_documents import document_of, facts_of, notification_of
from perminute.adapters.sns_topic import SNSTopic
from perminute.adapters.statement_bucket import LINK_LASTS
from perminute.application.publish_notifications import Published, PublishNotifications
from perminute.domain.comparison.difference_kinds import DifferenceKind
from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.recharge import Disabled
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.forecast.figures import Band, Confidence, RunsOut
from perminute.domain.licensing.licensing import LicensingChange, NotEntitled
from perminute.domain.limits.spending import LimitName
from perminute.domain.notifications.notification_rules import crossings
from perminute.domain.notifications.notifications import (
    BalanceExhausted,
    CallFlagged,
    CallNotEntitled,
    CallNotRated,
    CreditExpired,
    CreditExpiring,
    DifferingCalls,
    FraudSuspected,
    LowBalance,
    MinutePoolThreshold,
    MonthCostForecast,
    Notification,
    NotificationBody,
    RechargeDisabled,
    RechargeFailed,
    RechargeRequested,
    RechargeSucceeded,
    RecordsDiffer,
    RunOutForecast,
    SpendLimitReached,
    StatementReady,
    notification,
)
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import POLICY_FLAGS, Flag
from perminute.formats.console_pages import SECTIONS
from perminute.formats.notification_texts import Sender, text_of
from perminute.ports.messaging import Announcement, Rejection

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.notifications.digests import CallGroup, CallToNotify

USD: Any = {"currency": "USD", "balance_micros": 12_500_000}
CALL: Any = {
    "call_id": "call-1",
    "organizer_id": "adele",
    "leg_type": LegType.DIAL_OUT,
    "number": "+49302312****",
    "answered_at": ANSWERED,
    "retail_cost_micros": 150_000,
    "currency": "USD",
}
DIGEST: Any = {
    "call_id": None,
    "organizer_id": "adele",
    "retail_cost_micros": 3_450_000,
    "currency": "USD",
    "calls": 12,
    "call_ids": tuple(f"call-{n}" for n in range(10)),
}
FORECASTS: list[NotificationBody] = [
    *(
        RunOutForecast(runs_out=runs_out, confidence=Confidence.MEDIUM, **USD)
        for runs_out in (
            RunsOut(date(2026, 11, 7), date(2026, 11, 9), date(2026, 11, 14)),
            RunsOut(date(2026, 11, 7), date(2026, 11, 9), None),
        )
    ),
    MonthCostForecast(
        period="2026-11",
        month=Band(182_647_201, 231_445_318, 284_625_602),
        monthly_budget_micros=200_000_000,
        spent_micros=12_500_000,
        currency="USD",
        confidence=Confidence.LOW,
    ),
]
STATEMENTS: list[NotificationBody] = [
    StatementReady(
        month="2026-10",
        charge_micros=38_654_600,
        closing_micros=194_708_100,
        stated_at=datetime(2026, 11, day, tzinfo=UTC),
        currency="USD",
    )
    for day in (4, 2)
]
EVERY_NEWS: list[NotificationBody] = [
    LowBalance(threshold_micros=20_000_000, **USD),
    LowBalance(threshold_micros=20_000_000, currency="USD", balance_micros=-1),
    BalanceExhausted(balance_micros=-1, currency="USD"),
    LowBalance(threshold_micros=20_000_000, recharge_id="r-1", **USD),
    BalanceExhausted(balance_micros=-1, currency="USD", recharge_id="r-1"),
    RechargeRequested(recharge_id="r-1", amount_micros=200_000_000, **USD),
    RechargeRequested(recharge_id="r-1", amount_micros=200_000_000, attempt=3, **USD),
    RechargeSucceeded(recharge_id="r-1", amount_micros=200_000_000, **USD),
    RechargeSucceeded(recharge_id="r-1", amount_micros=200_000_000, after_failure=True, **USD),
    RechargeFailed(recharge_id="r-1", reason="the card has expired.", **USD),
    RechargeFailed(recharge_id="r-1", reason="unknown.", never_requested=True, **USD),
    *(RechargeDisabled(reason=reason, **USD) for reason in Disabled),
    CreditExpiring(
        purchase_id="po-1",
        remaining_micros=7_000_000,
        expires_at=datetime(2027, 10, 30, 12, 2, tzinfo=UTC),
        currency="USD",
    ),
    CreditExpired(
        purchase_id="po-1",
        amount_micros=7_000_000,
        expires_at=ANSWERED,
        late_usage_until=ANSWERED + timedelta(hours=72),
        **USD,
    ),
    *(CallNotEntitled(reason=reason, **some) for reason in NotEntitled for some in (CALL, DIGEST)),
    *(
        CallNotRated(
            reason=reason,
            rate_currency="EUR" if reason is Unpriced.CURRENCY_MISMATCH else None,
            **{**some, "retail_cost_micros": None, "currency": None},
        )
        for reason in Unpriced
        for some in (CALL, DIGEST)
    ),
    *(
        CallFlagged(reason=reason, **some)
        for reason in (*POLICY_FLAGS, Flag.REPORTED_BY_BRIDGE)
        for some in (CALL, DIGEST)
    ),
    MinutePoolThreshold(percent=80, minutes=6_900, used=5_520, month="2026-11"),
    MinutePoolThreshold(percent=100, minutes=6_900, used=6_900, month="2026-11"),
    SpendLimitReached(
        limit=LimitName.DAILY_SPEND,
        period="2026-11-02",
        amount_micros=100_000_000,
        spent_micros=90_500_000,
        reserved_micros=9_000_000,
        currency="USD",
    ),
    SpendLimitReached(
        limit=LimitName.MONTHLY_SPEND,
        period="2026-11",
        user_id="adele",
        amount_micros=100_000_000,
        spent_micros=90_500_000,
        reserved_micros=9_000_000,
        currency="USD",
    ),
    SpendLimitReached(limit=LimitName.CONCURRENT_CALLS, calls=20),
    FraudSuspected(
        prefix="44906",
        since=ANSWERED,
        amount_micros=100_000_000,
        spent_micros=90_500_000,
        reserved_micros=9_000_000,
        currency="USD",
    ),
    *FORECASTS,
    *STATEMENTS,
    *(
        RecordsDiffer(source="graph-pstn", day="2026-11-02", kinds=kinds, currency="USD")
        for kinds in (
            (DifferingCalls(DifferenceKind.ORGANIZER, 1, 0, 0),),
            (
                DifferingCalls(DifferenceKind.ONLY_THERE, 2, -120, -40_000),
                DifferingCalls(DifferenceKind.SECONDS, 1, 60, 0),
            ),
        )
    ),
]
CARRIES = {
    "LowBalance": {"threshold", "balance"},
    "BalanceExhausted": {"balance"},
    "RechargeRequested": {"rechargeId", "amount", "balance", "attempt"},
    "RechargeSucceeded": {"rechargeId", "amount"},
    "RechargeFailed": {"rechargeId", "reason"},
    "RechargeDisabled": {"reason"},
    "CreditExpiring": {"purchaseId", "remaining", "expiresAt"},
    "CreditExpired": {"purchaseId", "amount", "lateUsageUntil"},
    "CallNotEntitled": {"callId", "reason", "organizerId", "retailCost"},
    "CallNotRated": {"callId", "reason", "organizerId", "retailCost"},
    "CallFlagged": {"callId", "reason", "organizerId", "retailCost"},
    "MinutePoolThreshold": {"percent", "minutes", "used", "month"},
    "SpendLimitReached": {"limit"},
    "FraudSuspected": {"prefix", "since", "amount", "spent", "reserved"},
    "RecordsDiffer": {"source", "day", "kinds"},
    "RunOutForecast": {"runsOut", "balance", "confidence"},
    "MonthCostForecast": {"period", "month", "monthlyBudget", "spent", "confidence"},
    "StatementReady": {"month", "charge", "closing", "statedAt"},
}
"""What each carries, by type."""


def decided(news: NotificationBody, cause: str = "cause") -> Notification:
    return notification(news, organization_id="contoso", at=ANSWERED, cause=cause)


def document(news: NotificationBody, cause: str = "cause") -> dict[str, Any]:
    return document_of(announced(decided(news, cause)))


def announcement(identity: str = "n-1", **changed: Any) -> Announcement:
    known = {name: changed.pop(name) for name in ("correlation_id",) if name in changed}
    one = decided(EVERY_NEWS[0])._replace(id=identity, **changed)
    return announced(one, **known)


def test_the_list_above_has_every_kind_of_news() -> None:
    assert {type(news) for news in EVERY_NEWS} == set(get_args(NotificationBody))


def test_a_forecast_is_written_as_the_report_writes_it() -> None:
    in_band, without_end, of_month = map(document, FORECASTS)
    days = {"earliest": "2026-11-07", "expected": "2026-11-09", "latest": "2026-11-14"}
    assert in_band["runsOut"] == days
    assert without_end["runsOut"] == {**days, "latest": None}
    assert of_month["month"] == {
        "low": "182.647201",
        "expected": "231.445318",
        "high": "284.625602",
    }
    assert (of_month["period"], of_month["confidence"]) == ("2026-11", "low")


def test_a_forecast_says_how_sure_it_is() -> None:
    in_band, without_end, of_month = (document(news)["text"] for news in FORECASTS)
    when = "is expected to run out on 2026-11-09, in "
    assert f"{when}8 of 10 cases between 2026-11-07 and 2026-11-14. The balance is" in in_band
    assert f"{when}9 of 10 cases not before 2026-11-07. The balance is" in without_end
    cents = "are expected to cost 231.45 USD in 2026-11 (UTC), in 8 of 10 cases between 182.65 USD"
    assert cents in of_month


def test_who_is_recharged_earlier_may_run_out_later() -> None:
    runs_out = RunsOut(None, date(2026, 11, 9), date(2026, 11, 7))
    text = document(RunOutForecast(runs_out=runs_out, confidence=Confidence.LOW, **USD))["text"]
    assert "on 2026-11-09, in 9 of 10 cases not before 2026-11-07." in text


def test_a_document_is_its_facts_the_name_of_the_organization_and_a_text_for_people() -> None:
    news = CreditExpiring(
        purchase_id="po-1",
        remaining_micros=7_250_000,
        expires_at=datetime(2027, 10, 30, 12, 2, tzinfo=UTC),
        currency="USD",
    )
    one = announced(decided(news), organization_name="Contoso")
    sender = Sender("perminute-prod", "https://docs.example/perminute/", "https://console.example/")
    assert document_of(one, sender) == {
        "id": one.id,
        "type": "CreditExpiring",
        "organizationId": "contoso",
        "organizationName": "Contoso",
        "at": "2026-11-02T09:00:00Z",
        "purchaseId": "po-1",
        "remaining": "7.25",
        "expiresAt": "2027-10-30T12:02:00Z",
        "currency": "USD",
        "subject": "Contoso: 7.25 USD of credit expires on 2027-10-30",
        "text": "The purchase po-1 of Contoso (contoso) has 7.25 USD left, which expires on "
        "2027-10-30 at 12:02 UTC.\n"
        "Credit that is not used by then is forfeited. The oldest credit is always used first.\n"
        "If so much is often left, buy less at a time.\n"
        "To see the figures, open the section overview of the console: "
        "https://console.example/#overview&organization=contoso\n"
        "Sent by perminute, stack perminute-prod. More about this: "
        "https://docs.example/perminute/docs/notifications.md#creditexpiring",
    }


def test_a_limit_of_one_call_is_reached_by_one_call() -> None:
    text = document(SpendLimitReached(limit=LimitName.CONCURRENT_CALLS, calls=1))["text"]
    assert "had 1 call in progress, as many as the limit allows." in text


def test_the_text_of_a_statement_leads_to_where_a_link_is_made_and_says_if_it_may_change() -> None:
    sender = Sender(console_url="https://console.example/")
    early, final = (document_of(announced(decided(news)), sender) for news in STATEMENTS)
    assert early["subject"] == "contoso: the statement of 2026-10 is ready"
    written, may_change, what_to_do, where, _ = early["text"].splitlines()
    assert written == (
        "The statement of contoso for 2026-10 (UTC) was written on 2026-11-02 at 09:00 UTC: the "
        "calls that ended in that month cost 38.6546 USD, and the balance after it is "
        "194.7081 USD."
    )
    assert may_change.startswith(
        "Calls that are reported late may change it until 2026-11-04 at 00:00 UTC. "
    )
    assert f"works for {LINK_LASTS // timedelta(minutes=1)} minutes" in what_to_do
    assert where.endswith(
        "the section statement of the console: "
        "https://console.example/#statement&month=2026-10&organization=contoso"
    )
    assert "Calls that are reported from now on do not change it." in final["text"].splitlines()


def test_differing_records_are_counted_and_added_up_by_kind() -> None:
    shown = document(EVERY_NEWS[-1])
    assert shown["kinds"] == {
        "onlyThere": {"calls": 2, "seconds": -120, "cost": "-0.04"},
        "seconds": {"calls": 1, "seconds": 60, "cost": "0"},
    }
    assert shown["subject"] == "contoso: calls of 2026-11-02 differ from the operator's records"
    assert shown["text"].splitlines()[:2] == [
        "Between the records of graph-pstn about calls that ended on 2026-11-02 (UTC) and the "
        "calls of contoso we found 3 differences: 2 known to the operator only; 1 with another "
        "duration.",
        "In all of these together, perminute has 60 seconds fewer and 0.04 USD less. Nothing was "
        "corrected.",
    ]
    equal = document(EVERY_NEWS[-2])["text"]
    assert "we found 1 difference: 1 with another organizer." in equal
    assert "In all of these together, seconds and costs are equal." in equal


def test_of_a_call_and_of_a_digest_programs_find_null_what_is_not_known() -> None:
    withheld = {**CALL, "number": None, "retail_cost_micros": None, "currency": None}
    single = facts_of(decided(CallFlagged(reason=Flag.TOLL_FREE_NOT_ALLOWED, **withheld)))
    digest = facts_of(decided(CallFlagged(reason=Flag.TOLL_FREE_NOT_ALLOWED, **DIGEST)))
    common = {"type": "CallFlagged", "organizationId": "contoso", "at": "2026-11-02T09:00:00Z"}
    assert single == {
        "id": single["id"],
        **common,
        "callId": "call-1",
        "organizerId": "adele",
        "legType": "dialOut",
        "number": None,
        "answeredAt": "2026-11-02T09:00:00Z",
        "retailCost": None,
        "reason": "tollFreeNotAllowed",
    }
    assert digest == {
        "id": digest["id"],
        **common,
        "callId": None,
        "organizerId": "adele",
        "retailCost": "3.45",
        "currency": "USD",
        "calls": 12,
        "callIds": list(DIGEST["call_ids"]),
        "reason": "tollFreeNotAllowed",
    }


def test_a_digest_that_names_all_of_its_calls_does_not_speak_of_the_first() -> None:
    some = CallNotEntitled(reason=NotEntitled.NO_LICENSE, **DIGEST)
    ids = ", ".join(DIGEST["call_ids"])
    assert f" The first of these calls: {ids}." in document(some)["text"]
    assert f" These calls: {ids}." in document(some._replace(calls=len(DIGEST["call_ids"])))["text"]


SENTENCES = re.compile(r"[A-Z][^.\n]*(?:\.[0-9a-z][^.\n]*)*\.(?:[ \n]|$)")


@pytest.mark.parametrize("news", EVERY_NEWS, ids=lambda news: type(news).__name__)
def test_every_kind_carries_what_the_contract_says_and_is_readable(news: NotificationBody) -> None:
    shown = document_of(announced(decided(news), organization_name="Contoso"))
    assert shown.keys() >= {"id", "type", "organizationId", "at", *CARRIES[shown["type"]]}
    json.dumps(shown)
    text, _, page = shown["text"].partition(" More about this: ")
    assert page == f"docs/notifications.md#{shown['type'].lower()}"
    assert text.endswith("Sent by perminute.")
    sentences = SENTENCES.findall(text)
    assert len(sentences) in range(5, 10)
    assert "".join(sentences) == text
    lines = text.splitlines()
    assert len(lines) == 5, "what happened, what it means, what to do, where to look, who says so"
    assert all(line == line.strip() for line in lines)
    assert text.count("Contoso (contoso)") == 1, "the id once"
    assert re.search(r" 20[0-9]{2}-", text), "when"
    for micros, words in [(12_500_000, "12.50 USD"), (7_000_000, "7 USD")]:
        if micros in (getattr(news, name) for name in news._fields if name != "balance_micros"):
            assert words in shown["text"]


def test_who_is_told_of_a_low_balance_is_told_of_a_requested_recharge() -> None:
    low = LowBalance(threshold_micros=20_000_000, **USD)
    requested = (
        "A recharge is already requested under the id r-1: check first whether your billing system "
        "pays it. "
    )
    to_do = document(low)["text"].splitlines()[2]
    with_recharge = document(low._replace(recharge_id="r-1"))
    assert with_recharge["text"].splitlines()[2] == requested + to_do
    assert with_recharge["rechargeId"] == "r-1"
    assert "rechargeId" not in document(low)
    gone = BalanceExhausted(balance_micros=0, currency="USD", recharge_id="r-1")
    assert document(gone)["text"].splitlines()[2].startswith(f"{requested}Buy credit now")


def test_what_is_told_of_a_recharge_is_true() -> None:
    """Perminute buys nothing; a late outcome says what was said before; saving again is no way."""
    texts = [document(news)["text"] for news in EVERY_NEWS if "Recharge" in type(news).__name__]
    first, again, paid, late, failed, strange, failures, _, daily = texts
    assert "We have asked your billing system to buy 200 USD under the id r-1" in first
    assert "under the same id r-1, attempt 3" in again
    assert [text for text in texts if "has been paid after all" in text] == [late]
    assert [text for text in texts if "was never requested" in text] == [strange]
    assert "succeeded" in paid
    assert "After 3 failures in a row auto-recharge is switched off" in failed
    assert "Saving the same settings again does not" in failures
    assert "10 recharges on that day" in daily


@pytest.mark.parametrize(
    ("percent", "minutes", "used", "shown"),
    [
        (80, 60, 48, "80%"),
        (80, 60, 55, "91%"),
        (80, 6_900, 6_899, "99%"),
        (100, 60, 60, "100%"),
        (100, 0, 0, "100%"),
    ],
)
def test_a_subject_has_the_percentage_of_the_pool_that_is_used(
    percent: int, minutes: int, used: int, shown: str
) -> None:
    news = MinutePoolThreshold(percent=percent, minutes=minutes, used=used, month="2026-11")
    expected = f"contoso: {shown} of the dial-out minutes of 2026-11 are used"
    assert document(news)["subject"] == expected


@pytest.mark.parametrize(
    ("news", "kind"),
    [
        (CallNotEntitled(reason=NotEntitled.NO_LICENSE, **DIGEST), "were not covered by a license"),
        (CallNotRated(reason=Unpriced.NO_RATE, **DIGEST), "could not be priced"),
        (CallNotRated(reason=Unpriced.BLOCKED_NUMBER, **DIGEST), "to blocked numbers took place"),
        (CallFlagged(reason=Flag.DIAL_OUT_NOT_ALLOWED, **DIGEST), "were not allowed by policy"),
        (
            CallFlagged(reason=Flag.REPORTED_BY_BRIDGE, **DIGEST),
            "were charged without a Call Ended event",
        ),
    ],
)
def test_a_digest_names_the_kind_of_its_calls(news: NotificationBody, kind: str) -> None:
    shown = document(news)
    assert shown["subject"] == f"contoso: 12 more calls {kind}"
    assert shown["text"].startswith(
        f"On 2026-11-02 (UTC), 12 more calls {kind}, in meetings of adele at contoso, after"
    )


def test_a_call_that_was_not_charged_would_have_cost_its_price() -> None:
    unpaid = document(CallNotEntitled(reason=NotEntitled.NO_LICENSE, **CALL))["text"]
    paid = document(CallFlagged(reason=Flag.DIAL_OUT_NOT_ALLOWED, **CALL))["text"]
    assert "It would have cost 0.15 USD by the rate card." in unpaid
    assert "Its price by the rate card is 0.15 USD." in paid


@pytest.mark.parametrize(
    "riddle",
    [
        "is being bought",
        "is bought until",
        "no longer covered",
        "are to be made",
        "Nothing is to be done",
        "Mend",
        "would pass that",
        "stands at",
        "as may be",
        "of this kind",
        "cost something",
        "organizers can no longer join",
    ],
)
def test_no_text_promises_what_others_do_or_speaks_in_riddles(riddle: str) -> None:
    texts = [document(news) for news in EVERY_NEWS]
    assert [one["text"] for one in texts if riddle in f"{one['subject']} {one['text']}"] == []


def test_the_page_for_subscribers_says_what_to_do_about_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    _, _, what_to_do = page.partition("\n## What to do\n")
    assert re.findall(r"^### (\w+)$", what_to_do, re.MULTILINE) == [
        kind.__name__ for kind in get_args(NotificationBody)
    ]


def test_the_id_is_the_same_for_every_copy_and_another_for_everything_else() -> None:
    ids = [document(news, cause=f"{n}")["id"] for n, news in enumerate(EVERY_NEWS)]
    assert ids == [document(news, cause=f"{n}")["id"] for n, news in enumerate(EVERY_NEWS)]
    assert len(set(ids)) == len(ids)
    elsewhere = notification(EVERY_NEWS[0], organization_id="fabrikam", at=ANSWERED, cause="0")
    assert elsewhere.id not in ids


def test_the_page_for_subscribers_says_which_section_of_the_console_shows_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    sections: defaultdict[str, set[str]] = defaultdict(set)
    for kind in get_args(NotificationBody):
        section = SECTIONS[kind]
        sections[section.fragment].add(kind.__name__)
    rows = re.findall(r"^\| `#(\w+)` \|[^|]*\| (.*) \|$", page, re.MULTILINE)
    assert {fragment: set(re.findall("`([A-Z]\\w+)`", kinds)) for fragment, kinds in rows} == {
        **sections,
        "call": set(),
    }


@pytest.mark.parametrize(
    ("news", "fragment"),
    [
        (CallNotEntitled(reason=NotEntitled.NO_LICENSE, **CALL), "#call=call-1&"),
        (CallNotEntitled(reason=NotEntitled.NO_LICENSE, **DIGEST), "#calls&"),
        (
            CallFlagged(
                reason=Flag.DIAL_OUT_NOT_ALLOWED, **{**CALL, "call_id": "a/b&c#d e\n\u202e%"}
            ),
            "#call=a%2Fb%26c%23d%20e%0A%E2%80%AE%25&",
        ),
        (BalanceExhausted(balance_micros=0, currency="USD"), "#overview&"),
    ],
)
def test_an_e_mail_links_to_the_figures_that_it_is_about(
    news: NotificationBody, fragment: str
) -> None:
    sender = Sender(console_url="https://console.example/")
    one = decided(news)._replace(organization_id="con toso&month=2020-01")
    line = text_of(one, "Contoso", sender).body.splitlines()[3]
    organization = "organization=con%20toso%26month%3D2020-01"
    assert line.endswith(f" https://console.example/{fragment}{organization}")


def test_the_page_for_subscribers_names_every_kind_and_all_that_it_carries() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", page, re.MULTILINE)
    common = {"id", "type", "organizationId", "at", "currency", "subject", "text"}
    carried: defaultdict[str, set[str]] = defaultdict(set)
    for shown in map(document, EVERY_NEWS):
        carried[shown["type"]] |= set(shown) - common
    assert {kind: set(re.findall(r"`(\w+)`", carries)) for kind, carries in rows} == carried
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    low = LowBalance(threshold_micros=20_000_000, **USD)
    known = {"organization_name": "Contoso", "correlation_id": "e-1"}
    shown = document_of(announced(decided(low), **known))
    assert set(json.loads(example)) == set(shown)
    assert json.loads(example)["subject"] == shown["subject"]


# Crossings


def entries(before_micros: int, *amounts_micros: int) -> list[LedgerEntry]:
    """The entries of one booking, an hour apart."""
    balances = list(accumulate(amounts_micros, initial=before_micros))[1:]
    return [
        LedgerEntry(
            organization_id="contoso",
            entry_id=entry_id(number),
            type=EntryType.ADJUSTMENT,
            amount_micros=amount_micros,
            balance_after_micros=balance_micros,
            at=ANSWERED + timedelta(hours=number),
        )
        for number, (amount_micros, balance_micros) in enumerate(
            zip(amounts_micros, balances, strict=True)
        )
    ]


def crossed(
    before_micros: int, *amounts_micros: int, notified_micros: int | None = None
) -> list[tuple[int, int, int]]:
    """Which thresholds of 10 and 5 are passed: the threshold, the balance stated, after hours."""
    above_micros = before_micros if notified_micros is None else notified_micros
    made = crossings(entries(before_micros, *amounts_micros), above_micros, (5, 10), "USD")
    return [
        (
            one.body.threshold_micros if isinstance(one.body, LowBalance) else 0,
            one.body.balance_micros,
            (one.at - ANSWERED) // timedelta(hours=1),
        )
        for one in made
        if isinstance(one.body, LowBalance | BalanceExhausted)
    ]


@pytest.mark.parametrize(
    ("amounts_micros", "passed"),
    [
        pytest.param((-12,), [(10, 0, 0), (5, 0, 0), (0, 0, 0)], id="all that one entry passes"),
        pytest.param((-12, 12), [], id="taken back at once"),
        pytest.param((-12, 7), [(10, 0, 0)], id="taken back in part"),
        pytest.param((-3, -1, -1), [(10, 9, 0)], id="by the first, and the others only add to it"),
        pytest.param((-4, -4), [(10, 8, 0), (5, 4, 1)], id="one after the other"),
        pytest.param((-4, 4, -4), [(10, 8, 2)], id="passed for good by the last"),
        pytest.param((-13, 1), [(10, -1, 0), (5, -1, 0), (0, -1, 0)], id="back to zero is not up"),
        pytest.param((2, -2), [], id="up and down again"),
        pytest.param((), [], id="nothing"),
    ],
)
def test_a_threshold_is_passed_by_all_entries_of_a_booking_together(
    amounts_micros: tuple[int, ...], passed: list[tuple[int, int, int]]
) -> None:
    assert crossed(12, *amounts_micros) == passed


def test_a_fall_that_began_before_the_booking_is_that_of_its_last_entry() -> None:
    assert crossed(8, -1, -1, notified_micros=12) == [(10, 6, 1)]


# The outbox


def record(
    *stored: dict[str, Any], number: str = "1", caused_by: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "eventID": f"event-{number}",
        "eventName": "INSERT",
        "dynamodb": {
            "SequenceNumber": number,
            "ApproximateCreationDateTime": ANSWERED.timestamp(),
            "Keys": {"organizationId": {"S": "contoso"}, "record": {"S": "outbox#1"}},
            "NewImage": {
                "organizationId": {"S": "contoso"},
                "record": {"S": "outbox#1"},
                "notifications": {"S": json.dumps(stored)},
                **({"correlationIds": {"S": json.dumps(caused_by)}} if caused_by else {}),
                "touchedBy": {"S": "an operator who wants it published again"},
            },
        },
    }


def test_a_record_of_the_stream_is_read_as_what_is_to_be_published() -> None:
    one = decided(EVERY_NEWS[0])
    assert read_outbox(record(facts_of(one))) == [announced(one)]
    traced = record(facts_of(one, "e-2"), caused_by=("e-1", "e-2"))
    assert read_outbox(traced) == [
        announced(one, correlation_id="e-2", caused_by=("e-1", "e-2")),
    ]


@pytest.mark.parametrize("news", EVERY_NEWS, ids=lambda news: type(news).__name__)
def test_every_kind_is_read_from_the_outbox_as_it_was_decided(news: NotificationBody) -> None:
    stored = json.loads(json.dumps(facts_of(decided(news))))
    assert notification_of(stored) == decided(news)
    assert not {"subject", "text", "organizationName"} & stored.keys()


FACTS = facts_of(decided(EVERY_NEWS[0]))
FLAGGED = facts_of(decided(CallFlagged(reason=Flag.REPORTED_BY_BRIDGE, **CALL)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"type": "Unheard"}, "type: cannot be read in the stored notification: is not a kind"),
        ({"threshold": "1,5"}, "threshold: cannot be read in the stored notification: must be a"),
        ({"at": "yesterday"}, "at: cannot be read in the stored notification: must be an RFC"),
        ({"organizationId": None}, "organizationId: cannot be read in the stored notification"),
        ({"currency": ["USD"]}, "currency: cannot be read in the stored notification: must be a"),
    ],
)
def test_a_stored_notification_that_somebody_damaged_is_refused_by_name(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(Refused, match=f"^{message}"):
        notification_of({**FACTS, **changed})


@pytest.mark.parametrize("name", ["id", "type", "organizationId", "at", "threshold", "balance"])
def test_a_stored_notification_without_what_it_needs_is_refused_by_name(name: str) -> None:
    without = {field: value for field, value in FACTS.items() if field != name}
    with pytest.raises(Refused, match=f"^{name}: is missing in the stored notification"):
        notification_of(without)


@pytest.mark.parametrize("flag", [Flag.OVERDRAWN, Flag.RERATED, Flag.PREFIX_UNCERTAIN])
def test_a_stored_flag_that_has_no_text_is_refused_when_it_is_read(flag: Flag) -> None:
    with pytest.raises(Refused, match=r"^reason: cannot be read in the stored notification: "):
        notification_of({**FLAGGED, "reason": flag.value})


def publisher(
    topic: AnnouncedNotifications | SNSTopic, kept: StoredRejections | None = None
) -> PublishNotifications:
    return PublishNotifications(
        topic, InMemoryStore(), kept or StoredRejections(), InMemoryDigests(InMemoryStore())
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"eventID": "event-1"},
        {"eventID": "event-1", "dynamodb": {"NewImage": {"notifications": {"S": "not JSON"}}}},
        record({"id": "n-1"}),
        record({**FLAGGED, "reason": "overdrawn"}),
        record(["not", "this"]),  # type: ignore[arg-type]
    ],
)
def test_a_record_that_cannot_be_read_is_kept_with_the_reason(broken: dict[str, Any]) -> None:
    kept = StoredRejections()
    published = publisher(AnnouncedNotifications(), kept)([read_outbox(broken), [announcement()]])
    assert (published.announced, published.failed_at) == (1, None)
    (rejection,) = kept.stored
    assert rejection.event_id == "event-1"
    assert rejection.reason.startswith("the outbox record cannot be read: ")
    assert json.loads(rejection.body)["eventID"] == "event-1"


def test_a_notification_that_the_topic_will_never_take_is_kept_and_its_neighbors_go_out() -> None:
    topic, kept = (
        AnnouncedNotifications(refusing={"n-2": "InvalidParameter: no"}),
        StoredRejections(),
    )
    batch = [[announcement("n-1"), announcement("n-2")], [announcement("n-3")]]
    assert publisher(topic, kept)(batch) == Published(
        announced=2,
        refused=kept.stored,
        named=[
            {"notificationIds": ["n-1"], "correlationIds": [], "callIds": []},
            {"notificationIds": ["n-3"], "correlationIds": [], "callIds": []},
        ],
    )
    assert [one.id for one in topic.announced] == ["n-1", "n-3"]
    document = json.dumps(document_of(batch[0][1]))
    assert kept.stored == [Rejection("n-2", "InvalidParameter: no", document)]


# Names


@dataclass
class Counting(InMemoryStore):
    """Counts how often it is asked for licenses and names."""

    asked: list[str] = field(default_factory=list)

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        self.asked.append(organization_id)
        return super().licensing(organization_id, user_ids)


def named(*names: tuple[str, datetime]) -> Counting:
    store = Counting()
    for number, (name, since) in enumerate(names):
        change = LicensingChange(ORGANIZATION, None, (fact("name", name, since, f"e-{number}"),))
        store.record(ORGANIZATION, [(change, processed_event(f"e-{number}"))])
    return store


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("written_at", "name"),
    [
        pytest.param(ANSWERED - HOUR, "Contoso", id="a clock of ours that is late"),
        pytest.param(ANSWERED + HOUR, "Contoso", id="before it is renamed"),
        pytest.param(ANSWERED + 2 * HOUR, "Contoso Ltd", id="published late"),
    ],
)
def test_a_notification_names_its_organization_as_it_is_called_when_it_is_published(
    written_at: datetime, name: str
) -> None:
    store = named(("Contoso", ANSWERED), ("Contoso Ltd", ANSWERED + 2 * HOUR))
    topic = AnnouncedNotifications()
    batch = [[replace(announcement(f"n-{n}"), written_at=written_at)] for n in range(3)]
    PublishNotifications(topic, store, StoredRejections(), InMemoryDigests(store))(batch)
    assert {one.organization_name for one in topic.announced} == {name}
    assert document_of(topic.announced[0])["organizationName"] == name
    assert store.asked == [ORGANIZATION], "read once for a batch"


def test_of_an_organization_without_a_name_the_id_is_shown() -> None:
    for store in (named(), named((" ", ANSWERED)), named(("Later", ANSWERED + HOUR))):
        topic = AnnouncedNotifications()
        PublishNotifications(topic, store, StoredRejections(), InMemoryDigests(store))(
            [[announcement()]]
        )
        shown = document_of(topic.announced[0])
        assert "organizationName" not in shown
        assert "contoso" in shown["subject"]


def test_a_name_that_cannot_be_read_now_stops_the_batch() -> None:
    class Silent(InMemoryStore):
        def licensing(self, organization_id: str, _: object) -> Licensing:
            msg = f"no answer about {organization_id}"
            raise Unavailable(msg)

    topic = AnnouncedNotifications()
    digests = InMemoryDigests(InMemoryStore())
    publish = PublishNotifications(topic, Silent(), StoredRejections(), digests)
    published = publish([[announcement()]])
    assert (published.failed_at, published.why) == (0, "no answer about contoso")
    assert topic.announced == []


@dataclass
class Failing(AnnouncedNotifications):
    """A topic that is out of reach for one notification."""

    out_of_reach: str = "n-2"

    def publish(self, announcements: Any) -> Any:
        if self.out_of_reach in {one.id for one in announcements}:
            raise Unavailable("no answer")
        return super().publish(announcements)


def test_what_cannot_be_published_now_stops_the_batch_so_that_nothing_after_it_is_repeated() -> (
    None
):
    topic = Failing()
    batch = [[announcement(f"n-{n}")] for n in (1, 2, 3)]
    published = publisher(topic)(batch)
    named = [{"notificationIds": ["n-1"], "correlationIds": [], "callIds": []}]
    assert published == Published(announced=1, failed_at=1, why="no answer", named=named)
    assert [one.id for one in topic.announced] == ["n-1"]


@dataclass
class Claims(InMemoryDigests):
    """What was claimed, request by request."""

    asked: list[list[str | None]] = field(default_factory=list)
    busy: bool = False

    def claim(
        self, organization_id: str, calls: Mapping[CallGroup, CallToNotify]
    ) -> Mapping[CallGroup, str]:
        if self.busy:
            raise Unavailable("busy")
        self.asked.append([one.notification.call_id for one in calls.values()])
        return super().claim(organization_id, calls)


def to_count(name: str, organizer: str = "adele") -> Announcement:
    news = CallFlagged(
        reason=Flag.REPORTED_BY_BRIDGE, **CALL | {"call_id": name, "organizer_id": organizer}
    )
    return announced(decided(news)._replace(id=name, counted_on=ANSWERED.date()))


def test_of_calls_that_are_counted_the_first_of_each_organizer_is_claimed_and_none_published() -> (
    None
):
    topic, store = AnnouncedNotifications(), InMemoryStore()
    claims = Claims(store)
    publish = PublishNotifications(topic, store, StoredRejections(), claims)
    calls = [to_count("a"), to_count("b"), to_count("c", "alex")]
    published = publish([calls, [announcement("n-1")], [to_count("d"), to_count("e", "lynne")]])
    assert claims.asked == [["a", "c"], ["e"]]
    assert [one.id for one in topic.announced] == ["n-1"]
    assert published.announced == 1
    first = [one.notification._replace(counted_on=None) for one in (calls[0], calls[2])]
    assert store.outbox[:2] == first
    publish([calls])
    assert [one.id for one in store.outbox] == ["a", "c", "e"]


def test_a_first_call_that_cannot_be_claimed_now_stops_the_batch() -> None:
    topic, store = AnnouncedNotifications(), InMemoryStore()
    publish = PublishNotifications(topic, store, StoredRejections(), Claims(store, busy=True))
    published = publish([[announcement("n-1")], [to_count("a")], [announcement("n-2")]])
    assert (published.failed_at, published.why) == (1, "busy")
    assert [one.id for one in topic.announced] == ["n-1"]


# SNS


@dataclass
class Client:
    """Answers as SNS does, with these failures by position; keeps what it was asked."""

    failed: dict[int, tuple[str, bool]] = field(default_factory=dict)
    asked: list[list[dict[str, Any]]] = field(default_factory=list)

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        assert request["TopicArn"] == "arn:topic"
        entries = request["PublishBatchRequestEntries"]
        self.asked.append(entries)
        return {
            "Successful": [],
            "Failed": [
                {"Id": entries[n]["Id"], "Code": code, "SenderFault": ours}
                for n, (code, ours) in self.failed.items()
            ],
        }


def test_people_get_sentences_programs_the_document_and_both_can_filter() -> None:
    client = Client()
    one = announcement(correlation_id="e-1")
    assert SNSTopic(lambda: client, "arn:topic").publish([one]) == []
    shown = document_of(one)
    ((entry,),) = client.asked
    assert entry == {
        "Id": "0",
        "Subject": "contoso: credit is below 20 USD",
        "Message": json.dumps({"default": json.dumps(shown), "email": shown["text"]}),
        "MessageStructure": "json",
        "MessageAttributes": {
            "type": {"DataType": "String", "StringValue": "LowBalance"},
            "organizationId": {"DataType": "String", "StringValue": "contoso"},
            "correlationId": {"DataType": "String", "StringValue": "e-1"},
        },
    }


def test_sns_takes_ten_at_once() -> None:
    client = Client()
    topic = SNSTopic(lambda: client, "arn:topic")
    topic.publish([announcement(f"n-{n}") for n in range(23)])
    assert [len(batch) for batch in client.asked] == [10, 10, 3]


def test_a_failure_inside_a_success_is_ours_for_good_or_that_of_sns_for_now() -> None:
    batch = [announcement("n-1"), announcement("n-2")]
    ours = SNSTopic(lambda: Client({1: ("InvalidParameter", True)}), "arn:topic")
    why = "InvalidParameter: no reason given"
    assert ours.publish(batch) == [Rejection("n-2", why, json.dumps(document_of(batch[1])))]
    theirs = SNSTopic(lambda: Client({1: ("InternalError", False)}), "arn:topic")
    with pytest.raises(Unavailable, match="InternalError"):
        theirs.publish(batch)


@dataclass
class Picky(Client):
    """Refuses a whole request if one of its messages is wrong."""

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        entries = request["PublishBatchRequestEntries"]
        if any('"n-2"' in json.loads(entry["Message"])["default"] for entry in entries):
            error: Any = {"Error": {"Code": "InvalidParameter", "Message": "no"}}
            raise ClientError(error, "PublishBatch")
        return super().publish_batch(**request)


def test_a_request_that_sns_refuses_as_a_whole_is_taken_apart() -> None:
    client = Picky()
    batch = [announcement(f"n-{n}") for n in (1, 2, 3)]
    refused = SNSTopic(lambda: client, "arn:topic").publish(batch)
    (rejection,) = refused
    assert rejection.event_id == "n-2"
    assert "InvalidParameter" in rejection.reason
    assert [len(entries) for entries in client.asked] == [1, 1]


def test_no_name_makes_a_subject_or_an_attribute_that_sns_refuses() -> None:
    client = Client()
    odd = announcement(organization_id=" a\x00b")
    SNSTopic(lambda: client, "arn:topic").publish([odd])
    ((entry,),) = client.asked
    assert entry["Subject"] == "a\\x00b: credit is below 20 USD"
    (attribute,) = (entry["MessageAttributes"][name] for name in ("organizationId",))
    assert attribute["StringValue"] == " a\N{REPLACEMENT CHARACTER}b"


def test_a_topic_that_does_not_answer_is_unavailable() -> None:
    class Silent:
        def publish_batch(self, **_: Any) -> dict[str, Any]:
            raise EndpointConnectionError(endpoint_url="sns")

    with pytest.raises(Unavailable, match="could not be published"):
        SNSTopic(Silent, "arn:topic").publish([announcement()])
