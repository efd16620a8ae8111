"""The ledger of an organization's credit: an entry for everything that moved the balance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from perminute.domain.credit.lots import Lot, LotShare


RERATING = "rerating#"
"""How the causes of adjustments begin that the re-rating of calls brought."""


class EntryType(StrEnum):
    """What moved the balance."""

    PURCHASE = "purchase"
    CHARGE = "charge"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"


class Producer(NamedTuple):
    """Who sent the event behind an entry: its account, if the bus said which, and its source."""

    account: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One movement of the balance; signed micro-units, never changed once written.

    `lots` says which lots gave or took how much; the rest of the amount is debt that was made or
    paid. `opens` is the lot that the entry opened, as it then was. `cause` is the permanent
    identity of the event behind it (`purchase#po-1001`), or of the lot that expired, or says why
    calls were re-rated. Of a charge or a re-rating, the calls that name the entry explain it.
    `call_ids` are the late calls for which an expiry was taken back in part. `producer` sent the
    event, where one event about credit is behind it: a purchase or an adjustment, what it takes
    back, and what calls are rated anew because it sets the credits up earlier.
    """

    organization_id: str
    entry_id: str
    type: EntryType
    amount_micros: int
    balance_after_micros: int
    at: datetime
    lots: tuple[LotShare, ...] = ()
    cause: str | None = None
    opens: Lot | None = None
    call_ids: tuple[str, ...] = ()
    producer: Producer | None = None

    @property
    def of_calls(self) -> bool:
        """Whether the entry is explained by the calls that name it."""
        return self.type is EntryType.CHARGE or (self.cause or "").startswith(RERATING)

    @property
    def adds_credit(self) -> bool:
        """Whether credit was bought or given by it; what calls or lots get back is none."""
        return self.amount_micros > 0 and not self.of_calls and self.type is not EntryType.EXPIRY

    @property
    def debt_change_micros(self) -> int:
        """By how much the debt grew (or, negative, was paid): what no lot gave or took."""
        return sum(share.amount_micros for share in self.lots) - self.amount_micros


def sent_by(
    producer: Producer | None, cause: str, entries: Iterable[LedgerEntry]
) -> tuple[LedgerEntry, ...]:
    """Have the entries of one cause say who sent it, and no others: time may bring some as well."""
    return tuple(
        replace(entry, producer=producer) if entry.cause == cause else entry for entry in entries
    )


def entry_id(number: int) -> str:
    """Write the number of an entry so that text sorts as numbers do."""
    return f"{number:012d}"
