"""One connection to AWS, and what every function has over it.

`bootstrap` builds use cases on it.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    SDK_ATTEMPTS,
    Tables,
    connect,
)
from perminute.adapters.s3_rate_cards import S3RateCards
from perminute.observability import report_stale_directory, report_stale_rate_card
from perminute.settings import TableNames, read_timeout_seconds, required

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pynamodb.connection import Connection

    from perminute.adapters.s3_directories import S3Directories

_CLIENT_CONFIG = Config(
    connect_timeout=CONNECT_TIMEOUT_SECONDS,
    read_timeout=READ_TIMEOUT_SECONDS,
    retries={"mode": "standard", "total_max_attempts": SDK_ATTEMPTS},
)


class AwsResources:
    """The tables and clients of one function, as its environment names them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read the settings and open the connection; `MissingSetting` names what is not set."""
        self.environment = environment
        self.connection: Connection = connect(
            read_timeout_seconds=read_timeout_seconds(environment)
        )
        # pynamodb makes a session for each thread that asks; the one of this thread has loaded its
        # models already.
        self._session, self._making_client = self.connection.session, Lock()
        self.tables = Tables.bind(self.connection, TableNames.from_environment(environment))
        self.credit = DynamoDBCreditStore(self.tables)
        self.licensing = DynamoDBLicensingStore(self.tables)

    def setting(self, name: str) -> str:
        """Return a variable of the environment. Raises `MissingSetting`."""
        return required(self.environment, name)

    def rate_cards(self) -> S3RateCards:
        """Read the rate card in force from S3."""
        return S3RateCards(
            lambda: self.client("s3"),
            self.setting("RATE_CARD_BUCKET"),
            report=report_stale_rate_card,
        )

    def directories(self) -> S3Directories:
        """Read the directory of call records in force from S3."""
        # Few functions need it, and the others start without.
        from perminute.adapters.s3_directories import S3Directories  # noqa: PLC0415

        return S3Directories(
            lambda: self.client("s3"),
            self.setting("RATE_CARD_BUCKET"),
            report=report_stale_directory,
        )

    def client(self, service: str, also: Config | None = None) -> Any:  # noqa: ANN401 - botocore's clients are made at run time
        """Make a client on the connection's own session, whose models are loaded already.

        `also` replaces settings that clients otherwise have.
        """
        config = _CLIENT_CONFIG if also is None else _CLIENT_CONFIG.merge(also)
        # botocore's clients may be shared by threads, its sessions not.
        with self._making_client:
            return self._session.create_client(service, config=config)
