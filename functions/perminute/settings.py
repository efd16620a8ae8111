"""What a function is told by its environment, read once and named where it is missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.domain.errors import MissingSetting

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class TableNames:
    """The tables under the names that the deployment gave them."""

    credit: str
    usage: str
    licensing: str
    events: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> TableNames:
        """Read the names; a name gives no access, the function's role does."""
        return cls(
            credit=_required(environment, "CREDIT_TABLE"),
            usage=_required(environment, "USAGE_TABLE"),
            licensing=_required(environment, "LICENSING_TABLE"),
            events=_required(environment, "EVENTS_TABLE"),
        )


def dead_letter_queue_url(environment: Mapping[str, str]) -> str:
    """Read where this function keeps what it refuses."""
    return _required(environment, "DEAD_LETTER_QUEUE_URL")


def rate_card_bucket(environment: Mapping[str, str]) -> str:
    """Read where the rate cards live."""
    return _required(environment, "RATE_CARD_BUCKET")


def notification_topic_arn(environment: Mapping[str, str]) -> str:
    """Read where notifications are published."""
    return _required(environment, "NOTIFICATION_TOPIC_ARN")


def stack_name(environment: Mapping[str, str]) -> str:
    """Read which stack notifications come from, as their texts say."""
    return _required(environment, "STACK_NAME")


def documentation_url(environment: Mapping[str, str]) -> str:
    """Read where texts say that the pages of docs/ can be read; empty if nobody has said."""
    return environment.get("DOCUMENTATION_URL", "")


def rerating_queue_url(environment: Mapping[str, str]) -> str:
    """Read where organizations are woken whose calls are to be looked at again."""
    return _required(environment, "RERATING_QUEUE_URL")


def work_queue_url(environment: Mapping[str, str]) -> str:
    """Read where the work of this function's daily run waits."""
    return _required(environment, "WORK_QUEUE_URL")


def book_checks_table(environment: Mapping[str, str]) -> str:
    """Read where it is kept how books were checked."""
    return _required(environment, "BOOK_CHECKS_TABLE")


def whole_within_days(environment: Mapping[str, str]) -> int:
    """Read within how many days all books of each organization are read."""
    return int(_required(environment, "BOOKS_READ_WHOLE_WITHIN_DAYS"))


def rerating_horizon(environment: Mapping[str, str]) -> timedelta:
    """Read how long before its event was issued a licensing fact may take effect."""
    return timedelta(days=int(_required(environment, "RERATING_HORIZON_DAYS")))


def read_timeout_seconds(environment: Mapping[str, str]) -> int | None:
    """Read how long to wait for an answer of DynamoDB; None, as deployed: the adapter's limit.

    An emulator on a busy machine answers later than DynamoDB does, and the more it holds the later.
    """
    value = environment.get("READ_TIMEOUT_SECONDS")
    return int(value) if value else None


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """What a token that comes with a request over HTTP must say, and whether there must be one."""

    organization_claim: str
    """The claim that names the one organization that a token is for."""
    required: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> TokenSettings:
        """Read the settings; whatever is not plainly `false` requires a token."""
        return cls(
            organization_claim=_required(environment, "ORGANIZATION_CLAIM"),
            required=_required(environment, "TOKENS_REQUIRED") != "false",
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise MissingSetting(name)
    return value
