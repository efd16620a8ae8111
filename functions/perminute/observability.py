"""Logs and metrics: one structured line a batch, and counts under one namespace.

No line holds a phone number, a secret or the environment: what is logged are counts, identifiers
and reasons that never repeat a number that was sent.
"""

from __future__ import annotations

import json
import sys
import warnings
from functools import wraps
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from perminute.application.correlation import caused_by, correlation_id
from perminute.domain.errors import Unavailable
from perminute.domain.rating.usage import Outcome
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from typing import TypeVar

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.daily_expiry import BroughtUpToDate
    from perminute.application.daily_runs import Listed
    from perminute.application.looking_again import Progress
    from perminute.application.publish_notifications import Published
    from perminute.application.reconcile_books import BooksReport
    from perminute.batches import Settled
    from perminute.domain.licensing.ties import Tie
    from perminute.domain.rating.usage import Usage
    from perminute.ports import Rejection

    R = TypeVar("R")

NAMESPACE = "perminute"
"""Where the alarms of template.yaml look for the counts."""

MAX_CHARACTERS_OF_NAMES = 30_000
"""What names take of a line: a third of what CloudWatch Logs takes as one, in UTF-8."""

UNCHARGED = frozenset({Outcome.NOT_ENTITLED, Outcome.UNRATED})
"""Outcomes of calls that took place and that nobody pays for."""


