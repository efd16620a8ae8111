"""Puts the use cases together with their real adapters: the only place that knows which is real."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from perminute.adapters.dynamodb.books import DynamoDBBookChecks, DynamoDBBooks
from perminute.adapters.dynamodb.calls import DynamoDBCalls, DynamoDBCallsUnderWay
from perminute.adapters.dynamodb.digests import DynamoDBDigests
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.adapters.messaging import (
    SNSTopic,
    SQSRejections,
    SQSReratingQueue,
    SQSWork,
)
from perminute.application.apply_licensing import ApplyLicensing
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls
from perminute.application.check_books import BooksReport, CheckBooks, ReconcileBooks
from perminute.application.daily_expiry import (
    AccountExpiry,
    ChargeReported,
    ExpireAccount,
    ExpireCredit,
)
from perminute.application.daily_runs import DailyRun, ListOrganizations
from perminute.application.licensing_cache import LicensingCache
from perminute.application.publish_notifications import PublishNotifications
from perminute.application.queue_reratings import QueueMissed, QueueReratings
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls
from perminute.application.retry import RetryPolicy
from perminute.application.send_digests import SendDigests
from perminute.aws import AwsResources
from perminute.formats.notification_texts import Sender
from perminute.reports import report_ties


class Application(AwsResources):
    """The use cases of one function that is triggered by events, over one connection to AWS."""

    def rejections(self) -> SQSRejections:
        return SQSRejections(self._sqs_client, self.setting("DEAD_LETTER_QUEUE_URL"))

    def charge_calls(self) -> ChargeCalls:
        return ChargeCalls(
            credit=self.credit,
            calls=DynamoDBCalls(self.tables),
            licensing=LicensingCache(self.licensing),
            rate_cards=self.rate_cards(),
            retry=RetryPolicy(),
        )

    def rerate_calls(self) -> RerateCalls:
        again = RecordedCalls(
            credit=self.credit,
            calls=DynamoDBCalls(self.tables),
            licensing=LicensingCache(self.licensing),
            rate_cards=self.rate_cards(),
            retry=RetryPolicy(),
        )
        return RerateCalls(again, DynamoDBReratings(self.tables))

    def queue_reratings(self) -> QueueReratings:
        return QueueReratings(self._rerating_queue(), self.rejections())

    def queue_missed(self) -> QueueMissed:
        return QueueMissed(DynamoDBReratings(self.tables), self._rerating_queue())

    def book_credit(self) -> BookCredit:
        return BookCredit(self.credit, RetryPolicy(), report_ties)

    def daily_expiry(self) -> DailyRun[AccountExpiry]:
        charge_reported = ChargeReported(self.credit, self.charge_calls())
        send_digests = SendDigests(
            credit=self.credit,
            calls=DynamoDBCallsUnderWay(self.tables),
            digests=DynamoDBDigests(self.tables),
            retry=RetryPolicy(),
        )
        does = ExpireAccount(
            ExpireCredit(self.credit, RetryPolicy()), charge_reported, send_digests
        )
        return DailyRun(ListOrganizations(self.credit, self._work(), only_due=True), does)

    def reconciliation(self) -> DailyRun[BooksReport]:
        # What is just being booked has a moment to settle.
        retry = RetryPolicy(attempts=3, base_seconds=0.5)
        check_books = CheckBooks(
            books=DynamoDBBooks(self.tables),
            checks=DynamoDBBookChecks(self.connection, self.setting("BOOK_CHECKS_TABLE")),
            reconcile=ReconcileBooks(self.credit, retry),
            retry=retry,
            whole_within_days=int(self.setting("BOOKS_READ_WHOLE_WITHIN_DAYS")),
        )
        return DailyRun(ListOrganizations(self.credit, self._work()), check_books)

    def publish_notifications(self) -> PublishNotifications:
        topic = SNSTopic(
            lambda: self.client("sns"),
            self.setting("NOTIFICATION_TOPIC_ARN"),
            Sender(self.setting("STACK_NAME"), self.environment.get("DOCUMENTATION_URL", "")),
        )
        digests = DynamoDBDigests(self.tables)
        return PublishNotifications(topic, self.licensing, self.rejections(), digests)

    def apply_licensing(self) -> ApplyLicensing:
        horizon = timedelta(days=int(self.setting("RERATING_HORIZON_DAYS")))
        return ApplyLicensing(self.licensing, RetryPolicy(), report_ties, horizon)

    def _work(self) -> SQSWork:
        return SQSWork(self._sqs_client, self.setting("WORK_QUEUE_URL"))

    def _rerating_queue(self) -> SQSReratingQueue:
        return SQSReratingQueue(self._sqs_client, self.setting("RERATING_QUEUE_URL"))

    def _sqs_client(self) -> Any:  # noqa: ANN401 - botocore's clients are made at run time
        return self.client("sqs")
