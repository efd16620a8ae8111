"""The in-memory twin of the licensing store, and of what reports read with it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from perminute.adapters.memory.records import Records
from perminute.domain.credit.transaction import AlreadyExists, FactsFolded, TimelineFull
from perminute.domain.licensing.licensing import Licensing, Seats
from perminute.domain.licensing.timelines import Timeline, fold
from perminute.domain.pools.pools import MinutePool
from perminute.ports.reports import AccountState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import ProcessedEvent
    from perminute.domain.licensing.licensing import LicensingChange
    from perminute.domain.pools.pools import Month
    from perminute.domain.rerating.rerating import Rerating


class LicensingRecords(Records):
    """`LicensingStore` and `AccountStates` in dictionaries."""

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        return Licensing(
            self._timeline(organization_id, None),
            {user_id: self._timeline(organization_id, user_id) for user_id in user_ids},
        )

    def users(self, account: Account) -> Mapping[str, Timeline]:
        organization_id = account.organization_id
        known = (user for of, user in self.facts if of == organization_id and user is not None)
        # A copy is there twice until the user is erased.
        users = [user for user in known if (organization_id, user) not in self.copies]
        return {user_id: self._timeline(organization_id, user_id) for user_id in users}

    def seats(self, account: Account) -> Seats:
        return Seats(self.users(account).values())

    def account_state(self, organization_id: str, month: Month) -> AccountState:
        return AccountState(
            self._account(organization_id),
            self.minute_pools.get((organization_id, month), MinutePool(organization_id, month)),
            self._timeline(organization_id, None),
        )

    def record(
        self,
        organization_id: str,
        changes: Sequence[tuple[LicensingChange, ProcessedEvent]],
        rerating: Rerating | None = None,
    ) -> None:
        events = [event for _, event in changes]
        known = self._known_events(events)
        if known:
            raise AlreadyExists(processed_events=known)
        if folded := self._folded(organization_id, changes):
            raise FactsFolded(folded)
        full = self._full(organization_id, changes)
        if full:
            raise TimelineFull(full)
        for change, _ in changes:
            self.facts[organization_id, change.user_id] |= set(change.facts)
        self._record(events)
        self._wait([] if rerating is None else [rerating])
        of_users = (change.facts for change, _ in changes if change.user_id is not None)
        self.next_version(organization_id, sum(map(len, of_users)))

    def roll_over(
        self, organization_id: str, user_id: str | None, *, fold_before: datetime
    ) -> None:
        key = organization_id, user_id
        facts = self.further_facts[key] | self.facts[key]
        kept = fold(facts, fold_before)
        self.further_facts[key] = kept
        self.facts[key] = set()
        left_out = len(facts) - len(kept)
        if left_out:
            self.folded_until[key] = max(fold_before, self.folded_until.get(key, fold_before))
            self.next_version(organization_id, 0 if user_id is None else -left_out)

    def next_version(self, organization_id: str, of_users: int) -> None:
        """Count up the versions of the account, and by `of_users` the facts about users."""
        account = self._account(organization_id)
        self.listed.add(organization_id)
        self.accounts[organization_id] = account._replace(
            version=account.version + 1,
            licensing_version=account.licensing_version + 1,
            user_facts=account.user_facts + of_users,
        )

    def _timeline(self, organization_id: str, user_id: str | None) -> Timeline:
        key = organization_id, user_id
        return Timeline(self.further_facts[key] | self.facts[key])

    def _full(
        self, organization_id: str, changes: Sequence[tuple[LicensingChange, ProcessedEvent]]
    ) -> frozenset[str | None]:
        more = Counter[str | None]()
        for change, _ in changes:
            more[change.user_id] += len(change.facts)
        return frozenset(
            user_id
            for user_id, count in more.items()
            if self.facts[organization_id, user_id]
            and len(self.facts[organization_id, user_id]) + count > self.max_facts
        )

    def _folded(
        self, organization_id: str, changes: Sequence[tuple[LicensingChange, ProcessedEvent]]
    ) -> dict[str | None, datetime]:
        return {
            change.user_id: until
            for change, _ in changes
            if (until := self.folded_until.get((organization_id, change.user_id))) is not None
            and any(fact.effective_at < until for fact in change.facts)
        }
