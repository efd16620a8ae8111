"""The ledger of an organization's credit: one entry for each movement of the balance."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from perminute.domain.credit.lots import Lot, LotShare

RERATING = "rerating#"
"""The prefix of the causes of adjustments by re-rating."""


class EntryType(StrEnum):
    """What moved the balance."""

    PURCHASE = "purchase"
    CHARGE = "charge"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"


class Producer(NamedTuple):
    """The account, if known, and the source of the event behind an entry."""

    account: str | None
    source: str


class LedgerEntry(NamedTuple):
    """One movement of the balance; signed micro-units, never changed once written."""

    organization_id: str
    entry_id: str
    type: EntryType
    amount_micros: int
    balance_after_micros: int
    at: datetime
    lots: tuple[LotShare, ...] = ()  # the rest of the amount is debt that was made or paid
    # The identity of the event (`purchase#po-1001`), of the lot that expired, or of the re-rating.
    cause: str | None = None
    opens: Lot | None = None  # the lot that the entry opened, as it then was
    call_ids: tuple[str, ...] = ()  # late calls for which an expiry was taken back in part
    producer: Producer | None = None  # of the event about credit behind it, if there is one

    @property
    def of_calls(self) -> bool:
        """Whether the entry is explained by the calls that name it."""
        return self.type is EntryType.CHARGE or (self.cause or "").startswith(RERATING)

    @property
    def adds_credit(self) -> bool:
        """Whether it adds new credit: what calls or lots get back is not new."""
        return self.amount_micros > 0 and not self.of_calls and self.type is not EntryType.EXPIRY

    @property
    def debt_change_micros(self) -> int:
        """By how much the debt grew, or fell if negative: what no lot gave or took."""
        return sum(share.amount_micros for share in self.lots) - self.amount_micros


def sent_by(
    producer: Producer | None, cause: str, entries: Iterable[LedgerEntry]
) -> tuple[LedgerEntry, ...]:
    """Return the entries with the producer of a cause; entries of other causes have none."""
    return tuple(
        entry._replace(producer=producer) if entry.cause == cause else entry for entry in entries
    )


def entry_id(number: int) -> str:
    """Return the id of the n-th entry; ids sort as their numbers do."""
    return f"{number:012d}"
