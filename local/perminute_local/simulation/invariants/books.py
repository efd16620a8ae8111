"""Books: what each lot must have paid, and what the nightly check of the books finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.domain.credit.ledger import EntryType
from perminute.domain.reconciliation.book_checks import NOTHING_PROVEN, BookSums, agrees
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.domain.values.money import format_micros
from perminute_local.simulation.backends.backend import WHOLE_WITHIN_DAYS
from perminute_local.simulation.invariants.invariant import books_agree, invariant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.lots import Lot
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.backends.backend import Snapshot
    from perminute_local.simulation.invariants.invariant import Broken


@dataclass(frozen=True, slots=True)
class LotHistory:
    """The lots of an organization by its ledger."""

    stored: Snapshot
    reported: Mapping[str, tuple[datetime, datetime]]
    """When calls were reported, at the earliest and at the latest: by a clock that is ahead, when
    they arrived, which may be more than once."""
    charged_back: Mapping[str, str]
    """By the ids of adjustments, which purchase they take back."""
    shortest: timedelta
    longest: timedelta
    """How late usage could be reported, by all settings that there were."""

    def broken(self) -> Iterator[Broken]:
        """Check what expired lots contain, and who paid late calls and chargebacks."""
        yield from _forfeited(self)
        yield from _paid_late(self)
        for entry in self.entries:
            yield from _named_after_entry(entry)
            if entry.type is EntryType.EXPIRY and len(entry.call_ids) == 1:
                yield from _in_time(self, entry)
        for usage in self.stored.usages.values():
            # A call whose charge was adjusted was paid by later rules.
            if usage.entry_id is not None and not usage.adjustments:
                yield from _paid_by_lots_of_their_time(self, usage)
        yield from _charged_back(self)

    @property
    def entries(self) -> Sequence[LedgerEntry]:
        """All movements of the balance."""
        return self.stored.statement.entries

    def contained(self, lot: Lot, entry_id: str) -> int:
        """Return what an expired lot contained at least before an entry.

        That is what it contains less what was forfeited again later.
        """
        again = (
            -share.amount_micros
            for entry in self.entries
            if entry.entry_id > entry_id and (entry.cause or "").startswith("entry#")
            for share in entry.lots
            if share.lot_id == lot.lot_id
        )
        return lot.remaining_micros - sum(again)

    def had_expired(self, lot: Lot, entry_id: str) -> bool:
        """Return whether a lot had expired before an entry."""
        return any(
            entry.cause == f"lot#{lot.lot_id}" and entry.entry_id < entry_id
            for entry in self.entries
        )


@invariant
def _forfeited(history: LotHistory) -> Iterator[str]:
    """What expired and was not taken back is forfeited."""
    expired_micros = -sum(
        entry.amount_micros for entry in history.entries if entry.type is EntryType.EXPIRY
    )
    left = [lot.remaining_micros for lot in history.stored.expired]
    if expired_micros != sum(left) or min(left, default=0) < 0:
        yield f"{expired_micros} micro-units expired, but expired lots contain {left}"


@invariant
def _paid_late(history: LotHistory) -> Iterator[str]:
    """Credit that expired comes back only to pay calls."""
    back_micros = sum(
        entry.amount_micros
        for entry in history.entries
        if entry.type is EntryType.EXPIRY
        and (entry.call_ids or (entry.cause or "").startswith("entry#"))
    )
    shares = (share for usage in history.stored.usages.values() for share in usage.lots)
    paid_micros = -sum(share.amount_micros for share in shares if share.late)
    if back_micros != paid_micros:
        yield f"{back_micros} micro-units came back, and expired lots pay {paid_micros}"


@invariant
def _named_after_entry(entry: LedgerEntry) -> Iterator[str]:
    """A lot is named after the entry that opens it."""
    if entry.opens is not None and entry.opens.lot_id != entry.entry_id:
        yield f"entry {entry.entry_id} opens lot {entry.opens.lot_id}"


@invariant
def _in_time(history: LotHistory, entry: LedgerEntry) -> Iterator[str]:
    """A late call is paid by a lot of its time."""
    (call_id,), lots = entry.call_ids, {lot.lot_id: lot for lot in history.stored.expired}
    usage = history.stored.usages[call_id]
    if usage.authorized_at is not None:
        # Its bridge reported it in time, whatever became of it later.
        return
    ended_at = usage.call.ended_at
    earliest, _ = history.reported.get(call_id, (ended_at, ended_at))
    for lot in (lots[share.lot_id] for share in entry.lots):
        is_in_time = max(earliest, ended_at) <= lot.expires_at + history.longest
        if not (lot.purchased_at <= ended_at < lot.expires_at and is_in_time):
            yield f"{call_id} was paid by {lot.purchase_id} all the same"


@invariant
def _paid_by_lots_of_their_time(history: LotHistory, usage: Usage) -> Iterator[str]:
    """A late call is paid by a lot of its time."""
    call, charged = usage.call, str(usage.entry_id)
    _, reported_at = history.reported.get(call.call_id, (None, None))
    opened = (entry.opens for entry in history.entries if entry.opens is not None)
    bought_at = {lot.lot_id: lot.purchased_at for lot in opened}
    paid_micros = -sum(share.amount_micros for share in usage.lots)
    for lot in history.stored.expired:
        if reported_at is None or history.contained(lot, charged) <= 0:
            continue
        was_alive = lot.purchased_at <= call.ended_at < lot.expires_at
        is_in_time = reported_at <= lot.expires_at + history.shortest
        if not (was_alive and is_in_time and history.had_expired(lot, charged)):
            continue
        place = (lot.purchased_at, lot.lot_id)
        payers = [share.lot_id for share in usage.lots]
        later = [lot_id for lot_id in payers if (bought_at[lot_id], lot_id) > place]
        if later or paid_micros < usage.charge_micros:
            yield f"{call.call_id} was paid by {later or 'nobody'}, and not by {lot.lot_id}"


@invariant
def _charged_back(history: LotHistory) -> Iterator[str]:
    """A chargeback takes what was forfeited first."""
    bought = {
        entry.cause: entry.entry_id for entry in history.entries if entry.type is EntryType.PURCHASE
    }
    for entry in history.entries:
        purchase_id = history.charged_back.get((entry.cause or "").removeprefix("adjustment#"))
        if purchase_id is None or entry.type is not EntryType.ADJUSTMENT:
            continue
        own = bought[f"purchase#{purchase_id}"]
        own_micros = -sum(share.amount_micros for share in entry.lots if share.lot_id == own)
        for lot in history.stored.expired:
            forfeited = lot.lot_id == own and history.contained(lot, entry.entry_id) > 0
            had_expired = history.had_expired(lot, entry.entry_id)
            if forfeited and had_expired and own_micros < -entry.amount_micros:
                yield f"{lot.purchase_id} has {lot.remaining_micros} left, but others paid"


def checked(name: str, stored: Snapshot, at: datetime) -> Iterator[Broken]:
    """Check what a night has found, once all of it is done."""
    if stored.account.version == 0:
        return
    yield from _checked_every_night(name, stored, at)
    differences = stored.check.differences
    if differences:
        why = f"{name} differs {differences} times: {reconcile(stored.statement)}"
        yield from books_agree(why)
    else:
        yield from _read_whole(name, stored, at)
    yield from _checkpoint_is_right(name, stored)


def differences_found(name: str, stored: Snapshot) -> Iterator[Broken]:
    """Check what a night has found of a balance that was changed on purpose."""
    yield from _differences_are_found(name, stored)
    yield from _checkpoint_is_right(name, stored)


@invariant
def _checked_every_night(name: str, stored: Snapshot, at: datetime) -> Iterator[str]:
    """Every night all books are checked."""
    check = stored.check
    if check.reading is not None or check.checked_at != at:
        state = "is under way" if check.reading is not None else f"was at {check.checked_at}"
        yield f"the last check of {name} {state}, and the run was at {at}"


@invariant
def _read_whole(name: str, stored: Snapshot, at: datetime) -> Iterator[str]:
    """All books are read within some days."""
    whole_at = stored.check.whole_at
    if whole_at is None or (at - whole_at).days >= WHOLE_WITHIN_DAYS:
        yield f"all books of {name} were read at {whole_at}, and it is {at}"


@invariant
def _checkpoint_is_right(name: str, stored: Snapshot) -> Iterator[str]:
    """A checkpoint is what the ledger says."""
    point = stored.check.checkpoint
    sums = BookSums.begin(NOTHING_PROVEN, point.entries)
    for entry in stored.statement.entries:
        if int(entry.entry_id) <= point.entries:
            sums.add(entry)
    # What calls cost is no part of a checkpoint: only what the entries say.
    for range_ in sums.ranges.values():
        range_.charged_micros = range_.called_micros = range_.charges = 0
    if not agrees(sums, point):
        stated = f"{point.entries} entries and {format_micros(point.balance_micros)}"
        yield f"the checkpoint of {name} says {stated}, the ledger does not"


@invariant
def _differences_are_found(name: str, stored: Snapshot) -> Iterator[str]:
    """Differences of the books are found."""
    if not stored.check.differences:
        yield f"a cent was added to the balance of {name}, and no check has found it"
