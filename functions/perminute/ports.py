"""What the use cases need from outside, in our words.

Two adapters stand behind each port, the DynamoDB one and an in-memory twin, and one contract
suite holds both to what is said here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.accounts import Account
    from perminute.domain.ledger import LedgerEntry
    from perminute.domain.licensing import Licensing, LicensingChange
    from perminute.domain.notifications import Notification
    from perminute.domain.rate_card import RateCard
    from perminute.domain.reconciliation import Statement
    from perminute.domain.usage import Usage

MAX_USAGES_PER_POSTING = 97
"""DynamoDB takes 100 items a transaction: account, entry, the outbox, and the usages."""

MAX_CHANGES_PER_RECORD = 49
"""Each change takes a receipt and perhaps a timeline of its own, and the account is one more."""


class ReceiptKind(StrEnum):
    """What identifies an event for ever (CONTRACT §2, in brackets)."""

    EVENT = "event"
    PURCHASE = "purchase"
    ADJUSTMENT = "adjustment"
    RECHARGE = "recharge"
    """A recharge that was paid: by one purchase, whatever its id."""
    RECHARGE_FAILURE = "rechargeFailure"


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """The permanent identity of an event.

    An event id stands for itself wherever it turns up; the other kinds are numbered by
    organization.
    """

    kind: ReceiptKind
    organization_id: str
    id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an event was taken in, and what it said: canonical JSON, equal if it repeats."""

    key: ReceiptKey
    content: str
    entry_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """All that one transaction writes for an organization, or nothing of it.

    `before` is the account as it was read: the posting holds only against its version. `after`
    is `before` itself where nothing changes; then its version is checked and left as it is. The
    notifications wait in the outbox from then on, to be published because they were committed.
    """

    before: Account
    after: Account
    entries: tuple[LedgerEntry, ...] = ()
    notifications: tuple[Notification, ...] = ()
    usages: tuple[Usage, ...] = ()
    receipts: tuple[Receipt, ...] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """Everything was written."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Nothing was written: the account was changed meanwhile. Read it again and decide anew."""

    why: str = field(default="the account kept changing", compare=False)


@dataclass(frozen=True, slots=True)
class AlreadyKnown:
    """Nothing was written: these records exist. Settle them, and post the rest again."""

    usages: Mapping[str, Usage] = field(default_factory=dict)
    receipts: Mapping[ReceiptKey, Receipt] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Full:
    """Nothing was written: these subjects have all the facts that a timeline may hold."""

    subjects: frozenset[str | None]


CommitResult = Committed | Moved | AlreadyKnown
RecordResult = Committed | Moved | AlreadyKnown | Full


class CreditStore(Protocol):
    """Accounts, their ledgers, and the usage they paid for. Raises `Unavailable`."""

    def account(self, organization_id: str) -> Account:
        """Read the account as it is now; one that was never written is empty, at version 0."""
        ...

    def commit(self, posting: Posting) -> CommitResult:
        """Write a posting as one transaction: at most `MAX_USAGES_PER_POSTING` usages in it."""
        ...

    def receipt(self, key: ReceiptKey) -> Receipt | None:
        """Read the receipt of one billing event as it is now; not of events known by their id."""
        ...

    def organizations(self, *, due_by: datetime | None = None) -> Iterator[str]:
        """Name the organizations that have an account, or those with something due by then.

        Found in an index that may lag behind: who is due is to be asked of the account itself.
        """
        ...

    def statement(self, organization_id: str) -> Statement:
        """Read all that is booked for an organization, as of one version of its account.

        The parts are not read at one instant: what is being booked meanwhile may show as a
        difference that another reading does not have.
        """
        ...


class LicensingStore(Protocol):
    """The licensing timelines of organizations and users. Raises `Unavailable`."""

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        """Read the timelines as no change is just being made to them; else raises `Contended`.

        A charge must read its account first: what changes later than that reading makes the
        account's next version, and the charge is decided again. A user without facts may be
        left out.
        """
        ...

    def record(
        self, organization_id: str, changes: Sequence[tuple[LicensingChange, Receipt]]
    ) -> RecordResult:
        """Add facts and their receipts, and make the account's next versions, in one transaction.

        At most `MAX_CHANGES_PER_RECORD` changes, none with an identity that stands twice.
        """
        ...


class RateCards(Protocol):
    """Where the rate card in force comes from. Raises `Unavailable`."""

    def current(self) -> RateCard:
        """Give the current version of the rate card."""
        ...


@dataclass(frozen=True, slots=True)
class Rejection:
    """A delivery that will never be processed, kept with the reason."""

    event_id: str
    reason: str
    body: str


class Rejections(Protocol):
    """Where refused deliveries are kept. Raises `Unavailable`."""

    def keep(self, rejections: Sequence[Rejection]) -> None:
        """Keep all of them, or raise: what is not kept must come again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A notification as it goes out: JSON for programs, a subject and sentences for people."""

    id: str
    type: str
    organization_id: str
    subject: str
    text: str
    document: str


class NotificationTopic(Protocol):
    """Where notifications are published. Raises `Unavailable`."""

    def publish(self, announcements: Sequence[Announcement]) -> Mapping[str, str]:
        """Publish all of them; gives by id why some will never be taken.

        Those before one that raises may be out already: publishing again repeats their ids.
        """
        ...
