"""Licensing timelines, read once for each licensing version of an organization.

A charge reads its account first and its licenses after, and commits only if the account did not
move in between. So what was read after an account at licensing version v is the state of version
v for every charge that commits against an account at v: a busy organization's timelines need not
be read again for each batch, nor when only the balance moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.domain.licensing import Licensing
from perminute.domain.timelines import Timeline

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute.domain.accounts import Account
    from perminute.ports import LicensingStore

MAX_TIMELINES = 10_000
"""What a function keeps at most, some tens of megabytes; beyond that it starts afresh."""


@dataclass(slots=True)
class _Known:
    version: int
    organization: Timeline = field(default_factory=Timeline)
    users: dict[str, Timeline] = field(default_factory=dict)


@dataclass(slots=True)
class RememberedLicensing:
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
        if missing:
            read = self.store.licensing(account.organization_id, missing)
            known.organization = read.organization
            known.users |= {user: read.users.get(user, Timeline()) for user in missing}
            self._remember(account.organization_id, known, len(missing))
        return Licensing(known.organization, known.users)

    def _remember(self, organization_id: str, known: _Known, count: int) -> None:
        self._timelines += count
        if self._timelines > MAX_TIMELINES:
            self._known.clear()
            self._timelines = count
        self._known[organization_id] = known
