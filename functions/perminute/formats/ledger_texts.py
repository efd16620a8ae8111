"""What an entry of the ledger is for, in words: the same in reports, statements and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.domain.credit.ledger import EntryType

if TYPE_CHECKING:
    from perminute.domain.credit.ledger import LedgerEntry


def describe(entry: LedgerEntry) -> str:
    """Return what an entry is for, in a few words."""
    _, _, name = (entry.cause or "").partition("#")
    match entry.type:
        case EntryType.PURCHASE:
            return f"Purchase {name}"
        case EntryType.CHARGE:
            return "Calls"
        case EntryType.EXPIRY if entry.amount_micros < 0:
            return f"Expired: {', '.join(share.purchase_id for share in entry.lots)}"
        case EntryType.EXPIRY:
            return "Expired credit that was taken back"
        case EntryType.ADJUSTMENT:
            return "Calls rated again" if entry.of_calls else f"Adjustment {name}"
        case never:
            assert_never(never)
