"""What corrections change for limits is written with them, and read by their numbers."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, holding

from perminute.domain.credit.transaction import AccountChanged, Transaction
from perminute.domain.limits.spending import (
    PartOfDay,
    SpendChange,
    SpendCounter,
    SpendKey,
    SpendKind,
)

if TYPE_CHECKING:
    from stores import Stores

DAY = date(2026, 11, 2)
OF_MONTH = SpendKey(SpendKind.USER, "adèle#1@contoso.com", ANSWERED.replace(day=1, hour=0))
OF_HOUR = SpendKey(SpendKind.PREFIX, "49", ANSWERED.replace(minute=0))


def test_changes_are_read_from_one_number_to_another(stores: Stores, organization: str) -> None:
    account = holding(organization_id=organization, version=0)
    written = {
        number: (
            SpendChange(OF_MONTH, DAY, -number, number == 2),
            SpendChange(OF_HOUR, DAY, 10**15),
        )
        for number in (1, 2, 10)
    }
    for number, changes in written.items():
        after = account._replace(version=account.version + 1, corrections=number)
        transaction = Transaction(before=account, after=after, corrected=changes)
        stores.credit.commit(transaction)
        account = after
    moved = account._replace(version=1, corrections=11)
    lost = Transaction(before=moved, after=moved._replace(version=2), corrected=written[1])
    with pytest.raises(AccountChanged):
        stores.credit.commit(lost)

    def read(after: int, until: int) -> dict[int, tuple[SpendChange, ...]]:
        found = stores.credit.spend_changes(organization, after=after, until=until)
        return {number: tuple(changes) for number, changes in found.items()}

    assert read(0, 11) == written
    assert read(1, 9) == {2: written[2]}
    assert read(2, 10) == {10: written[10]}
    assert stores.credit.account(organization).corrections == 10


def test_a_record_that_is_being_counted_says_how_far(stores: Stores, organization: str) -> None:
    """Also with an account that stays as it is, whose version is checked all the same."""
    account = holding(organization_id=organization, version=0, prefixes_from=7)
    after = account._replace(version=1)
    stores.credit.commit(Transaction(before=account, after=after))
    assert stores.credit.account(organization).prefixes_from == 7
    piece = SpendCounter(key=OF_MONTH, spent_micros=5, corrections=7, counted_before=DAY)
    stale = Transaction(
        before=account, after=account, spend_counters=(piece._replace(spent_micros=6),)
    )
    with pytest.raises(AccountChanged):
        stores.credit.commit(stale)
    transaction = Transaction(before=after, after=after, spend_counters=(piece,))
    stores.credit.commit(transaction)
    assert stores.credit.spend_counters(organization, [OF_MONTH, OF_HOUR]) == {OF_MONTH: piece}
    assert stores.credit.account(organization) == after
    further = piece._replace(part=PartOfDay("calls#2026-11-02T09:10:00.000000+00:00#1", 9, 5))
    stores.credit.commit(transaction._replace(spend_counters=(further,)))
    assert stores.credit.spend_counters(organization, [OF_MONTH]) == {OF_MONTH: further}
