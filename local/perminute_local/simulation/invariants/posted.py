"""What was posted for each organization, and what follows from it, transaction by transaction.

It knows neither lists nor revisions: a call is what the last transaction about it recorded.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, LedgerEntry
from perminute.domain.rating.usage_record import Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from perminute_local.simulation.write_recorder import CreditWrite

    IsIn = Callable[[datetime], bool]

_FOREVER = datetime.max.replace(tzinfo=UTC)


class Movement(NamedTuple):
    """What one transaction changed about a call; micro-units of the credit's currency."""

    before: Usage | None
    after: Usage
    entry_at: datetime | None
    """Of the entry that charged or corrected the call."""

    def micros_in(self, is_in: IsIn) -> int:
        """Return by how much it changed what the calls that ended in a period cost."""
        states = ((self.after, 1), (self.before, -1))
        return sum(
            sign * usage.charge_micros
            for usage, sign in states
            if usage is not None and is_in(usage.call.ended_at)
        )


class Known(NamedTuple):
    """An organization after a version of its account."""

    account: Account
    usages: Sequence[Usage]
    """As the last transaction about each call recorded it; none that are free."""
    entries: Sequence[LedgerEntry]
    movements: Sequence[Movement]

    def usages_in(self, is_in: IsIn) -> list[Usage]:
        """Return the calls that ended in a period."""
        return [usage for usage in self.usages if is_in(usage.call.ended_at)]

    def entries_in(self, is_in: IsIn) -> list[LedgerEntry]:
        """Return the entries of a period, by their `at`."""
        return [entry for entry in self.entries if is_in(entry.at)]

    def booked_outside(self, is_in: IsIn) -> int:
        """Return what was booked outside of a period for the calls that ended in it."""
        return sum(
            movement.micros_in(is_in)
            for movement in self.movements
            if movement.entry_at is None or not is_in(movement.entry_at)
        )

    def booked_for_others(self, is_in: IsIn) -> int:
        """Return what was booked in a period for the calls that ended outside of it."""
        return sum(
            movement.micros_in(lambda at: not is_in(at))
            for movement in self.movements
            if movement.entry_at is not None and is_in(movement.entry_at)
        )


@dataclass
class Posted:
    """All transactions that made a version of an account, in their order."""

    _writes: defaultdict[str, list[CreditWrite]] = field(default_factory=lambda: defaultdict(list))

    def add(self, write: CreditWrite) -> None:
        """Add a transaction as it takes effect."""
        if write.account is not None:
            self._writes[write.organization_id].append(write)

    def known(
        self, organization_id: str, version: int, *, posted_before: datetime = _FOREVER
    ) -> Known:
        """Return the organization as of a version, by what was posted before an instant."""
        account, usages = Account(organization_id), dict[str, Usage]()
        entries, movements = list[LedgerEntry](), list[Movement]()
        for write in self._writes.get(organization_id, ()):
            after = write.account
            if after is None or after.version > version:
                break
            if after.as_of is not None and after.as_of >= posted_before:
                break
            account = after
            entries += write.entries
            movements += _movements(write, usages)
        listed = [usage for usage in usages.values() if usage.outcome is not Outcome.FREE]
        return Known(account, listed, entries, movements)

    def first_ends(self) -> Iterator[tuple[str, datetime]]:
        """Go through the organizations that had calls, with when the first one ended."""
        for organization_id, writes in sorted(self._writes.items()):
            ends = [usage.call.ended_at for write in writes for usage in write.usages]
            if ends:
                yield organization_id, min(ends)


def _movements(write: CreditWrite, usages: dict[str, Usage]) -> Iterator[Movement]:
    """Go through what a transaction changed about calls; afterwards `usages` contain it."""
    charge = next((entry for entry in write.entries if entry.type is EntryType.CHARGE), None)
    correction = next(_corrections(write.entries), None)
    for usage in write.usages:
        before = usages.get(usage.call.call_id)
        usages[usage.call.call_id] = usage
        entry = charge if before is None else correction
        yield Movement(before, usage, entry and entry.at)


def _corrections(entries: Iterable[LedgerEntry]) -> Iterator[LedgerEntry]:
    return (entry for entry in entries if entry.of_calls and entry.type is not EntryType.CHARGE)
