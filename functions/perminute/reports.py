"""What each function logs and counts: one line for a batch, and one for each thing to look at.

Alarms of template.yaml look at the counts (docs/runbook.md).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from perminute.application.correlation import correlation_id, traceable
from perminute.domain.errors import Unavailable
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.values.times import format_instant
from perminute.observability import count, log_failures, log_with_names, logger, report_refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from typing import TypeVar

    from perminute.application.check_books import BooksReport
    from perminute.application.compare_records import RecordsCompared
    from perminute.application.daily_expiry import AccountExpiry
    from perminute.application.daily_runs import ListedPage
    from perminute.application.ingest_records import IngestedRecords
    from perminute.application.mask_numbers import MaskedNumbers
    from perminute.application.publish_notifications import Published
    from perminute.application.pull_graph_calls import TenantPull
    from perminute.application.pull_graph_licenses import TenantLicenses
    from perminute.application.recorded_calls import ReratingProgress
    from perminute.application.render_statements import RenderedStatement
    from perminute.domain.licensing.timelines import Tie
    from perminute.domain.rating.usage_record import Usage
    from perminute.sqs import BatchResults

    R = TypeVar("R")

_OUTCOME_METRICS = {
    Outcome.CHARGED: "CallsCharged",
    Outcome.POOLED: "CallsPooled",
    Outcome.INCLUDED: "CallsIncluded",
    Outcome.FREE: "CallsFree",
    Outcome.NOT_ENTITLED: "CallsNotEntitled",
    Outcome.UNRATED: "CallsUnrated",
}
# Outcomes of calls that took place and are not paid for.
_UNCHARGED = frozenset({Outcome.NOT_ENTITLED, Outcome.UNRATED})


def report_batch(batch: BatchResults[R], counts: Mapping[str, int] | None = None) -> None:
    """Report a batch of events.

    The line names the events of the batch; a line for each would cost as much as their records.
    """
    counts = counts or {}
    log_with_names("batch settled", {**batch.counts(), **counts}, "events", batch.named)
    _report_not_done(batch)
    # Counted even if it is 0: an alarm looks at whether the function runs at all.
    count("EventsAccepted", len(batch.accepted), even_zero=True)
    count("EventsRefused", len(batch.refused))
    count("EventsFailed", len(batch.failed))
    for name, number in counts.items():
        count(name, number)


def report_charged(batch: BatchResults[Usage]) -> None:
    """Report a batch of ended calls by their outcomes."""
    report_batch(batch, Counter(_OUTCOME_METRICS[usage.outcome] for usage in batch.accepted))
    for usage, names in zip(batch.accepted, batch.accepted_names, strict=True):
        _report_if_uncharged(usage, names["eventId"])


def report_queued_calls(event_id: str, calls: int, messages: int) -> None:
    """Report an event whose calls were queued again, by organization."""
    logger.info("calls queued again", eventId=traceable(event_id), calls=calls, messages=messages)


def report_ingested(batch: BatchResults[IngestedRecords]) -> None:
    """Report what became of call records, by file; reasons name no numbers, as messages may."""
    done = batch.accepted
    files = [
        {
            "records": traceable(ingested.place),
            "calls": ingested.calls,
            "skipped": dict(ingested.skipped),
            "kept": dict(ingested.kept),
            "parts": ingested.parts,
        }
        for ingested in done
    ]
    counts = {
        "CallsInRecords": sum(ingested.calls for ingested in done),
        "RecordsSkipped": sum(sum(ingested.skipped.values()) for ingested in done),
        "RecordsInProblem": sum(sum(ingested.kept.values()) for ingested in done),
    }
    log_with_names("call records read", counts, "files", files)
    report_batch(batch, counts)


def report_rerated(batch: BatchResults[ReratingProgress]) -> None:
    """Report what was reviewed, and the calls that are not paid for any more."""
    report_batch(batch)
    # Messages for one organization share what was done for it.
    pieces = list({id(piece): piece for piece in batch.accepted}.values())
    rerated = [usage for piece in pieces for usage in piece.rerated]
    for usage in rerated:
        _report_if_uncharged(usage)
    looked_at = sum(piece.looked_at for piece in pieces)
    if causes := list(dict.fromkeys(cause for piece in pieces for cause in piece.causes)):
        extra = {"calls": looked_at, "rerated": len(rerated)}
        log_with_names("calls reviewed", extra, "correlationIds", causes)
    count("CallsReviewed", looked_at)
    count("CallsRerated", len(rerated))


def report_ties(organization_id: str, found: Collection[Tie] | Unavailable) -> None:
    """Report statements that contradict each other, of which neither was issued later."""
    if isinstance(found, Unavailable):
        logger.warning("tie search failed", organizationId=organization_id, reason=str(found))
        count("TieSearchesFailed", 1)
        return
    for tie in found:
        logger.warning(
            "tie decided",
            organizationId=tie.organization_id,
            userId=tie.user_id,
            attribute=tie.what,
            issuedAt=format_instant(tie.issued_at),
            holds=tie.holds,
            yields=tie.yields,
        )
    count("TiesDecided", len(found))


def report_queued(organizations: int) -> None:
    """Report how many organizations were queued."""
    logger.info("re-ratings queued", organizations=organizations)
    count("ReratingsQueued", organizations)


def report_published(published: Published) -> None:
    """Report a batch of the outbox, and what of it was refused or must be delivered again."""
    extra = {"published": published.announced, "refused": len(published.refused)}
    log_with_names("notifications published", extra, "records", published.named)
    report_refused(published.refused)
    if published.failed_at is not None:
        logger.error("outbox to be delivered again", reason=published.why)
    count("NotificationsPublished", published.announced)
    count("NotificationsRefused", len(published.refused))


def report_pulled_licenses(pulls: Sequence[TenantLicenses]) -> None:
    """Report what was read of the users of each tenant of Microsoft Graph, and what was sent."""
    for pull in pulls:
        _report_pulled_licenses(pull)
    # Counted even if it is 0: an alarm looks at whether the function runs at all.
    count("GraphUsersRead", sum(pull.users for pull in pulls), even_zero=True)
    count("GraphLicensingEventsSent", sum(pull.sent.total() for pull in pulls))
    count("GraphUserProblems", sum(len(pull.problems) for pull in pulls))
    count("GraphRemovalsRefused", sum(pull.refused is not None for pull in pulls))


def report_licenses_not_pulled(reason: str, tenant: str | None = None) -> None:
    """Report that users could not all be read, or changes not be sent, of a tenant or of any."""
    logger.error("licenses not pulled", reason=reason, tenant=tenant)
    count("GraphPullsFailed", 1)


def _report_pulled_licenses(pull: TenantLicenses) -> None:
    logger.info(
        "licenses pulled",
        tenant=pull.tenant,
        users=pull.users,
        allUsers=pull.is_full,
        sent=dict(pull.sent),
        goesOn=pull.goes_on,
        overtaken=pull.overtaken,
    )
    if pull.problems:
        extra = {"tenant": pull.tenant}
        log_with_names("users with problems", extra, "problems", pull.problems)
    if pull.refused is not None:
        logger.error(
            "removal of licenses refused",
            tenant=pull.tenant,
            users=pull.refused.users,
            of=pull.refused.holders,
        )
    if pull.failure is not None:
        report_licenses_not_pulled(str(pull.failure), pull.tenant)


def report_begun(at: datetime) -> None:
    """Report that a daily run has begun."""
    logger.info("daily run begun", at=format_instant(at))


def report_run() -> None:
    """Count a daily run that has listed all that it is for: an alarm rings if none does."""
    count("DailyRuns", 1)


def report_listed(pages: Sequence[ListedPage]) -> None:
    """Report each page of organizations that was queued, and the last one of a run as such."""
    for page in pages:
        logger.info("organizations queued", organizations=page.listed, isLast=page.is_last)
        count("OrganizationsQueued", page.organizations)
        if page.is_last:
            report_run()


def report_work(batch: BatchResults[R]) -> None:
    """Report a batch of the work of a daily run; what was done is counted by what it is about."""
    log_with_names("batch settled", batch.counts(), "work", batch.named)
    _report_not_done(batch)
    count("WorkRefused", len(batch.refused))
    count("WorkFailed", len(batch.failed))


def report_updated_accounts(done: Sequence[AccountExpiry]) -> None:
    """Report what the daily run did to accounts."""
    report_expiry(done)
    _report_charged_by_reports(done)
    _report_digests(done)
    _report_forecasts(done)


def report_expiry(done: Sequence[AccountExpiry]) -> None:
    """Report accounts that were due, and recharges without an answer."""
    failed = {account.organization_id: account.expired.failed for account in done}
    unanswered = [account for account in done if account.expired.unanswered is not None]
    failures = log_failures("account not updated", failed)
    logger.info("accounts updated", organizations=len(done), failed=failures)
    for account in unanswered:
        # No fault of ours: the metric raises the alarm, and a replay shows errors alone.
        logger.warning(
            "recharge unanswered",
            organizationId=account.organization_id,
            rechargeId=account.expired.unanswered,
        )
    count("AccountsUpdated", len(done) - failures)
    count("RechargesUnanswered", len(unanswered))


def report_reconciled(reconciled: Sequence[BooksReport]) -> None:
    """Report a batch of checked books, and each difference with the entries to look at."""
    done = [books for books in reconciled if not (books.is_repeated or books.goes_on)]
    whole = sum(books.is_whole for books in done)
    differences = [difference for books in reconciled for difference in books.differences]
    logger.info(
        "books reconciled",
        organizations=len(done),
        whole=whole,
        entries=sum(books.entries for books in done),
        calls=sum(books.calls for books in done),
        differences=len(differences),
    )
    for books in reconciled:
        if books.goes_on:
            logger.info(
                "books read in part",
                organizationId=books.organization_id,
                entries=books.entries,
                calls=books.calls,
            )
    for difference in differences:
        logger.error(
            "books differ",
            organizationId=difference.organization_id,
            difference=difference.message,
            entries=difference.entry_ids,
        )
    count("BooksReconciled", len(done))
    count("BooksReadWhole", whole)
    count("BookDifferences", len(differences))


def report_rendered(rendered: Sequence[RenderedStatement]) -> None:
    """Report the statements of a batch of organizations that were written into files."""
    if not rendered:
        return
    failed = {statement.organization_id: statement.failed for statement in rendered}
    failures = log_failures("statement not written", failed)
    written = sum(statement.files > 0 for statement in rendered)
    logger.info(
        "statements written",
        statements=written,
        months=sorted({str(statement.month) for statement in rendered}),
        withoutMovements=len(rendered) - failures - written,
        notified=sum(one.is_notified for one in rendered),
        failed=failures,
    )
    count("StatementsWritten", written)


def report_masked(masked: Sequence[MaskedNumbers]) -> None:
    """Report how many calls had their phone numbers masked."""
    failed = {done.organization_id: done.failed for done in masked}
    failures = log_failures("numbers not masked", failed)
    calls = sum(done.masked for done in masked)
    of, changed = len(masked), sum(done.changed for done in masked)
    logger.info("numbers masked", organizations=of, calls=calls, changed=changed, failed=failures)
    count("NumbersMasked", calls)


def report_pulled(pulls: Sequence[TenantPull]) -> None:
    """Report what was read of each tenant of Microsoft Graph, and what of it was kept."""
    for pull in pulls:
        rows = {str(fate): rows for fate, rows in pull.rows.items()}
        logger.info("calls pulled", extra={"tenant": pull.tenant, **rows})
        if pull.failure is not None:
            report_pull_failed(str(pull.failure), pull.tenant)
    # Counted even if it is 0: an alarm looks at whether the function runs at all.
    count("GraphRecordsRead", sum(pull.rows.total() for pull in pulls), even_zero=True)
    count("GraphRecordsKept", sum(pull.kept for pull in pulls))


def report_pull_failed(reason: str, tenant: str = "all") -> None:
    """Report that calls could not all be read, of a tenant or of all."""
    logger.error("calls not pulled", tenant=tenant, reason=reason)
    count("GraphPullsFailed", 1)


def report_compared(compared: Sequence[RecordsCompared]) -> None:
    """Report in how much an operator's records differ from what was charged."""
    for comparison in compared:
        if comparison.notified:
            logger.warning(
                "records differ",
                organizationId=comparison.organization_id,
                differences=comparison.differences,
                days=comparison.notified,
            )
    failed = {comparison.organization_id: comparison.failure for comparison in compared}
    failures = log_failures("records not compared", failed)
    logger.info(
        "records compared",
        organizations=len(compared),
        equal=sum(comparison.equal for comparison in compared),
        failed=failures,
    )
    count("RecordsDiffering", sum(comparison.differences for comparison in compared))