def _serialized(line: dict[str, object]) -> str:
    """Write a line as JSON in which all that cannot be printed is escaped.

    JSON itself lets pass what turns the reading direction, and CSI (U+009B), by which a terminal
    takes what follows for a command: somebody reads the log there.
    """
    text = json.dumps(line, default=str, separators=(",", ":"), ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


# Lambda takes a line whose timestamp is not RFC 3339 for one of level INFO: were it to keep errors
# alone (ApplicationLogLevel), it would drop them.
logger = Logger(stream=sys.stderr, use_rfc3339=True, utc=True, json_serializer=_serialized)
metrics = Metrics(namespace=NAMESPACE)
# A run that finds nothing to do has nothing to count, and that is no fault: see `_count`.
warnings.filterwarnings("ignore", message="No application metrics to publish")


def _count(name: str, count: int) -> None:
    """Count what happened, if anything did.

    A metric costs money in each hour in which it has data (docs/capacity-and-costs.md), and no data
    and 0 mean the same to those who look at it.
    """
    if count:
        metrics.add_metric(name, MetricUnit.Count, count)


def report_stale_rate_card(message: str) -> None:
    """Say that a new rate card could not be used, and that calls are rated by the last good one."""
    logger.error("rate card not renewed", extra={"reason": message})
    _count("RateCardsNotRenewed", 1)


def named_run(handler: Callable[[Any, LambdaContext], R]) -> Callable[[Any, LambdaContext], R]:
    """Have what a handler does without an event go by the id of the run."""

    @wraps(handler)
    def run(event: Any, context: LambdaContext) -> R:  # noqa: ANN401 - whatever the handler takes
        with caused_by(context.aws_request_id):
            return handler(event, context)

    return run


def report_uncharged(usage: Usage, event_id: str = "") -> None:
    """Name a call that took place and that nobody pays for, so that it can be looked up.

    By the event that reported it, or else by what it is looked at again for.
    """
    logger.warning(
        "call not charged",
        extra={
            "organizationId": usage.call.organization_id,
            "callId": usage.call.call_id,
            "correlationId": event_id or correlation_id(),
            "outcome": usage.outcome,
            "reason": usage.reason,
        },
    )


def report_ties(organization_id: str, found: Collection[Tie] | Unavailable) -> None:
    """Count and log statements that contradict each other, of which neither was issued later."""
    if isinstance(found, Unavailable):
        logger.warning(
            "ties not looked for", extra={"organizationId": organization_id, "reason": str(found)}
        )
        _count("TiesNotLookedFor", 1)
        return
    for tie in found:
        logger.warning(
            "tie decided",
            extra={
                "organizationId": tie.organization_id,
                "userId": tie.user_id,
                "attribute": tie.what,
                "issuedAt": format_instant(tie.issued_at),
                "holds": tie.holds,
                "yields": tie.yields,
            },
        )
    _count("TiesDecided", len(found))


def report_batch(settled: Settled[R], counts: Mapping[str, int] | None = None) -> None:
    """Log the batch in one line and count what alarms look at.

    The line names the events of the batch; a line for each would cost as much as their records.
    """
    extra = {**settled.counts(), **(counts or {})}
    _log_with_names("batch settled", extra, "events", [one for one in settled.names if one])
    _report_not_done(settled)
    metrics.add_metric("EventsAccepted", MetricUnit.Count, len(settled.accepted))
    _count("EventsRefused", len(settled.refused))
    _count("EventsFailed", len(settled.failed))
    for name, count in (counts or {}).items():
        _count(name, count)


def report_work(settled: Settled[R]) -> None:
    """Log a batch of the work of a daily run, and count only what went wrong with it.

    What was done is counted by what it is about: see `report_expiry` and `report_reconciled`.
    """
    names = [one for one in settled.names if one]
    _log_with_names("batch settled", settled.counts(), "work", names)
    _report_not_done(settled)
    _count("WorkRefused", len(settled.refused))
    _count("WorkFailed", len(settled.failed))


def _report_not_done(settled: Settled[R]) -> None:
    _report_refused(settled.refused)
    for reason, times in settled.failures().items():
        logger.error("messages to be delivered again", extra={"reason": reason, "messages": times})


def report_begun(at: datetime) -> None:
    """Log that a daily run has begun."""
    logger.info("daily run begun", extra={"at": format_instant(at)})


def report_run() -> None:
    """Count a daily run that has listed all that it is for: an alarm rings if none does."""
    metrics.add_metric("DailyRuns", MetricUnit.Count, 1)


def report_listed(pages: Sequence[Listed]) -> None:
    """Log each page of organizations that was queued, and the last one of a run as such."""
    for page in pages:
        logger.info(
            "organizations queued",
            extra={"organizations": page.listed, "isLast": page.is_last},
        )
        _count("OrganizationsQueued", page.organizations)
        if page.is_last:
            report_run()


def report_expiry(done: Sequence[BroughtUpToDate]) -> None:
    """Log accounts that were due in one line; by name, which could not be brought up to date.

    And whose recharge nobody answers: an alarm looks at how many of these there are.
    """
    failed = {one.organization_id: one.expired.failed for one in done if one.expired.failed}
    logger.info(
        "credit brought up to date", extra={"organizations": len(done), "failed": len(failed)}
    )
    for organization_id, error in failed.items():
        logger.error(
            "account not brought up to date",
            extra={"organizationId": organization_id, "reason": str(error)},
        )
    unanswered = [one for one in done if one.expired.unanswered is not None]
    for one in unanswered:
        logger.error(
            "recharge unanswered",
            extra={
                "organizationId": one.organization_id,
                "rechargeId": one.expired.unanswered,
            },
        )
    _count("AccountsBroughtUpToDate", len(done) - len(failed))
    _count("RechargesUnanswered", len(unanswered))


def report_charged_by_reports(done: Sequence[BroughtUpToDate]) -> None:
    """Log calls of whose end nobody has told: all in one line, and each of them."""
    charged = [usage for one in done for usage in one.reported.charged]
    failed = {one.organization_id: one.reported.failed for one in done if one.reported.failed}
    logger.info("reported calls charged", extra={"calls": len(charged), "failed": len(failed)})
    for usage in charged:
        logger.warning(
            "call ended without an event",
            extra={"organizationId": usage.call.organization_id, "callId": usage.call.call_id},
        )
        if usage.outcome in UNCHARGED:
            report_uncharged(usage)
    for organization_id, error in failed.items():
        logger.error(
            "reported calls not charged",
            extra={"organizationId": organization_id, "reason": str(error)},
        )
    _count("CallsReportedByBridge", len(charged))


def report_digests(done: Sequence[BroughtUpToDate]) -> None:
    """Log the digests that were sent in one line; by name, whose could not all be."""
    failed = {one.organization_id: one.digests.failed for one in done if one.digests.failed}
    extra = {
        "digests": sum(one.digests.sent for one in done),
        "calls": sum(one.digests.calls for one in done),
        "failed": len(failed),
    }
    logger.info("digests sent", extra=extra)
    for organization_id, error in failed.items():
        logger.error(
            "digests not sent", extra={"organizationId": organization_id, "reason": str(error)}
        )


def report_reconciled(reconciled: Sequence[BooksReport]) -> None:
    """Log a batch of checked books in one line, and each difference with the entries to look at."""
    done = [one for one in reconciled if not (one.is_repeated or one.goes_on)]
    differences = [one for books in reconciled for one in books.differences]
    logger.info(
        "books reconciled",
        extra={
            "organizations": len(done),
            "whole": sum(books.is_whole for books in done),
            "entries": sum(books.entries for books in done),
            "calls": sum(books.calls for books in done),
            "differences": len(differences),
        },
    )
    for books in reconciled:
        if books.goes_on:
            logger.info(
                "books read in part",
                extra={
                    "organizationId": books.organization_id,
                    "entries": books.entries,
                    "calls": books.calls,
                },
            )
    for one in differences:
        logger.error(
            "books differ",
            extra={
                "organizationId": one.organization_id,
                "difference": one.message,
                "entries": one.entry_ids,
            },
        )
    _count("BooksReconciled", len(done))
    _count("BooksReadWhole", sum(books.is_whole for books in done))
    _count("BookDifferences", len(differences))


def report_rerated(pieces: Sequence[Progress]) -> None:
    """Count what was looked at again, and name the calls that nobody pays for by now."""
    rerated = [usage for piece in pieces for usage in piece.rerated]
    for usage in rerated:
        if usage.outcome in UNCHARGED:
            report_uncharged(usage)
    looked_at = sum(piece.looked_at for piece in pieces)
    causes = list(dict.fromkeys(cause for piece in pieces for cause in piece.causes))
    if causes:
        extra = {"calls": looked_at, "rerated": len(rerated)}
        _log_with_names("calls looked at again", extra, "correlationIds", causes)
    _count("CallsLookedAtAgain", looked_at)
    _count("CallsRerated", len(rerated))


def report_woken(organizations: int) -> None:
    """Log how many organizations were woken."""
    logger.info("organizations woken", extra={"organizations": organizations})
    _count("OrganizationsWoken", organizations)


def report_published(published: Published) -> None:
    """Log a batch of the outbox in one line, and what of it was refused or must come again."""
    extra = {"published": published.announced, "refused": len(published.refused)}
    _log_with_names("notifications published", extra, "records", published.named)
    _report_refused(published.refused)
    if published.failed_at is not None:
        logger.error("outbox to be delivered again", extra={"reason": published.why})
    _count("NotificationsPublished", published.announced)
    _count("NotificationsRefused", len(published.refused))


def _log_with_names(
    message: str, extra: Mapping[str, object], field: str, names: Sequence[object]
) -> None:
    """Log one line with names, or where they do not fit it, further ones with the rest of them."""
    lines: list[list[object]] = [[]]
    left = MAX_CHARACTERS_OF_NAMES
    for name in names:
        left -= len(repr(name))
        if left < 0 and lines[-1]:
            lines.append([])
            left = MAX_CHARACTERS_OF_NAMES - len(repr(name))
        lines[-1].append(name)
    first, *more = lines
    # Where it is called from is what the line says of its place.
    logger.info(message, extra={**extra, field: first}, stacklevel=3)
    for some in more:
        logger.info("%s, continued", message, extra={field: some}, stacklevel=3)


def _report_refused(refused: Sequence[Rejection]) -> None:
    for rejection in refused:
        logger.warning(
            "event refused", extra={"eventId": rejection.event_id, "reason": rejection.reason}
        )
