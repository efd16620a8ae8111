"""Licensing timelines, read once for each licensing version of an organization.

A use case reads the account first and the licenses after, and commits only if the account has not
changed since. So what was read after an account at a licensing version is the state of that
version for every decision about an account at it. A busy organization's timelines are not read
again for each batch, nor when only the balance has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from perminute.domain.licensing.licensing import Licensing, Seats, counts_seats
from perminute.domain.licensing.timelines import Timeline

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute.domain.credit.accounts import Account
    from perminute.ports.stores import LicensingStore

# What a function caches at most, some tens of megabytes; beyond that it starts afresh.
MAX_TIMELINES = 10_000


@dataclass(slots=True)
class LicensingCache:
    """A licensing store, asked only for what it has not returned yet of a licensing version.

    Threads may share it, if only one of them at a time asks for an organization.
    """

    store: LicensingStore
    _cached: dict[str, tuple[int, Licensing]] = field(default_factory=dict)
    _timelines: int = 0
    # Held while both are changed, and never during a request.
    _lock: Lock = field(default_factory=Lock)

    def for_account(self, account: Account, user_ids: Collection[str]) -> Licensing:
        """Return the licensing of an account that was read before. Raises `Unavailable`."""
        version, known = self._cached.get(account.organization_id, (None, None))
        if known is None or version != account.licensing_version:
            read = self._read(account, user_ids)
            has_seats = counts_seats(read.organization)
            licensing = read._replace(seats=self.store.seats(account)) if has_seats else read
        elif missing := [user_id for user_id in user_ids if user_id not in known.users]:
            read = self._read(account, missing)
            licensing = known._replace(users={**known.users, **read.users})
        else:
            return known
        with self._lock:
            self._timelines += len(read.users)
            if self._timelines > MAX_TIMELINES:
                self._cached.clear()
                self._timelines = len(read.users)
            self._cached[account.organization_id] = account.licensing_version, licensing
        return licensing

    def for_all_users(self, account: Account) -> Licensing:
        """Read the licensing of all users of an account that was read before; it is not cached.

        Raises `Unavailable`.
        """
        organization = self.store.licensing(account.organization_id, ()).organization
        users = self.store.users(account)
        return Licensing(organization, users, Seats(users.values()))

    def _read(self, account: Account, user_ids: Collection[str]) -> Licensing:
        read = self.store.licensing(account.organization_id, user_ids)
        # A user without facts is known as well: nothing is to be read of it again.
        return Licensing(read.organization, {u: read.users.get(u, Timeline()) for u in user_ids})
