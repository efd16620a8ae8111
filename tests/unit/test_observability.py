"""What is logged and counted of a run, for those who read logs and for alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.application.expire_credit import Run
from perminute.observability import metrics, report_expiry

if TYPE_CHECKING:
    import pytest


def test_recharges_that_nobody_answers_are_named_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unanswered = {"contoso": "r-1", "fabrikam": "r-2"}
    metrics.clear_metrics()
    try:
        report_expiry(Run(organizations=5, unanswered=unanswered))
        counted = {name: values["Value"] for name, values in metrics.metric_set.items()}
    finally:
        metrics.clear_metrics()
    assert counted == {"AccountsBroughtUpToDate": [5.0], "RechargesUnanswered": [2.0]}
    named = [vars(line) for line in caplog.records if line.message == "recharge unanswered"]
    assert {line["organizationId"]: line["rechargeId"] for line in named} == unanswered
