"""Reports as tables: what adds up is aligned, and what is not in the figures is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from report_stack import AS_OF

from perminute_local.reports.kinds import REPORTS
from perminute_local.reports.layout import amounts, days_in_words, period
from perminute_local.reports.source import Question
from perminute_local.tables import write_tables

if TYPE_CHECKING:
    from collections.abc import Callable

Shown = list[str]
Show = "Callable[..., Shown]"
NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[..., Shown]:
    def show(report: str, answer: dict[str, Any], **parameters: Any) -> Shown:
        question = Question(report, "contoso", parameters)
        tables = REPORTS[report].tables
        assert tables is not None
        write_tables(tables(question, answer))
        lines = capsys.readouterr().out.splitlines()
        return [line.rstrip() for line in lines if line.strip(" ─")]

    return show


def figures(calls: int, seconds: int, charge: str, retail: str | None) -> dict[str, Any]:
    return {
        "calls": calls,
        "connectedSeconds": seconds,
        "billedSeconds": seconds,
        "poolMinutes": 0,
        "charge": charge,
        "retailCost": retail,
    }


OVERVIEW: dict[str, Any] = {
    "asOf": AS_OF,
    "currency": "USD",
    "balance": "1194.7081",
    "reserved": "0.32",
    "available": "1194.3881",
    "debt": "0",
    "lots": [
        {"purchaseId": "po-1001", "remaining": "43.4581", "expiresAt": "2027-10-30T09:01:00Z"},
        {"purchaseId": "po-1002", "remaining": "1151.25", "expiresAt": "2027-11-02T16:30:00Z"},
    ],
    "autoRecharge": {
        "triggerAmount": "150",
        "rechargeAmount": "1000",
        "monthlyLimit": "2000",
        "requestedThisMonth": "1000",
        "waiting": [
            {
                "rechargeId": "contoso#2",
                "amount": "1000",
                "requestedAt": "2026-11-02T17:59:01Z",
                "attempt": 1,
            }
        ],
        "stoppedBy": "threeFailures",
    },
    "pool": {"month": "2026-11", "minutes": 6_900, "used": 60, "reserved": 3},
    "spentToday": "56.5419",
    "calls": 1,
    "limits": {
        "dailySpendLimit": "100",
        "prefixHourlySpendLimit": None,
        "maxConcurrentCalls": 2,
        "monthlyBudget": "900",
    },
    "pending": {"reratings": 2, "unsettledFrom": "2026-11-02T17:20:01Z"},
}
NO_CREDIT = {
    **OVERVIEW,
    "currency": None,
    **dict.fromkeys(("balance", "reserved", "available", "spentToday"), "0"),
    "lots": [],
    "autoRecharge": None,
    "pool": {"month": "2026-11", "minutes": 0, "used": 0, "reserved": 0},
    "limits": dict.fromkeys(OVERVIEW["limits"]),
    "pending": {"reratings": 0, "unsettledFrom": None},
}


def test_the_balance_has_its_lots_and_what_may_change_it(shown: Callable[..., Shown]) -> None:
    assert shown("overview", OVERVIEW) == [
        "contoso: balance",
        "  credit                                        USD",
        "  balance                                1,194.7081",
        "  reserved by calls under way                0.3200",
        "  available                              1,194.3881",
        "  debt, which the next purchase pays         0.0000",
        "  cost of calls that began today (UTC)      56.5419",
        "contoso: lots of credit, in the order in which they pay",
        "  lot       expires (UTC)               left",
        "  po-1001   2027-10-30 09:01:00      43.4581",
        "  po-1002   2027-11-02 16:30:00   1,151.2500",
        "Minute pool of 2026-11: 60 of 6,900 minutes used, 3 reserved.",
        "Auto-recharge: 1,000.00 below 150.00; 1,000.00 requested this month, of 2,000.00 at most.",
        "Requested, not answered yet: 1,000.00 since 2026-11-02 17:59:01 UTC (contoso#2).",
        "Nothing is requested at present: threeFailures.",
        "Limits: 100.00 a day, 2 calls at once, a budget of 900.00 a month, which refuses nothing.",
        "Changes of licenses by which calls are being rated again: 2.",
        "The pool minutes of calls that ended since 2026-11-02 17:20:01 UTC may still change.",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
    ]


def test_an_organization_without_credit_has_a_balance_of_nothing(
    shown: Callable[..., Shown],
) -> None:
    assert shown("overview", NO_CREDIT) == [
        "contoso: balance",
        "  credit                                 no currency yet",
        "  balance                                           0.00",
        "  reserved by calls under way                       0.00",
        "  available                                         0.00",
        "  debt, which the next purchase pays                0.00",
        "  cost of calls that began today (UTC)              0.00",
        "Limits: none.",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
    ]


def test_of_an_organization_of_which_nothing_is_recorded_the_id_is_questioned(
    shown: Callable[..., Shown],
) -> None:
    nothing = {**NO_CREDIT, "asOf": {**AS_OF, "version": 0}}
    assert shown("overview", nothing)[-1] == (
        "As of 2026-11-02 18:00:00 UTC (version 0); nothing is recorded of this organization: "
        "check its id."
    )


def test_an_explanation_is_its_sentences(shown: Callable[..., Shown]) -> None:
    answer = {
        "asOf": AS_OF,
        "callId": "c-1",
        "sentences": ["Somebody [b]dialled[/b] in.", "Charged: \u202e6 USD."],
        "agrees": True,
    }
    assert shown("explanation", answer, callId="c-1") == [
        "contoso: call c-1",
        "- Somebody [b]dialled[/b] in.",
        "- Charged: \\u202e6 USD.",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
    ]


def test_usage_is_a_line_for_each_group_and_a_total(shown: Callable[..., Shown]) -> None:
    answer = {
        "asOf": AS_OF,
        "currency": "USD",
        "groupBy": ["organizerId", "legType"],
        "rows": [
            {"organizerId": "adele", "legType": "dialOut", **figures(1200, 72_030, "1234.5", "2")},
            {"organizerId": "\x1b[1m", "legType": "tollDialIn", **figures(1, 0, "0", None)},
        ],
        "total": {
            **figures(1201, 72_030, "1234.5", "1500.0625"),
            "otherRetailCosts": {"EUR": "1234.5"},
        },
        "mayChange": ["2026-11-01", "2026-11-02", "2026-11-04"],
        "omits": ["free"],
    }
    assert shown("usage", answer, **NOVEMBER) == [
        "contoso: usage of 2026-11-01 to 2026-11-30",
        "  organizer   call           calls   billed min:s   pool min   charged USD   retail USD",
        "  adele       dial-out       1,200       1,200:30          0      1,234.50       2.0000",
        "  \\x1b[1m     toll dial-in       1           0:00          0          0.00            -",
        "  total                      1,201       1,200:30          0      1,234.50   1,500.0625",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
        "Left out: free calls (by app, not answered, in ad-hoc meetings).",
        "Not added up: retail 1,234.50 EUR.",
        "May still change: 2026-11-01 to 2026-11-02, 2026-11-04.",
    ]


def test_calls_are_lines_with_what_became_of_them(shown: Callable[..., Shown]) -> None:
    charged = {
        "callId": "contoso-0132",
        "answeredAt": "2026-11-02T12:49:57Z",
        "endedAt": "2026-11-02T13:44:52Z",
        "organizerId": "grady",
        "legType": "tollFreeDialIn",
        "number": "+498001110550",
        "country": "DE",
        "billedSeconds": 3_300,
        "outcome": "charged",
        "reason": None,
        "retailCost": "9.625",
        "charge": "9.625",
        "currency": "USD",
        "flags": ["rerated"],
    }
    blocked: dict[str, Any] = {
        "callId": "contoso-premium",
        "legType": "dialOut",
        "number": None,
        "billedSeconds": 0,
        "outcome": "unrated",
        "reason": "blockedNumber",
        "charge": "0",
        "flags": [],
    }
    calls = [{**charged, **blocked}, charged]
    answer = {"asOf": AS_OF, "calls": calls, "next": None, "omits": ["free"]}
    assert shown("calls", answer, **NOVEMBER) == [
        "contoso: calls of 2026-11-01 to 2026-11-30, the last first",
        "  ended (UTC)           call              organizer   type        number        "
        "  min:s   charged USD   outcome",
        "  2026-11-02 13:44:52   contoso-premium   grady       out         -             "
        "   0:00         0.000   unrated (blocked number)",
        "  2026-11-02 13:44:52   contoso-0132      grady       toll-free   +498001110550 "
        "  55:00         9.625   charged (rerated)",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
        "Left out: free calls (by app, not answered, in ad-hoc meetings).",
    ]


def test_outcomes_of_usage_are_words(shown: Callable[..., Shown]) -> None:
    sums = figures(1, 60, "0", "0.5")
    usage = {"asOf": AS_OF, "currency": "USD", "groupBy": ["outcome"], "omits": [], "mayChange": []}
    answer = {**usage, "rows": [{"outcome": "notEntitled", **sums}], "total": sums}
    assert [line.split("   ")[0] for line in shown("usage", answer, **NOVEMBER)[2:4]] == [
        "  not entitled",
        "  total",
    ]


def test_the_ledger_has_a_line_for_each_entry_and_their_sum(shown: Callable[..., Shown]) -> None:
    bought = {
        "entryId": "000000000001",
        "type": "purchase",
        "amount": "1000",
        "balanceAfter": "1000",
        "at": "2026-11-01T08:00:00.5Z",
        "description": "Purchase po-1",
        "lots": [{"purchaseId": "po-1", "amount": "1000"}],
        "calls": [],
    }
    paid = {
        "entryId": "000000000002",
        "type": "charge",
        "amount": "-0.0625",
        "balanceAfter": "999.9375",
        "description": "Calls",
        "lots": [{"purchaseId": "po-1", "amount": "-0.0625"}],
        "calls": ["c-1", "c-2"],
    }
    entries = [{**bought, **paid}, bought]
    answer = {"asOf": AS_OF, "currency": "USD", "entries": entries, "next": None}
    lines = [
        "contoso: ledger of 2026-11, the last first",
        "  entry          at (UTC)              type       amount USD      balance   calls"
        "   lots           what",
        "  000000000002   2026-11-01 08:00:00   charge        -0.0625     999.9375       2"
        "   po-1 -0.0625   Calls",
        "  000000000001   2026-11-01 08:00:00   purchase   1,000.0000   1,000.0000       0"
        "   po-1 1000      Purchase po-1",
        "  total                                             999.9375                    2",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
    ]
    assert shown("ledger", answer, month="2026-11") == lines
    # The sum of a part would be taken for that of the month.
    assert shown("ledger", {**answer, "next": "more"}, month="2026-11")[-3:] == [
        lines[3],
        lines[-1],
        "These are the last 2: --limit N shows more, --csv writes all.",
    ]


FORECAST: dict[str, Any] = {
    "asOf": AS_OF,
    "status": "ok",
    "currency": "USD",
    "basis": {"days": 28, "activeDays": 20, "level": "7.9043", "weekday": [1.0] * 7},
    "confidence": "medium",
    "month": {"low": "182.6472", "expected": "1231.4453", "high": "1284.6256"},
    "runsOut": {"earliest": "2026-11-22", "expected": "2026-11-26", "latest": None},
    "recharges": {"expected": 1, "high": 2},
    "rechargeDays": ["2026-11-26"],
    "forfeited": {"low": "0", "expected": "0", "high": "0"},
    "path": [],
}


def test_a_forecast_has_a_band_and_what_it_rests_on(shown: Callable[..., Shown]) -> None:
    assert shown("forecast", FORECAST) == [
        "contoso: forecast",
        "  forecast                    low USD   expected USD     high USD",
        "  cost of this month (UTC)   182.6472     1,231.4453   1,284.6256",
        "  credit that will expire      0.0000         0.0000       0.0000",
        "The credit runs out: expected 2026-11-26, earliest 2026-11-22, latest after the horizon.",
        "Recharges: 1 expected, 2 if much is spent.",
        "Known are 28 days, 20 of them with cost: confidence medium.",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
    ]


def test_a_forecast_of_credit_that_lasts_says_so_once(shown: Callable[..., Shown]) -> None:
    never = dict.fromkeys(("earliest", "expected", "latest"))
    answer = {**FORECAST, "runsOut": never, "path": [{}] * 90}
    assert shown("forecast", answer)[4] == "The credit does not run out within 90 days."


def test_a_forecast_says_which_recharge_it_does_not_count_on(shown: Callable[..., Shown]) -> None:
    request = {"rechargeId": "r-1", "amount": "1000", "requestedAt": "2026-10-29T08:15:00Z"}
    recharges = {"recharges": {"expected": 0, "high": 0}, "unansweredRecharge": request}
    assert shown("forecast", {**FORECAST, **recharges})[5] == (
        "Recharges: none is counted on. That of 1,000.00 requested on 2026-10-29 08:15:00 is not "
        "answered, and while it is open no other is requested."
    )


def test_nothing_is_forecast_of_too_little(shown: Callable[..., Shown]) -> None:
    of_nothing = dict.fromkeys(("confidence", "month", "recharges", "forfeited"))
    known = {"status": "notEnoughData", "basis": {"days": 6, "activeDays": 6}}
    assert shown("forecast", {**FORECAST, **of_nothing, **known}) == [
        "contoso: forecast",
        "Too little is known for a forecast: 6 days, 6 of them with cost. It takes 7 days, 3 of "
        "them with cost.",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
    ]


STATEMENT: dict[str, Any] = {
    "asOf": AS_OF,
    "month": "2026-11",
    "basis": "now",
    "statedAt": "2026-12-04T00:00:00Z",
    "currency": "USD",
    "opening": "100",
    "closing": "1086.5",
    "sums": {"purchase": "1000", "charge": "-9", "expiry": "-4.5", "adjustment": "0"},
    "usage": figures(3, 3_600, "10.25", "12"),
    "byLegType": [{"legType": "dialOut", **figures(3, 3_600, "10.25", "12")}],
    "byCountry": [{"country": None, **figures(3, 3_600, "10.25", "12")}],
    "byOrganizer": [{"organizerId": "adele", **figures(3, 3_600, "10.25", "12")}],
    "bridge": {"charged": "12", "forOtherMonths": "2.5", "bookedLater": "0.75", "usage": "10.25"},
    "lots": [
        {"purchaseId": "po-1", "bought": "1000", "used": "12", "expired": "0", "adjusted": "3"}
    ],
    "debt": "0",
    "changedCalls": 3,
    "changed": [
        {
            "callId": "c-1",
            "stated": {"outcome": "notEntitled", "charge": "0"},
            "now": {"outcome": "charged", "charge": "9.625"},
        },
        {"callId": "c-2", "stated": None, "now": {"outcome": "pooled", "charge": "0"}},
    ],
    "agrees": True,
    "differences": [],
}


def test_a_statement_leads_from_balance_to_balance_and_to_the_cost_of_the_calls(
    shown: Callable[..., Shown],
) -> None:
    assert shown("statement", STATEMENT) == [
        "contoso: statement of 2026-11, as it is now",
        "  credit                          USD",
        "  balance before the month     100.00",
        "  purchases                  1,000.00",
        "  charges of calls              -9.00",
        "  corrections of calls          -3.00",
        "  expired                       -4.50",
        "  other adjustments              3.00",
        "  balance after the month    1,086.50",
        "contoso: calls that ended in 2026-11, by type",
        "  call       calls   billed min:s   pool min   charged USD   retail USD",
        "  dial-out       3          60:00          0         10.25        12.00",
        "  total          3          60:00          0         10.25        12.00",
        "contoso: calls that ended in 2026-11, by country",
        "  country   calls   billed min:s   pool min   charged USD   retail USD",
        "  -             3          60:00          0         10.25        12.00",
        "  total         3          60:00          0         10.25        12.00",
        "contoso: calls that ended in 2026-11, by organizer",
        "  organizer   calls   billed min:s   pool min   charged USD   retail USD",
        "  adele           3          60:00          0         10.25        12.00",
        "  total           3          60:00          0         10.25        12.00",
        "contoso: from the ledger to the cost of the calls",
        "  calls                                              USD",
        "  charged for calls, by the entries of the month   12.00",
        "  for calls of other months                        -2.50",
        "  for calls of this month, booked in others         0.75",
        "  cost of the calls that ended in the month        10.25",
        "contoso: lots of credit in 2026-11",
        "  lot      bought    used   expired   adjusted",
        "  po-1   1,000.00   12.00      0.00       3.00",
        "contoso: calls that changed since 2026-11 was stated",
        "  call   as stated           charged   now       charged",
        "  c-1    not entitled           0.00   charged     9.625",
        "  c-2    not in this month         -   pooled      0.000",
        "Calls that changed besides: 1.",
        "As stated, 2026-11 contains what is booked before 2026-12-04 00:00:00 UTC; until then it "
        "may change.",
        "Balances, entries and calls agree.",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
    ]


@pytest.mark.parametrize(
    ("debt", "line"), [("3.5", "The debt grew by 3.50."), ("-2", "The debt fell by 2.00.")]
)
def test_a_statement_says_how_the_debt_moved_which_no_lot_shows(
    debt: str, line: str, shown: Callable[..., Shown]
) -> None:
    assert line in shown("statement", {**STATEMENT, "debt": debt})


def test_a_month_that_was_stated_changes_no_more(shown: Callable[..., Shown]) -> None:
    later = {**STATEMENT, "asOf": {**AS_OF, "at": "2026-12-04T00:00:00Z"}}
    assert "As stated, 2026-11 contains what is booked before 2026-12-04 00:00:00 UTC." in shown(
        "statement", later
    )


def test_a_statement_that_does_not_agree_says_in_what(shown: Callable[..., Shown]) -> None:
    wrong = {"agrees": False, "differences": ["the calls cost 10.25, the bridge says 10"]}
    assert shown("statement", {**STATEMENT, **wrong})[-2:] == [
        "DOES NOT AGREE: the calls cost 10.25, the bridge says 10",
        "As of 2026-11-02 18:00:00 UTC (version 412).",
    ]


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([], []),
        (["1", None, "-1234567.5"], ["1.00", "-", "-1,234,567.50"]),
        (["0.000001", "10"], ["0.000001", "10.000000"]),
        (["-0.005"], ["-0.005"]),
    ],
)
def test_amounts_below_each_other_have_the_same_decimals(
    values: list[str | None], written: list[str]
) -> None:
    assert amounts(values) == written


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"month": "2026-11"}, "of 2026-11"),
        ({"from": "2026-11-02", "to": "2026-11-03"}, "of 2026-11-02"),
        ({"from": "2026-11-02", "to": "2026-11-02"}, "from 2026-11-02 until 2026-11-02"),
        (
            {"from": "2026-11-02T08:00:00Z", "to": "2026-11-03"},
            "from 2026-11-02T08:00:00Z until 2026-11-03",
        ),
    ],
)
def test_a_period_is_named_by_the_days_that_are_in_it(
    parameters: dict[str, str], words: str
) -> None:
    assert period(parameters) == words


def test_days_that_follow_one_another_are_a_period() -> None:
    days = ["2026-10-31", "2026-11-01", "2026-11-03"]
    assert days_in_words(days) == "2026-10-31 to 2026-11-01, 2026-11-03"
    assert days_in_words([]) == ""
