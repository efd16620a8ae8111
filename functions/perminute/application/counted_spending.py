"""What was spent of limits, counted from the calls where nobody has counted it yet.

A record is kept only of those who have a limit. It begins with the first call of its period, when
little is to be counted; or when a limit is set in the midst of it, and then all before is. And it
is counted anew once calls have turned out to cost something else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.domain.spending import Spending, SpendingKind, Spendings
from perminute.ports import ListedCall

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute.domain.accounts import Account
    from perminute.domain.spending import SpendingKey
    from perminute.domain.usage import Usage
    from perminute.ports import Calls, CreditStore

CALLS_AT_ONCE = 500
"""Calls that are read before they are added up."""


def spendings_of(
    credit: CreditStore, calls: Calls, account: Account, keys: Collection[SpendingKey]
) -> Spendings:
    """Read what was spent, and count what nobody has; the account must have been read before.

    Whoever decides by it commits against the account: no call can have been charged meanwhile. And
    whoever counted writes it down, whatever is decided: nobody else is to count the same again.
    """
    if not keys:
        return Spendings(account.days, {})
    records = credit.spendings(account.organization_id, keys)
    counted: list[SpendingKey] = []
    for key in keys:
        record = records.get(key)
        if record is None or record.corrections != account.corrections:
            spent_micros = _spent_micros(calls, account.organization_id, key)
            anew = Spending(key=key, spent_micros=spent_micros, corrections=account.corrections)
            if record is not None:
                anew = replace(anew, held=record.held, told_micros=record.told_micros)
            records[key] = anew
            counted.append(key)
    return Spendings(account.days, records, counted)


def _spent_micros(calls: Calls, organization_id: str, key: SpendingKey) -> int:
    spent_micros, waiting = 0, set[ListedCall]()
    for listed in calls.lists(organization_id, since=key.since):
        waiting.update(call for call in listed.calls if _may_count(key, call))
        if len(waiting) >= CALLS_AT_ONCE:
            spent_micros += _total(key, _usages(calls, organization_id, waiting))
            waiting = set()
    return spent_micros + (_total(key, _usages(calls, organization_id, waiting)) if waiting else 0)


def _usages(
    calls: Calls, organization_id: str, listed: Collection[ListedCall]
) -> Collection[Usage]:
    """Read the usages of listed calls, but for what is listed out of date."""
    usages = calls.usages(organization_id, sorted({call.call_id for call in listed}))
    return [usage for usage in usages if ListedCall.of(usage.leg) in listed]


def _may_count(key: SpendingKey, call: ListedCall) -> bool:
    """Tell by what is listed of a call whether its usage must be read."""
    if call.answered_at < key.since:
        return False
    return call.organizer_id == key.subject if key.kind is SpendingKind.USER else call.dial_out


def _total(key: SpendingKey, usages: Collection[Usage]) -> int:
    return sum(u.charge_micros for u in usages if key.counts(u.leg, u.price.prefix, u.began_at))