def _report_charged_by_reports(done: Sequence[AccountExpiry]) -> None:
    charged = [usage for account in done for usage in account.reported.charged]
    failed = {account.organization_id: account.reported.failed for account in done}
    failures = log_failures("reported calls not charged", failed)
    logger.info("reported calls charged", calls=len(charged), failed=failures)
    for usage in charged:
        logger.warning(
            "call ended without an event",
            organizationId=usage.call.organization_id,
            callId=usage.call.call_id,
        )
        _report_if_uncharged(usage)
    count("CallsReportedByBridge", len(charged))


def _report_digests(done: Sequence[AccountExpiry]) -> None:
    failed = {account.organization_id: account.digests.failed for account in done}
    logger.info(
        "digests sent",
        digests=sum(account.digests.sent for account in done),
        calls=sum(account.digests.calls for account in done),
        failed=log_failures("digests not sent", failed),
    )


def _report_forecasts(done: Sequence[AccountExpiry]) -> None:
    failed = {account.organization_id: account.forecast.failed for account in done}
    left_out = [account.organization_id for account in done if account.forecast.left_out]
    logger.info(
        "forecasts made",
        notified=Counter(kind for account in done for kind in account.forecast.notified),
        failed=log_failures("forecast not made", failed),
    )
    for organization_id in left_out:
        logger.warning("forecast left out", organizationId=organization_id)
    count("ForecastsLeftOut", len(left_out))


def _report_if_uncharged(usage: Usage, event_id: str = "") -> None:
    if usage.outcome in _UNCHARGED:
        logger.warning(
            "call not charged",
            organizationId=usage.call.organization_id,
            callId=usage.call.call_id,
            # The event that reported it, or else the cause of its re-rating.
            correlationId=event_id or correlation_id(),
            outcome=usage.outcome,
            reason=usage.reason,
        )


def _report_not_done(batch: BatchResults[R]) -> None:
    report_refused(batch.refused)
    for reason, messages in batch.failures().items():
        logger.error("messages to be delivered again", reason=reason, messages=messages)
