"""Logs and metrics: one structured line a batch, and counts under one namespace.

No line holds a phone number, a secret or the environment: what is logged are counts, identifiers
and reasons that never repeat a number that was sent.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeVar

    from perminute.batches import Settled
    from perminute.domain.usage import Usage

    R = TypeVar("R")

NAMESPACE = "perminute"
"""Where the alarms of template.yaml look for the counts."""

logger = Logger(stream=sys.stderr)
metrics = Metrics(namespace=NAMESPACE)


def report_stale_rate_card(message: str) -> None:
    """Say that a new rate card could not be used, and that calls are rated by the last good one."""
    logger.error("rate card not renewed", extra={"reason": message})
    metrics.add_metric("RateCardsNotRenewed", MetricUnit.Count, 1)


def report_uncharged(usage: Usage) -> None:
    """Name a call that took place and that nobody pays for, so that it can be looked up."""
    logger.warning(
        "call not charged",
        extra={
            "organizationId": usage.leg.organization_id,
            "callId": usage.leg.call_id,
            "outcome": usage.outcome,
            "reason": usage.reason,
        },
    )


def report_batch(settled: Settled[R], counts: Mapping[str, int] | None = None) -> None:
    """Log the batch in one line and count what alarms look at."""
    logger.info("batch settled", extra={**settled.counts(), **(counts or {})})
    for rejection in settled.refused:
        logger.warning(
            "event refused", extra={"eventId": rejection.event_id, "reason": rejection.reason}
        )
    for reason, times in settled.failures().items():
        logger.error("messages to be delivered again", extra={"reason": reason, "messages": times})
    metrics.add_metric("EventsAccepted", MetricUnit.Count, len(settled.accepted))
    metrics.add_metric("EventsRefused", MetricUnit.Count, len(settled.refused))
    metrics.add_metric("EventsFailed", MetricUnit.Count, len(settled.failed))
    for name, count in (counts or {}).items():
        metrics.add_metric(name, MetricUnit.Count, count)
