"""What is logged and counted of a run, for those who read logs and for alarms."""

from __future__ import annotations

import re

from builders import LONG_AGO
from log_lines import logged

from perminute.application.daily_expiry import AccountExpiry, ChargedByReports, Expired
from perminute.application.notify_forecasts import ForecastDone
from perminute.application.send_digests import DigestsSent
from perminute.domain.errors import Unavailable
from perminute.domain.licensing.timelines import Tie
from perminute.observability import metrics
from perminute.reports import report_expiry, report_ties, report_updated_accounts


def test_lambda_reads_the_time_and_so_the_level_of_a_line() -> None:
    """RFC 3339, in UTC; Lambda takes a line with any other time for one of level INFO."""
    with logged() as lines:
        report_ties("fabrikam", Unavailable("there was no answer"))
    (line,) = lines
    assert line["level"] == "WARNING"
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|\+00:00)"
    assert re.fullmatch(time, line["timestamp"])


NO_FORECAST = ForecastDone()


def updated(
    organization_id: str, expired: Expired, forecast: ForecastDone = NO_FORECAST
) -> AccountExpiry:
    return AccountExpiry(organization_id, expired, ChargedByReports(), DigestsSent(), forecast)


def test_recharges_that_nobody_answers_are_named_and_counted() -> None:
    unanswered = {"contoso": "r-1", "fabrikam": "r-2"}
    metrics.clear_metrics()
    with logged() as lines:
        report_expiry(
            [
                *(updated(one, Expired(unanswered=name)) for one, name in unanswered.items()),
                *(updated(f"org-{number}", Expired()) for number in range(3)),
                updated("stuck", Expired(failed=Unavailable("no"))),
            ]
        )
        counted = {name: values["Value"] for name, values in metrics.metric_set.items()}
    assert counted == {"AccountsUpdated": [5.0], "RechargesUnanswered": [2.0]}
    named = [line for line in lines if line["message"] == "recharge unanswered"]
    assert {line["organizationId"]: line["rechargeId"] for line in named} == unanswered
    # Not an error: a replay, which shows those, is not disturbed by what its events leave open.
    assert {line["level"] for line in named} == {"WARNING"}


def test_forecasts_that_were_left_out_are_named_and_counted() -> None:
    metrics.clear_metrics()
    with logged() as lines:
        report_updated_accounts(
            [
                updated("contoso", Expired(), ForecastDone(left_out=True)),
                updated("fabrikam", Expired(), ForecastDone(("RunOutForecast",))),
                updated("stuck", Expired(), ForecastDone(failed=Unavailable("no"))),
            ]
        )
        counted = {name: values["Value"] for name, values in metrics.metric_set.items()}
    assert counted["ForecastsLeftOut"] == [1.0]
    named = {line["message"]: line for line in lines}
    assert named["forecast left out"]["organizationId"] == "contoso"
    assert named["forecast not made"]["organizationId"] == "stuck"
    made = named["forecasts made"]
    assert (made["notified"], made["failed"]) == ({"RunOutForecast": 1}, 1)


def test_ties_are_named_and_counted_and_so_is_where_nobody_could_look() -> None:
    tie = Tie(
        organization_id="contoso",
        user_id="adele",
        what="country",
        issued_at=LONG_AGO,
        holds="e-2",
        yields="e-1",
    )
    metrics.clear_metrics()
    with logged() as lines:
        report_ties("contoso", [tie])
        report_ties("fabrikam", Unavailable("there was no answer"))
        counted = {name: values["Value"] for name, values in metrics.metric_set.items()}
    assert counted == {"TiesDecided": [1.0], "TieSearchesFailed": [1.0]}
    decided, unknown = lines
    names = ("message", "organizationId", "userId", "attribute", "issuedAt", "holds", "yields")
    said = "tie decided", "contoso", "adele", "country", "2026-01-01T00:00:00Z", "e-2", "e-1"
    assert tuple(decided[name] for name in names) == said
    assert (unknown["message"], unknown["organizationId"], unknown["reason"]) == (
        "tie search failed",
        "fabrikam",
        "there was no answer",
    )
