"""Puts the use cases together with their real adapters: the only place that knows which is real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.config import Config

from perminute import settings
from perminute.adapters.dynamodb.call_store import DynamoDBCalls
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.rerating_store import DynamoDBReratings
from perminute.adapters.dynamodb.schema import Schema
from perminute.adapters.dynamodb.tables import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    SDK_ATTEMPTS,
    connect,
)
from perminute.adapters.s3_rate_cards import S3RateCards
from perminute.adapters.sns_topic import SNSTopic
from perminute.adapters.sqs_rejections import SQSRejections
from perminute.adapters.sqs_wakeups import SQSWakeups
from perminute.application.apply_licensing import ApplyLicensing
from perminute.application.book_credit import BookCredit
from perminute.application.charge_legs import ChargeLegs
from perminute.application.expire_credit import ExpireCredit
from perminute.application.looking_again import LookingAgain
from perminute.application.patience import Patience
from perminute.application.publish_notifications import PublishNotifications
from perminute.application.reconcile_books import ReconcileBooks
from perminute.application.remembered_licensing import RememberedLicensing
from perminute.application.rerate_calls import RerateCalls
from perminute.application.wake_reratings import WakeForgotten, WakeReratings
from perminute.observability import report_stale_rate_card

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pynamodb.connection import Connection

_CLIENT_CONFIG = Config(
    connect_timeout=CONNECT_TIMEOUT_SECONDS,
    read_timeout=READ_TIMEOUT_SECONDS,
    retries={"mode": "standard", "total_max_attempts": SDK_ATTEMPTS},
)


class Application:
    """The use cases of one function, over one connection to AWS."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read the settings and open the connection; `MissingSetting` names what is not set."""
        self._environment = environment
        self._connection: Connection = connect()
        tables = settings.TableNames.from_environment(environment)
        self._schema = Schema.bind(self._connection, tables)
        self._credit = DynamoDBCreditStore(self._schema)
        self._licensing = DynamoDBLicensingStore(self._schema)

    def rejections(self) -> SQSRejections:
        """Keep what is refused in the function's own dead letters."""
        return SQSRejections(
            lambda: self._client("sqs"), settings.dead_letter_queue_url(self._environment)
        )

    def charge_legs(self) -> ChargeLegs:
        """Charge ended legs by the rate card in S3."""
        return ChargeLegs(
            credit=self._credit,
            calls=DynamoDBCalls(self._schema),
            licensing=RememberedLicensing(self._licensing),
            rate_cards=self._rate_cards(),
            patience=Patience(),
        )

    def rerate_calls(self) -> RerateCalls:
        """Look again at calls that a late change concerns."""
        again = LookingAgain(
            credit=self._credit,
            calls=DynamoDBCalls(self._schema),
            licensing=RememberedLicensing(self._licensing),
            rate_cards=self._rate_cards(),
            patience=Patience(),
        )
        return RerateCalls(again, DynamoDBReratings(self._schema))

    def wake_reratings(self) -> WakeReratings:
        """Have what waits carried out."""
        return WakeReratings(self._wakeups(), self.rejections())

    def wake_forgotten(self) -> WakeForgotten:
        """Have what still waits carried out."""
        return WakeForgotten(self._credit, DynamoDBReratings(self._schema), self._wakeups())

    def book_credit(self) -> BookCredit:
        """Book purchases, adjustments and settings."""
        return BookCredit(self._credit, Patience())

    def expire_credit(self) -> ExpireCredit:
        """Book what time alone brings."""
        return ExpireCredit(self._credit, Patience())

    def reconcile_books(self) -> ReconcileBooks:
        """Hold the books against each other; what is just being booked has a moment to settle."""
        return ReconcileBooks(self._credit, Patience(attempts=3, base_seconds=0.5))

    def publish_notifications(self) -> PublishNotifications:
        """Publish what was committed to the outbox."""
        topic = SNSTopic(
            lambda: self._client("sns"), settings.notification_topic_arn(self._environment)
        )
        return PublishNotifications(topic, self.rejections())

    def apply_licensing(self) -> ApplyLicensing:
        """Take in licensing facts."""
        return ApplyLicensing(self._licensing, Patience())

    def _wakeups(self) -> SQSWakeups:
        queue_url = settings.rerating_queue_url(self._environment)
        return SQSWakeups(lambda: self._client("sqs"), queue_url)

    def _rate_cards(self) -> S3RateCards:
        return S3RateCards(
            lambda: self._client("s3"),
            settings.rate_card_bucket(self._environment),
            report=report_stale_rate_card,
        )

    def _client(self, service: str) -> Any:  # noqa: ANN401 - botocore's clients are made at run time
        """Make a client on the connection's own session, whose models are loaded already."""
        return self._connection.session.create_client(service, config=_CLIENT_CONFIG)
