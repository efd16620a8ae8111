"""An account with what belongs to it, of one instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builders import ANSWERED, entitled_changes

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.transaction import Transaction
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.pools.pools import MinutePool, Month
from perminute.ports.reports import AccountState

if TYPE_CHECKING:
    from stores import Stores

NOVEMBER = Month(2026, 11)


def test_an_organization_of_which_nothing_is_known_has_an_empty_account(
    stores: Stores, organization: str
) -> None:
    assert stores.accounts.account_state(organization, NOVEMBER) == AccountState(
        Account(organization_id=organization), MinutePool(organization, NOVEMBER), Timeline()
    )


def test_account_pool_and_facts_about_the_organization_are_read_together(
    stores: Stores, organization: str
) -> None:
    changes = entitled_changes(organization)
    stores.licensing.record(organization, changes)
    before = stores.credit.account(organization)
    pool = MinutePool(organization, NOVEMBER, used_by_day={ANSWERED.date(): 30})
    after = before._replace(version=before.version + 1, balance_micros=7)
    stores.credit.commit(Transaction(before=before, after=after, pools=(pool,)))
    read = stores.accounts.account_state(organization, NOVEMBER)
    assert read == AccountState(after, pool, Timeline(changes[0][0].facts))
    october = Month(2026, 10)
    read = stores.accounts.account_state(organization, october)
    assert read == (after, MinutePool(organization, october), Timeline(changes[0][0].facts))


def test_facts_that_were_moved_from_a_full_timeline_are_read(
    stores: Stores, organization: str
) -> None:
    changes = entitled_changes(organization)
    stores.licensing.record(organization, changes)
    stores.licensing.roll_over(organization, None, fold_before=ANSWERED)
    read = stores.accounts.account_state(organization, NOVEMBER)
    assert read.organization == Timeline(changes[0][0].facts)
