"""What lots must have paid, by their dates and the ledger, and not by the code that decides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.domain.credit.ledger import EntryType
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta

    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lot
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.backend import Seen

LATE_CALL = "a late call is paid by a lot of its time"
CHARGEBACK = "a chargeback takes what was forfeited first"


@dataclass(frozen=True, slots=True, kw_only=True)
class LotHistory:
    """The lots of an organization as its ledger tells them.

    `reported` says when calls were reported, at the earliest and at the latest: by a clock that is
    ahead, when they arrived, which may be more than once. `charged_back` says by the ids of
    adjustments which purchase they took back. `shortest` and `longest` are how late usage could be
    reported, by all settings that there were.
    """

    organization_id: str
    seen: Seen
    reported: Mapping[str, tuple[datetime, datetime]]
    charged_back: Mapping[str, str]
    shortest: timedelta
    longest: timedelta

    def broken(self) -> Iterator[Broken]:
        """Compares what expired lots hold, and who paid late calls and chargebacks."""
        yield from self._forfeited()
        yield from self._paid_late()
        entries = {entry.entry_id: entry for entry in self.seen.statement.entries}
        for entry in entries.values():
            if entry.opens is not None and entry.opens.lot_id != entry.entry_id:
                why = f"entry {entry.entry_id} opens lot {entry.opens.lot_id}"
                yield self._says("a lot is named after the entry that opens it", why)
            if len(entry.call_ids) == 1:
                yield from self._taken_back(entry)
        for usage in self.seen.usages.values():
            # A call that came to cost something else was paid by later rules.
            if usage.entry_id is not None and not usage.adjustments:
                yield from self._paid_by_its_time(usage, entries)
        yield from self._chargebacks(entries)

    def _forfeited(self) -> Iterator[Broken]:
        """What is forfeited of all lots is what expired, less what was taken back."""
        entries = self.seen.statement.entries
        expired_micros = -sum(e.amount_micros for e in entries if e.type is EntryType.EXPIRY)
        held = [lot.remaining_micros for lot in self.seen.expired]
        if expired_micros != sum(held) or min(held, default=0) < 0:
            why = f"{expired_micros} micro-units expired, but expired lots hold {held}"
            yield self._says("what expired and was not taken back is forfeited", why)

    def _paid_late(self) -> Iterator[Broken]:
        """What came back from expiry to pay calls is what expired lots pay of them in the end."""
        back_micros = sum(
            entry.amount_micros
            for entry in self.seen.statement.entries
            if entry.type is EntryType.EXPIRY
            and (entry.call_ids or (entry.cause or "").startswith("entry#"))
        )
        shares = [share for usage in self.seen.usages.values() for share in usage.lots]
        paid_micros = -sum(share.amount_micros for share in shares if share.late)
        if back_micros != paid_micros:
            why = f"{back_micros} micro-units came back, and expired lots pay {paid_micros}"
            yield self._says("credit that expired comes back only to pay calls", why)

    def _taken_back(self, entry: LedgerEntry) -> Iterator[Broken]:
        """An expiry is taken back for a call that ended before it and was reported in time."""
        (call_id,), lots = entry.call_ids, {lot.lot_id: lot for lot in self.seen.expired}
        if self.seen.usages[call_id].authorized_at is not None:
            # Its bridge reported it in time, whatever became of it later.
            return
        ended_at = self.seen.usages[call_id].call.ended_at
        for share in entry.lots:
            lot = lots[share.lot_id]
            earliest, _ = self.reported.get(call_id, (ended_at, ended_at))
            reported_at = max(earliest, ended_at)
            is_in_time = reported_at <= lot.expires_at + self.longest
            if not (lot.purchased_at <= ended_at < lot.expires_at and is_in_time):
                yield self._says(LATE_CALL, f"{call_id} was paid by {lot.purchase_id} all the same")

    def _paid_by_its_time(
        self, usage: Usage, entries: Mapping[str, LedgerEntry]
    ) -> Iterator[Broken]:
        """No later lot paid, and no debt was made, while a lot of the call's time had enough."""
        call, charged = usage.call, str(usage.entry_id)
        _, reported_at = self.reported.get(call.call_id, (None, None))
        bought_at = {
            entry.opens.lot_id: entry.opens.purchased_at
            for entry in entries.values()
            if entry.opens is not None
        }
        paid_micros = -sum(share.amount_micros for share in usage.lots)
        for lot in self.seen.expired:
            if reported_at is None or self._held_at(lot, charged, entries) <= 0:
                continue
            was_alive = lot.purchased_at <= call.ended_at < lot.expires_at
            is_in_time = reported_at <= lot.expires_at + self.shortest
            if not (was_alive and is_in_time and self._had_expired(lot, charged, entries)):
                continue
            place = (lot.purchased_at, lot.lot_id)
            later = [
                share.lot_id
                for share in usage.lots
                if (bought_at[share.lot_id], share.lot_id) > place
            ]
            if later or paid_micros < usage.charge_micros:
                why = f"{call.call_id} was paid by {later or 'nobody'}, and not by {lot.lot_id}"
                yield self._says(LATE_CALL, why)

    def _held_at(self, lot: Lot, before: str, entries: Mapping[str, LedgerEntry]) -> int:
        """What a lot held at least when an entry was made: less what was forfeited again later."""
        again = (
            -share.amount_micros
            for entry in entries.values()
            if entry.entry_id > before and (entry.cause or "").startswith("entry#")
            for share in entry.lots
            if share.lot_id == lot.lot_id
        )
        return lot.remaining_micros - sum(again)

    def _had_expired(self, lot: Lot, before: str, entries: Mapping[str, LedgerEntry]) -> bool:
        return any(
            entry.cause == f"lot#{lot.lot_id}" and entry.entry_id < before
            for entry in entries.values()
        )

    def _chargebacks(self, entries: Mapping[str, LedgerEntry]) -> Iterator[Broken]:
        """Nobody else pays for a purchase that is taken back while it has something forfeited."""
        bought = {
            entry.cause: entry.entry_id
            for entry in entries.values()
            if entry.type is EntryType.PURCHASE
        }
        for entry in entries.values():
            purchase_id = self.charged_back.get((entry.cause or "").removeprefix("adjustment#"))
            if purchase_id is None or entry.type is not EntryType.ADJUSTMENT:
                continue
            own = bought[f"purchase#{purchase_id}"]
            own_micros = -sum(s.amount_micros for s in entry.lots if s.lot_id == own)
            for lot in self.seen.expired:
                forfeited = lot.lot_id == own and self._held_at(lot, entry.entry_id, entries) > 0
                had_expired = self._had_expired(lot, entry.entry_id, entries)
                if forfeited and had_expired and own_micros < -entry.amount_micros:
                    why = f"{lot.purchase_id} has {lot.remaining_micros} left, but others paid"
                    yield self._says(CHARGEBACK, why)

    def _says(self, promise: str, why: str) -> Broken:
        return Broken(promise, f"{self.organization_id}: {why}")
