"""Build the use case that records licensing events."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.application.apply_licensing import ApplyLicensing
from perminute.application.retry import RetryPolicy
from perminute.reports import report_ties

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def apply_licensing(aws: AwsResources) -> ApplyLicensing:
    """Return the use case over one connection to AWS."""
    horizon = timedelta(days=int(aws.setting("RERATING_HORIZON_DAYS")))
    return ApplyLicensing(aws.licensing, RetryPolicy(), report_ties, horizon)
