"""What only reports read, in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from perminute.domain.credit.accounts import Account
    from perminute.domain.licensing.timelines import Timeline
    from perminute.domain.pools.pools import MinutePool, Month


class AccountState(NamedTuple):
    """An account, the pool of a month and the facts about the organization, of one instant."""

    account: Account
    pool: MinutePool
    organization: Timeline


class AccountStates(Protocol):
    """Accounts with what belongs to them. Raises `Unavailable`."""

    def account_state(self, organization_id: str, month: Month) -> AccountState:
        """Read them as no transaction is just changing them; else raises `Contended`."""
