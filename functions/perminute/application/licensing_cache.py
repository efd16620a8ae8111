"""Licensing timelines, read once for each licensing version of an organization.

A charge reads its account first and its licenses after, and commits only if the account did not
move in between. So what was read after an account at licensing version v is the state of version
v for every charge that commits against an account at v: a busy organization's timelines need not
be read again for each batch, nor when only the balance moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.domain.licensing.licensing import Licensing, Seats, counts_seats
from perminute.domain.licensing.timelines import Timeline

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute.domain.credit.accounts import Account
    from perminute.ports import LicensingStore

MAX_TIMELINES = 10_000
"""What a function keeps at most, some tens of megabytes; beyond that it starts afresh."""


@dataclass(slots=True)
class _Known:
    version: int
    is_read: bool = False
    organization: Timeline = field(default_factory=Timeline)
    users: dict[str, Timeline] = field(default_factory=dict)
    seats: Seats | None = None


@dataclass(slots=True)
class LicensingCache:
    """A licensing store, asked only for what this version of an organization has not shown yet."""

    store: LicensingStore
    _known: dict[str, _Known] = field(default_factory=dict)
    _timelines: int = 0

    def for_account(self, account: Account, user_ids: Collection[str]) -> Licensing:
        """Give the licensing that belongs to an account that was read before this call."""
        known = self._known.get(account.organization_id)
        if known is None or known.version != account.licensing_version:
            known = _Known(account.licensing_version)
        missing = [user_id for user_id in user_ids if user_id not in known.users]
        if missing or not known.is_read:
            read = self.store.licensing(account.organization_id, missing)
            known.organization = read.organization
            if known.seats is None and counts_seats(read.organization):
                known.seats = self.store.seats(account)
            known.users |= {user: read.users.get(user, Timeline()) for user in missing}
            known.is_read = True
            self._remember(account.organization_id, known, len(missing))
        if known.seats is None:
            return Licensing(known.organization, known.users)
        return Licensing(known.organization, known.users, known.seats)

    def _remember(self, organization_id: str, known: _Known, count: int) -> None:
        self._timelines += count
        if self._timelines > MAX_TIMELINES:
            self._known.clear()
            self._timelines = count
        self._known[organization_id] = known
