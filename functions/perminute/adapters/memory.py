"""The in-memory twin of the stores: the same promises, held by one lock.

Good for tests, simulations and whatever wants the real rules without a database.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from perminute.domain.accounts import Account
from perminute.domain.licensing import Licensing
from perminute.domain.timelines import MAX_FACTS, Timeline
from perminute.ports import AlreadyKnown, Committed, Full, Moved, ReceiptKey, ReceiptKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from perminute.domain.accounts import LedgerEntry
    from perminute.domain.licensing import LicensingChange
    from perminute.domain.rate_card import RateCard
    from perminute.domain.timelines import Fact
    from perminute.domain.usage import Usage
    from perminute.ports import CommitResult, Posting, Receipt, RecordResult, Rejection


@dataclass
class InMemoryStore:
    """Accounts, ledgers, usage and licensing timelines: both stores in one, as in a transaction."""

    accounts: dict[str, Account] = field(default_factory=dict)
    entries: list[LedgerEntry] = field(default_factory=list)
    usages: dict[tuple[str, str], Usage] = field(default_factory=dict)
    receipts: dict[ReceiptKey, Receipt] = field(default_factory=dict)
    facts: defaultdict[tuple[str, str | None], set[Fact]] = field(
        default_factory=lambda: defaultdict(set)
    )
    _lock: Lock = field(default_factory=Lock)

    def account(self, organization_id: str) -> Account:
        """See `CreditStore.account`."""
        with self._lock:
            return self._account(organization_id)

    def commit(self, posting: Posting) -> CommitResult:
        """See `CreditStore.commit`."""
        organization_id = posting.before.organization_id
        with self._lock:
            known = AlreadyKnown(
                {
                    usage.leg.call_id: self.usages[organization_id, usage.leg.call_id]
                    for usage in posting.usages
                    if (organization_id, usage.leg.call_id) in self.usages
                },
                self._known_receipts(posting.receipts),
            )
            if known.usages or known.receipts:
                return known
            if self._account(organization_id).version != posting.before.version:
                return Moved()
            if posting.after is not posting.before:
                self.accounts[organization_id] = posting.after
            if posting.entry is not None:
                self.entries.append(posting.entry)
            for usage in posting.usages:
                self.usages[organization_id, usage.leg.call_id] = usage
            self._keep(posting.receipts)
            return Committed()

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        """See `LicensingStore.licensing`."""
        with self._lock:
            return Licensing(
                Timeline(self.facts[organization_id, None]),
                {user_id: Timeline(self.facts[organization_id, user_id]) for user_id in user_ids},
            )

    def record(
        self, organization_id: str, changes: Sequence[tuple[LicensingChange, Receipt]]
    ) -> RecordResult:
        """See `LicensingStore.record`."""
        with self._lock:
            known = self._known_receipts([receipt for _, receipt in changes])
            if known:
                return AlreadyKnown(receipts=known)
            full = self._full(organization_id, changes)
            if full:
                return Full(full)
            for change, _ in changes:
                self.facts[organization_id, change.user_id] |= set(change.facts)
            self._keep([receipt for _, receipt in changes])
            account = self._account(organization_id)
            self.accounts[organization_id] = replace(
                account,
                version=account.version + 1,
                licensing_version=account.licensing_version + 1,
            )
            return Committed()

    def _account(self, organization_id: str) -> Account:
        return self.accounts.get(organization_id, Account(organization_id=organization_id))

    def _known_receipts(self, receipts: Sequence[Receipt]) -> dict[ReceiptKey, Receipt]:
        return {
            receipt.key: self.receipts[_identity(receipt.key)]
            for receipt in receipts
            if _identity(receipt.key) in self.receipts
        }

    def _keep(self, receipts: Sequence[Receipt]) -> None:
        self.receipts |= {_identity(receipt.key): receipt for receipt in receipts}

    def _full(
        self, organization_id: str, changes: Sequence[tuple[LicensingChange, Receipt]]
    ) -> frozenset[str | None]:
        more = Counter[str | None]()
        for change, _ in changes:
            more[change.user_id] += len(change.facts)
        return frozenset(
            user_id
            for user_id, count in more.items()
            if len(self.facts[organization_id, user_id]) + count > MAX_FACTS
        )


@dataclass
class FixedRateCard:
    """One rate card, for as long as it lasts."""

    card: RateCard

    def current(self) -> RateCard:
        """See `RateCards.current`."""
        return self.card


@dataclass
class KeptRejections:
    """Refused deliveries, in the order in which they were refused."""

    kept: list[Rejection] = field(default_factory=list)

    def keep(self, rejections: Sequence[Rejection]) -> None:
        """See `Rejections.keep`."""
        self.kept += rejections


def _identity(key: ReceiptKey) -> ReceiptKey:
    """An event id stands for itself, whichever organization it speaks of."""
    return replace(key, organization_id="") if key.kind is ReceiptKind.EVENT else key
