"""`AccountStates` on the credit and licensing tables: one request reads all three items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import ACCOUNT, account_of, credit_key
from perminute.adapters.dynamodb.counter_items import pool_of, pool_record
from perminute.adapters.dynamodb.tables import get_snapshot, readable
from perminute.adapters.dynamodb.timelines import (
    ORGANIZATION,
    read_timelines,
    subject_key,
    timeline_of,
)
from perminute.domain.credit.accounts import Account
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.pools.pools import MinutePool
from perminute.ports.reports import AccountState

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.tables import Tables
    from perminute.domain.pools.pools import Month


class DynamoDBAccountStates:
    """The items are read in a transaction, since a charge changes account and pool together."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def account_state(self, organization_id: str, month: Month) -> AccountState:
        credit, licensing = self._tables.credit, self._tables.licensing
        account, pool, organization = get_snapshot(
            self._tables.connection,
            [
                (credit.name, credit_key(organization_id, ACCOUNT)),
                (credit.name, credit_key(organization_id, pool_record(month))),
                (licensing.name, subject_key(organization_id, ORGANIZATION)),
            ],
        )
        with readable(f"the account, a pool or the licensing of {organization_id}"):
            # A timeline that was ever full has further items, each of which is never changed.
            firsts = [timeline_of(organization)] if organization else []
            timelines = read_timelines(licensing, firsts)
            return AccountState(
                account_of(account) if account else Account(organization_id=organization_id),
                pool_of(pool) if pool else MinutePool(organization_id, month),
                timelines.get(ORGANIZATION, Timeline()),
            )
